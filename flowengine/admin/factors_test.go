package admin_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/testenv"
)

// types are a user's authenticators, in order.
func types(u *tenant.UserRecord) string {
	var out []string
	for _, a := range u.Authenticators {
		out = append(out, a.Type)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// give puts authenticators of the types into the store, as flows do.
func (b *bench) give(u *tenant.UserRecord, kinds ...string) *tenant.UserRecord {
	b.t.Helper()
	must(b.t, b.Store.Change(b.ctx, func(tx tenant.Tx) error {
		for _, typ := range kinds {
			a := &tenant.Authenticator{TenantID: u.TenantID, ID: secret.NewID(), UserID: u.ID, Type: typ, Secret: "x", CreatedAt: b.clock(), UpdatedAt: b.clock()}
			if err := tx.PutAuthenticator(a); err != nil {
				return err
			}
		}
		return tx.Audit(&tenant.AuditEvent{TenantID: u.TenantID, ID: secret.NewID(), At: b.clock(), Category: tenant.AuditSystem, Action: "test", Outcome: "success", ActorKind: tenant.ActorSystem, Detail: json.RawMessage(`{}`)})
	}))
	u, err := b.Store.User(b.ctx, u.TenantID, u.ID)
	must(b.t, err)
	return u
}

func TestSecondFactorsAreReset(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		u := b.give(b.user("acme", "a@example.com", "correct horse"), "secondary_totp", "secondary_oob_otp_sms", "recovery_code", "device_token", "device_token")
		other := b.give(b.user("acme", "b@example.com", "correct horse"), "device_token")

		u, n, err := b.RevokeDeviceTokens(b.ctx, ann, "acme", u.ID)
		must(t, err)
		if n != 2 || types(u) != "primary_password recovery_code secondary_oob_otp_sms secondary_totp" {
			t.Errorf("%d revoked, left %s", n, types(u))
		}
		if e := b.audit("acme"); e.Action != "user.revoke_device_tokens" || string(e.Detail) != `{"device_tokens":2}` || e.UserID != u.ID {
			t.Errorf("the audit log: %+v", e)
		}
		before := b.auditCount("acme")
		if _, n, err := b.RevokeDeviceTokens(b.ctx, ann, "acme", u.ID); n != 0 || err != nil || b.auditCount("acme") != before {
			t.Errorf("once more: %d %v", n, err)
		}
		refused(t, second(b.RevokeDeviceTokens(b.ctx, ann, "acme", "nobody")), tenant.ErrUserNotFound)

		remove := func(typ string) {
			t.Helper()
			u = b.give(u, "device_token")
			i := slices.IndexFunc(u.Authenticators, func(a tenant.Authenticator) bool { return a.Type == typ })
			_, err := b.RemoveAuthenticator(b.ctx, ann, "acme", u.ID, u.Authenticators[i].ID)
			must(t, err)
			u, err = b.Store.User(b.ctx, u.TenantID, u.ID)
			must(t, err)
		}
		if remove("secondary_totp"); types(u) != "primary_password recovery_code secondary_oob_otp_sms" {
			t.Errorf("after the first: %s", types(u))
		}
		if remove("secondary_oob_otp_sms"); types(u) != "primary_password" {
			t.Errorf("after the last: %s", types(u))
		}
		if remove("primary_password"); types(u) != "device_token" {
			t.Errorf("after a first factor: %s", types(u))
		}
		other, err = b.Store.User(b.ctx, other.TenantID, other.ID)
		must(t, err)
		if types(other) != "device_token primary_password" {
			t.Errorf("another user has %s", types(other))
		}
		b.intact()
	})
}

// An anonymous user has nothing that an export could bring back.
func TestAnonymousUsersAreNotExported(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	u := b.user("acme", "a@example.com", "correct horse")
	guest := &tenant.UserRecord{User: tenant.User{TenantID: u.TenantID, ID: secret.NewID(), State: tenant.UserActive, Anonymous: true, CreatedAt: b.clock(), UpdatedAt: b.clock()}}
	must(t, b.Store.Change(b.ctx, func(tx tenant.Tx) error {
		if err := tx.CreateUser(guest); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{TenantID: u.TenantID, ID: secret.NewID(), At: b.clock(), Category: tenant.AuditSystem, Action: "test", Outcome: "success", ActorKind: tenant.ActorSystem, Detail: json.RawMessage(`{}`)})
	}))
	if doc := b.export(true); strings.Contains(doc, guest.ID) || !strings.Contains(doc, u.ID) {
		t.Errorf("the export: %s", doc)
	}
}

func second[A, B any](_ A, _ B, err error) error { return err }

