package flowapi_test

import (
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/surface/flowapi"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
	"github.com/usher-id/usher/testenv/housetest"
)

func TestSignUpThenLogIn(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		a := h.begin(x, "signup", nil).asks("identify")
		id := a.str("result", "id")
		if !regexp.MustCompile(`^[0-7][0-9a-hjkmnp-tv-z]{31}$`).MatchString(id) {
			t.Errorf("the id of the run: %q", id)
		}
		b := h.post(x, a.token(), identify("New@Example.com")).asks("create_authenticator")
		again := h.do(request{host: "acme.test", path: "/authentication_flows/states", body: obj{"state_token": b.token()}})
		if again.raw != b.raw {
			t.Errorf("asked again: %s, want %s", again.raw, b.raw)
		}
		c := h.post(x, b.token(), create("correct horse")).asks("finished")
		if a.str("result", "id") != id || b.str("result", "id") != id || c.str("result", "id") != id {
			t.Error("the id of the run changes")
		}
		if s := c.at("result", "action", "data"); len(s.(obj)) != 0 {
			t.Errorf("with a cookie the finished data says %v", s)
		}
		cookie := c.cookies["__Host-usher_session"]
		if cookie == nil || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 14*24*3600 {
			t.Fatalf("the session's cookie: %+v", cookie)
		}
		h.session(x, cookie.Value, 200)

		// Another letter case is the same address.
		d := h.login(x, "new@example.COM", "correct horse", obj{"session": "token"}).asks("finished")
		if len(d.cookies) != 1 || d.cookies["__Host-usher_device"] == nil {
			t.Errorf("with a token the cookies are %v", d.cookies)
		}
		token := d.str("result", "action", "data", "session_token")
		e := h.session(x, token, 200)
		if e.str("session", "user_id") != e.str("user", "id") || e.at("session", "amr", 0) != "pwd" || e.str("session", "acr") != "urn:usher:aal1" {
			t.Errorf("the session: %s", e.raw)
		}
		// The token is told once.
		f := h.do(request{host: "acme.test", path: "/authentication_flows/states", body: obj{"state_token": d.token()}}).asks("finished")
		if len(f.at("result", "action", "data").(obj)) != 0 {
			t.Errorf("told again: %s", f.raw)
		}
	})
}

// session asks who is signed in.
func (h *house) session(x *tenant.Tenant, token string, status int) answer {
	h.T.Helper()
	a := h.do(request{method: "GET", host: x.Hosts[0], path: "/session", headers: map[string]string{"Cookie": "__Host-usher_session=" + token}})
	b := h.do(request{method: "GET", host: x.Hosts[0], path: "/session", headers: map[string]string{"Authorization": "Bearer " + token}})
	if a.status != status || b.status != status {
		h.T.Fatalf("the session by cookie: %d, by header: %d, want %d: %s", a.status, b.status, status, a.raw)
	}
	if status == 401 {
		a.refuses(401, "Unauthenticated")
		if a.header.Get("WWW-Authenticate") == "" {
			h.T.Error("401 without WWW-Authenticate")
		}
	}
	return a
}

func TestSignupLoginBecomesEither(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		h.User(x, "correct horse", "email:known@example.com")
		a := h.begin(x, "signup_login", nil).asks("identify")
		b := h.post(x, a.token(), identify("known@example.com")).asks("authenticate")
		c := h.post(x, a.token(), identify("new@example.com")).asks("create_authenticator")
		if b.str("result", "type") != "login" || c.str("result", "type") != "signup" {
			t.Errorf("types: %s, %s", b.raw, c.raw)
		}
		h.post(x, c.token(), create("correct horse")).asks("finished")
	})
}

