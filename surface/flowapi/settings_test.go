package flowapi_test

import (
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

// settings runs a settings flow as who is signed in.
func (h *house) settings(x *tenant.Tenant, session string, inputs ...obj) answer {
	h.T.Helper()
	return h.as(x, signedInBy(session), "/authentication_flows", obj{"type": "settings", "batch_input": inputs})
}

// A changed password takes over at once: other sessions end, the one that changed
// it goes on, and no new one opens.
func TestSettingsChangeAPassword(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		u := h.User(x, "correct horse", "email:a@example.com")
		h.User(x, "correct horse", "email:b@example.com")
		other, bystander := h.signIn(x, "a@example.com", "correct horse"), h.signIn(x, "b@example.com", "correct horse")
		mine := h.signIn(x, "a@example.com", "correct horse")
		change := obj{"setting": "password", "new_password": "battery staple"}
		a := h.settings(x, mine).asks("change_setting")
		input := func(session string) answer {
			return h.as(x, signedInBy(session), "/authentication_flows/states/input", obj{"state_token": a.token(), "input": change})
		}
		ask := func(session string) answer {
			return h.as(x, signedInBy(session), "/authentication_flows/states", obj{"state_token": a.token()})
		}
		for _, refused := range []answer{
			input("").refuses(403, "AuthenticationFlowNotAllowed"), input(bystander).refuses(400, "AuthenticationFlowDifferentUserID"),
			ask("").refuses(403, "AuthenticationFlowNotAllowed"), ask(bystander).refuses(400, "AuthenticationFlowDifferentUserID"),
		} {
			if refused.at("result") != nil {
				t.Errorf("somebody else sees what may be changed: %s", refused.raw)
			}
		}
		ask(mine).asks("change_setting")

		// A session that was left open isn't enough; the same input is, after a proof.
		h.Wait(901 * time.Second)
		input(mine).refuses(403, "SessionNotFresh")
		h.as(x, signedInBy(mine), "/authentication_flows", obj{"type": "reauth", "input": authenticate("correct horse")}).asks("finished")
		done := input(mine).asks("finished")
		if done.cookies["__Host-usher_session"] != nil || done.str("result", "action", "data", "session_token") != "" {
			t.Errorf("a session opens: %s", done.raw)
		}
		h.session(x, mine, 200)
		h.session(x, other, 401)
		h.session(x, bystander, 200)
		h.login(x, "a@example.com", "correct horse", nil).refuses(401, "InvalidCredentials")
		h.login(x, "a@example.com", "battery staple", nil).asks("finished")
		run, err := h.Store.Run(t.Context(), x.ID, done.str("result", "id"))
		must(t, err)
		if run.UserID != u.ID || run.SessionID == "" || run.Status != tenant.RunFinished {
			t.Errorf("the run: %+v", run)
		}
		if n := h.Metric("usher_flow_rejections_total", "reason=session_not_fresh"); n != 1 {
			t.Errorf("%v refusals are counted", n)
		}
	})
}

func TestSettingsMayLeaveOtherSessionsAlone(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Sessions.EndOthersOnPasswordChange = false })
		h.User(x, "correct horse", "email:a@example.com")
		other, mine := h.signIn(x, "a@example.com", "correct horse"), h.signIn(x, "a@example.com", "correct horse")
		h.settings(x, mine, obj{"setting": "password", "new_password": "battery staple"}).asks("finished")
		h.session(x, other, 200)
	})
}

// What a settings flow writes is there afterwards.
func TestSettingsAreKept(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		u := h.User(x, "correct horse", "email:a@example.com")
		mine := h.signIn(x, "a@example.com", "correct horse")
		h.settings(x, mine, obj{"setting": "profile", "attributes": []obj{{"pointer": "/given_name", "value": "Ada"}}}).asks("finished")
		if who := h.session(x, mine, 200); who.str("user", "attributes", "given_name") != "Ada" {
			t.Errorf("the profile: %s", who.raw)
		}
		a := h.settings(x, mine).asks("change_setting")
		key := a.str("result", "action", "data", "options", 2, "secret")
		h.settings(x, mine).asks("change_setting")
		h.as(x, signedInBy(mine), "/authentication_flows/states/input", obj{"state_token": a.token(), "input": obj{"setting": "totp", "code": totpCode(key, h.Now())}}).asks("finished")
		h.settings(x, mine, obj{"setting": "recovery_codes"}, obj{"confirm_recovery_code": true}).asks("finished")
		types := func() (out []string) {
			r, err := h.Store.User(t.Context(), x.ID, u.ID)
			must(t, err)
			for _, a := range r.Authenticators {
				out = append(out, a.Type)
			}
			return out
		}
		if got := types(); len(got) != 3 {
			t.Errorf("authenticators: %v", got)
		}
		h.login(x, "a@example.com", "correct horse", nil).asks("authenticate")
		h.settings(x, mine, obj{"setting": "totp", "remove": true}).asks("finished")
		if got := types(); len(got) != 1 {
			t.Errorf("authenticators: %v", got)
		}
		h.login(x, "a@example.com", "correct horse", nil).asks("finished")
	})
}

