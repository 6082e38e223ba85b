package selfservice_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/tenant"
)

func withCodes(c *tenant.Config) {
	c.Authenticators.Primary = []string{"primary_password", "primary_oob_otp_email"}
}

// An app signs up, verifies, asks who it is, and logs out.
func TestRegisterInApp(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", withCodes)
		c := h.app(x)
		f := c.begin("registration", "").stands("choose_method")
		if f.asks() != "traits.email password method=password method=code" || f.find("active") != nil {
			t.Fatal(f.raw)
		}
		label := f.node("traits.email")["meta"].(obj)["label"].(obj)
		if label["id"] != 1070002.0 || label["text"] != "E-Mail" || f.node("password")["attributes"].(obj)["autocomplete"] != "new-password" {
			t.Error(f.raw)
		}
		c.submit(f, obj{"traits": obj{"email": "ann@example.com"}, "password": ""}).is(400).stands("choose_method", 4010003)
		c.submit(f, obj{"method": "password", "traits": obj{"email": "ann@example.com"}}).is(400).tells("password", 4000002)
		c.submit(f, obj{"method": "password", "password": "correct horse"}).is(400).tells("traits.email", 4000002)
		c.submit(f, obj{"method": "password", "password": "correct horse", "traits": obj{"email": "ann"}}).is(400).tells("traits.email", 4000040)
		short := c.submit(f, obj{"method": "password", "password": "short", "traits": obj{"email": "ann@example.com"}}).is(400).tells("password", 4000032)
		if says := short.node("password")["messages"].([]any)[0].(obj); says["text"] != "The password must be at least 8 characters long, but got 5." || short.node("password")["attributes"].(obj)["value"] != nil ||
			short.node("traits.email")["attributes"].(obj)["value"] != "ann@example.com" {
			t.Error(short.raw)
		}
		a := c.submit(f, obj{"method": "password", "password": "correct horse", "traits": obj{"email": "ann@example.com"}}).is(200)
		if a.str("session_token") == "" || a.str("identity", "traits", "email") != "ann@example.com" || a.str("session", "identity", "id") != a.str("identity", "id") ||
			a.find("session", "active") != true || a.str("continue_with", 0, "action") != "set_ory_session_token" || a.str("continue_with", 1, "action") != "show_verification_ui" ||
			a.str("continue_with", 1, "flow", "verifiable_address") != "ann@example.com" || len(a.header.Values("Set-Cookie")) != 0 {
			t.Fatal(a.raw)
		}
		v := c.get("/self-service/verification/flows?id="+a.str("continue_with", 1, "flow", "id")).is(200).stands("sent_email", 1080003)
		c.submit(v, obj{"code": h.code(x, "ann@example.com")}).is(200).stands("passed_challenge", 1080002)

		c.post("/self-service/registration?flow="+f.str("id"), obj{"method": "password"}).refuses(410, "self_service_flow_replaced")
		again := c.begin("registration", "")
		c.submit(again, obj{"method": "password", "password": "correct horse", "traits": obj{"email": "ANN@example.com"}}).is(400).stands("choose_method", 4000007)

		c.get("/sessions/whoami").refuses(401, "session_inactive")
		c.token = a.str("session_token")
		for _, path := range []string{"/sessions/whoami", "/auth/sessions/whoami"} {
			w := c.get(path).is(200)
			address := w.find("identity", "verifiable_addresses", 0).(obj)
			if w.str("id") != a.str("session", "id") || w.str("authenticator_assurance_level") != "aal1" || w.str("authentication_methods", 0, "method") != "password" ||
				address["verified"] != true || address["status"] != "completed" || address["via"] != "email" || w.str("identity", "state") != "active" ||
				w.str("identity", "recovery_addresses", 0, "value") != "ann@example.com" || w.str("devices", 0, "ip_address") != "127.0.0.1" ||
				w.header.Get("X-Kratos-Authenticated-Identity-Id") != w.str("identity", "id") {
				t.Fatal(w.raw)
			}
		}
		bearer := h.app(x)
		if w := bearer.do("GET", "/sessions/whoami", nil, "Authorization", "Bearer "+c.token).is(200); w.str("id") != a.str("session", "id") {
			t.Error(w.raw)
		}
		c.get("/self-service/login/api").refuses(400, "session_already_available")
		c.get("/self-service/registration/api").refuses(400, "session_already_available")
		other := h.app(h.tenant("other"))
		other.token = c.token
		other.get("/sessions/whoami").refuses(401, "session_inactive")

		out := h.app(x)
		out.do("DELETE", "/self-service/logout/api", obj{"session_token": "nonsense"}).refuses(403, "")
		out.do("DELETE", "/self-service/logout/api", obj{"session_token": c.token}).is(204)
		out.do("DELETE", "/self-service/logout/api", obj{"session_token": c.token}).is(204)
		c.get("/sessions/whoami").refuses(401, "session_inactive")
	})
}

