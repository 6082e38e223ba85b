package selfservice_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

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
		f := c.begin("registration", "?return_to="+url.QueryEscape(h.Origin("acme.localhost")+"/ui/welcome"))
		f = c.onPage(c.submit(f, obj{"method": "password", "password": "short", "traits.email": "ann@example.com"}), "registration").tells("password", 4000032)
		v := c.onPage(c.submit(f, obj{"method": "password", "password": "correct horse", "traits.email": "ann@example.com"}), "verification").stands("sent_email", 1080003)
		v = c.onPage(c.submit(v, obj{"code": h.code(x, "ann@example.com")}), "verification").stands("passed_challenge", 1080002)
		if v.str("ui", "action") != h.Origin("acme.localhost")+"/ui/welcome" {
			t.Error(v.raw)
		}
		w := c.get("/sessions/whoami").is(200)
		if w.find("identity", "verifiable_addresses", 0, "verified") != true {
			t.Error(w.raw)
		}
		at, err := url.Parse(h.Origin("acme.localhost"))
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
		if !strings.HasPrefix(out.str("logout_url"), h.Origin("acme.localhost")+"/self-service/logout?token=") || strings.Contains(out.raw, kept["ory_kratos_session"]) {
			t.Fatal(out.raw)
		}
		if a := c.get("/self-service/logout?token=" + strings.Repeat("x", 43)); a.at.Path != "/ui/error" {
			t.Error(a.at)
		}
		c.get("/sessions/whoami").is(200)
		if a := c.get(out.str("logout_url") + "&return_to=" + url.QueryEscape(h.Origin("acme.localhost")+"/ui/welcome/x")); a.at.Path != "/ui/welcome/x" {
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
		f = c.submit(f, obj{"method": "totp", "totp_code": totp(secret, h.Now())}).is(400)
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
