package selfservice_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

func TestLogin(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", withCodes)
		u := h.user(x, "ann@example.com", "correct horse", func(u *tenant.UserRecord) { u.Identities[0].VerifiedAt = h.Now() })
		c := h.app(x)
		f := c.begin("login", "").stands("choose_method")
		if f.asks() != "identifier password method=password method=code" || f.find("refresh") != false || f.str("requested_aal") != "aal1" {
			t.Fatal(f.raw)
		}
		c.submit(f, obj{}).is(400).stands("choose_method", 4010002)
		c.submit(f, obj{"method": "password", "password": "x"}).is(400).tells("identifier", 4000002)
		c.submit(f, obj{"method": "password", "identifier": "ann@example.com"}).is(400).tells("password", 4000002)
		c.submit(f, obj{"method": "oidc", "identifier": "ann@example.com"}).is(400).stands("choose_method", 4010002)
		var wrong []string
		for _, who := range []string{"ann@example.com", "bob@example.com"} {
			f = c.submit(f, obj{"method": "password", "identifier": who, "password": "wrong horse"}).is(400).stands("choose_method", 4000006)
			wrong = append(wrong, strings.NewReplacer(who, "WHO", f.str("expires_at"), "").Replace(f.raw))
		}
		if wrong[0] != wrong[1] {
			t.Errorf("a stranger is told apart:\n%s\n%s", wrong[0], wrong[1])
		}
		a := c.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(200)
		if a.str("session", "identity", "id") != u.ID || a.str("session_token") == "" {
			t.Fatal(a.raw)
		}
		c.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).refuses(410, "self_service_flow_replaced")

		// By a code; another method and another name begin it anew.
		f = c.submit(c.begin("login", ""), obj{"method": "code", "identifier": "ann@example.com"}).is(400).stands("sent_email", 1010014)
		if f.asks() != "identifier method code method=code resend=code" {
			t.Fatal(f.asks())
		}
		c.submit(f, obj{"code": "000000"}).is(400).stands("sent_email", 4010008)
		c.submit(f, obj{"resend": "code"}).is(400).stands("sent_email", 4000001)
		c.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "wrong horse"}).is(400).stands("choose_method", 4000006)
		h.Wait(2 * time.Second)
		f = c.submit(f, obj{"method": "code", "identifier": "ann@example.com"}).is(400).stands("sent_email", 1010014)
		a = c.submit(f, obj{"code": h.code(x, "ann@example.com")}).is(200)
		if a.str("session", "authentication_methods", 0, "method") != "code" {
			t.Error(a.raw)
		}

		// Browsers, by scripts and by forms.
		s := h.browser(x, true)
		f = s.begin("login", "?return_to="+url.QueryEscape(h.Origin("acme.localhost")+"/ui/welcome"))
		a = s.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(200)
		if a.find("session_token") != nil || a.str("continue_with", 0, "redirect_browser_to") != h.Origin("acme.localhost")+"/ui/welcome" {
			t.Fatal(a.raw)
		}
		s.get("/sessions/whoami").is(200)
		s.get("/self-service/login/browser").refuses(400, "session_already_available")
		b := h.browser(x, false)
		p := b.onPage(b.submit(b.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "wrong horse"}), "login").stands("choose_method", 4000006)
		if p.node("identifier")["attributes"].(obj)["value"] != "ann@example.com" {
			t.Error(p.raw)
		}
		if a := b.submit(p, obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(200); a.at.Path != "/ui/home" {
			t.Error(a.at)
		}
		if a := b.get("/self-service/login/browser"); a.at.Path != "/ui/home" {
			t.Error(a.at)
		}

		// Again, because what comes next asks for it.
		h.Wait(time.Minute)
		before := s.get("/sessions/whoami").is(200)
		f = s.begin("login", "?refresh=true").stands("choose_method", 1010003)
		if f.find("refresh") != true || f.asks() != "csrf_token password method=password" {
			t.Fatal(f.raw)
		}
		s.submit(f, obj{"method": "password", "password": "wrong horse"}).is(400).stands("choose_method", 4000006)
		a = s.submit(f, obj{"method": "password", "password": "correct horse"}).is(200)
		if a.str("session", "id") != before.str("id") || a.str("session", "authenticated_at") == before.str("authenticated_at") {
			t.Error(a.raw)
		}
		c.get("/self-service/login/api?aal=aal2").refuses(401, "session_aal1_required")
		c.get("/self-service/login/api?aal=aal3").refuses(400, "")

		// Who may not enter.
		h.Change(x, func(tx tenant.Tx) error {
			u.State = tenant.UserDisabled
			return tx.UpdateUser(&u.User)
		})
		c.submit(c.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(400).stands("choose_method", 4010011)
		s.get("/sessions/whoami").refuses(401, "session_inactive")
	})
}

func TestLimitsApply(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", func(c *tenant.Config) { c.Limits.PasswordPerUserPerIP = tenant.Rate{Burst: 3, PeriodSeconds: 60} })
		h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		f := c.begin("login", "")
		for range 3 {
			f = c.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "wrong horse"}).is(400).stands("choose_method", 4000006)
		}
		a := c.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(400).stands("choose_method", 4000001)
		if a.header.Get("Retry-After") == "" {
			t.Error("it isn't said when to come back")
		}
	})
}