// A browser signs up by forms alone, goes on to the verification, and logs out.
func TestRegisterInBrowser(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		c := h.browser(x, false)
		f := c.begin("registration", "?return_to="+url.QueryEscape(h.origin("acme.localhost")+"/ui/welcome"))
		f = c.onPage(c.submit(f, obj{"method": "password", "password": "short", "traits.email": "ann@example.com"}), "registration").tells("password", 4000032)
		v := c.onPage(c.submit(f, obj{"method": "password", "password": "correct horse", "traits.email": "ann@example.com"}), "verification").stands("sent_email", 1080003)
		v = c.onPage(c.submit(v, obj{"code": h.code(x, "ann@example.com")}), "verification").stands("passed_challenge", 1080002)
		if v.str("ui", "action") != h.origin("acme.localhost")+"/ui/welcome" {
			t.Error(v.raw)
		}
		w := c.get("/sessions/whoami").is(200)
		if w.find("identity", "verifiable_addresses", 0, "verified") != true {
			t.Error(w.raw)
		}
		at, err := url.Parse(h.origin("acme.localhost"))
		must(t, err)
		kept := map[string]string{}
		for _, k := range c.http.Jar.Cookies(at) {
			kept[k.Name] = k.Value
		}
		if kept["ory_kratos_session"] == "" || kept["ory_kratos_session"] != kept["usher_session"] {
			t.Errorf("cookies: %v", kept)
		}
		// The flow API knows the session too.
		if s := c.get("/api/v1/session").is(200); s.str("session", "id") != w.str("id") {
			t.Error(s.raw)
		}
		// Whoever is signed in is sent on.
		if a := c.get("/self-service/registration/browser"); a.at.Path != "/ui/home" {
			t.Error(a.at)
		}
		out := c.get("/self-service/logout/browser").is(200)
		if !strings.HasPrefix(out.str("logout_url"), h.origin("acme.localhost")+"/self-service/logout?token=") || strings.Contains(out.raw, kept["ory_kratos_session"]) {
			t.Fatal(out.raw)
		}
		if a := c.get("/self-service/logout?token=" + strings.Repeat("x", 43)); a.at.Path != "/ui/error" {
			t.Error(a.at)
		}
		c.get("/sessions/whoami").is(200)
		if a := c.get(out.str("logout_url") + "&return_to=" + url.QueryEscape(h.origin("acme.localhost")+"/ui/welcome/x")); a.at.Path != "/ui/welcome/x" {
			t.Error(a.at)
		}
		c.get("/sessions/whoami").refuses(401, "session_inactive")
		// A flow of before isn't this browser's any more.
		c.get("/self-service/verification/flows?id="+v.str("id")).refuses(403, "security_csrf_violation")
	})
}

func TestRegisterWithVerificationFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", func(c *tenant.Config) { c.Verification.Email.Required = true })
		c := h.app(x)
		f := c.begin("registration", "")
		if f.asks() != "traits.email method=profile" {
			t.Fatal(f.asks())
		}
		f = c.submit(f, obj{"method": "profile", "traits": obj{"email": "ann@example.com"}}).is(400).stands("sent_email", 1040005)
		f = c.submit(f, obj{"method": "code", "code": "000000"}).is(400).stands("sent_email", 4040003)
		f = c.submit(f, obj{"method": "code", "code": h.code(x, "ann@example.com")}).is(400).stands("choose_method", 1040009)
		if f.asks() != "password method=password" {
			t.Fatal(f.asks())
		}
		a := c.submit(f, obj{"method": "password", "password": "correct horse"}).is(200)
		if len(a.list0("continue_with")) != 1 || a.find("identity", "verifiable_addresses", 0, "verified") != true {
			t.Error(a.raw)
		}
		closed := h.tenant("closed", func(c *tenant.Config) { c.Accounts.PublicSignup = false })
		h.app(closed).get("/self-service/registration/api").refuses(400, "self_service_flow_disabled")
	})
}