func TestPasswordChangeIsRequired(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		u := b.user("acme", "a@example.com", "correct horse")
		set := u.Authenticators[0].UpdatedAt
		b.wait(time.Hour)
		_, err := b.RequirePasswordChange(b.ctx, ann, "acme", u.ID)
		must(t, err)
		account, err := b.Store.Account(b.ctx, u.TenantID, u.ID)
		must(t, err)
		if a := account.Authenticators[0]; !a.MustChange || !a.UpdatedAt.Equal(set) {
			t.Errorf("the password: %+v, set at %v", a, set)
		}
		if e := b.audit("acme"); e.Action != "user.require_password_change" || e.UserID != u.ID {
			t.Errorf("the audit log: %+v", e)
		}
		before := b.auditCount("acme")
		if _, err := b.RequirePasswordChange(b.ctx, ann, "acme", u.ID); err != nil || b.auditCount("acme") != before {
			t.Errorf("once more: %v", err)
		}
		none, err := b.CreateUser(b.ctx, ann, "acme", admin.NewUser{Identities: []admin.NewIdentity{{Kind: "username", Value: "none"}}})
		must(t, err)
		refused(t, errOf(b.RequirePasswordChange(b.ctx, ann, "acme", none.ID)), tenant.ErrNotFound)
		refused(t, errOf(b.RequirePasswordChange(b.ctx, ann, "acme", "nobody")), tenant.ErrUserNotFound)
	})
}

func TestSignInsAreExplained(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		acme := b.tenant("acme")
		run := tenant.Run{
			TenantID: acme.ID, ID: secret.NewPFID(acme.Partition), Flow: tenant.FlowRef{Type: tenant.Login, Name: "default"}, Status: tenant.RunPending,
			FirstSeen: tenant.Seen{At: b.clock()}, LastSeen: tenant.Seen{At: b.clock()}, CreatedAt: b.clock(), ExpiresAt: b.clock().Add(time.Hour),
		}
		at := func(minutes int) time.Time { return b.clock().Add(time.Duration(minutes) * time.Minute) }
		must(t, b.Store.Commit(b.ctx, &tenant.Commit{
			New: true, Run: run, State: tenant.FlowState{TenantID: acme.ID, TokenHash: "h", RunID: run.ID, CreatedAt: b.clock()},
			Events: []tenant.RunEvent{{At: at(0), Step: "identify", Method: "email"}, {At: at(2), Step: tenant.SentEvent, Method: "email"}},
		}))
		note := func(runID, action, outcome string, minute int) {
			must(t, b.Store.RecordSignIn(b.ctx, &tenant.AuditEvent{
				TenantID: acme.ID, ID: secret.NewID(), At: at(minute), Category: tenant.AuditSignIn, Action: action, Outcome: outcome, ActorKind: tenant.ActorNobody,
				IP: "192.0.2.9", RunID: runID, Detail: json.RawMessage(`{"step_type":"authenticate","method":"primary_password"}`),
			}))
		}
		note(run.ID, "flow.input", "InvalidCredentials", 1)
		note(run.ID, "link.approve", "success", 3)
		note(run.ID, "flow.login", "success", 4)
		atOnce := secret.NewPFID(acme.Partition)
		note(atOnce, "flow.start", "RateLimited", 5)

		x, err := b.ExplainSignIn(b.ctx, "acme", strings.ToLower(tenant.SupportCode(run.ID)))
		must(t, err)
		var got []string
		for _, e := range x.Events {
			got = append(got, fmt.Sprintf("%d %s %s/%s %s", int(e.At.Sub(b.clock()).Minutes()), e.Outcome, e.Step, e.Method, e.Reason))
		}
		want := []string{
			"0 accepted identify/email ", "1 refused authenticate/primary_password InvalidCredentials", "2 sent /email ",
			"3 approved authenticate/primary_password ",
		}
		if x.Run == nil || x.Run.ID != run.ID || !slices.Equal(got, want) {
			t.Errorf("explained:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		x, err = b.ExplainSignIn(b.ctx, "acme", tenant.SupportCode(atOnce))
		must(t, err)
		if x.Run != nil || len(x.Events) != 1 || x.Events[0].Reason != "RateLimited" || x.Events[0].IP != "192.0.2.9" {
			t.Errorf("refused at once: %+v", x)
		}
		refused(t, errOf(b.ExplainSignIn(b.ctx, "admin", tenant.SupportCode(run.ID))), tenant.ErrNotFound)
		refused(t, errOf(b.ExplainSignIn(b.ctx, "acme", "AAAA-AAAA")), tenant.ErrNotFound)
		refused(t, errOf(b.ExplainSignIn(b.ctx, "acme", "what?")), tenant.ErrValidation)
		refused(t, errOf(b.ExplainSignIn(b.ctx, "nobody", "AAAA-AAAA")), tenant.ErrTenantNotFound)
	})
}
