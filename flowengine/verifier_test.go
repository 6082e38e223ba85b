package flowengine

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/testenv"
)

// Whoever changes, removes or wipes what the audit log says is found out by the
// next round, and who puts it back is believed.
func TestVerifierFindsWhatWasChanged(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		log := &bytes.Buffer{}
		r.verifier.log = slog.New(slog.NewTextHandler(log, nil))
		tenants := r.tenants(t, 3, func(int, *tenant.Config) {})
		for i, events := range []int{1, 2*verifyEvents + 10, 1} { // of the second it takes several portions
			r.audit(t, tenants[i], events)
		}
		round := func() {
			t.Helper()
			r.wait(verifyRound)
			begun := r.Engine.now()
			for r.verifier.begun.Before(begun) || r.verifier.running {
				check(t, r.verify(t.Context()))
			}
			if got := r.gauge(t, "usher_audit_chain_verified_timestamp_seconds"); got != float64(begun.UnixMilli())/1000 {
				t.Fatalf("verified at %v, want %v", got, begun)
			}
		}
		is := func(what string, ok float64) {
			t.Helper()
			if got := r.gauge(t, "usher_audit_chain_ok"); got != ok {
				t.Errorf("%s: usher_audit_chain_ok is %v\n%s", what, got, log)
			}
		}
		exec := func(statement string, args ...any) {
			t.Helper()
			_, err := r.store.DB().NewRaw(statement, args...).Exec(t.Context())
			check(t, err)
		}
		if r.gauge(t, "usher_audit_chain_verified_timestamp_seconds") != 0 {
			t.Error("verified before anything was looked at")
		}
		is("at the start", 1)
		round()
		is("untouched", 1)

		id := tenants[1].ID
		for what, c := range map[string]struct{ harm, repair string }{
			"changed":  {`UPDATE audit_log SET outcome = 'failure' WHERE tenant_id = ?0 AND seq = 1005`, `UPDATE audit_log SET outcome = 'success' WHERE tenant_id = ?0 AND seq = 1005`},
			"moved":    {`UPDATE audit_log SET seq = 9999 WHERE tenant_id = ?0 AND seq = 7`, `UPDATE audit_log SET seq = 7 WHERE tenant_id = ?0 AND seq = 9999`},
			"wiped":    {`UPDATE audit_log SET seq = -seq WHERE tenant_id = ?0`, `UPDATE audit_log SET seq = -seq WHERE tenant_id = ?0`},
			"the head": {`UPDATE audit_head SET seq = seq + 1 WHERE tenant_id = ?0`, `UPDATE audit_head SET seq = seq - 1 WHERE tenant_id = ?0`},
		} {
			log.Reset()
			exec(c.harm, id)
			round()
			is(what, 0)
			if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "tenant="+tenants[1].Slug) {
				t.Errorf("%s: the log says %q", what, log)
			}
			round()
			is(what+", and so it stays", 0)
			exec(c.repair, id)
			round()
			is(what+" and put back", 1)
		}
	})
}

// What the database lost and chained anew is no harm, nor is a tenant who went
// while their log was being looked at.
func TestVerifierLooksTwice(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		first := r.tenants(t, 1, func(int, *tenant.Config) {})[0]
		r.audit(t, first, verifyEvents)
		step := func() bool {
			t.Helper()
			more, err := r.verifier.step(t.Context(), r.now())
			check(t, err)
			return more
		}
		step() // the first portion
		exec := func(statement string, args ...any) {
			t.Helper()
			_, err := r.store.DB().NewRaw(statement, args...).Exec(t.Context())
			check(t, err)
		}
		kept, err := r.store.AuditChain(t.Context(), first.ID, verifyEvents-10, 1)
		check(t, err)
		exec("DELETE FROM audit_log WHERE tenant_id = ?0 AND seq > ?1", first.ID, kept[0].Seq)
		exec("UPDATE audit_head SET seq = ?1, hash = ?2 WHERE tenant_id = ?0", first.ID, kept[0].Seq, kept[0].Hash)
		r.audit(t, first, 20)
		for step() {
		}
		if r.gauge(t, "usher_audit_chain_ok") != 1 {
			t.Error("what was chained anew is taken for a change")
		}

		r.wait(verifyRound)
		step()
		exec("DELETE FROM tenant WHERE id = ?0", first.ID)
		for step() {
		}
		if r.gauge(t, "usher_audit_chain_ok") != 1 {
			t.Error("a tenant who went is taken for a change")
		}
	})
}

// audit writes events to a tenant's log.
func (r *rig) audit(t *testing.T, x *tenant.Tenant, events int) {
	t.Helper()
	check(t, r.store.Change(t.Context(), func(tx tenant.Tx) error {
		var errs []error
		for range events {
			errs = append(errs, tx.Audit(&tenant.AuditEvent{
				TenantID: x.ID, ID: secret.NewID(), At: r.now(), Category: tenant.AuditSystem, Action: "test", Outcome: "success",
			}))
		}
		return errors.Join(errs...)
	}))
}

// gauge is the value of a family with one series.
func (r *rig) gauge(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	check(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no", name)
	return 0
}
