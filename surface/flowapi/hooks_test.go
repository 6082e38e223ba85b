package flowapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/hook/hooktest"
	"github.com/usher-id/usher/tenant"
)

const hookKey = "usherhook_0123456789abcdefghjkmnpqrstvwxyz"

// hooked makes a tenant with an endpoint that is asked about everything and one
// that is told of everything, both at the receiver, which allows everything.
func (h *house) hooked(change ...func(*tenant.Config)) (*tenant.Tenant, *hooktest.Receiver) {
	h.T.Helper()
	to := hooktest.New(h.T, h.Now, hookKey)
	to.Answers(func(c hooktest.Call) hooktest.Answer {
		if c.Envelope.Type.Blocking() {
			return hooktest.Allow
		}
		return hooktest.Answer{}
	})
	change = append([]func(*tenant.Config){func(c *tenant.Config) {
		c.Hooks.Endpoints = []tenant.HookEndpoint{
			{Name: "gate", URL: to.URL, Events: tenant.BlockingHookEvents, Blocking: true, Enabled: true},
			{Name: "log", URL: to.URL, Events: tenant.ToldHookEvents, Enabled: true},
		}
	}}, change...)
	x := h.Tenant("acme", change...)
	for _, name := range []string{"gate", "log"} {
		sealed, err := h.Master.Seal(x, tenant.SecretTable, tenant.HookSecretName(name), []byte(hookKey))
		must(h.T, err)
		h.Change(x, func(tx tenant.Tx) error {
			return tx.PutSecret(x.ID, tenant.Secret{Name: tenant.HookSecretName(name), UpdatedAt: h.Now()}, sealed)
		})
	}
	return x, to
}

// deliver delivers what hooks are told, until the test ends.
func (h *house) deliver() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Hooks.Run(ctx, hook.Tenants{ByID: h.Store.TenantByID, Config: h.Engine.Config}) }()
	h.T.Cleanup(func() { stop(); must(h.T, <-done) })
}

// types lists what the receiver was called about since the last look.
func types(to *hooktest.Receiver, from int) string {
	var out []string
	for _, c := range to.Calls("")[from:] {
		out = append(out, string(c.Envelope.Type))
	}
	return strings.Join(out, " ")
}

// Hooks are asked at the right moments, while no transaction is open, and what
// they say goes.
func TestBlockingHooks(t *testing.T) {
	onBoth(t, func(h *house) {
		x, to := h.hooked()
		var verdicts map[tenant.HookEventType]hooktest.Answer
		to.Answers(func(c hooktest.Call) hooktest.Answer {
			// On SQLite this would wait forever for an open transaction.
			h.Change(x, func(tx tenant.Tx) error { _, err := tx.Tenant("acme"); return err })
			if a, ok := verdicts[c.Envelope.Type]; ok {
				return a
			}
			return hooktest.Allow
		})
		say := func(about tenant.HookEventType, body string) {
			verdicts = map[tenant.HookEventType]hooktest.Answer{about: {Body: body}}
		}
		const no = `{"is_allowed":false,"title":"Closed","reason":"come back later"}`

		say(tenant.HookPreInitialize, no)
		a := h.begin(x, "signup", nil).refuses(403, "HookDisallowed")
		if a.str("error", "info", "endpoint") != "gate" || a.str("error", "info", "title") != "Closed" || a.str("error", "info", "reason") != "come back later" || a.at("result") != nil {
			t.Error(a.raw)
		}
		verdicts = nil
		start := h.begin(x, "signup", nil).asks("identify")
		say(tenant.HookPostIdentified, no)
		h.post(x, start.token(), identify("sam@example.com")).refuses(403, "HookDisallowed")
		verdicts = nil
		known := h.post(x, start.token(), identify("sam@example.com")).asks("create_authenticator")
		for _, event := range []tenant.HookEventType{tenant.HookPreCreate, tenant.HookPreAuthenticated} {
			say(event, no)
			a := h.post(x, known.token(), create("correct horse")).refuses(403, "HookDisallowed")
			if a.str("result", "action", "type") != "create_authenticator" {
				t.Error("the run moved:", a.raw)
			}
		}
		if list, err := h.Store.Users(context.Background(), x.ID, tenant.UserFilter{}, tenant.Page{Limit: 9}); err != nil || len(list) != 0 {
			t.Error(len(list), "users", err)
		}
		say(tenant.HookPreCreate, `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"given_name":"Pia"},"custom_attributes":{"x_plan":"gold"}}}}`)
		n := len(to.Calls(""))
		done := h.do(request{host: "acme.test", path: "/authentication_flows/states/input", body: obj{"state_token": known.token(), "input": create("correct horse")}}).asks("finished")
		if got := types(to, n); got != "user.pre_create authentication.pre_authenticated" {
			t.Error(got)
		}
		list, err := h.Store.Users(context.Background(), x.ID, tenant.UserFilter{}, tenant.Page{Limit: 9})
		must(t, err)
		if len(list) != 1 || string(list[0].Attributes.Standard) != `{"given_name":"Pia"}` || string(list[0].Attributes.Custom) != `{"x_plan":"gold"}` {
			t.Errorf("%+v after %s", list, done.raw)
		}
		verdicts = nil
		n = len(to.Calls(""))
		h.login(x, "sam@example.com", "correct horse", nil).asks("finished")
		if got := types(to, n); got != "authentication.pre_initialize authentication.post_identified authentication.pre_authenticated" {
			t.Error(got)
		}
		if c := to.Calls(tenant.HookPreAuthenticated); c[len(c)-1].Fact("user", "id") != list[0].ID || c[len(c)-1].Envelope.Context.Client.Surface != "flowapi" || c[len(c)-1].Envelope.Context.IP == "" {
			t.Error(c[len(c)-1].Body)
		}
		h.secretless(to)
		if h.Metric("usher_flow_rejections_total", "reason=hook_denied") != 4 {
			t.Error("refusals counted:", h.Metric("usher_flow_rejections_total", "reason=hook_denied"))
		}
	})
}