// A, then B by e-mail, then back to A and C by phone: whichever finishes first
// is the run.
func TestBackByAnOldToken(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Identifications.Enabled = []string{"email", "phone"} })
		a := h.begin(x, "signup", nil).asks("identify")
		b := h.post(x, a.token(), identify("b@example.com")).asks("create_authenticator")
		c := h.post(x, a.token(), obj{"identification": "phone", "login_id": "+14155550123"}).asks("create_authenticator")
		last := h.post(x, c.token(), create("correct horse")).asks("finished")
		for _, old := range []answer{a, b, c, last} {
			r := h.post(x, old.token(), create("another horse")).refuses(400, "AuthenticationFlowFinished")
			if r.token() != old.token() || r.str("result", "action", "type") != old.str("result", "action", "type") {
				t.Errorf("the unmoved state: %s, was %s", r.raw, old.raw)
			}
		}
		h.do(request{host: "acme.test", path: "/authentication_flows/states", body: obj{"state_token": last.token()}}).asks("finished")
		h.login(x, "b@example.com", "correct horse", nil).refuses(401, "InvalidCredentials")
	})
}

func TestOneInputAnswersConsecutiveSteps(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		both := obj{"identification": "email", "login_id": "a@example.com", "authentication": "primary_password", "new_password": "correct horse"}
		h.begin(x, "signup", obj{"input": both}).asks("finished")
		both["password"] = "correct horse"
		a := h.begin(x, "login", nil).asks("identify")
		h.post(x, a.token(), both).asks("finished")
	})
}

// The first refusal refuses the batch, and nothing of it has happened.
func TestBatchIsAllOrNothing(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		h.User(x, "correct horse", "email:a@example.com")
		a := h.begin(x, "login", nil).asks("identify")
		r := h.post(x, a.token(), identify("a@example.com"), authenticate("wrong")).refuses(401, "InvalidCredentials")
		if r.token() != a.token() || r.str("result", "action", "type") != "identify" {
			t.Errorf("the unmoved state: %s", r.raw)
		}
		h.post(x, a.token(), identify("a@example.com"), authenticate("correct horse")).asks("finished")

		// Of a run that is refused at once, nothing is kept.
		r = h.login(x, "a@example.com", "wrong", nil).refuses(401, "InvalidCredentials")
		if r.at("result") != nil {
			t.Errorf("a refused start: %s", r.raw)
		}
		runs, err := h.Store.Runs(t.Context(), x.ID, tenant.RunFilter{}, tenant.Page{Limit: 10})
		must(t, err)
		if len(runs) != 1 {
			t.Errorf("%d runs are kept, want 1", len(runs))
		}
	})
}

// barrier lets hashes end only when there are n of them: then n requests have
// read what they read, and none has written yet.
func barrier(n int) func(*housetest.Options) {
	var mu sync.Mutex
	gate, waiting := make(chan struct{}), 0
	return func(s *housetest.Options) {
		s.Hasher.Workers = n
		s.Hasher.OnHash = func(string, string, time.Duration, time.Duration) {
			mu.Lock()
			if waiting++; waiting == n {
				close(gate)
			}
			mu.Unlock()
			<-gate
		}
	}
}

// race sends the same kind of request twice at the same time.
func race(send func(i int) answer) [2]answer {
	var both [2]answer
	var racers sync.WaitGroup
	for i := range both {
		racers.Go(func() { both[i] = send(i) })
	}
	racers.Wait()
	return both
}

func TestOfTwoRacingFinishesOneWins(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		h := build(t, url, barrier(2))
		x := h.Tenant("acme")
		u := h.User(x, "correct horse", "email:a@example.com")
		a := h.begin(x, "login", obj{"input": identify("a@example.com")}).asks("authenticate")
		both := race(func(int) answer { return h.post(x, a.token(), authenticate("correct horse")) })
		slices.SortFunc(both[:], func(a, b answer) int { return a.status - b.status })
		both[0].asks("finished")
		lost := both[1].refuses(409, "AuthenticationFlowConflict")
		if lost.cookies["__Host-usher_session"] != nil {
			t.Error("who lost has a session")
		}
		sessions, err := h.Store.Sessions(t.Context(), x.ID, tenant.SessionFilter{UserID: u.ID}, tenant.Page{Limit: 10})
		must(t, err)
		if len(sessions) != 1 {
			t.Errorf("%d sessions", len(sessions))
		}
	})
}

