package flowinstances

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

func catalogOf(t *testing.T, id string, change ...func(*tenant.Config)) *catalog {
	t.Helper()
	cfg := tenant.DefaultConfig()
	for _, c := range change {
		c(cfg)
	}
	p, problems := flow.Compile(cfg)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return newCatalog(&tenant.Tenant{ID: id}, p).bound()
}

const (
	one   = "01920000-0000-7000-8000-000000000001"
	other = "01920000-0000-7000-8000-000000000002"
)

// A flow type or step type that is new has to have its place in this API.
func TestEverythingHasItsPlace(t *testing.T) {
	for _, ft := range tenant.FlowTypes {
		if shown := types[ft]; !slices.Contains(designations, shown.designation) || shown.title == "" {
			t.Errorf("flow type %s: %+v", ft, shown)
		}
	}
	for _, st := range flow.StepTypes() {
		if stepKinds[st] == nil {
			t.Errorf("step type %s has no stage", st)
		}
	}
	if len(stepKinds) != len(flow.StepTypes()) {
		t.Errorf("%d stages for %d step types", len(stepKinds), len(flow.StepTypes()))
	}
	for _, m := range flow.Methods() {
		if strings.HasPrefix(m, "primary_") || strings.HasPrefix(m, "secondary_") || m == "recovery_code" {
			if deviceClasses[m] == "" && !isPassword(m) {
				t.Errorf("method %s is no device", m)
			}
		}
	}
}

func TestKeysAndSlugs(t *testing.T) {
	dotted := func(cfg *tenant.Config) {
		flows := tenant.Flow{Steps: []tenant.Step{{Type: "identify", OneOf: []tenant.Branch{{Identification: "email"}}}, {Type: "authenticate", OneOf: []tenant.Branch{{Authentication: "primary_password"}}}}}
		for _, name := range []string{"staff", "v1.2", strings.Repeat("long", 16)} {
			flows.Name = name
			cfg.Flows.LoginFlows = append(cfg.Flows.LoginFlows, flows)
		}
	}
	a, b := catalogOf(t, one, dotted), catalogOf(t, other, dotted)
	uuidForm := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	unique := func(key string) {
		if seen[key] {
			t.Errorf("%s names two things", key)
		}
		seen[key] = true
	}
	for n, i := range a.instances {
		if !slugForm.MatchString(i.slug) || !uuidForm.MatchString(i.pk) {
			t.Errorf("%v: slug %q, key %q", i.ref, i.slug, i.pk)
		}
		unique(i.slug)
		unique(i.pk)
		if twin := b.instances[n]; twin.ref != i.ref || twin.pk == i.pk {
			t.Errorf("%v has the key of another tenant's", i.ref)
		}
		if found, err := a.instance(i.slug); err != nil || found != i {
			t.Errorf("%s isn't found: %v", i.slug, err)
		}
		for _, place := range i.bindings {
			unique(place.pk)
		}
	}
	for _, s := range a.stages {
		unique(s.pk)
		unique(s.name)
	}
	if again := catalogOf(t, one, dotted); again.stages[0].pk != a.stages[0].pk || again.instances[0].bindings[0].pk != a.instances[0].bindings[0].pk {
		t.Error("keys are others at another look")
	}
	if a.find("login-staff") == nil || a.find("login-v1.2") != nil {
		t.Error("a slug is a type and a name, when that can be one")
	}
	for _, slug := range []string{"", "a.b", "a b", strings.Repeat("a", maxSlug+1), "ä"} {
		if _, err := a.instance(slug); tenant.AsError(err).Kind != tenant.Invalid {
			t.Errorf("%q: %v", slug, err)
		}
	}
	if _, err := a.instance("login-nothing"); tenant.AsError(err).Kind != tenant.NotFound {
		t.Error(err)
	}
}

// Where a flow leads is a path on its own host, or what the tenant lists.
func TestNextStaysHere(t *testing.T) {
	for to, want := range map[string]string{
		"":                                  "/",
		"/home":                             "/home",
		"https://app.example/x":             "https://app.example/x",
		"https://app.example.evil.example/": "/",
		"/a?b=c#d":                          "/a?b=c#d",
		"home":                              "/",
		"https://evil.example/":             "/",
		"//evil.example":                    "/",
		"///evil.example":                   "/",
		`/\evil.example`:                    "/",
		"/\t/evil.example":                  "/",
		"javascript:alert(1)":               "/",
		"%2f%2fevil.example":                "/",
	} {
		if got := next(to, []string{"https://app.example/"}); got != want {
			t.Errorf("%q leads to %q", to, got)
		}
	}
}

