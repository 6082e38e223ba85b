package flowapi_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

// varies are the parts of an answer that are another each time.
var varies = regexp.MustCompile(`authflowstate_[0-9A-Z]{32}|"id":"[0-9a-z]{32}"|"tracking_id":"[^"]*"|"support_code":"[^"]*"`)

func same(a answer) string { return varies.ReplaceAllString(a.raw, "...") }

// Whether a login id is somebody's can't be told from the answers, nor from the
// statements they took.
func TestUnknownUserIsAnsweredLikeAnother(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		h.User(x, "correct horse", "email:known@example.com")
		h.begin(x, "login", nil) // now everything is in memory
		walk := func(email string) (answers, statements []string) {
			h.Counted()
			a := h.begin(x, "login", nil)
			b := h.post(x, a.token(), identify(email))
			c := h.post(x, b.token(), authenticate("wrong"))
			for range 12 { // over the limit
				answers = append(answers, same(c))
				c = h.post(x, b.token(), authenticate("wrong"))
			}
			statements = h.Counted()
			d := h.login(x, email, "wrong", nil)
			return append(answers, same(a), same(b), same(c), same(d)), statements
		}
		known, how := walk("known@example.com")
		h.Wait(time.Hour) // the limits are full again
		unknown, how2 := walk("nobody@example.com")
		if !slices.Equal(digitless(known), digitless(unknown)) {
			t.Errorf("known:\n%s\nunknown:\n%s", strings.Join(known, ""), strings.Join(unknown, ""))
		}
		if !slices.Equal(how, how2) {
			t.Errorf("statements, known:\n%v\nunknown:\n%v", how, how2)
		}

		y := h.Tenant("open", func(c *tenant.Config) { c.Accounts.RevealUnknownUsers = true })
		a := h.begin(y, "login", nil)
		h.post(y, a.token(), identify("nobody@example.com")).refuses(404, "UserNotFound")
	})
}

// digitless drops the times of day that a rate limit answers with.
func digitless(answers []string) []string {
	at := regexp.MustCompile(`"retry_a[^,}]*`)
	out := make([]string, len(answers))
	for i, a := range answers {
		out[i] = at.ReplaceAllString(a, "")
	}
	return out
}

// At another tenant's host a token is as unknown as one that was made up.
func TestTenantsAreApart(t *testing.T) {
	onBoth(t, func(h *house) {
		a, b := h.Tenant("a"), h.Tenant("b")
		h.User(a, "correct horse", "email:u@example.com")
		h.User(b, "correct horse", "email:u@example.com")
		state := h.begin(a, "login", obj{"input": identify("u@example.com")}).asks("authenticate").token()
		random := "authflowstate_" + strings.Repeat("7", 32)
		for _, path := range []string{"/authentication_flows/states", "/authentication_flows/states/input"} {
			ask := func(token string) answer {
				return h.do(request{host: "b.test", path: path, body: obj{"state_token": token, "input": authenticate("correct horse")}})
			}
			foreign, made := ask(state), ask(random)
			foreign.refuses(404, "AuthenticationFlowNotFound")
			if same(foreign) != same(made) {
				t.Errorf("%s\n%s", foreign.raw, made.raw)
			}
		}
		session := h.signIn(a, "u@example.com", "correct horse")
		h.session(a, session, 200)
		h.session(b, session, 401)
		own := h.signIn(b, "u@example.com", "correct horse")
		h.do(request{
			host: "b.test", path: "/session/revoke", body: obj{"id": h.session(a, session, 200).str("session", "id")},
			headers: map[string]string{"Authorization": "Bearer " + own},
		}).refuses(404, "NotFound")
		h.session(a, session, 200)
		h.post(a, state, authenticate("correct horse")).asks("finished")
	})
}

