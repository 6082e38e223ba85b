package flow

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// users are the people of the fuzzed worlds.
const users = `{"Directory":{"office":[{"Username":"e","Password":"pw","ID":"e"},{"Username":"f","Password":"pw","ID":"f"}]},"Signed":"u2","Proof":"pwd","Others":true,"Users":[
 {"ID":"u9","Anonymous":true},
 {"ID":"u1","Claims":[{"kind":"email","value":"a@b.c"},{"kind":"phone","value":"+85298765432"},{"kind":"username","value":"ab"}],"Authenticators":[{"id":"a1","type":"primary_password","secret":"h:12345678"}]},
 {"ID":"u2","Claims":[{"kind":"email","value":"b@b.c"}],"Authenticators":[{"id":"a2","type":"primary_password","secret":"old:pw"}]},
 {"ID":"u5","Claims":[{"kind":"ldap","value":"office:uid:ZQ"}]},
 {"ID":"u3","Claims":[{"kind":"email","value":"c@b.c"}]},
 {"ID":"u4","Claims":[{"kind":"email","value":"d@b.c"},{"kind":"passkey","value":"AAAA"}],"Authenticators":[{"id":"a4","type":"primary_passkey","secret":"{\"id\":\"AAAA\",\"public_key\":\"AA==\"}"}]}]}`

// FuzzStep feeds a program whatever comes, one input a line, an empty line
// going back to the first state. No input panics, a refused one moves nothing,
// and no session opens unless a password matched or a user was made.
func FuzzStep(f *testing.F) {
	f.Add("login", `{"identification":"email","login_id":"a@b.c","authentication":"primary_password","password":"12345678"}`)
	f.Add("login", "{\"identification\":\"email\",\"login_id\":\"b@b.c\"}\n{\"authentication\":\"primary_password\",\"index\":0,\"password\":\"pw\"}")
	f.Add("login", "{\"identification\":\"email\",\"login_id\":\"c@b.c\"}\n{\"authentication\":\"primary_password\",\"password\":\"\"}")
	f.Add("signup", "{\"identification\":\"username\",\"login_id\":\"new\"}\n\n{\"identification\":\"phone\",\"login_id\":\"+85298765433\"}\n{\"authentication\":\"primary_password\",\"new_password\":\"abcdefghi\"}")
	f.Add("signup_login", `{"identification":"email","login_id":"x@b.c","authentication":"primary_password","new_password":"abcdefghi"}`)
	f.Add("login", `{"identification":"select_account"}`)
	f.Add("signup", `{"identification":"anonymous"}`)
	f.Add("login", `{"identification":"ldap","server_name":"office","username":"e","password":"pw"}`)
	f.Add("signup_login", `{"identification":"ldap","server_name":"office","username":"f","password":"pw"}`)
	f.Add("promote", `{"identification":"email","login_id":"new@b.c","authentication":"primary_password","new_password":"abcdefghi"}`)
	f.Add("promote", `{"identification":"anonymous"}`)
	f.Add("reauth", `{"authentication":"primary_password","password":"pw"}`)
	f.Add("account_recovery", "{\"identification\":\"email\",\"login_id\":\"a@b.c\",\"bot_protection\":{\"type\":\"cloudflare\",\"response\":\"human\"}}\n{\"index\":0}\n{\"account_recovery_code\":\"1\",\"new_password\":\"abcdefghi\"}")
	f.Add("verification", "{\"identification\":\"email\",\"login_id\":\"a@b.c\"}\n{\"code\":\"1\"}")
	f.Add("settings", `{"setting":"password","new_password":"abcdefghi"}`)
	f.Add("settings", "{\"setting\":\"recovery_codes\"}\n{\"confirm_recovery_code\":true}\n\n{\"setting\":\"totp\",\"remove\":true}")
	f.Add("signup_login", `[null,{"identification":{}},1e999]`)
	cfg := tenant.DefaultConfig()
	cfg.Identifications.Enabled = []string{idEmail, idPhone, idUsername, idOAuth, idLDAP, idAnonymous, idSelectAccount}
	cfg.LDAP.Servers = []tenant.LDAPServer{{Name: "office", UserIDAttributeName: "uid"}}
	cfg.BotProtection.Enabled, cfg.BotProtection.Provider.SiteKey = true, "site"
	cfg.BotProtection.Requirements.AccountRecovery.Mode = tenant.BotAlways
	cfg.OAuthProviders = []tenant.OAuthProvider{{Alias: "google", Type: "google"}}
	p, problems := Compile(cfg)
	if problems != nil {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, typ, script string) {
		walkAll(t, p, tenant.FlowRef{Type: tenant.FlowType(typ), Name: tenant.DefaultFlow}, script)
	})
}

