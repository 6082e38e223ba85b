package admin_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/hook/hooktest"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

// withHooks gives the service hooks that deliver, and tenant acme an endpoint
// that is asked and one that is told of everything, both at the receiver.
func withHooks(b *bench) *hooktest.Receiver {
	b.t.Helper()
	var err error
	b.Hooks, err = hook.New(hook.Options{
		Store: b.Store, Master: b.Master, Guard: outbound.Guard{AllowPrivate: true}, Metrics: hook.NewMetrics(prometheus.NewRegistry()),
		Log: slog.New(slog.DiscardHandler), Now: b.clock, Poll: 5 * time.Millisecond,
	})
	must(b.t, err)
	const key = "usherhook_0123456789abcdefghjkmnpqrstvwxyz"
	to := hooktest.New(b.t, b.clock, key)
	to.Answers(func(c hooktest.Call) hooktest.Answer {
		if c.Envelope.Type.Blocking() {
			return hooktest.Allow
		}
		return hooktest.Answer{}
	})
	told, err := json.Marshal(tenant.ToldHookEvents)
	must(b.t, err)
	b.edit("hooks", `{"endpoints":[
		{"name":"gate","url":"`+to.URL+`","events":["user.pre_create","user.profile.pre_update"],"blocking":true,"enabled":true},
		{"name":"log","url":"`+to.URL+`","events":`+string(told)+`,"enabled":true}]}`, admin.Edit{AutoPublish: true, Secrets: []admin.NamedSecret{
		{Name: tenant.HookSecretName("gate"), Value: key}, {Name: tenant.HookSecretName("log"), Value: key}}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Hooks.Run(ctx, hook.Tenants{ByID: b.Store.TenantByID, Config: b.Published}) }()
	b.t.Cleanup(func() { cancel(); must(b.t, <-done) })
	return to
}

// What admins do to users is told, in the transaction that does it.
func TestHooksHearOfAdmins(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		to := withHooks(b)
		u, err := b.CreateUser(b.ctx, ann, "acme", admin.NewUser{
			Identities: []admin.NewIdentity{{Kind: "email", Value: "Sam@example.com", Verified: true}, {Kind: "username", Value: "sam"}},
			Password:   "a long enough passphrase", Standard: json.RawMessage(`{"given_name":"Sam"}`),
		})
		must(t, err)
		to.Wait(tenant.HookUserCreated, 1)
		made := to.Calls(tenant.HookUserCreated)[0]
		if made.Fact("user", "id") != u.ID || made.Fact("user", "standard_attributes", "given_name") != "Sam" || made.Envelope.Context.RequestID != "req-1" ||
			made.Envelope.Context.Client.Surface != "admin" || strings.Contains(made.Body, u.Authenticators[0].Secret) {
			t.Error(made.Body)
		}
		if c := to.Wait(tenant.HookIdentityVerified, 1); c[0].Fact("identity", "value") != "sam@example.com" || len(c) != 1 || c[0].Envelope.Seq != 1 {
			t.Error(c[0].Body)
		}
		if c := to.Wait(tenant.HookAuthenticatorCreated, 1); c[0].Fact("authenticator", "type") != "primary_password" || c[0].Envelope.Seq != 2 {
			t.Error(c[0].Body)
		}
		_, err = b.UpdateUser(b.ctx, ann, "acme", u.ID, admin.UserChange{Standard: json.RawMessage(`{"given_name":null,"nickname":"S"}`), Custom: json.RawMessage(`{"x_plan":"gold"}`)})
		must(t, err)
		changed := []any{"/given_name", "/nickname", "/x_plan"}
		if c := to.Calls(tenant.HookProfilePreUpdate); len(c) != 1 || !slices.Equal(c[0].Fact("changed").([]any), changed) || c[0].Fact("user", "standard_attributes", "nickname") != "S" {
			t.Error(c)
		}
		if c := to.Wait(tenant.HookProfileUpdated, 1); !slices.Equal(c[0].Fact("changed").([]any), changed) || c[0].Fact("user", "custom_attributes", "x_plan") != "gold" {
			t.Error(c[0].Body)
		}
		_, err = b.AddIdentity(b.ctx, ann, "acme", u.ID, admin.NewIdentity{Kind: "phone", Value: "+85298765432", Verified: true})
		must(t, err)
		if c := to.Wait(tenant.HookIdentityVerified, 2); c[1].Fact("identity", "type") != "phone" {
			t.Error(c[1].Body)
		}
		must(t, errOf(b.DisableUser(b.ctx, ann, "acme", u.ID, "", time.Time{})))
		must(t, errOf(b.EnableUser(b.ctx, ann, "acme", u.ID)))
		if c := to.Wait(tenant.HookUserDisabled, 1); c[0].Fact("user", "state") != "disabled" {
			t.Error(c[0].Body)
		}
		to.Wait(tenant.HookUserEnabled, 1)
		_, err = b.RemoveAuthenticator(b.ctx, ann, "acme", u.ID, u.Authenticators[0].ID)
		must(t, err)
		if c := to.Wait(tenant.HookAuthenticatorRemoved, 1); c[0].Fact("authenticator", "id") != u.Authenticators[0].ID {
			t.Error(c[0].Body)
		}
		must(t, b.DeleteUser(b.ctx, ann, "acme", u.ID))
		if c := to.Wait(tenant.HookUserDeleted, 1); c[0].Fact("user", "id") != u.ID || c[0].Fact("user", "identities") == nil {
			t.Error(c[0].Body)
		}
		// A change that doesn't come about is told to nobody.
		before := len(to.Calls(tenant.HookUserDeleted))
		refused(t, b.DeleteUser(b.ctx, ann, "acme", u.ID), tenant.ErrUserNotFound)
		list, err := b.Store.HookDeliveries(b.ctx, u.TenantID, tenant.HookDeliveryFilter{Type: tenant.HookUserDeleted}, tenant.Page{Limit: 9})
		must(t, err)
		if len(list) != before {
			t.Error(len(list), "deliveries")
		}
		b.intact()
	})
}

