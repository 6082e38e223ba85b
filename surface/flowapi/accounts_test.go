package flowapi_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

// as sends the request of somebody with cookies.
func (h *house) as(x *tenant.Tenant, cookies, path string, body obj) answer {
	h.T.Helper()
	return h.do(request{host: x.Hosts[0], path: path, body: body, headers: map[string]string{"Cookie": cookies}})
}

func signedInBy(token string) string { return "__Host-usher_session=" + token }

// An anonymous user has a session and nothing else; promotion keeps the user
// and replaces the session.
func TestAnonymousUsersArePromoted(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Identifications.Enabled = []string{"email", "anonymous"} })
		h.User(x, "correct horse", "email:taken@example.com")
		start := h.begin(x, "signup", obj{"input": obj{"identification": "anonymous"}}).asks("finished")
		guest := start.cookies["__Host-usher_session"].Value
		who := h.session(x, guest, 200)
		if who.at("user", "anonymous") != true || len(who.at("session", "amr").([]any)) != 0 {
			h.T.Errorf("the guest: %s", who.raw)
		}
		promote := func(cookies string, inputs ...obj) answer {
			return h.as(x, cookies, "/authentication_flows", obj{"type": "promote", "batch_input": inputs})
		}
		promote("").refuses(403, "AuthenticationFlowNotAllowed")
		promote(signedInBy(guest), identify("taken@example.com")).refuses(409, "DuplicatedIdentity")
		a := promote(signedInBy(guest), identify("mine@example.com")).asks("create_authenticator")
		b := promote(signedInBy(guest), identify("other@example.com")).asks("create_authenticator")
		input := func(cookies string, a answer) answer {
			return h.as(x, cookies, "/authentication_flows/states/input", obj{"state_token": a.token(), "input": create("correct horse")})
		}
		input("", a).refuses(403, "AuthenticationFlowNotAllowed")
		full := input(signedInBy(guest), a).asks("finished").cookies["__Host-usher_session"].Value
		now := h.session(x, full, 200)
		if now.str("user", "id") != who.str("user", "id") || now.at("user", "anonymous") != false || now.at("session", "amr", 0) != "pwd" {
			h.T.Errorf("promoted: %s", now.raw)
		}
		h.session(x, guest, 401)
		input(signedInBy(full), b).refuses(403, "AuthenticationFlowNotAllowed") // once is enough
		promote(signedInBy(full)).refuses(403, "AuthenticationFlowNotAllowed")
		h.login(x, "mine@example.com", "correct horse", nil).asks("finished")
		h.login(x, "other@example.com", "correct horse", nil).refuses(401, "InvalidCredentials")
	})
}

// Going on with a session opens no other; a further proof renews it.
func TestSelectedSessionsGoOn(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Identifications.Enabled = []string{"email", "select_account"} })
		u := h.User(x, "correct horse", "email:jonathan@example.com")
		h.User(x, "correct horse", "email:other@example.com")
		token := h.signIn(x, "jonathan@example.com", "correct horse")
		before := h.session(x, token, 200)
		h.Wait(time.Hour)
		pick := obj{"type": "login", "input": obj{"identification": "select_account"}}
		h.as(x, "", "/authentication_flows", pick).refuses(400, "ValidationFailed")
		h.as(x, signedInBy(token+"x"), "/authentication_flows", pick).refuses(400, "ValidationFailed")
		shown := h.as(x, signedInBy(token), "/authentication_flows", obj{"type": "login"}).asks("identify")
		if shown.at("result", "action", "data", "options", 1, "masked_display_name") != "jona****@example.com" {
			h.T.Errorf("offered: %s", shown.raw)
		}
		if again := h.as(x, signedInBy(token), "/authentication_flows/states", obj{"state_token": shown.token()}); again.raw != shown.raw {
			h.T.Errorf("asked again: %s", again.raw)
		}
		done := h.as(x, signedInBy(token), "/authentication_flows", pick).asks("finished")
		if done.cookies["__Host-usher_session"] != nil || len(done.at("result", "action", "data").(obj)) != 0 {
			h.T.Errorf("another session: %s", done.raw)
		}
		after := h.session(x, token, 200)
		if after.str("session", "authenticated_at") != before.str("session", "authenticated_at") {
			h.T.Error("nothing was proved, and the session is renewed")
		}
		run, err := h.Store.Run(context.Background(), x.ID, done.str("result", "id"))
		must(h.T, err)
		if run.SessionID != before.str("session", "id") || run.UserID != u.ID {
			h.T.Errorf("the run: %+v", run)
		}
		list, err := h.Store.Sessions(context.Background(), x.ID, tenant.SessionFilter{UserID: u.ID}, tenant.Page{Limit: 10})
		must(h.T, err)
		if len(list) != 1 {
			h.T.Errorf("%d sessions", len(list))
		}

		// With a second factor to prove, the proof renews it; without the session it is worth nothing.
		r := &reading{h: h, t: h.T, x: x}
		r.has(u, "secondary_totp", "JBSWY3DPEHPK3PXP")
		a := h.as(x, signedInBy(token), "/authentication_flows", pick).asks("authenticate")
		code := func(cookies string) answer {
			in := obj{"authentication": "secondary_totp", "code": totpCode("JBSWY3DPEHPK3PXP", h.Now())}
			return h.as(x, cookies, "/authentication_flows/states/input", obj{"state_token": a.token(), "input": in})
		}
		code("").refuses(403, "AuthenticationFlowNotAllowed")
		code(signedInBy(h.signIn(x, "other@example.com", "correct horse"))).refuses(403, "AuthenticationFlowNotAllowed")
		h.Wait(time.Minute)
		code(signedInBy(token)).asks("finished")
		after = h.session(x, token, 200)
		if after.str("session", "authenticated_at") == before.str("session", "authenticated_at") || after.str("session", "acr") != "urn:usher:aal2" {
			h.T.Errorf("not renewed: %s", after.raw)
		}
	})
}