// Where a sign-up could turn into a login, these clients are told that the address
// is taken, and the flow goes on.
func TestRegisterTaken(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", withCodes, func(c *tenant.Config) {
			email := tenant.LinkingClaim{Pointer: "/email"}
			c.AccountLinking.LoginID = []tenant.LoginIDLinking{{Key: "email", UserProfile: email, Action: tenant.LoginAndLink}}
		})
		h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		f := c.begin("registration", "")
		for _, with := range []obj{{"method": "password", "password": "other horse"}, {"method": "profile"}, {"method": "code"}} {
			with["traits"] = obj{"email": "ann@example.com"}
			c.submit(f, with).is(400).stands("choose_method", 4000007)
			c.get("/self-service/registration/flows?id="+f.str("id")).is(200).stands("choose_method", 4000007)
		}
		c.submit(f, obj{"method": "password", "password": "other horse", "traits": obj{"email": "bob@example.com"}}).is(200)
	})
}

// A second factor that is required is set up in the flow, step by step; a passkey
// is not asked for where pages can't make one.
func TestRegisterWithSecondFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", func(c *tenant.Config) {
			c.Authenticators.SecondaryMode = tenant.SecondaryRequired
			c.Identifications.Enabled = []string{"email", "passkey"}
			c.Flows.SignupFlows = []tenant.Flow{{Name: "default", Steps: []tenant.Step{
				{Name: "who", Type: "identify", OneOf: []tenant.Branch{{Identification: "email"}}},
				{Type: "create_authenticator", OneOf: []tenant.Branch{{Authentication: "primary_password"}}},
				{Type: "create_authenticator", OneOf: []tenant.Branch{{Authentication: "secondary_totp"}}},
				{Type: "view_recovery_code"},
				{Type: "fill_user_profile", UserProfile: []tenant.ProfileField{{Pointer: "/name", Required: true}, {Pointer: "/x_team"}}},
				{Type: "prompt_create_passkey"},
			}}}
		})
		c := h.app(x)
		f := c.submit(c.begin("registration", ""), obj{"method": "password", "password": "correct horse", "traits": obj{"email": "ann@example.com"}}).is(400).stands("choose_method", 1040009)
		if f.asks() != "method=totp" {
			t.Fatal(f.raw)
		}
		f = c.submit(f, obj{"method": "totp"}).is(400).stands("choose_method")
		secret := f.node("totp_secret_key")["attributes"].(obj)["text"].(obj)["context"].(obj)["secret"].(string)
		f = c.submit(f, obj{"method": "totp", "totp_code": totp(secret, h.now())}).is(400)
		if f.asks() != "lookup_secret_codes lookup_secret_confirm=true" {
			t.Fatal(f.raw)
		}
		f = c.submit(f, obj{"method": "lookup_secret", "lookup_secret_confirm": "true"}).is(400)
		if f.asks() != "traits.name traits.x_team method=profile" || f.node("traits.x_team")["meta"].(obj)["label"].(obj)["text"] != "Team" {
			t.Fatal(f.raw)
		}
		c.submit(f, obj{"method": "profile", "traits": obj{"x_team": "red"}}).is(400).tells("traits.name", 4000002)
		a := c.submit(f, obj{"method": "profile", "traits": obj{"name": "Ann", "x_team": obj{"id": 7}}}).is(200)
		if a.str("identity", "traits", "name") != "Ann" || a.find("identity", "traits", "x_team", "id") != 7.0 || a.str("session", "authenticator_assurance_level") != "aal2" {
			t.Error(a.raw)
		}
	})
}

