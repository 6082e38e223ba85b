package tenant_test

import (
	"fmt"
	"testing"

	"github.com/usher-id/usher/tenant"
)

func TestCheckConfig(t *testing.T) {
	if problems := tenant.CheckConfig(tenant.DefaultConfig()); problems != nil {
		t.Errorf("the default has problems: %v", problems)
	}
	for _, c := range []struct {
		name   string
		change func(*tenant.Config)
		want   string // pointer and reason of each problem
	}{
		{"oauth without providers", func(c *tenant.Config) { c.Identifications.Enabled = []string{"email", "oauth"} }, "[/identifications/enabled/1 NoProvider]"},
		{"two providers of one alias", func(c *tenant.Config) {
			c.OAuthProviders = []tenant.OAuthProvider{{Alias: "a", Type: "google"}, {Alias: "b", Type: "google"}, {Alias: "a", Type: "github"}}
		}, "[/oauth_providers/2/alias Duplicate]"},
		{"app_type", func(c *tenant.Config) {
			c.OAuthProviders = []tenant.OAuthProvider{{Alias: "a", Type: "google", AppType: "web"}, {Alias: "b", Type: "wechat", AppType: "web"}}
		}, "[/oauth_providers/0/app_type NotAllowed]"},
		{"account linking", func(c *tenant.Config) {
			c.OAuthProviders = []tenant.OAuthProvider{{Alias: "a", Type: "google"}}
			email, phone := tenant.LinkingClaim{Pointer: "/email"}, tenant.LinkingClaim{Pointer: "/phone_number"}
			c.AccountLinking = tenant.AccountLinking{
				OAuth:   []tenant.OAuthLinking{{Alias: "a", OAuthClaim: email, UserProfile: email}, {Alias: "a", Name: "b", OAuthClaim: email, UserProfile: phone}, {Alias: "b", OAuthClaim: email, UserProfile: email}},
				LoginID: []tenant.LoginIDLinking{{Key: "email", UserProfile: email}, {Key: "phone", Name: "email", UserProfile: email}, {Key: "email", Name: "other", UserProfile: email}},
			}
		}, "[/account_linking/login_id/1 Duplicate /account_linking/login_id/1/user_profile/pointer NeverMatches /account_linking/login_id/2/key Duplicate " +
			"/account_linking/oauth/1/alias Duplicate /account_linking/oauth/1/user_profile/pointer NeverMatches /account_linking/oauth/2 Duplicate /account_linking/oauth/2/alias UnknownProvider]"},
		{"keyword", func(c *tenant.Config) { c.PasswordPolicy.ExcludedKeywords = []string{"x", " "} }, "[/password_policy/excluded_keywords/1 Empty]"},
		{"flow lifetimes", func(c *tenant.Config) { c.Flows.MaxLifetimeSeconds = 60 }, "[/flows/max_lifetime_seconds OutOfOrder]"},
		{"lockout", func(c *tenant.Config) { c.Lockout.MinimumSeconds, c.Lockout.MaximumSeconds = 61, 60 }, "[/lockout/minimum_seconds OutOfOrder]"},
		{"session lifetimes", func(c *tenant.Config) { c.Sessions.LifetimeSeconds = 60 }, "[/sessions/idle_timeout_seconds OutOfOrder]"},
		{"presentation", func(c *tenant.Config) {
			c.Flows.Presentation = []tenant.FlowPresentation{{Flow: "login/default"}, {Flow: "signup/default"}, {Flow: "login/default"}, {Flow: "logout/default"}}
		}, "[/flows/presentation/2/flow Duplicate /flows/presentation/3/flow UnknownFlowType]"},
		{"origins", func(c *tenant.Config) {
			c.Web.AllowedOrigins = []string{"https://app.example.com", "http://localhost:3000", "https://[::1]:8443",
				"app.example.com", "https://app.example.com/", "https://app.example.com:443", "http://x:80", "https://App.example.com", "https://u@app.example.com",
				"https://app.example.com?x", "https://app.example.com#x", "*", "https://*.example.com", "null", "", "ftp://x", "https://x:", "https://"}
		}, "[/web/allowed_origins/3 WrongForm /web/allowed_origins/4 WrongForm /web/allowed_origins/5 WrongForm /web/allowed_origins/6 WrongForm /web/allowed_origins/7 WrongForm /web/allowed_origins/8 WrongForm /web/allowed_origins/9 WrongForm /web/allowed_origins/10 WrongForm /web/allowed_origins/11 WrongForm /web/allowed_origins/12 WrongForm /web/allowed_origins/13 WrongForm /web/allowed_origins/14 WrongForm /web/allowed_origins/15 WrongForm /web/allowed_origins/16 WrongForm /web/allowed_origins/17 WrongForm]"},
		{"hooks", func(c *tenant.Config) {
			asked, told := []tenant.HookEventType{tenant.HookPreCreate}, []tenant.HookEventType{tenant.HookUserCreated}
			c.Hooks.Endpoints = []tenant.HookEndpoint{
				{Name: "a", URL: "https://a.example.com/x?y=1", Events: told},
				{Name: "a", URL: "http://127.0.0.1:4000/", Events: asked, Blocking: true, OnFailure: tenant.HookAllow},
				{Name: "b", URL: "ftp://a.example.com", Events: append(told, asked...), OnFailure: tenant.HookDeny},
				{Name: "c", URL: "https://user@a.example.com", Events: append(asked, told...), Blocking: true},
			}
		}, "[/hooks/endpoints/1/name Duplicate /hooks/endpoints/2/url WrongForm /hooks/endpoints/2/events/1 NotAllowed /hooks/endpoints/2/on_failure NotAllowed " +
			"/hooks/endpoints/3/url WrongForm /hooks/endpoints/3/events/1 NotAllowed]"},
		{"ldap without servers", func(c *tenant.Config) { c.Identifications.Enabled = []string{"email", "ldap"} }, "[/identifications/enabled/1 NoServer]"},
		{"ldap servers", func(c *tenant.Config) {
			good := tenant.LDAPServer{Name: "a", URL: "ldaps://[::1]:636", UserIDAttributeName: "entryUUID"}
			for _, change := range []func(*tenant.LDAPServer){
				func(s *tenant.LDAPServer) { s.StartTLS = tenant.StartTLSRequired },
				func(s *tenant.LDAPServer) { s.Name, s.URL, s.StartTLS = "b", "ldap://x", tenant.StartTLSOff },
				func(s *tenant.LDAPServer) { s.Name, s.URL = "c", "ldap://x/dc=example" },
				func(s *tenant.LDAPServer) { s.Name, s.URL = "d", "https://x" },
				func(s *tenant.LDAPServer) { s.Name, s.UserIDAttributeName = "e", "objectGUID;binary" },
				func(s *tenant.LDAPServer) { s.Name, s.UserIDAttributeName = "f", "2.5.4.3" },
				func(s *tenant.LDAPServer) { s.Name, s.UserIDAttributeName = "g", "uid)(x=*" },
			} {
				s := good
				change(&s)
				c.LDAP.Servers = append(c.LDAP.Servers, s)
			}
			c.LDAP.Servers[1].Name = "a"
		}, "[/ldap/servers/0/start_tls NotAllowed /ldap/servers/1/name Duplicate /ldap/servers/2/url WrongForm /ldap/servers/3/url WrongForm /ldap/servers/6/user_id_attribute_name WrongForm]"},
		{"bot protection", func(c *tenant.Config) {
			c.BotProtection.Enabled, c.BotProtection.VerifyURL = true, "x"
			c.BotProtection.Hostnames = []string{"login.example.com", "Login.example.com", "https://x", "a:80", ""}
		}, "[/bot_protection/provider/site_key Required /bot_protection/verify_url WrongForm /bot_protection/hostnames/1 WrongForm /bot_protection/hostnames/2 WrongForm /bot_protection/hostnames/3 WrongForm /bot_protection/hostnames/4 WrongForm]"},
		{"everything at once", func(c *tenant.Config) {
			c.Flows.MaxLifetimeSeconds, c.Sessions.LifetimeSeconds, c.Web.AllowedOrigins = 60, 60, []string{"*"}
		}, "[/flows/max_lifetime_seconds OutOfOrder /sessions/idle_timeout_seconds OutOfOrder /web/allowed_origins/0 WrongForm]"},
	} {
		cfg := tenant.DefaultConfig()
		c.change(cfg)
		var got []string
		for _, p := range tenant.CheckConfig(cfg) {
			got = append(got, p.Pointer+" "+p.Reason)
			if p.Message == "" {
				t.Errorf("%s: no words", c.name)
			}
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, got, c.want)
		}
	}
}
