package selfservice_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

func TestRecovery(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		u := h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		f := c.begin("recovery", "").stands("choose_method")
		if f.asks() != "email method=code" {
			t.Fatal(f.asks())
		}
		c.submit(f, obj{}).is(400).stands("choose_method", 4010005)
		c.submit(f, obj{"method": "code"}).is(400).tells("email", 4000002)
		f = c.submit(f, obj{"method": "code", "email": "ann@example.com"}).is(200).stands("sent_email", 1060003)
		if f.asks() != "method code method=code email=ann@example.com" {
			t.Fatal(f.asks())
		}
		c.submit(f, obj{"code": "000000"}).is(200).stands("sent_email", 4060006)
		c.get("/self-service/settings/flows?id="+f.str("id")).refuses(404, "")
		f = c.submit(f, obj{"code": h.code(x, "ann@example.com")}).is(200).stands("passed_challenge")
		if f.str("continue_with", 0, "action") != "set_ory_session_token" || f.str("continue_with", 1, "action") != "show_settings_ui" || f.str("continue_with", 1, "flow", "id") != f.str("id") {
			t.Fatal(f.raw)
		}
		// The id alone, which stands in logs, isn't enough to set the password.
		c.get("/self-service/settings/flows?id="+f.str("id")).refuses(401, "session_inactive")
		for _, path := range []string{"settings", "recovery"} {
			c.post("/self-service/"+path+"?flow="+f.str("id"), obj{"method": "password", "password": "stolen horse"}).refuses(401, "session_inactive")
			if a := c.do("POST", "/self-service/"+path+"?flow="+f.str("id"), obj{}, "Cookie", "a=b").refuses(401, "session_inactive"); strings.Contains(a.raw, "ann@") {
				t.Error(a.raw)
			}
		}
		c.token = f.str("continue_with", 0, "ory_session_token")
		c.get("/sessions/whoami").refuses(401, "session_inactive")
		s := c.get("/self-service/settings/flows?id="+f.str("id")).is(200).stands("show_form", 1060001)
		if s.asks() != "password method=password" || s.str("identity", "id") != u.ID {
			t.Fatal(s.raw)
		}
		if a := c.do("POST", s.str("ui", "action"), obj{"method": "password", "password": "other horse"}, "Cookie", "a=b").refuses(400, ""); strings.Contains(a.raw, "ann@") {
			t.Error(a.raw)
		}
		c.submit(s, obj{"method": "password", "password": "short"}).is(400).tells("password", 4000032)
		c.submit(s, obj{"method": "password", "password": "other horse"}).is(200).stands("success", 1050001)
		c.token = ""
		c.submit(c.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(400)
		c.submit(c.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "other horse"}).is(200)
		if !h.verified(u) {
			t.Error("a recovery proves the address")
		}

		for _, scripted := range []bool{true, false} {
			h.Wait(2 * time.Second)
			b := h.browser(x, scripted)
			f := b.begin("recovery", "")
			a := b.submit(f, obj{"method": "code", "email": "ann@example.com"}).is(200)
			if !scripted {
				a = b.onPage(a, "recovery")
			}
			f = a.stands("sent_email", 1060003)
			a = b.submit(f, obj{"code": h.code(x, "ann@example.com")})
			id := f.str("id")
			if scripted {
				to := a.refuses(422, "browser_location_change_required").str("redirect_browser_to")
				if to != h.Origin("acme.localhost")+"/ui/settings?flow="+id {
					t.Error(to)
				}
			} else if a.at.Path != "/ui/settings" || a.at.Query().Get("flow") != id {
				t.Error(a.at)
			}
			s := b.get("/self-service/settings/flows?id="+id).is(200).stands("show_form", 1060001)
			b.get("/sessions/whoami").refuses(401, "session_inactive")
			a = b.submit(s, obj{"method": "password", "password": fmt.Sprint("newer horse ", scripted)}).is(200)
			if !scripted {
				a = b.onPage(a, "settings")
			}
			a.stands("success", 1050001)
		}
		// A stranger is told the same, and isn't written to.
		f = c.submit(c.begin("recovery", ""), obj{"method": "code", "email": "bob@example.com"}).is(200).stands("sent_email", 1060003)
		if h.code(x, "bob@example.com") != "" {
			t.Error("a stranger was written to")
		}
		c.submit(f, obj{"code": "000000"}).is(200).stands("sent_email", 4060006)
		off := h.tenant("off", func(c *tenant.Config) { c.Recovery.Enabled = false })
		h.app(off).get("/self-service/recovery/api").refuses(400, "self_service_flow_disabled")
	})
}

// Of a right code that is sent twice at once one is taken, and what it gave is
// good whatever the other was told.
func TestRecoveryTwiceAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		for range 4 {
			h.Wait(2 * time.Second)
			c := h.app(x)
			f := c.submit(c.begin("recovery", ""), obj{"method": "code", "email": "ann@example.com"}).is(200)
			code, answers := h.code(x, "ann@example.com"), make(chan answer)
			for range 3 {
				go func() { answers <- c.submit(f, obj{"code": code}) }()
			}
			for range 3 {
				if a := <-answers; a.str("state") == "passed_challenge" {
					c.token += a.str("continue_with", 0, "ory_session_token")
				}
			}
			c.get("/self-service/settings/flows?id="+f.str("id")).is(200).stands("show_form", 1060001)
		}
	})
}