// A page on an origin that the tenant lists may call; another may not.
func TestCrossOrigin(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", func(c *tenant.Config) { c.Web.AllowedOrigins = []string{"http://app.acme.localhost:3000"} })
		c := h.browser(x, true)
		ask := []string{"Access-Control-Request-Method", "DELETE", "Access-Control-Request-Headers", "x-session-token", "Origin"}
		a := c.do(http.MethodOptions, "/sessions", nil, append(ask, "http://app.acme.localhost:3000")...).is(204)
		if !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "DELETE") || !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "X-Session-Token") ||
			a.header.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%v", a.header)
		}
		c.do(http.MethodOptions, "/sessions", nil, append(ask, "https://evil.example")...).is(403)
		if a := c.do(http.MethodGet, "/self-service/login/browser", nil, "Origin", "http://app.acme.localhost:3000").is(200); a.header.Get("Access-Control-Allow-Origin") != "http://app.acme.localhost:3000" {
			t.Errorf("%v", a.header)
		}
	})
}

func TestLogin(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", withCodes)
		u := h.user(x, "ann@example.com", "correct horse", func(u *tenant.UserRecord) { u.Identities[0].VerifiedAt = h.now() })
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
		h.wait(2 * time.Second)
		f = c.submit(f, obj{"method": "code", "identifier": "ann@example.com"}).is(400).stands("sent_email", 1010014)
		a = c.submit(f, obj{"code": h.code(x, "ann@example.com")}).is(200)
		if a.str("session", "authentication_methods", 0, "method") != "code" {
			t.Error(a.raw)
		}

		// Browsers, by scripts and by forms.
		s := h.browser(x, true)
		f = s.begin("login", "?return_to="+url.QueryEscape(h.origin("acme.localhost")+"/ui/welcome"))
		a = s.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(200)
		if a.find("session_token") != nil || a.str("continue_with", 0, "redirect_browser_to") != h.origin("acme.localhost")+"/ui/welcome" {
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
		h.wait(time.Minute)
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
		h.change(x, func(tx tenant.Tx) error {
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
			h.wait(2 * time.Second)
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
				if to != h.origin("acme.localhost")+"/ui/settings?flow="+id {
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
			h.wait(2 * time.Second)
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

func TestSettings(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		h.user(x, "bob@example.com", "correct horse")
		signIn := func(c *client, who string) *client {
			a := c.submit(c.begin("login", ""), obj{"method": "password", "identifier": who, "password": "correct horse"}).is(200)
			if c.http.Jar == nil {
				c.token = a.str("session_token")
			}
			return c
		}
		h.app(x).get("/self-service/settings/api").refuses(401, "session_inactive")
		if a := h.browser(x, false).get("/self-service/settings/browser"); a.at.Path != "/ui/login" {
			t.Error(a.at)
		}
		c := signIn(h.app(x), "ann@example.com")
		f := c.begin("settings", "").stands("show_form")
		if f.str("identity", "traits", "email") != "ann@example.com" || !strings.Contains(f.asks(), "traits.name") || !strings.Contains(f.asks(), "password method=password") ||
			!strings.Contains(f.asks(), "totp_qr totp_secret_key totp_code method=totp") || !strings.HasPrefix(f.node("totp_qr")["attributes"].(obj)["src"].(string), "data:image/png;base64,") {
			t.Fatal(f.raw)
		}
		c.submit(f, obj{}).is(400).stands("show_form", 4010004)
		saved := c.submit(f, obj{"method": "profile", "traits": obj{"name": "Ann", "email": "ann@example.com"}}).is(200).stands("success", 1050001)
		if saved.str("identity", "traits", "name") != "Ann" || saved.node("traits.name")["attributes"].(obj)["value"] != "Ann" {
			t.Fatal(saved.raw)
		}
		// The old id leads to the flow that goes on.
		if g := c.get("/self-service/settings/flows?id=" + f.str("id")).is(200); g.str("id") != saved.str("id") {
			t.Error(g.raw)
		}
		bob := signIn(h.app(x), "bob@example.com")
		bob.get("/self-service/settings/flows?id="+saved.str("id")).refuses(403, "security_identity_mismatch")
		bob.post("/self-service/settings?flow="+saved.str("id"), obj{"method": "profile", "traits": obj{"name": "Bob"}}).refuses(403, "security_identity_mismatch")
		nobody := h.app(x)
		nobody.get("/self-service/settings/flows?id="+saved.str("id")).refuses(401, "session_inactive")

		// A second factor: set up, asked for at the next login, removed.
		secret := saved.node("totp_secret_key")["attributes"].(obj)["text"].(obj)["context"].(obj)["secret"].(string)
		c.submit(saved, obj{"method": "totp", "totp_code": "000000"}).is(400).tells("totp_code", 4000008)
		g := c.submit(saved, obj{"method": "totp", "totp_code": totp(secret, h.now())}).is(200).stands("success", 1050001)
		if !strings.Contains(g.asks(), "totp_unlink=true") || !strings.Contains(g.asks(), "lookup_secret_regenerate=true") {
			t.Fatal(g.asks())
		}
		codes := c.submit(g, obj{"method": "lookup_secret", "lookup_secret_regenerate": true}).is(200).stands("show_form")
		if codes.asks() != "lookup_secret_codes lookup_secret_confirm=true" {
			t.Fatal(codes.raw)
		}
		list := codes.node("lookup_secret_codes")["attributes"].(obj)["text"].(obj)["context"].(obj)["secrets"].([]any)
		g = c.submit(codes, obj{"method": "lookup_secret", "lookup_secret_confirm": true}).is(200).stands("success", 1050001)
		if !strings.Contains(g.asks(), "lookup_secret_disable=true") || len(list) != 16 {
			t.Fatal(g.asks())
		}
		h.wait(time.Minute)
		d := h.app(x)
		two := d.submit(d.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(400).stands("choose_method", 1010004)
		if two.str("requested_aal") != "aal2" || two.asks() != "totp_code method=totp lookup_secret method=lookup_secret" {
			t.Fatal(two.raw)
		}
		d.submit(two, obj{"method": "totp", "totp_code": "000000"}).is(400).tells("totp_code", 4000008)
		d.submit(two, obj{"method": "lookup_secret", "lookup_secret": "nonsense"}).is(400).tells("lookup_secret", 4000016)
		a := d.submit(two, obj{"method": "totp", "totp_code": totp(secret, h.now())}).is(200)
		if a.str("session", "authenticator_assurance_level") != "aal2" || a.str("session", "authentication_methods", 1, "method") != "totp" {
			t.Error(a.raw)
		}
		two = d.submit(d.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(400)
		a = d.submit(two, obj{"method": "lookup_secret", "lookup_secret": list[0]}).is(200)
		d.token = a.str("session_token")
		// The session of before has one factor; the second can be added to it.
		h.wait(time.Minute)
		up := c.begin("login", "?aal=aal2").stands("choose_method")
		if up.str("requested_aal") != "aal2" || up.asks() != "totp_code method=totp" {
			t.Fatal(up.raw)
		}
		a = c.submit(up, obj{"method": "totp", "totp_code": totp(secret, h.now())}).is(200)
		if a.str("session", "authenticator_assurance_level") != "aal2" || a.str("session_token") != c.token {
			t.Error(a.raw)
		}

		// A session that was left alone is asked again; then it is changed.
		h.wait(20 * time.Minute)
		b := h.browser(x, false)
		two = b.onPage(b.submit(b.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}), "login").stands("choose_method", 1010004)
		b.submit(two, obj{"method": "totp", "totp_code": totp(secret, h.now())}).is(200)
		h.wait(20 * time.Minute)
		f = b.begin("settings", "").stands("show_form")
		login := b.onPage(b.submit(f, obj{"method": "password", "password": "other horse"}), "login").stands("choose_method", 1010003)
		back := b.submit(login, obj{"method": "password", "password": "correct horse"})
		f = b.onPage(back, "settings").stands("show_form")
		f = b.onPage(b.submit(f, obj{"method": "password", "password": "other horse"}), "settings").stands("success", 1050001)
		c.get("/sessions/whoami").refuses(401, "session_inactive") // which ends the others
		b.onPage(b.submit(f, obj{"totp_unlink": "true"}), "settings").stands("success", 1050001)
		scripted := h.browser(x, true)
		scripted.http.Jar = b.http.Jar
		h.wait(20 * time.Minute)
		f = scripted.begin("settings", "")
		r := scripted.submit(f, obj{"method": "password", "password": "newer horse"}).refuses(403, "session_refresh_required")
		if !strings.HasPrefix(r.str("redirect_browser_to"), h.origin("acme.localhost")+"/self-service/login/browser?refresh=true&return_to=") {
			t.Error(r.raw)
		}
	})
}

// Settings that were saved lead on, but not without end.
func TestSettingsLeadOn(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		c.token = c.submit(c.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(200).str("session_token")
		first := c.begin("settings", "").str("id")
		read := func(id string) answer { t.Helper(); return c.get("/self-service/settings/flows?id=" + id) }
		for i := range 10 {
			f := read(first)
			if i == 9 {
				f = read(f.refuses(410, "self_service_flow_replaced").str("use_flow_id"))
			}
			c.submit(f.is(200), obj{"method": "profile", "traits": obj{"name": fmt.Sprint("Ann ", i)}}).is(200).stands("success", 1050001)
		}
	})
}

// totp is RFC 6238, as an authenticator app computes it.
func totp(secret string, at time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return ""
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/30))
	mac := hmac.New(sha1.New, key)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	o := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[o:])&0x7fffffff%1_000_000)
}

func TestSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		h.user(x, "bob@example.com", "correct horse")
		in := func(who string) (*client, string) {
			c := h.app(x)
			a := c.submit(c.begin("login", ""), obj{"method": "password", "identifier": who, "password": "correct horse"}).is(200)
			c.token = a.str("session_token")
			return c, a.str("session", "id")
		}
		one, oneID := in("ann@example.com")
		two, twoID := in("ann@example.com")
		three, _ := in("ann@example.com")
		bob, bobID := in("bob@example.com")
		list := one.get("/sessions").is(200)
		if len(list.list) != 2 || list.str(1, "id") != twoID || list.find(0, "identity") != nil {
			t.Fatal(list.raw)
		}
		one.do("DELETE", "/sessions/"+oneID, nil).refuses(400, "")
		one.do("DELETE", "/sessions/"+bobID, nil).refuses(404, "")
		one.do("DELETE", "/sessions/"+twoID, nil).is(204)
		two.get("/sessions/whoami").refuses(401, "session_inactive")
		if a := one.do("DELETE", "/sessions", nil).is(200); a.find("count") != 1.0 {
			t.Error(a.raw)
		}
		three.get("/sessions/whoami").refuses(401, "session_inactive")
		if a := one.do("DELETE", "/auth/sessions", nil).is(200); a.find("count") != 0.0 {
			t.Error(a.raw)
		}
		one.get("/sessions/whoami").is(200)
		bob.get("/sessions/whoami").is(200)
		nobody := h.app(x)
		nobody.get("/sessions").refuses(401, "session_inactive")
		nobody.do("DELETE", "/sessions", nil).refuses(401, "session_inactive")
		// A page elsewhere can't use a browser's cookie.
		nobody.do("DELETE", "/sessions", nil, "Cookie", "ory_kratos_session="+one.token, "Origin", "https://evil.example").refuses(403, "security_csrf_violation")
		nobody.do("GET", "/sessions/whoami", nil, "Cookie", "ory_kratos_session="+one.token).is(200)
		// Nor can another host of the domain put its session before the browser's own.
		if a := nobody.do("GET", "/sessions/whoami", nil, "Cookie", "ory_kratos_session="+bob.token+"; usher_session="+one.token).is(200); a.str("id") != oneID {
			t.Error(a.raw)
		}
	})
}

