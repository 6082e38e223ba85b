package flowengine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/tenant"
)

// How the audit log is checked: for a while at a time, which is a hundredth of
// all time, and no round sooner after the one before it began.
const (
	verifyEvery = 5 * time.Second
	verifyFor   = 50 * time.Millisecond
	verifyRound = time.Minute

	verifyEvents  = 500 // read at once
	verifyTenants = 100
)

// verifier checks the chains of all tenants, one after the other and round after
// round, so that somebody is told when a row was changed. The larger the log, the
// longer is a round. Every node does this for itself.
type verifier struct {
	store   tenant.Store
	metrics *chainMetrics
	log     *slog.Logger

	running bool
	begun   time.Time          // the round
	after   string             // the slug of the last tenant that was listed
	waiting []*tenant.Tenant   // whose turn comes
	check   *tenant.AuditCheck // of the first of them; nil when it has yet to begin
	again   bool               // it was found broken, and is looked at once more
	broken  int                // chains, in this round
}

// verify goes on checking.
func (e *Engine) verify(ctx context.Context) error {
	for end := time.Now().Add(verifyFor); time.Now().Before(end); {
		more, err := e.verifier.step(ctx, e.now())
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// step checks a few events. There are no more when the round is over and the next
// one isn't due.
func (v *verifier) step(ctx context.Context, now time.Time) (more bool, err error) {
	if !v.running {
		if now.Sub(v.begun) < verifyRound {
			return false, nil
		}
		v.running, v.begun, v.after, v.broken = true, now, "", 0
	}
	if len(v.waiting) == 0 {
		v.waiting, err = v.store.Tenants(ctx, "", "", tenant.Page{After: v.after, Limit: verifyTenants})
		if err != nil {
			return false, err
		}
	}
	if len(v.waiting) == 0 {
		v.running = false
		v.metrics.round(v.broken, now)
		return false, nil
	}
	t := v.waiting[0]
	if v.check == nil {
		v.check = &tenant.AuditCheck{TenantID: t.ID}
	}
	done, err := v.check.Next(ctx, v.store, verifyEvents)
	if done && v.check.Events == 0 {
		err = &tenant.BrokenChain{TenantID: t.ID, Seq: 1, Why: "it is missing: a log begins with the making of its tenant"}
	}
	if broken, bad := errors.AsType[*tenant.BrokenChain](err); bad {
		done, err = v.suspect(ctx, t, broken)
	}
	if done {
		v.after, v.waiting, v.check, v.again = t.Slug, v.waiting[1:], nil, false
	}
	return err == nil, err
}

// suspect looks at a broken chain once more, from its beginning: what is sealed
// isn't durable until the next change is, so a database that has lost power may
// have chained anew what was checked before. It is no wonder either that the log
// of a tenant who was deleted meanwhile has gone.
func (v *verifier) suspect(ctx context.Context, t *tenant.Tenant, broken *tenant.BrokenChain) (done bool, err error) {
	if !v.again {
		v.check, v.again = nil, true
		return false, nil
	}
	_, err = v.store.TenantByID(ctx, t.ID)
	switch {
	case errors.Is(err, tenant.ErrTenantNotFound):
		return true, nil
	case err != nil:
		return false, err
	}
	v.broken++
	v.metrics.ok.Set(0)
	v.log.ErrorContext(ctx, "the audit log is not as it was written; usher audit verify shows where",
		"tenant", t.Slug, "seq", broken.Seq, "event", broken.ID, "why", broken.Why)
	return true, nil
}

// chainMetrics are the families of what a verifier finds.
type chainMetrics struct{ ok, verified prometheus.Gauge }

func newChainMetrics(r registrar) *chainMetrics {
	m := &chainMetrics{
		ok: r.gauges("usher_audit_chain_ok",
			"0 from when a tenant's audit log was found not to be as it was written, until a round finds all of them right.").WithLabelValues(),
		verified: r.gauges("usher_audit_chain_verified_timestamp_seconds",
			"When this node had last looked at every event of every audit log; 0 before it has.").WithLabelValues(),
	}
	m.ok.Set(1) // nothing is known against them
	return m
}

// round ends one.
func (m *chainMetrics) round(broken int, now time.Time) {
	m.verified.Set(float64(now.UnixMilli()) / 1000)
	if broken == 0 {
		m.ok.Set(1)
	}
}