func TestOtherSessionsAreEnded(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) {
			c.Flows.LoginFlows = []tenant.Flow{{Name: "one", Steps: []tenant.Step{
				{Type: "identify", OneOf: []tenant.Branch{{Identification: "email"}, {Identification: "select_account"}}},
				{Type: "authenticate", OneOf: []tenant.Branch{{Authentication: "primary_password"}}},
				{Type: "terminate_other_sessions"},
			}}}
		})
		h.User(x, "correct horse", "email:a@example.com")
		h.User(x, "correct horse", "email:b@example.com")
		bystander := h.signIn(x, "b@example.com", "correct horse")
		in := func(cookies string, inputs ...obj) answer {
			return h.as(x, cookies, "/authentication_flows", obj{"type": "login", "name": "one", "session": "token", "batch_input": inputs})
		}
		first := in("", identify("a@example.com"), authenticate("correct horse")).asks("finished").str("result", "action", "data", "session_token")
		a := in("", identify("a@example.com"), authenticate("correct horse")).asks("terminate_other_sessions")
		h.session(x, first, 200) // nothing happens before the end
		second := h.post(x, a.token(), obj{"terminate_other_sessions": true}).asks("finished").str("result", "action", "data", "session_token")
		h.session(x, first, 401)
		h.session(x, second, 200)
		// The device that asks has the only one: there is nothing to ask.
		in(signedInBy(second), obj{"identification": "select_account"}, authenticate("correct horse")).asks("finished")
		third := h.signIn(x, "a@example.com", "correct horse")
		a = in(signedInBy(second), obj{"identification": "select_account"}, authenticate("correct horse")).asks("terminate_other_sessions")
		h.as(x, signedInBy(second), "/authentication_flows/states/input", obj{"state_token": a.token(), "input": obj{"terminate_other_sessions": true}}).asks("finished")
		h.session(x, second, 200) // the one that goes on is spared
		h.session(x, third, 401)
		h.session(x, bystander, 200)
	})
}