// secretless looks for hashes, codes and tokens in what the receiver got.
func (h *house) secretless(to *hooktest.Receiver) {
	h.T.Helper()
	for _, c := range to.Calls("") {
		for _, secret := range []string{"$argon2", "correct horse", "ushersession_", "authflowstate_", "usherdevice_", `"secret"`} {
			if strings.Contains(c.Body, secret) {
				h.T.Errorf("%s tells of %s: %s", c.Envelope.Type, secret, c.Body)
			}
		}
	}
}

// A hook that gives no answer is as its fail mode says; the flow can be gone on
// with once it is up again.
func TestHookFailsOrHangs(t *testing.T) {
	onBoth(t, func(h *house) {
		x, to := h.hooked(func(c *tenant.Config) {
			c.Hooks.Endpoints[0].TimeoutMS = 2000
			c.Hooks.Endpoints[0].Events = []tenant.HookEventType{tenant.HookPreAuthenticated}
			open := c.Hooks.Endpoints[0]
			open.Name, open.TimeoutMS, open.OnFailure, open.Events = "open", 100, tenant.HookAllow, []tenant.HookEventType{tenant.HookPostIdentified}
			c.Hooks.Endpoints = append(c.Hooks.Endpoints, open)
		})
		sealed, err := h.Master.Seal(x, tenant.SecretTable, tenant.HookSecretName("open"), []byte(hookKey))
		must(t, err)
		h.Change(x, func(tx tenant.Tx) error {
			return tx.PutSecret(x.ID, tenant.Secret{Name: tenant.HookSecretName("open")}, sealed)
		})
		h.User(x, "correct horse", "email:a@example.com")
		known := h.begin(x, "login", obj{"input": identify("a@example.com")}).asks("authenticate")
		for _, down := range []hooktest.Answer{{Hang: true}, {Status: 500}, {Body: "maybe"}} {
			to.Always(down)
			a := h.post(x, known.token(), authenticate("correct horse")).refuses(503, "HookUnavailable")
			if a.header.Get("Retry-After") != "5" || a.str("error", "info", "endpoint") != "gate" || a.str("result", "action", "type") != "authenticate" {
				t.Error(a.header, a.raw)
			}
			h.begin(x, "login", obj{"input": identify("a@example.com")}).asks("authenticate") // that one is open
		}
		to.Always(hooktest.Allow)
		h.post(x, known.token(), authenticate("correct horse")).asks("finished")
	})
}

