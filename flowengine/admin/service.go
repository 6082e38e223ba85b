package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Service carries out the verbs. Its fields are set once, before the first
// call; its methods may run at the same time.
type Service struct {
	Store  tenant.Store
	Master *secret.Master
	Hasher *secret.Hasher
	Now    func() time.Time
	Hooks  *hook.Hooks // nil where no hooks can be asked

	Limiter limit.Limiter // knows who is locked out

	AdminHost string // the host that tenant admin may not lose; "" for none

	Messages *deliver.Worker // nil where no messages are sent, as on the command line

	// May says what a role may; nil where no program is let in.
	May func(role tenant.Role, to Permission) bool
	Log *slog.Logger // nil for none

	// For metrics; may be nil.
	OnChange  func(Deed)                                       // hears of every change that was tried
	OnPublish func(by tenant.ActorKind, err error)             // hears of every version that was made or refused
	OnCancel  func(*tenant.Tenant, *tenant.Run, time.Duration) // hears of every run that was cancelled, and how long it went

	touching sync.Map // ids of the keys whose last use is being written
}

// Deed is one change that was tried.
type Deed struct {
	Actor   Actor
	Revoked int // sessions that it ended
	Took    time.Duration
	Err     error
}

// Category is that of the change's audit event.
func (d Deed) Category() tenant.AuditCategory { return category(d.Actor) }

// Actor is who asks, as the audit log names them.
type Actor struct {
	Kind      tenant.ActorKind
	ID        string // of the member's user or of the key; the operating system's user for the command line
	IP        string
	RequestID string
}

// System is the actor of what Usher does by itself, such as making the admin
// tenant on a fresh database.
var System = Actor{Kind: tenant.ActorSystem}

func (a Actor) String() string {
	if a.ID == "" {
		return string(a.Kind)
	}
	return string(a.Kind) + ":" + a.ID
}

// now is the time as the store keeps it.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// detail is what an audit event says exactly.
type detail map[string]any

// change is one verb under way: the transaction, the tenant it is about
// (locked), and what its audit event will say.
type change struct {
	tenant.Tx
	t        *tenant.Tenant
	userID   string // whom it is done to
	runID    string // to which run
	detail   detail
	revoked  int
	platform bool      // the event stands in the admin tenant's log too
	told     []telling // to hooks
}

var (
	// errUnchanged ends a change that found nothing to do. Nothing is written.
	errUnchanged = errors.New("nothing to change")
	// errMoved ends a change whose preparation is out of date.
	errMoved = errors.New("the tenant moved on")
)

// change makes one audited change of a tenant. It answers with the tenant as
// it is afterwards.
func (s *Service) change(ctx context.Context, a Actor, slug, action string, fn func(*change) error) (*tenant.Tenant, error) {
	platform, err := s.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if err != nil && !errors.Is(err, tenant.ErrTenantNotFound) {
		return nil, err
	}
	var t *tenant.Tenant
	told := false
	begun, deed := time.Now(), Deed{Actor: a}
	err = s.Store.Change(ctx, func(tx tenant.Tx) error {
		locked, err := tx.Tenant(slug)
		if err != nil {
			return err
		}
		c := &change{Tx: tx, t: locked}
		t = locked
		err = fn(c)
		deed.Revoked = c.revoked
		if err != nil {
			return err
		}
		told = len(c.told) > 0
		if err := s.tellHooks(ctx, a, c); err != nil {
			return err
		}
		return s.record(a, action, c, platform)
	})
	if err == nil && told {
		s.wakeHooks()
	}
	if errors.Is(err, errUnchanged) {
		return t, nil
	}
	if s.OnChange != nil && !errors.Is(err, errMoved) {
		deed.Took, deed.Err = time.Since(begun), err
		s.OnChange(deed)
	}
	return t, err
}

// RevokeSessions counts what it ends.
func (c *change) RevokeSessions(tenantID string, which tenant.SessionSelector, at time.Time) (int, error) {
	n, err := c.Tx.RevokeSessions(tenantID, which, at)
	c.revoked += n
	return n, err
}

// record writes the audit event of a change, and its copy in the admin
// tenant's log when the change is the platform's.
func (s *Service) record(a Actor, action string, c *change, platform *tenant.Tenant) error {
	if c.detail == nil {
		c.detail = detail{}
	}
	tenants := []string{c.t.ID}
	if c.platform && platform != nil && platform.ID != c.t.ID {
		tenants = append(tenants, platform.ID)
		c.detail["tenant"] = c.t.Slug
	}
	if c.t.State == gone {
		tenants = tenants[1:]
	}
	text, err := json.Marshal(c.detail)
	if err != nil {
		return err
	}
	for _, id := range tenants {
		err := c.Audit(&tenant.AuditEvent{
			TenantID: id, ID: secret.NewID(), At: s.now(), Category: category(a), Action: action, Outcome: "success",
			ActorKind: a.Kind, ActorID: a.ID, IP: a.IP, RequestID: a.RequestID, RunID: c.runID, UserID: c.userID, Detail: text,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// gone is the state of a tenant within the change that deletes it: its own log
// goes with it.
const gone tenant.State = "gone"

func category(a Actor) tenant.AuditCategory {
	if a.Kind == tenant.ActorSystem {
		return tenant.AuditSystem
	}
	return tenant.AuditAdmin
}

// again prepares and makes a change anew while others are faster.
func again(do func() error) error {
	for range 5 {
		if err := do(); !errors.Is(err, errMoved) {
			return err
		}
	}
	return tenant.ErrVersionConflict
}