// Guesses are paid for before they are looked at, wherever they start from.
func TestGuessesAreLimited(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) {
			c.Limits.PasswordPerUserPerIP = tenant.Rate{Burst: 3, PeriodSeconds: 60}
			c.Limits.PasswordPerIP = tenant.Rate{Burst: 5, PeriodSeconds: 60}
			c.Limits.SignupPerIP = tenant.Rate{Burst: 1, PeriodSeconds: 60}
		})
		h.User(x, "correct horse", "email:a@example.com")
		h.User(x, "correct horse", "email:b@example.com")
		from := func(ip, email, password string) answer {
			return h.do(request{host: "acme.test", path: "/authentication_flows", headers: map[string]string{"X-Forwarded-For": ip}, body: obj{
				"type": "login", "batch_input": []obj{identify(email), authenticate(password)},
			}})
		}
		for range 3 {
			from("192.0.2.1", "a@example.com", "wrong").refuses(401, "InvalidCredentials")
		}
		r := from("192.0.2.1", "a@example.com", "correct horse").refuses(429, "RateLimited")
		if r.header.Get("Retry-After") == "" || r.str("error", "info", "retry_at") == "" {
			t.Errorf("when to come back: %v %s", r.header, r.raw)
		}
		from("192.0.2.2", "a@example.com", "correct horse").asks("finished")                    // somebody else's guesses don't lock the owner out
		from("192.0.2.1", "b@example.com", "wrong").refuses(401, "InvalidCredentials")          // the fourth from there
		from("192.0.2.1", "b@example.com", "wrong").refuses(401, "InvalidCredentials")          //
		from("192.0.2.1", "b@example.com", "correct horse").refuses(429, "RateLimited")         // one IP, whoever it is about
		from("2001:db8:1:2:3::4", "b@example.com", "wrong").refuses(401, "InvalidCredentials")  // a network of one subscriber
		from("2001:db8:1:2::99", "b@example.com", "wrong").refuses(401, "InvalidCredentials")   //
		from("2001:db8:1:2:f::", "b@example.com", "wrong").refuses(401, "InvalidCredentials")   //
		from("2001:db8:1:2:a::b", "b@example.com", "correct horse").refuses(429, "RateLimited") //
		from("2001:db8:1:3::", "b@example.com", "correct horse").asks("finished")
		h.Wait(time.Minute)
		from("192.0.2.1", "a@example.com", "correct horse").asks("finished")
		if n := h.Metric("usher_rate_limited_total", "bucket=password"); n != 3 {
			t.Errorf("counted %v", n)
		}

		h.begin(x, "signup", obj{"input": identify("a@example.com")}).refuses(409, "DuplicatedIdentity")
		h.begin(x, "signup", obj{"input": identify("c@example.com")}).refuses(429, "RateLimited")
	})
}

// The audit log has every sign-in and every guess, with the request's id, and
// no secret is in it, in the log, or in the clear in the database.
func TestAuditKeepsSignInsAndNoSecrets(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Limits.PasswordPerUserPerIP.Burst = 3 })
		u := h.User(x, "correct horse", "email:a@example.com")
		id := map[string]string{"X-Request-Id": "the-request-of-the-test"}
		try := func(password string) answer {
			return h.do(request{host: "acme.test", path: "/authentication_flows", headers: id, body: obj{
				"type": "login", "session": "token", "batch_input": []obj{identify("a@example.com"), authenticate(password)},
			}})
		}
		done := try("correct horse").asks("finished")
		try("a wrong secret").refuses(401, "InvalidCredentials")
		try("a wrong secret").refuses(401, "InvalidCredentials")
		for range 5 {
			try("a wrong secret").refuses(429, "RateLimited") // written down once a minute
		}
		_, err := h.Store.SealAudit(t.Context(), 100)
		must(t, err)
		log, err := h.Store.AuditLog(t.Context(), x.ID, tenant.AuditFilter{Category: tenant.AuditSignIn}, tenant.Page{Limit: 100})
		must(t, err)
		outcomes := map[string]int{}
		for _, e := range log {
			outcomes[e.Outcome]++
			if e.UserID != u.ID || e.IP != "127.0.0.1" || e.Seq == 0 || e.Outcome != "success" && e.RequestID != id["X-Request-Id"] {
				t.Errorf("%+v", e)
			}
		}
		if outcomes["success"] != 1 || outcomes["InvalidCredentials"] != 2 || outcomes["RateLimited"] != 1 {
			t.Errorf("outcomes: %v", outcomes)
		}
		everything, err := json.Marshal(log)
		must(t, err)
		for _, s := range []string{"correct horse", "a wrong secret", done.token(), done.str("result", "action", "data", "session_token"), "a@example.com"} {
			if strings.Contains(string(everything), s) || strings.Contains(h.Log.String(), s) {
				t.Errorf("%q is in the audit log or in the log", s)
			}
		}
	})
}
