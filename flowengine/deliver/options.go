package deliver

import (
	"context"
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Store is what a worker keeps things in.
type Store interface {
	tenant.MessageStore
	Code(ctx context.Context, tenantID, id string) (*tenant.Code, error)
	OpenSecret(ctx context.Context, tenantID, name string) ([]byte, error)
}

// Options is what a worker works with. All of it is needed but what says
// otherwise.
type Options struct {
	Store   Store
	Master  *secret.Master
	Limiter limit.Limiter // of test messages
	Log     *slog.Logger
	Now     func() time.Time // nil for time.Now

	Tenant    func(ctx context.Context, id string) (*tenant.Tenant, error)
	Config    func(ctx context.Context, t *tenant.Tenant) (*tenant.Config, error) // in force
	PublicURL func(host, path string) string

	Platform *Platform      // the operator's mail server; nil for none
	Guard    outbound.Guard // of calls to tenants' gateways
	RootCAs  *x509.CertPool // nil for the system's
	Dev      bool           // what was sent stays readable, and without a gateway the inbox takes it

	Sent  func(Sent)                                 // of each try; may be nil
	Queue func(queued int, oldest time.Duration)     // now and then; may be nil
	Lease time.Duration                              // of a claim; 0 for a minute
	Poll  time.Duration                              // between looks at the outbox; 0 for a second
	Delay func(attempts int) (backoff time.Duration) // before another try; nil for the usual
}

// Sent is one try at a message, for metrics. The labels are of closed sets.
type Sent struct {
	Channel  string
	Provider string // one of ProvidersOf the channel
	Purpose  tenant.CodePurpose
	Outcome  Outcome
	Took     time.Duration
}

// Outcome is what came of a try.
type Outcome string

// The outcomes.
const (
	Taken   Outcome = "sent"
	Retried Outcome = "retried" // to be tried again
	Failed  Outcome = "failed"  // given up
	Expired Outcome = "expired" // its code no longer works
)

// Outcomes lists them.
var Outcomes = []Outcome{Taken, Retried, Failed, Expired}
