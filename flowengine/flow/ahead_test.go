package flow

import (
	"encoding/json"
	"testing"

	"github.com/usher-id/usher/tenant"
)

func TestAhead(t *testing.T) {
	cfg := tenant.DefaultConfig()
	cfg.PasswordPolicy = tenant.PasswordPolicy{MinimumLength: 8}
	cfg.Identifications.Enabled = []string{idEmail, idUsername, idPasskey}
	cfg.Authenticators.Primary = []string{primaryPassword, primaryOOBEmail}
	cfg.Verification.Email.Required = true
	cfg.Flows.LoginFlows = []tenant.Flow{{Name: "deep", Steps: []tenant.Step{
		{Type: stepIdentify, OneOf: []tenant.Branch{
			{Identification: idEmail, Steps: []tenant.Step{{Type: stepIdentify, OneOf: []tenant.Branch{{Identification: idPhone}}}}},
			{Identification: idUsername},
		}},
		{Type: stepAuthenticate, OneOf: []tenant.Branch{{Authentication: primaryOOBSMS}}},
	}}}
	p, problems := Compile(cfg)
	if problems != nil {
		t.Fatal(problems)
	}
	password := `{"authentication":"primary_password"}`
	code := `{"authentication":"primary_oob_otp_email","channels":["email"],"otp_form":"code"}`
	policy := `{"authentication":"primary_password","password_policy":{"history":{"enabled":false},"minimum_length":8}}`
	for _, c := range []struct {
		typ    tenant.FlowType
		name   string
		inputs []string
		want   string
	}{
		{tenant.Login, "default", nil, `[{"Identification":"email","Step":"authenticate","Optional":false,"Ways":[` + password + `,` + code + `]},` +
			`{"Identification":"username","Step":"authenticate","Optional":false,"Ways":[` + password + `]},` +
			`{"Identification":"passkey","Step":"prompt_create_passkey","Optional":false,"Ways":[]}]`},
		{tenant.Signup, "default", nil, `[{"Identification":"email","Step":"verify","Optional":false,"Ways":[]},` +
			`{"Identification":"username","Step":"create_authenticator","Optional":false,"Ways":[` + policy + `]}]`},
		{tenant.AccountRecovery, "default", nil, `[{"Identification":"email","Step":"select_destination","Optional":false,"Ways":[]},` +
			`{"Identification":"username","Step":"select_destination","Optional":false,"Ways":[]}]`},
		{tenant.Login, "deep", nil, `[{"Identification":"email","Step":"identify","Optional":false,"Ways":[{"identification":"phone"}]},` +
			`{"Identification":"username","Step":"authenticate","Optional":false,"Ways":[{"authentication":"primary_oob_otp_sms","channels":["sms"],"otp_form":"code"}]}]`},
		{tenant.Login, "deep", []string{`{"identification":"email","login_id":"a@b.c"}`},
			`[{"Identification":"phone","Step":"authenticate","Optional":false,"Ways":[{"authentication":"primary_oob_otp_sms","channels":["sms"],"otp_form":"code"}]}]`},
		{tenant.Login, "default", []string{`{"identification":"email","login_id":"a@b.c"}`}, `null`},
	} {
		w := &world{limit: 1 << 30}
		decode(t, users, w)
		var inputs []Input
		for _, in := range c.inputs {
			inputs = append(inputs, Input(in))
		}
		r, err := p.Start(w, tenant.FlowRef{Type: c.typ, Name: c.name}, "", inputs...)
		if err != nil {
			t.Fatal(err)
		}
		before := r.State.clone()
		got, err := json.Marshal(p.Ahead(r.State))
		if err != nil || string(got) != c.want {
			t.Errorf("%s %s after %v:\n got %s\nwant %s", c.typ, c.name, c.inputs, got, c.want)
		}
		if a, b := jsonText(before), jsonText(r.State); a != b {
			t.Errorf("the state has changed: %s, %s", a, b)
		}
	}
}