// An address is verified without a session, in the time that the tenant gives.
func TestVerification(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		u := h.User(x, "correct horse", "email:a@example.com")
		h.unverified(x, u)
		a := h.begin(x, "verification", obj{"input": identify("a@example.com")}).asks("verify")
		run, err := h.Store.Run(t.Context(), x.ID, a.str("result", "id"))
		must(t, err)
		if got := run.ExpiresAt.Sub(run.CreatedAt); got != time.Hour {
			t.Errorf("the run lasts %v", got)
		}
		h.Wait(59 * time.Minute)
		done := h.post(x, a.token(), obj{"code": h.message(x).Code}).asks("finished")
		if len(done.cookies) != 0 {
			t.Errorf("cookies: %v", done.cookies)
		}
		r, err := h.Store.User(t.Context(), x.ID, u.ID)
		must(t, err)
		if at := r.Identities[0].VerifiedAt; !at.Equal(h.Now().Truncate(time.Millisecond)) {
			t.Errorf("verified at %v, want %v", at, h.Now())
		}
		a = h.begin(x, "verification", obj{"input": identify("a@example.com")}).asks("verify")
		h.Wait(time.Hour)
		h.post(x, a.token(), obj{"code": "000000"}).refuses(404, "AuthenticationFlowNotFound")
	})
}

// A verification proves an address and no password: failed tries at that one stay
// counted.
func TestVerificationUnlocksNobody(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Lockout.MaxAttempts = 2 })
		h.User(x, "correct horse", "email:a@example.com")
		h.login(x, "a@example.com", "wrong", nil).refuses(401, "InvalidCredentials")
		a := h.begin(x, "verification", obj{"input": identify("a@example.com")}).asks("verify")
		h.post(x, a.token(), obj{"code": h.message(x).Code}).asks("finished")
		h.login(x, "a@example.com", "wrong", nil).refuses(401, "InvalidCredentials")
		h.login(x, "a@example.com", "correct horse", nil).refuses(429, "AccountLockout")
	})
}

// unverified makes a user's login ids unproved.
func (h *house) unverified(x *tenant.Tenant, u *tenant.UserRecord) {
	h.T.Helper()
	h.Change(x, func(tx tenant.Tx) error {
		for i := range u.Identities {
			id := u.Identities[i]
			if err := tx.RemoveIdentity(x.ID, id.ID); err != nil {
				return err
			}
			id.VerifiedAt = time.Time{}
			if err := tx.AddIdentity(&id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Who has lost a device removes its passkey: it signs nobody in any more, nor do
// the sessions that were open elsewhere. The last way in stays.
func TestSettingsRemoveAPasskey(t *testing.T) {
	onBoth(t, func(h *house) {
		x, receiver := h.hooked(withPasskeys)
		lost, kept := h.phone(x), h.phone(x)
		a := h.post(x, h.begin(x, "signup", nil).token(), identify("ann@example.com")).asks("create_authenticator")
		a = h.post(x, a.token(), obj{"authentication": "primary_passkey", "creation_response": lost.creates(a)}).asks("finished")
		mine := h.signInWith(a)
		listed := func() []any {
			options, _ := h.settings(x, mine).asks("change_setting").at("result", "action", "data", "options").([]any)
			for _, o := range options {
				if o := o.(map[string]any); o["setting"] == "passkeys" {
					return o["passkeys"].([]any)
				}
			}
			return nil
		}
		remove := func(id any) answer {
			return h.as(x, signedInBy(mine), "/authentication_flows", obj{"type": "settings", "input": obj{"setting": "passkeys", "remove": true, "passkey_id": id}})
		}
		first := listed()[0].(map[string]any)
		remove(first["id"]).refuses(403, "AuthenticationFlowNotAllowed")

		a = h.settings(x, mine).asks("change_setting")
		h.as(x, signedInBy(mine), "/authentication_flows/states/input", obj{"state_token": a.token(), "input": obj{"setting": "passkeys", "creation_response": kept.creates(a)}}).asks("finished")
		if got := listed(); len(got) != 2 {
			t.Fatalf("%v, want two passkeys", got)
		}
		a = h.begin(x, "login", nil)
		elsewhere := h.signInWith(h.post(x, a.token(), assertion("passkey", lost.gets(a))).asks("finished"))

		h.deliver()
		remove(first["id"]).asks("finished")
		h.session(x, mine, 200)
		h.session(x, elsewhere, 401)
		receiver.Wait(tenant.HookAuthenticatorRemoved, 1)
		a = h.begin(x, "login", nil)
		h.post(x, a.token(), assertion("passkey", lost.gets(a))).refuses(401, "InvalidCredentials")
		h.post(x, a.token(), assertion("passkey", kept.gets(a))).asks("finished")
		left := listed()
		if len(left) != 1 || left[0].(map[string]any)["id"] == first["id"] {
			t.Errorf("%v are left", left)
		}
		remove(first["id"]).refuses(400, "ValidationFailed").because("/passkey_id", "enum")
		if u := h.account(x, "email", "ann@example.com"); len(u.Identities) != 2 || len(u.Authenticators) != 1 {
			t.Errorf("of the removed passkey something is left: %+v", u)
		}
	})
}
