package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Options is what hooks work with. All of it is needed but what says otherwise.
type Options struct {
	Store   tenant.Store
	Master  *secret.Master
	Guard   outbound.Guard
	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time // nil for time.Now

	Lease time.Duration                    // of a claim, longer than a call; 0 for 30 seconds
	Poll  time.Duration                    // between looks at the outbox; 0 for a second
	Delay func(attempts int) time.Duration // before another try; nil for the usual
}

// Hooks calls the hooks of all tenants.
type Hooks struct {
	o      Options
	client *http.Client
	keys   *keyring
	wake   chan struct{}
	lanes  lanes // of the worker
	asked  lanes // of those who wait for an answer
}

// New makes hooks. What they are told is delivered while [Hooks.Run] does.
func New(o Options) (*Hooks, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.Delay == nil {
		o.Delay = backoff
	}
	keys, err := newKeyring(o)
	if err != nil {
		return nil, err
	}
	return &Hooks{o: o, client: o.Guard.NewClient(), keys: keys, wake: make(chan struct{}, 1)}, nil
}

// The headers of a call, beside [outbound.SignatureHeader].
const (
	EventHeader    = "Usher-Event"       // the type
	EventIDHeader  = "Usher-Event-Id"    // the same whenever the event is delivered
	DeliveryHeader = "Usher-Delivery-Id" // of the delivery; absent where an answer is waited for
	AttemptHeader  = "Usher-Attempt"     // from 1
)

// What of an answer is read, in bytes.
const maxAnswer = 64 << 10

// letter is a call to be made.
type letter struct {
	id       string // of the event
	typ      tenant.HookEventType
	body     []byte
	delivery string
	attempt  int
}

// answer is what came of a call.
type answer struct {
	status  int // 0 when there was none
	body    []byte
	took    time.Duration
	err     error // why there was none, or none that could be read
	timeout bool
}

// failure is why a call doesn't count, in words that hold no secret.
func (a *answer) failure() error {
	switch {
	case a.timeout:
		return errors.New("no answer in time")
	case a.err != nil:
		return a.err
	case a.status/100 != 2:
		return fmt.Errorf("it answered with status %d", a.status)
	}
	return nil
}

// call posts a letter, signed, and waits for the answer as long as the endpoint's
// time limit and ctx allow.
func (h *Hooks) call(ctx context.Context, t *tenant.Tenant, e *tenant.HookEndpoint, l letter) (a answer) {
	begun := time.Now()
	defer func() { a.took = time.Since(begun) }()
	keys, err := h.keys.of(ctx, t, e.Name)
	if err != nil {
		return answer{err: fmt.Errorf("its signing key can't be read: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(l.body))
	if err != nil {
		return answer{err: errors.New("its URL can't be called")}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Usher")
	r.Header.Set(EventHeader, string(l.typ))
	r.Header.Set(EventIDHeader, l.id)
	if l.delivery != "" {
		r.Header.Set(DeliveryHeader, l.delivery)
		r.Header.Set(AttemptHeader, strconv.Itoa(l.attempt))
	}
	outbound.SignWith(r.Header, l.body, h.o.Now(), keys...)
	resp, err := h.client.Do(r) //nolint:bodyclose // Read closes it
	if err != nil {
		return answer{err: outbound.Plainly(err), timeout: late(err)}
	}
	body, err := outbound.Read(resp.Body, maxAnswer)
	if err != nil {
		return answer{status: resp.StatusCode, err: outbound.Plainly(err), timeout: late(err)}
	}
	return answer{status: resp.StatusCode, body: body}
}

func late(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
