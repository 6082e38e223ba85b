package flowapi_test

import (
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

// What each request may cost in statements, BEGIN and COMMIT aside; docs publish
// the numbers. Everything that is read once and remembered was read before.
func TestStatements(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", seedTenant)
		h.User(x, "correct horse", "email:a@example.com")
		h.login(x, "a@example.com", "correct horse", nil).asks("finished")
		h.begin(x, "signup", nil)
		check := func(what string, most int) {
			t.Helper()
			s := h.Counted()
			t.Logf("%-28s %d %v", what, len(s), s)
			if len(s) > most {
				t.Errorf("%s: %d statements, at most %d: %v", what, len(s), most, s)
			}
		}
		h.Counted()

		a := h.begin(x, "login", nil).asks("identify")
		check("create", 2)
		b := h.post(x, a.token(), identify("a@example.com")).asks("authenticate")
		check("identify", 5)
		h.do(request{host: "acme.test", path: "/authentication_flows/states", body: obj{"state_token": b.token()}}).asks("authenticate")
		check("states", 1)
		h.post(x, b.token(), authenticate("wrong")).refuses(401, "InvalidCredentials")
		check("wrong password", 3)
		h.post(x, b.token(), authenticate("correct horse")).asks("finished")
		check("password, finishes", 5)

		a = h.begin(x, "signup", nil).asks("identify")
		h.Counted()
		a = h.post(x, a.token(), identify("b@example.com")).asks("create_authenticator")
		check("identify, sign-up", 5)
		h.post(x, a.token(), create("correct horse")).asks("finished")
		check("new password, makes a user", 8) // three rows of their own: user, identity, authenticator

		token := h.signIn(x, "a@example.com", "correct horse")
		check("login in one request", 6)
		session := func() {
			a := h.do(request{method: "GET", host: "acme.test", path: "/session", headers: map[string]string{"Authorization": "Bearer " + token}})
			if a.status != 200 {
				t.Fatal(a.raw)
			}
		}
		session()
		check("session check, the first", 2) // its run is complete
		session()
		check("session check", 1)
		h.Wait(2 * time.Minute)
		session()
		check("session check, touching", 2)
		session()
		check("session check", 1)
		token = h.signIn(x, "a@example.com", "correct horse")
		h.Wait(2 * time.Minute)
		h.Counted()
		session()
		check("session check, the first and touching", 3)
		session()
		check("session check", 1)

		shown := h.settings(x, token).asks("change_setting")
		check("settings", 5)
		h.as(x, signedInBy(token), "/authentication_flows/states/input", obj{"state_token": shown.token(), "input": obj{"setting": "profile", "attributes": []obj{}}}).asks("finished")
		check("settings, finishes", 5)
		h.signIn(x, "a@example.com", "correct horse")
		token = h.signIn(x, "a@example.com", "correct horse")
		session()
		h.Counted()
		h.settings(x, token, obj{"setting": "password", "new_password": "battery staple"}).asks("finished")
		check("settings, a new password", 9) // it ends remembered devices and other sessions
		h.begin(x, "verification", obj{"input": identify("a@example.com")}).asks("verify")
		check("verification, sends", 8)
	})
}

// A password whose hash is of another kind than the tenant's is hashed anew on
// the way.
func TestStatementsOfARehash(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Authenticators.Password.Algorithm = "bcrypt" })
		h.User(x, "correct horse", "email:a@example.com") // argon2id
		h.User(x, "correct horse", "email:b@example.com")
		h.signIn(x, "a@example.com", "correct horse")
		h.Counted()
		h.signIn(x, "b@example.com", "correct horse")
		if s := h.Counted(); len(s) > 8 {
			t.Errorf("%d statements: %v", len(s), s)
		}
		h.signIn(x, "b@example.com", "correct horse")
		if s := h.Counted(); len(s) > 8 {
			t.Errorf("%d statements: %v", len(s), s)
		}
		if n := h.Metric("usher_password_hash_duration_seconds", "algorithm=bcrypt", "op=hash"); n != 2 {
			t.Errorf("%v hashes were made anew, want 2", n)
		}
	})
}