// A remembered device is asked again once the password has changed, by whatever
// way, and once an admin says so.
func TestRememberedDevicesAreForgotten(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Recovery.RevokeSessions = false })
		u := h.User(x, "correct horse 1", "email:a@example.com")
		r := &reading{h: h, t: h.T, x: x}
		r.has(u, "secondary_totp", "JBSWY3DPEHPK3PXP")
		verbs := &admin.Service{Store: h.Store, Master: h.Master, Now: h.Now}
		by := admin.Actor{Kind: tenant.ActorCLI}
		password, cookie := "correct horse 1", ""
		login := func() answer {
			return h.as(x, cookie, "/authentication_flows", obj{"type": "login", "batch_input": []obj{identify("a@example.com"), authenticate(password)}})
		}
		remember := func() {
			h.T.Helper()
			h.Wait(time.Minute)
			a := login().asks("authenticate")
			b := h.post(x, a.token(), obj{"authentication": "secondary_totp", "code": totpCode("JBSWY3DPEHPK3PXP", h.Now()), "request_device_token": true}).asks("finished")
			c := b.cookies["__Host-usher_device_token"]
			if c == nil || !c.HttpOnly || !c.Secure {
				h.T.Fatalf("the cookie: %+v", c)
			}
			cookie = c.Name + "=" + c.Value
			login().asks("finished")
		}
		remember()
		session := h.signInWith(login())
		a := h.recovering(x, "a@example.com")
		h.post(x, a.token(), obj{"account_recovery_code": h.code(x), "new_password": "correct horse 2"}).asks("finished")
		password = "correct horse 2"
		login().asks("authenticate")
		h.session(x, session, 200) // as the tenant has it

		remember()
		_, err := verbs.RequirePasswordChange(context.Background(), by, "acme", u.ID)
		must(h.T, err)
		a = login().asks("change_password")
		if a.at("result", "action", "data", "force_change_reason") != "no_longer_valid" {
			h.T.Errorf("why: %s", a.raw)
		}
		h.post(x, a.token(), obj{"new_password": "correct horse 2"}).refuses(400, "PasswordPolicyViolated").because("/new_password", "history")
		h.post(x, a.token(), obj{"new_password": "correct horse 3"}).asks("finished")
		password = "correct horse 3"
		login().asks("authenticate")

		remember()
		_, n, err := verbs.RevokeDeviceTokens(context.Background(), by, "acme", u.ID)
		must(h.T, err)
		if n != 1 {
			h.T.Errorf("%d were revoked", n)
		}
		login().asks("authenticate")
	})
}

func (h *house) signInWith(a answer) string {
	h.T.Helper()
	return a.asks("finished").cookies["__Host-usher_session"].Value
}

// What an unlucky user is shown leads an admin to what happened.
func TestSupportCodesExplain(t *testing.T) {
	onBoth(t, func(h *house) {
		x, other := h.Tenant("acme"), h.Tenant("other")
		h.User(x, "correct horse", "email:a@example.com")
		verbs := &admin.Service{Store: h.Store, Master: h.Master, Now: h.Now}
		explain := func(slug, code string) []string {
			h.T.Helper()
			e, err := verbs.ExplainSignIn(context.Background(), slug, code)
			must(h.T, err)
			var out []string
			for _, e := range e.Events {
				out = append(out, strings.Join([]string{string(e.Outcome), e.Step, e.Method, string(e.Reason)}, " "))
			}
			return out
		}
		a := h.begin(x, "login", nil).asks("identify")
		b := h.post(x, a.token(), identify("a@example.com")).asks("authenticate")
		h.Wait(time.Second)
		no := h.post(x, b.token(), authenticate("wrong")).refuses(401, "InvalidCredentials")
		h.Wait(time.Second)
		h.post(x, b.token(), authenticate("correct horse")).asks("finished")
		code := no.str("error", "info", "support_code")
		want := []string{"accepted identify email ", "refused authenticate primary_password InvalidCredentials", "accepted authenticate primary_password ", "finished   "}
		if got := explain("acme", code); !slices.Equal(got, want) {
			h.T.Errorf("explained:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if tenant.SupportCode(a.str("result", "id")) != code {
			h.T.Errorf("the run %s has the code %s", a.str("result", "id"), code)
		}
		// Of a run that was refused at once there is still the refusal.
		code = h.login(x, "a@example.com", "wrong", nil).refuses(401, "InvalidCredentials").str("error", "info", "support_code")
		if got := explain("acme", code); !slices.Equal(got, []string{"refused authenticate primary_password InvalidCredentials"}) {
			h.T.Errorf("refused at once: %v", got)
		}
		if _, err := verbs.ExplainSignIn(context.Background(), other.Slug, code); err == nil {
			h.T.Error("another tenant's admin is told")
		}
		// What is the client's own mistake isn't bad luck.
		if r := h.post(x, a.token(), obj{"identification": "email"}); r.at("error", "info", "support_code") != nil {
			h.T.Errorf("a mistake: %s", r.raw)
		}
	})
}

// A grace period ends for runs that began in it as for others.
func TestGraceEnds(t *testing.T) {
	h := build(t, testenv.SQLite(t))
	end := h.Now().Add(time.Hour).UTC().Truncate(time.Second)
	x := h.Tenant("acme", func(c *tenant.Config) {
		c.Authenticators.SecondaryMode, c.Authenticators.SecondaryGraceUntil = tenant.SecondaryRequired, end.Format(time.RFC3339)
	})
	h.User(x, "correct horse", "email:a@example.com")
	h.login(x, "a@example.com", "correct horse", nil).asks("finished")
	h.Wait(59 * time.Minute)
	a := h.begin(x, "login", obj{"input": identify("a@example.com")}).asks("authenticate")
	h.Wait(time.Minute)
	h.post(x, a.token(), authenticate("correct horse")).asks("create_authenticator")
}