// What users do is told: in one order, of the same transaction.
func TestHooksAreTold(t *testing.T) {
	onBoth(t, func(h *house) {
		x, to := h.hooked(func(c *tenant.Config) {
			c.Identifications.Enabled = []string{"email", "anonymous"}
			c.Verification.Email.Required = true
			c.Limits.SendEmailPerTarget = tenant.Rate{Burst: 0, PeriodSeconds: 1}
		})
		h.deliver()
		// told are the events of one request, in the order of their places.
		told := func(n int) (out []hooktest.Call) {
			h.T.Helper()
			h.Eventually(func() bool {
				out = nil
				for _, c := range to.Calls("") {
					if !c.Envelope.Type.Blocking() {
						out = append(out, c)
					}
				}
				return len(out) >= n
			})
			return out
		}
		seen := 0
		expect := func(want ...tenant.HookEventType) map[tenant.HookEventType]hooktest.Call {
			h.T.Helper()
			calls := told(seen + len(want))[seen:]
			seen += len(want)
			byType := map[tenant.HookEventType]hooktest.Call{}
			for _, c := range calls {
				byType[c.Envelope.Type] = c
			}
			for seq, event := range want {
				c, ok := byType[event]
				if !ok || c.Envelope.Seq != seq || !c.Envelope.At.Equal(h.Now().UTC().Truncate(time.Millisecond)) {
					h.T.Errorf("%s is not told of, as number %d: %s", event, seq, c.Body)
				}
			}
			h.Wait(time.Second)
			return byType
		}
		a := h.begin(x, "signup", obj{"input": identify("sam@example.com")}).asks("verify")
		a = h.post(x, a.token(), obj{"code": h.code(x)}).asks("create_authenticator")
		h.post(x, a.token(), create("correct horse")).asks("finished")
		got := expect(tenant.HookUserCreated, tenant.HookIdentityVerified, tenant.HookAuthenticatorCreated, tenant.HookUserAuthenticated)
		made, verified := got[tenant.HookUserCreated], got[tenant.HookIdentityVerified]
		if verified.Fact("identity", "value") != "sam@example.com" || made.Fact("user", "identities") == nil || made.Envelope.Tenant != "acme" {
			t.Error(verified.Body)
		}

		token := h.signIn(x, "sam@example.com", "correct horse")
		in := expect(tenant.HookUserAuthenticated)[tenant.HookUserAuthenticated]
		session := h.session(x, token, 200)
		if in.Fact("session", "id") != session.str("session", "id") || in.Fact("user", "id") != made.Fact("user", "id") {
			t.Error(in.Body)
		}

		bearer := map[string]string{"Authorization": "Bearer " + token}
		h.do(request{host: "acme.test", path: "/authentication_flows", headers: bearer, body: obj{"type": "reauth", "name": "default", "input": authenticate("correct horse")}}).asks("finished")
		expect(tenant.HookUserReauthenticated)

		h.do(request{host: "acme.test", path: "/session/revoke", headers: bearer, body: obj{}})
		if c := expect(tenant.HookSessionRevoked)[tenant.HookSessionRevoked]; c.Fact("session_id") != session.str("session", "id") || c.Fact("all") != false {
			t.Error(c.Body)
		}

		h.Wait(2 * time.Minute) // for another message
		a = h.begin(x, "account_recovery", obj{"input": identify("sam@example.com")}).asks("select_destination")
		a = h.post(x, a.token(), obj{"index": 0}).asks("verify_account_recovery_code")
		a = h.post(x, a.token(), obj{"account_recovery_code": h.code(x)}).asks("reset_password")
		h.post(x, a.token(), obj{"new_password": "another horse"}).asks("finished")
		expect(tenant.HookPasswordReset, tenant.HookSessionRevoked)

		guest := h.begin(x, "signup", obj{"session": "token", "input": obj{"identification": "anonymous"}}).asks("finished").str("result", "action", "data", "session_token")
		got = expect(tenant.HookUserCreated, tenant.HookUserAuthenticated)
		if made := got[tenant.HookUserCreated]; made.Fact("user", "anonymous") != true {
			t.Error(made.Body)
		}
		bearer = map[string]string{"Authorization": "Bearer " + guest}
		promote := func(path string, body obj) answer {
			return h.do(request{host: "acme.test", path: path, headers: bearer, body: body})
		}
		a = promote("/authentication_flows", obj{"type": "promote", "name": "default", "input": identify("guest@example.com")}).asks("verify")
		a = promote("/authentication_flows/states/input", obj{"state_token": a.token(), "input": obj{"code": h.code(x)}}).asks("create_authenticator")
		promote("/authentication_flows/states/input", obj{"state_token": a.token(), "input": create("correct horse")}).asks("finished")
		got = expect(tenant.HookUserPromoted, tenant.HookIdentityVerified, tenant.HookAuthenticatorCreated, tenant.HookSessionRevoked, tenant.HookUserAuthenticated)
		if c := got[tenant.HookUserPromoted]; c.Fact("user", "anonymous") != false {
			t.Error(c.Body)
		}

		// What was refused is told to nobody.
		h.begin(x, "signup", obj{"input": identify("sam@example.com")}).refuses(409, "DuplicatedIdentity")
		h.login(x, "sam@example.com", "wrong", nil).refuses(401, "InvalidCredentials")
		h.signIn(x, "sam@example.com", "another horse")
		expect(tenant.HookUserAuthenticated)
		h.secretless(to)
	})
}

// A tenant whose hooks want to know nothing of a login pays no statement for it.
func TestHooksThatDontCare(t *testing.T) {
	onBoth(t, func(h *house) {
		plain := h.Tenant("plain")
		h.User(plain, "correct horse", "email:a@example.com")
		h.signIn(plain, "a@example.com", "correct horse")
		h.Counted()
		h.signIn(plain, "a@example.com", "correct horse")
		without := h.Counted()
		x, _ := h.hooked(func(c *tenant.Config) {
			c.Hooks.Endpoints[0].Enabled = false
			c.Hooks.Endpoints[1].Events = []tenant.HookEventType{tenant.HookUserDeleted}
		})
		h.User(x, "correct horse", "email:a@example.com")
		h.signIn(x, "a@example.com", "correct horse")
		h.Counted()
		h.signIn(x, "a@example.com", "correct horse")
		if with := h.Counted(); len(with) != len(without) {
			t.Errorf("%v, without hooks %v", with, without)
		}
	})
}