// FuzzCompile compiles whatever can be read as flows. What compiles is walked,
// and keeps the same promise as the default flows.
func FuzzCompile(f *testing.F) {
	script := "{\"identification\":\"email\",\"login_id\":\"a@b.c\"}\n{\"authentication\":\"primary_password\",\"password\":\"12345678\",\"new_password\":\"abcdefghi\"}\n{\"identification\":\"phone\",\"login_id\":\"+85298765432\"}"
	f.Add(`{"login_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"email"}]},{"type":"authenticate","one_of":[{"authentication":"primary_password"}]}]}]}`, script)
	f.Add(`{"signup_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"phone","steps":[{"type":"identify","one_of":[{"identification":"email"}]}]}]},{"type":"create_authenticator","one_of":[{"authentication":"primary_password"}]}]}]}`, script)
	f.Add(`{"login_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"email"},{"identification":"oauth"}]},{"optional":true,"type":"authenticate","one_of":[{"authentication":"primary_password"}]}]}]}`, script)
	f.Add(`{"signup_login_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"email","login_flow":"default","signup_flow":"default"}]}]}]}`, script)
	f.Add(`{"login_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"passkey"}]},{"type":"prompt_create_passkey"}]}]}`,
		"{\"identification\":\"passkey\",\"assertion_response\":{\"id\":\"AAAA\",\"challenge\":\"challenge1\",\"count\":1}}\n{\"skip\":true}")
	f.Add(`{"login_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"select_account"},{"identification":"email","steps":[{"type":"authenticate","one_of":[{"authentication":"primary_password"}]}]}]},{"type":"terminate_other_sessions"}]}]}`,
		"{\"identification\":\"select_account\",\"terminate_other_sessions\":true}\n\n{\"identification\":\"email\",\"login_id\":\"a@b.c\",\"authentication\":\"primary_password\",\"password\":\"12345678\"}\n{\"terminate_other_sessions\":true}")
	f.Add(`{"signup_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"email","account_linking":{"login_id":[{"name":"email","action":"login_and_link"}]}}]},{"type":"create_authenticator","one_of":[{"authentication":"primary_password"}]}]}]}`,
		"{\"identification\":\"email\",\"login_id\":\"a@b.c\"}\n{\"index\":0}\n{\"authentication\":\"primary_password\",\"password\":\"12345678\"}")
	f.Add(`{"reauth_flows":[{"name":"default","steps":[{"type":"authenticate","one_of":[{"authentication":"primary_password"}]},{"type":"recovery_code"}]}]}`, "{\"authentication\":\"primary_password\",\"password\":\"pw\",\"confirm_recovery_code\":true}")
	f.Add(`{"signup_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"anonymous"}]},{"type":"identify","one_of":[{"identification":"email"}]}]}],"promote_flows":[{"name":"default","steps":[{"type":"identify","one_of":[{"identification":"email"}]},{"type":"create_authenticator","one_of":[{"authentication":"primary_oob_otp_email","verification_required":false}]}]}]}`,
		"{\"identification\":\"anonymous\"}\n\n{\"identification\":\"email\",\"login_id\":\"new@b.c\",\"authentication\":\"primary_oob_otp_email\"}")
	f.Fuzz(func(t *testing.T, flows, script string) {
		cfg := tenant.DefaultConfig()
		if json.Unmarshal([]byte(flows), &cfg.Flows) != nil {
			return
		}
		p, problems := Compile(cfg)
		if (p == nil) == (problems == nil) {
			t.Fatal("a program and problems exclude each other")
		}
		if p == nil {
			return
		}
		for _, ref := range p.Flows() {
			walkAll(t, p, ref, script)
		}
	})
}

func walkAll(t *testing.T, p *Program, ref tenant.FlowRef, script string) {
	w := &world{limit: 1 << 30}
	if err := json.Unmarshal([]byte(users), w); err != nil {
		t.Fatal(err)
	}
	if ref.Type == tenant.Promote {
		w.Signed = "u9"
	}
	r, err := p.Start(w, ref, w.Signed)
	if err != nil {
		return
	}
	first := r.State
	state := first
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			state = first
			continue
		}
		before := state.clone()
		w.proved = nil // a proof counts within the walk it was made in: see below
		r, err := p.Step(w, state, Input(line))
		if !reflect.DeepEqual(before, state.clone()) {
			t.Fatal("the state that was given has changed")
		}
		if err != nil {
			continue
		}
		w.apply(r.Effects)
		for _, e := range r.Effects {
			switch e := e.(type) {
			case Open:
				if !ref.Type.SignsIn() {
					t.Fatalf("a %s flow opens a session", ref.Type)
				}
				create, _ := r.Effects[0].(Create)
				made := create.NewUser || create.Promotes
				// A login that ends has its proof in the state or in this input.
				if !made && (len(w.proved) == 0 && len(before.AMR) == 0 || len(e.AMR) == 0) || e.User == "" {
					t.Fatalf("a session for %q without a proof", e.User)
				}
			case Resume:
				if e.Session != w.Session().ID || r.State.User != w.Signed {
					t.Fatalf("%q goes on with the session %q", r.State.User, e.Session)
				}
			}
		}
		if r.State.Done != (r.Action.Type == Finished) {
			t.Fatal("done and finished are one")
		}
		state = r.State
	}
}