// Hooks are asked about what admins do, and may refuse or change it.
func TestHooksAreAskedAboutAdmins(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	to := withHooks(b)
	say := func(body string) { to.Always(hooktest.Answer{Body: body}) }
	say(`{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"nickname":"S"},"custom_attributes":{"x_plan":"free"}}}}`)
	u := b.user("acme", "sam@example.com", "")
	if string(u.Attributes.Standard) != `{"nickname":"S"}` || string(u.Attributes.Custom) != `{"x_plan":"free"}` {
		t.Errorf("%s %s", u.Attributes.Standard, u.Attributes.Custom)
	}
	say(`{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"nickname":null},"custom_attributes":{"x_plan":"silver"}}}}`)
	u, err := b.UpdateUser(b.ctx, ann, "acme", u.ID, admin.UserChange{Custom: json.RawMessage(`{"x_plan":"gold","x_other":1}`)})
	must(t, err)
	if string(u.Attributes.Standard) != `{}` || string(u.Attributes.Custom) != `{"x_other":1,"x_plan":"silver"}` {
		t.Errorf("%s %s", u.Attributes.Standard, u.Attributes.Custom)
	}
	say(`{"is_allowed":false,"reason":"no"}`)
	_, err = b.UpdateUser(b.ctx, ann, "acme", u.ID, admin.UserChange{Custom: json.RawMessage(`{"x_plan":"gold"}`)})
	refused(t, err, tenant.ErrHookDisallowed)
	_, err = b.CreateUser(b.ctx, ann, "acme", admin.NewUser{Identities: []admin.NewIdentity{{Kind: "email", Value: "b@example.com"}}})
	refused(t, err, tenant.ErrHookDisallowed)
	b.Hooks = nil // as where none can be asked
	_, err = b.CreateUser(b.ctx, ann, "acme", admin.NewUser{Identities: []admin.NewIdentity{{Kind: "email", Value: "b@example.com"}}})
	refused(t, err, tenant.ErrHookUnavailable)
}

// A new key signs at once, beside the old one; what was delivered can be
// delivered again; and an endpoint can be tried.
func TestHookVerbs(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		to := withHooks(b)
		_, err := b.RotateHookKey(b.ctx, ann, "acme", "nobody")
		refused(t, err, tenant.ErrNotFound)
		k, err := b.RotateHookKey(b.ctx, ann, "acme", "log")
		must(t, err)
		if e := b.audit("acme"); e.Action != "hook.rotate_key" || strings.Contains(string(e.Detail), k.Secret) || !k.PreviousUntil.Equal(b.clock().Add(24*time.Hour)) {
			t.Errorf("%+v %+v", k, e)
		}
		first := b.try(to, "log") // with the old key
		to.Knows(k.Secret)
		second := b.try(to, "log")
		for _, c := range []hooktest.Call{first, second} {
			if s := c.Header.Get(outbound.SignatureHeader); strings.Count(s, ",v1=") != 2 || !strings.Contains(s, "kid="+k.ID) {
				t.Error(s)
			}
		}
		b.wait(24*time.Hour + time.Second)
		third := b.try(to, "log")
		if s := third.Header.Get(outbound.SignatureHeader); strings.Count(s, ",v1=") != 1 {
			t.Error(s)
		}
		_, err = b.TestHook(b.ctx, ann, "acme", "log", tenant.HookPreCreate)
		refused(t, err, tenant.ErrValidation)

		to.Quiet() // the other endpoint has another key
		b.edit("hooks", `{"endpoints":[{"name":"log","url":"`+to.URL+`","events":["user.created"],"enabled":true}]}`, admin.Edit{AutoPublish: true})
		to.Knows(k.Secret)
		u := b.user("acme", "sam@example.com", "")
		to.Wait(tenant.HookUserCreated, 4) // after the three that were tried
		list, err := b.Store.HookDeliveries(b.ctx, u.TenantID, tenant.HookDeliveryFilter{}, tenant.Page{Limit: 9})
		must(t, err)
		again, err := b.Redeliver(b.ctx, ann, "acme", list[0].ID)
		must(t, err)
		calls := to.Wait(tenant.HookUserCreated, 5)
		if calls[4].Body != calls[3].Body || calls[4].Header.Get(hook.DeliveryHeader) != again.ID || again.EventID != list[0].EventID {
			t.Error(calls[4].Body)
		}
		_, err = b.Redeliver(b.ctx, ann, "admin", list[0].ID) // another tenant's
		refused(t, err, tenant.ErrNotFound)
		b.intact()
	})
}

// try tries an endpoint out and answers the call.
func (b *bench) try(to *hooktest.Receiver, endpoint string) hooktest.Call {
	b.t.Helper()
	trial, err := b.TestHook(b.ctx, ann, "acme", endpoint, "")
	must(b.t, err)
	if trial.Error != "" || trial.StatusCode != 200 {
		b.t.Fatalf("%+v", trial)
	}
	calls := to.Calls("")
	return calls[len(calls)-1]
}
