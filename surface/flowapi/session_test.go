package flowapi_test

import (
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
	"github.com/usher-id/usher/testenv/housetest"
)

func (h *house) signIn(x *tenant.Tenant, email, password string) (token string) {
	h.T.Helper()
	return h.login(x, email, password, obj{"session": "token"}).asks("finished").str("result", "action", "data", "session_token")
}

func TestSessionsEndInTime(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) {
			c.Sessions.LifetimeSeconds, c.Sessions.IdleTimeoutSeconds = 7200, 1800
		})
		h.User(x, "correct horse", "email:a@example.com")
		idle := h.signIn(x, "a@example.com", "correct horse")
		used := h.signIn(x, "a@example.com", "correct horse")
		start := h.Now()
		for range 7 { // 119 minutes, with use
			h.Wait(17 * time.Minute)
			h.session(x, used, 200)
		}
		a := h.session(x, used, 200)
		if end, _ := time.Parse(time.RFC3339, a.str("session", "expires_at")); end.Sub(start).Round(time.Second) != 2*time.Hour {
			t.Errorf("it ends %v after the login", end.Sub(start))
		}
		if a.str("session", "idle_expires_at") != a.str("session", "expires_at") {
			t.Errorf("the idle end is after the end: %s", a.raw)
		}
		h.Wait(time.Minute)
		h.session(x, used, 401)
		h.session(x, idle, 401)
	})
}

func TestRevocation(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Web.AllowedOrigins = []string{"https://app.example.com"} })
		h.User(x, "correct horse", "email:a@example.com")
		h.User(x, "correct horse", "email:b@example.com")
		revoke := func(token string, body obj, headers ...string) answer {
			q := request{host: "acme.test", path: "/session/revoke", body: body, headers: map[string]string{"Cookie": "__Host-usher_session=" + token}}
			for i := 0; i < len(headers); i += 2 {
				q.headers[headers[i]] = headers[i+1]
			}
			return h.do(q)
		}
		id := func(token string) string { return h.session(x, token, 200).str("session", "id") }
		in := func() string { return h.signIn(x, "a@example.com", "correct horse") }
		s1, s2, s3, s4 := in(), in(), in(), in()
		stranger := h.signIn(x, "b@example.com", "correct horse")

		for _, bad := range [][]string{
			{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		} {
			revoke(s1, obj{}, bad...).refuses(403, "OriginNotAllowed")
		}
		h.session(x, s1, 200)
		if c := revoke(s1, obj{}, "Origin", "https://acme.test").cookies["__Host-usher_session"]; c == nil || c.MaxAge >= 0 {
			t.Errorf("the cookie stays: %+v", c)
		}
		h.session(x, s1, 401)

		revoke(s2, obj{"id": id(stranger)}).refuses(404, "NotFound")
		if a := revoke(s2, obj{"id": id(s3)}, "Origin", "https://app.example.com"); a.status != 200 || a.cookies["__Host-usher_session"] != nil {
			t.Errorf("another one: %d %s", a.status, a.raw)
		}
		h.session(x, s3, 401)
		h.session(x, s2, 200)
		revoke(s2, obj{"id": "x", "all": true}).refuses(400, "ValidationFailed").because("/all", "exclusive")
		revoke(s2, obj{"id": ""}).refuses(400, "ValidationFailed").because("/id", "minLength")
		revoke(s3, obj{}).refuses(401, "Unauthenticated")

		// A header is no cookie: no page of another origin can send it.
		a := h.do(request{host: "acme.test", path: "/session/revoke", body: obj{"all": true}, headers: map[string]string{"Authorization": "bearer " + s2, "Origin": "https://evil.example"}})
		if a.status != 200 {
			t.Fatalf("all: %d %s", a.status, a.raw)
		}
		h.session(x, s2, 401)
		h.session(x, s4, 401)
		h.session(x, stranger, 200)

		log, err := h.Store.AuditLog(t.Context(), x.ID, tenant.AuditFilter{Action: "session.revoke"}, tenant.Page{Limit: 10})
		must(t, err)
		if len(log) != 3 || log[0].ActorKind != tenant.ActorUser || log[0].RequestID != a.header.Get("X-Request-Id") {
			t.Errorf("the audit log has %d revocations: %+v", len(log), log)
		}
	})
}

// A disabled user is told so only after proving to be the one, and what they
// had open proves nothing any more.
func TestDisabledUser(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme")
		u := h.User(x, "correct horse", "email:a@example.com")
		token := h.signIn(x, "a@example.com", "correct horse")
		h.Change(x, func(tx tenant.Tx) error {
			off := u.User
			off.State = tenant.UserDisabled
			return tx.UpdateUser(&off)
		})
		h.session(x, token, 401)
		h.login(x, "a@example.com", "wrong", nil).refuses(401, "InvalidCredentials")
		h.login(x, "a@example.com", "correct horse", nil).refuses(403, "DisabledUser")
	})
}

func TestPlainHTTPInDevelopment(t *testing.T) {
	h := build(t, testenv.SQLite(t), func(s *housetest.Options) { s.Doors.Dev = true })
	x := h.Tenant("acme")
	h.User(x, "correct horse", "email:a@example.com")
	a := h.do(request{plain: true, host: "acme.test:8080", path: "/authentication_flows", body: obj{
		"type": "login", "batch_input": []obj{identify("a@example.com"), authenticate("correct horse")},
	}})
	c := a.asks("finished").cookies["usher_session"]
	if c == nil || c.Secure || !c.HttpOnly {
		t.Fatalf("the cookie: %+v", c)
	}
	a = h.do(request{method: "GET", plain: true, host: "ACME.test.:8080", path: "/session", headers: map[string]string{"Cookie": "usher_session=" + c.Value}})
	if a.status != 200 || a.header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	// Over HTTPS only the cookie with the prefix counts: anybody could have set the other.
	a = h.do(request{method: "GET", host: "acme.test", path: "/session", headers: map[string]string{"Cookie": "usher_session=" + c.Value}})
	a.refuses(401, "Unauthenticated")
}

// Who proves themselves again keeps what they had proved before.
func TestRenewalAddsToAMR(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", byCode)
		h.verified(x, h.User(x, "correct horse", "email:a@example.com"))
		a := h.begin(x, "login", obj{"input": obj{"identification": "email", "login_id": "a@example.com", "authentication": "primary_oob_otp_email"}}).asks("authenticate")
		a = h.post(x, a.token(), obj{"code": h.code(x)}).asks("finished")
		h.amr(x, a, "otp")

		h.Wait(time.Minute)
		again := h.as(x, "__Host-usher_session="+a.cookies["__Host-usher_session"].Value, "/authentication_flows", obj{"type": "reauth", "input": authenticate("correct horse")}).asks("finished")
		if again.cookies["__Host-usher_session"] != nil {
			t.Error("another session opens")
		}
		h.amr(x, a, "otp", "pwd")
		at, err := time.Parse(time.RFC3339, h.session(x, a.cookies["__Host-usher_session"].Value, 200).str("session", "authenticated_at"))
		must(t, err)
		if ago := h.Now().Sub(at); ago > 30*time.Second {
			t.Errorf("proved anew %v ago, want now", ago)
		}
	})
}