func TestOfTwoRacingSignUpsOneWins(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		h := build(t, url, barrier(2))
		x := h.Tenant("acme")
		both := race(func(int) answer {
			return h.begin(x, "signup", obj{"batch_input": []obj{identify("a@example.com"), create("correct horse")}})
		})
		slices.SortFunc(both[:], func(a, b answer) int { return a.status - b.status })
		both[0].asks("finished")
		both[1].refuses(409, "DuplicatedIdentity")
	})
}

// A run goes on under the configuration it began with; the next one has the new.
func TestRunPinsItsConfiguration(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		a := h.begin(x, "signup", nil).asks("identify")
		h.Publish(x, 2, func(c *tenant.Config) {
			c.Identifications.Enabled = []string{"username"}
			c.PasswordPolicy.MinimumLength = 20
		})
		h.Eventually(func() bool {
			return h.begin(x, "signup", nil).str("result", "action", "data", "options", 0, "identification") == "username"
		})
		b := h.post(x, a.token(), identify("a@example.com")).asks("create_authenticator")
		h.post(x, b.token(), create("correct horse")).asks("finished")
		h.begin(x, "signup", obj{"batch_input": []obj{{"identification": "username", "login_id": "anna"}, create("correct horse")}}).
			refuses(400, "PasswordPolicyViolated").because("/new_password", "minimum_length")
	})
}

// A run lives so long after its last input, and so long after its start.
func TestRunsExpire(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) {
			c.Flows.LifetimeSeconds, c.Flows.MaxLifetimeSeconds = 600, 1500
		})
		h.User(x, "correct horse", "email:a@example.com")
		state := func(a answer) answer {
			return h.do(request{host: "acme.test", path: "/authentication_flows/states", body: obj{"state_token": a.token()}})
		}
		a := h.begin(x, "login", nil).asks("identify")
		h.Wait(599 * time.Second)
		state(a).asks("identify")
		h.Wait(2 * time.Second)
		state(a).refuses(404, "AuthenticationFlowNotFound")
		h.post(x, a.token(), identify("a@example.com")).refuses(404, "AuthenticationFlowNotFound")

		a = h.begin(x, "login", nil).asks("identify")
		for range 2 { // each input renews it
			h.Wait(599 * time.Second)
			h.post(x, a.token(), identify("a@example.com")).asks("authenticate")
		}
		h.Wait(303 * time.Second) // but not for ever
		h.post(x, a.token(), identify("a@example.com")).refuses(404, "AuthenticationFlowNotFound")

		a = h.login(x, "a@example.com", "correct horse", nil).asks("finished")
		h.Wait(700 * time.Second)
		state(a).asks("finished")
	})
}

func TestDeviceCookieStays(t *testing.T) {
	h := build(t, testenv.SQLite(t))
	x := h.Tenant("acme")
	a := h.begin(x, "login", nil)
	c := a.cookies["__Host-usher_device"]
	if c == nil || len(c.Value) != 32 || !c.Secure || !c.HttpOnly {
		t.Fatalf("the device's cookie: %+v", c)
	}
	b := h.do(request{host: "acme.test", path: "/authentication_flows", body: obj{"type": "login"}, headers: map[string]string{"Cookie": c.Name + "=" + c.Value}})
	if b.cookies["__Host-usher_device"] != nil {
		t.Error("it is set again")
	}
	runs, err := h.Store.Runs(t.Context(), x.ID, tenant.RunFilter{}, tenant.Page{Limit: 10})
	must(t, err)
	for _, r := range runs {
		if r.DeviceID != c.Value || r.Surface != flowapi.Name {
			t.Errorf("the run is of device %q through %q", r.DeviceID, r.Surface)
		}
	}
}
