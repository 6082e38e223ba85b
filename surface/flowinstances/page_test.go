package flowinstances

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// What a step asks for, the stage that shows it, and what an answer becomes.
func TestPages(t *testing.T) {
	for _, c := range []struct {
		name      string
		flow      tenant.FlowType
		step      string // the type of the step, and what it is in the middle of
		method    string
		asks      string
		component string
		answer    string
		want      string // the inputs, or the fields that are wrong
	}{
		{"an address", tenant.Login, "", "", `{"type":"identification_data","options":[{"identification":"username"},{"identification":"email"},{"identification":"oauth"}]}`,
			identificationComponent, `{"uid_field":" a@b.example "}`, `[{"identification":"email","login_id":"a@b.example"}]`},
		{"a number", tenant.Login, "", "", `{"type":"identification_data","options":[{"identification":"email"},{"identification":"phone"}]}`,
			identificationComponent, `{"uid_field":"+85298765432"}`, `[{"identification":"phone","login_id":"+85298765432"}]`},
		{"a name where there are none", tenant.Login, "", "", `{"type":"identification_data","options":[{"identification":"email"}]}`,
			identificationComponent, `{"uid_field":"ada"}`, `[{"identification":"email","login_id":"ada"}]`},
		{"two login ids", tenant.Signup, "", "", `{"type":"identification_data","options":[{"identification":"email"},{"identification":"phone"}]}`,
			promptComponent, `{"email":"a@b.example","phone":"+1"}`, `phone: exclusive`},
		{"a provider alone", tenant.Login, "", "", `{"type":"identification_data","options":[{"identification":"oauth"}]}`, "", `{}`, ``},
		{"an account to link to", tenant.Signup, "identify", "", `{"type":"account_linking_identification_data","options":[{"identification":"email","action":"login_and_link"}]}`, "", `{}`, ``},

		{"a password", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"primary_password"},{"authentication":"primary_oob_otp_email"}]}`,
			passwordComponent, `{"password":" x "}`, `[{"authentication":"primary_password","index":0,"password":" x "}]`},
		{"a device instead", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"primary_password"},{"authentication":"primary_oob_otp_sms"}]}`,
			passwordComponent, `{"component":"ak-stage-authenticator-validate","selected_challenge":{"device_class":"sms","device_uid":"1"}}`, `[{"authentication":"primary_oob_otp_sms","index":1}]`},
		{"a password instead", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"primary_oob_otp_email"},{"authentication":"primary_password"}]}`,
			validateComponent, `{"component":"ak-stage-password","password":"x"}`, `[{"authentication":"primary_password","index":1,"password":"x"}]`},
		{"no password", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"secondary_totp"}]}`,
			validateComponent, `{"component":"ak-stage-password","password":"x"}`, `component: invalid`},
		{"an app's code", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"recovery_code"},{"authentication":"secondary_totp"}]}`,
			validateComponent, `{"code":"012345"}`, `[{"authentication":"secondary_totp","code":"012345","index":1}]`},
		{"a recovery code", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"secondary_totp"},{"authentication":"recovery_code"}]}`,
			validateComponent, `{"code":"ABCDE12345"}`, `[{"authentication":"recovery_code","index":1,"recovery_code":"ABCDE12345"}]`},
		{"a passkey", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"primary_passkey","request_options":{"publicKey":{"challenge":"x"}}}]}`,
			validateComponent, `{"webauthn":{"id":"y"}}`, `[{"assertion_response":{"id":"y"},"authentication":"primary_passkey","index":0}]`},
		{"an app selected", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"secondary_totp"}]}`,
			validateComponent, `{"selected_challenge":{"device_class":"totp","device_uid":"0"}}`, `[]`},
		{"another's device", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"secondary_totp"}]}`,
			validateComponent, `{"selected_challenge":{"device_class":"sms","device_uid":"9"}}`, `selected_challenge: invalid`},
		{"nothing", tenant.Login, "", "", `{"type":"authentication_data","options":[{"authentication":"secondary_totp"}]}`, validateComponent, `{"code":null}`, `code: required`},

		{"a code that has lost its zeros", tenant.Login, "authenticate", "primary_oob_otp_sms", `{"type":"verify_oob_otp_data","code_length":6,"masked_claim_value":"+8529876****"}`,
			validateComponent, `{"code":1234}`, `[{"code":"001234"}]`},
		{"the same device once more", tenant.Login, "authenticate", "primary_oob_otp_sms", `{"type":"verify_oob_otp_data","code_length":6}`,
			validateComponent, `{"selected_challenge":{"device_class":"sms","device_uid":"0"}}`, `[{"resend":true}]`},
		{"another message", tenant.Signup, "verify", "", `{"type":"verify_oob_otp_data","code_length":6}`, promptComponent, `{"component":"ak-stage-email"}`, `[{"resend":true}]`},
		{"a number set up", tenant.Signup, "create_authenticator", "secondary_oob_otp_sms", `{"type":"verify_oob_otp_data","code_length":6}`,
			smsComponent, `{"code":"123456"}`, `[{"code":"123456"}]`},
		{"an address set up", tenant.Signup, "create_authenticator", "secondary_oob_otp_email", `{"type":"verify_oob_otp_data","code_length":6}`,
			emailSetupComponent, `{"code":"123456"}`, `[{"code":"123456"}]`},
		{"a link", tenant.Signup, "verify", "", `{"type":"verify_oob_otp_data","otp_form":"link"}`, emailComponent, `{}`, `[{"check":true}]`},
		{"a link to recover by", tenant.AccountRecovery, "", "", `{"type":"account_recovery_verify_code_data","otp_form":"link"}`, emailComponent, `{}`, `[{"resend":true}]`},
		{"a code to recover by", tenant.AccountRecovery, "", "", `{"type":"account_recovery_verify_code_data","code_length":6}`,
			promptComponent, `{"code":"123456"}`, `[{"account_recovery_code":"123456"}]`},
		{"a destination", tenant.AccountRecovery, "", "", `{"type":"account_recovery_select_destination_data","options":[{"channel":"sms"},{"channel":"whatsapp"}]}`,
			promptComponent, `{"destination":"1"}`, `[{"index":1}]`},
		{"a channel", tenant.Signup, "", "", `{"type":"select_oob_otp_channels_data","channels":["sms","whatsapp"]}`, promptComponent, `{"channel":"whatsapp"}`, `[{"channel":"whatsapp"}]`},
		{"no channel", tenant.Signup, "", "", `{"type":"select_oob_otp_channels_data","channels":["sms","whatsapp"]}`, promptComponent, `{"channel":"pigeon"}`, `channel: invalid_choice`},

		{"a number to set up", tenant.Signup, "", "", `{"type":"create_authenticator_data","options":[{"authentication":"secondary_oob_otp_sms"}]}`,
			smsComponent, `{"phone_number":"+85298765432"}`, `[{"authentication":"secondary_oob_otp_sms","target":"+85298765432"}]`},
		{"an address to set up", tenant.Signup, "", "", `{"type":"create_authenticator_data","options":[{"authentication":"secondary_oob_otp_email"}]}`,
			emailSetupComponent, `{}`, `email: required`},
		{"a choice of several", tenant.Signup, "", "", `{"type":"create_authenticator_data","options":[{"authentication":"secondary_totp"},{"authentication":"secondary_oob_otp_email"},{"authentication":"primary_passkey"}]}`,
			promptComponent, `{"authentication":"secondary_oob_otp_email","target":"a@b.example"}`, `[{"authentication":"secondary_oob_otp_email","target":"a@b.example"}]`},
		{"a passkey to set up", tenant.Signup, "", "", `{"type":"create_authenticator_data","options":[{"authentication":"primary_passkey","creation_options":{"publicKey":{}}}]}`,
			webauthnComponent, `{"response":{}}`, `response: required`},
		{"a passkey prompted for", tenant.Signup, "", "", `{"type":"create_passkey_data","creation_options":{"publicKey":{}}}`, webauthnComponent, `{"response":{}}`, `[{"skip":true}]`},
		{"a passkey made", tenant.Signup, "", "", `{"type":"create_passkey_data","creation_options":{}}`, webauthnComponent, `{"response":{"id":"x"}}`, `[{"creation_response":{"id":"x"}}]`},

		{"a new password", tenant.Login, "", "", `{"type":"new_password_data"}`, promptComponent, `{"password":"a","password_repeat":"b"}`, `password_repeat: mismatch`},
		{"attributes", tenant.Signup, "", "", `{"type":"fill_user_profile_data","attributes":[{"pointer":"/name","required":true},{"pointer":"/x_plan"}]}`,
			promptComponent, `{"name":"Ada","x_plan":" "}`, `[{"attributes":[{"pointer":"/name","value":"Ada"}]}]`},
		{"an attribute left out", tenant.Signup, "", "", `{"type":"fill_user_profile_data","attributes":[{"pointer":"/name","required":true}]}`, promptComponent, `{}`, `name: required`},
		{"an attribute emptied", tenant.Settings, "", "", `{"type":"change_setting_data","options":[{"setting":"profile","attributes":[{"pointer":"/name","value":"Ada"},{"pointer":"/nickname"}]}]}`,
			promptComponent, `{"setting":"profile","name":"","nickname":"A"}`, `[{"attributes":[{"pointer":"/name","value":null},{"pointer":"/nickname","value":"A"}],"setting":"profile"}]`},
		{"an app removed", tenant.Settings, "", "", `{"type":"change_setting_data","options":[{"setting":"totp","configured":true}]}`,
			promptComponent, `{"setting":"totp_remove"}`, `[{"remove":true,"setting":"totp"}]`},
		{"codes kept", tenant.Login, "", "", `{"type":"view_recovery_code_data","recovery_codes":["a"]}`, staticComponent, `{}`, `[{"confirm_recovery_code":true}]`},
		{"other sessions", tenant.Login, "", "", `{"type":"terminate_other_sessions_data"}`, loginComponent, `{"remember_me":true}`, `[{"terminate_other_sessions":true}]`},
		{"another stage's answer", tenant.Login, "", "", `{"type":"terminate_other_sessions_data"}`, loginComponent, `{"component":"ak-stage-dummy"}`, `component: invalid`},
		{"what is new", tenant.Login, "", "", `{"type":"something_new"}`, "", `{}`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, given := asked{Step: c.step, Authentication: c.method}, body{}
			if err := json.Unmarshal([]byte(c.asks), &a); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.answer), &given); err != nil {
				t.Fatal(err)
			}
			p := pageFor(c.flow, &a, nil)
			if p == nil {
				if c.component != "" {
					t.Fatal("it isn't drawn")
				}
				return
			}
			inputs, wrong := p.answers(given)
			got := fmt.Sprintf("%s", append([]flow.Input{}, inputs...))
			for field, list := range wrong {
				got = field + ": " + list[0].Code
			}
			if p.component != c.component || got != c.want {
				t.Errorf("%s %s, want %s %s", p.component, got, c.component, c.want)
			}
		})
	}
}