// Secrets are in no answer that isn't theirs, nor in what is kept of a flow.
func TestNothingSecretIsKept(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		f := c.begin("login", "")
		a := c.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "wrong-horse-1"}).is(400)
		g := c.get("/self-service/login/flows?id=" + f.str("id"))
		if strings.Contains(a.raw+g.raw, "wrong-horse-1") {
			t.Error(a.raw)
		}
		id, err := flowengine.RunOfHeld(x, f.str("id"))
		must(t, err)
		run, err := h.store.Run(context.Background(), x.ID, id)
		must(t, err)
		raw, err := json.Marshal(run)
		must(t, err)
		if bytes.Contains(raw, []byte("ann@example.com")) || run.SurfaceData == "" {
			t.Errorf("what is kept isn't sealed: %s", raw)
		}
		if run.Surface != "selfservice" || run.Status != tenant.RunNew {
			t.Errorf("the record says %s", raw)
		}
		if n := h.requests("/self-service/login"); n != 1 {
			t.Errorf("%v requests were counted", n)
		}
	})
}

// requests counts what the metrics say was asked of a route.
func (h *house) requests(route string) (n float64) {
	families, err := h.registry.Gather()
	must(h.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "usher_http_requests_total" && labels["surface"] == "selfservice" && labels["route"] == route && labels["method"] == http.MethodPost {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