// A list is ordered by a few keys that its rows have, however many are named.
func TestOrdering(t *testing.T) {
	for by, want := range map[string]string{
		"n":                                     "b c a",
		"-n":                                    "a c b",
		"same,-pk":                              "c b a",
		" same , pk":                            "a b c",
		strings.Repeat("nothing,", 1<<16) + "n": "b c a",
		"same,same,same,n":                      "b c a",
		"same,same,same,same,n":                 "a b c",
		"":                                      "a b c",
	} {
		rows := []row{{object: object{"pk": "a", "n": 10, "same": 0}}, {object: object{"pk": "b", "n": 2, "same": 0}}, {object: object{"pk": "c", "n": 3, "same": 0}}}
		sortBy(rows, by)
		if got := fmt.Sprint(rows[0].object["pk"], " ", rows[1].object["pk"], " ", rows[2].object["pk"]); got != want {
			t.Errorf("by %.20s: %s, want %s", by, got, want)
		}
	}
	sortBy(nil, "n")
}

// A form that breaks off is the client's mistake, not ours.
func TestUpload(t *testing.T) {
	const head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.yaml\"\r\n\r\n"
	for form, want := range map[string]tenant.Reason{
		head + "version: 1\r\n--x--\r\n":         "",
		head + "version: 1":                      tenant.ErrValidation.Reason,
		head[:20]:                                tenant.ErrValidation.Reason,
		"--x--\r\n":                              tenant.ErrValidation.Reason,
		head + strings.Repeat("a", maxBlueprint): tenant.ErrTooLarge.Reason,
		strings.Replace(head, "file", "x", 1) + strings.Repeat("a", 2*maxBlueprint): tenant.ErrTooLarge.Reason,
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(form))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		text, err := upload(&call{Request: &surface.Request{Request: r}})
		switch {
		case want == "" && err == nil && string(text) == "version: 1":
		case want == "" || err == nil || tenant.AsError(err).Reason != want:
			t.Errorf("%.80q: %q %v, want %s", form, text, err, want)
		}
	}
}

// What a branch and a presentation say leaves in a file and comes in again as it
// was, also what this API has no field for.
func TestBlueprintKeepsEverything(t *testing.T) {
	const flows = `{
		"signup_flows": [{"name": "default", "steps": [
			{"type": "identify", "one_of": [{"identification": "email", "bot_protection": {"mode": "always"},
				"account_linking": {"login_id": [{"name": "mail", "action": "login_and_link", "login_flow": "default"}]}}]},
			{"type": "create_authenticator", "one_of": [{"authentication": "primary_password"}]}]}],
		"signup_login_flows": [{"name": "default", "steps": [
			{"type": "identify", "one_of": [{"identification": "email", "signup_flow": "default", "login_flow": "default"}]}]}],
		"presentation": [{"flow": "signup/default", "display_name": "Join", "title": "Join us", "background": "https://cdn.example/b.png", "layout": "sidebar_left",
			"compatibility_mode": true, "denied_action": "continue"}]}`
	c := catalogOf(t, one, func(cfg *tenant.Config) {
		if err := json.Unmarshal([]byte(flows), &cfg.Flows); err != nil {
			t.Fatal(err)
		}
		cfg.BotProtection = tenant.BotProtection{Enabled: true, Provider: tenant.BotProvider{Type: "hcaptcha", SiteKey: "key"}}
		cfg.AccountLinking.LoginID = []tenant.LoginIDLinking{{Name: "mail", Key: "email", UserProfile: tenant.LinkingClaim{Pointer: "/email"}, Action: tenant.LinkingError}}
	})
	bare := catalogOf(t, one)
	for _, slug := range []string{"signup-default", "signup_login-default"} {
		i := c.find(slug)
		plain, err := json.Marshal(c.blueprint(i))
		if err != nil {
			t.Fatal(err)
		}
		var r report
		back := c.plan(&r, document.YAMLOf(plain)) // where it came from
		moved := bare.plan(&r, document.YAMLOf(plain))
		if r.failed || len(back) != 1 || len(moved) != 1 {
			t.Fatalf("%s: %v", slug, r.logs)
		}
		if back[0].steps != nil || back[0].look != c.presentation(i) {
			t.Errorf("%s changes what it came from: %+v", slug, back[0])
		}
		if !sameSteps(moved[0].steps, i.steps) || moved[0].look != c.presentation(i) {
			t.Errorf("%s arrives as %+v, not %+v", slug, moved[0], i.steps)
		}
	}
	b := c.find("signup-default").steps[0].OneOf[0]
	if b.BotProtection == nil || b.AccountLinking == nil || c.presentation(c.find("signup-default")).Title != "Join us" {
		t.Errorf("nothing is put to the test: %+v", b)
	}
}

func TestDiagram(t *testing.T) {
	c := catalogOf(t, one)
	got, err := diagram(nil, c.find("login-default"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `graph TD
start(["login-default"])
s_0["identify"]
start --> s_0
s_0_0_0["authenticate"]
s_0 -->|"email"| s_0_0_0
s_0_0_1["check account status"]
s_0_0_0 -->|"primary_password"| s_0_0_1
s_0_0_2["authenticate (if there is any)"]
s_0_0_1 --> s_0_0_2
s_0_0_3["change password"]
s_0_0_2 -->|"secondary_totp"| s_0_0_3
s_0_0_2 -->|"recovery_code"| s_0_0_3
s_0_0_2 -->|"device_token"| s_0_0_3
done(["end"])
s_0_0_3 --> done`
	if text := got.(object)["diagram"]; text != want {
		t.Errorf("got\n%s", text)
	}
}

// Where a widget is asked for, the identification stage draws it, and what it
// gives goes with the answer.
func TestWidget(t *testing.T) {
	a := asked{Type: "identification_data"}
	if err := json.Unmarshal([]byte(`[{"identification":"email","bot_protection":{"enabled":true,"provider":{"type":"hcaptcha","site_key":"key"}}}]`), &a.Options); err != nil {
		t.Fatal(err)
	}
	p := pageFor(tenant.Login, &a, nil)
	p.bots = botsOf(a.Options)
	drawn, _ := p.more["captcha_stage"].(object)
	if drawn["site_key"] != "key" || drawn["js_url"] != "https://js.hcaptcha.com/1/api.js" {
		t.Errorf("drawn: %v", p.more)
	}
	for answer, want := range map[string]string{
		`{"uid_field":"ada@example.com","captcha_token":"token"}`: `{"bot_protection":{"response":"token","type":"hcaptcha"},"identification":"email","login_id":"ada@example.com"}`,
		`{"uid_field":"ada@example.com"}`:                         `{"identification":"email","login_id":"ada@example.com"}`,
	} {
		given := body{}
		if err := json.Unmarshal([]byte(answer), &given); err != nil {
			t.Fatal(err)
		}
		if inputs, wrong := p.answers(given); len(wrong) > 0 || len(inputs) != 1 || string(inputs[0]) != want {
			t.Errorf("%s: %s %v", answer, inputs, wrong)
		}
	}
	if wrong := p.errors(tenant.ErrBotProtectionFailed); len(wrong[captchaKey]) != 1 {
		t.Errorf("refused: %v", wrong)
	}
	if bare := pageFor(tenant.Login, &asked{Type: "identification_data", Options: []option{{Identification: "email"}}}, nil); bare.more["captcha_stage"] != nil {
		t.Error("a widget that nobody asks for")
	}
}

// No answer of a browser makes a page fall over, whatever it asks for.
func FuzzAnswers(f *testing.F) {
	f.Add("authentication_data", `[{"authentication":"primary_password"},{"authentication":"secondary_totp"}]`, `{"component":"ak-stage-password","password":1}`)
	f.Add("authentication_data", `[{"authentication":"secondary_oob_otp_sms"}]`, `{"selected_challenge":{"device_class":"sms","device_uid":"0"}}`)
	f.Add("identification_data", `[{"identification":"email"},{"identification":"phone"}]`, `{"uid_field":"+1"}`)
	f.Add("create_authenticator_data", `[{"authentication":"secondary_totp"},{"authentication":"primary_password"}]`, `{"authentication":"primary_password","password":"a","password_repeat":"a"}`)
	f.Add("change_setting_data", `[{"setting":"totp","configured":true},{"setting":"profile","attributes":[{"pointer":"/name","value":"x"}]}]`, `{"setting":"profile","name":null}`)
	f.Add("verify_oob_otp_data", `[]`, `{"code":12,"component":"ak-stage-email"}`)
	f.Add("account_recovery_select_destination_data", `[{"channel":"email"}]`, `{"destination":"7"}`)
	f.Fuzz(func(t *testing.T, typ, options, answer string) {
		a, given := asked{Type: typ}, body{}
		if json.Unmarshal([]byte(options), &a.Options) != nil || json.Unmarshal([]byte(answer), &given) != nil {
			t.Skip()
		}
		p := pageFor(tenant.Signup, &a, nil)
		if q := pageFor(tenant.Login, &a, nil); p == nil || p.component != promptComponent {
			p = q
		}
		if p == nil {
			return
		}
		inputs, wrong := p.answers(given)
		for _, in := range inputs {
			if !json.Valid(in) {
				t.Errorf("%s is no input", in)
			}
		}
		if _, err := json.Marshal(p.more); err != nil {
			t.Error(err)
		}
		_ = p.errors(tenant.ErrPasswordPolicy)
		_ = wrong
	})
}
