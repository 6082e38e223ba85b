package flowinstances

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// The components: what a client draws.
const (
	identificationComponent = "ak-stage-identification"
	passwordComponent       = "ak-stage-password"
	validateComponent       = "ak-stage-authenticator-validate"
	promptComponent         = "ak-stage-prompt"
	emailComponent          = "ak-stage-email"
	totpComponent           = "ak-stage-authenticator-totp"
	smsComponent            = "ak-stage-authenticator-sms"
	emailSetupComponent     = "ak-stage-authenticator-email"
	staticComponent         = "ak-stage-authenticator-static"
	webauthnComponent       = "ak-stage-authenticator-webauthn"
	loginComponent          = "ak-stage-user-login"
	deniedComponent         = "ak-stage-access-denied"
	errorComponent          = "ak-stage-flow-error"
	redirectComponent       = "xak-flow-redirect"
)

// avatar stands for a user who has no picture here.
const avatar = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='5' r='3'/%3E%3Cpath d='M2 15a6 6 0 0 1 12 0z'/%3E%3C/svg%3E"

// page is the stage that draws what a run asks for.
func (x *executor) page(at *flowengine.Answer) *page {
	if at.Action.Type == flow.Finished {
		return &page{component: redirectComponent}
	}
	a := asked{}
	data, err := json.Marshal(at.Action.Data)
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	a.Step, a.Authentication = at.Action.Type, at.Action.Authentication
	if err == nil {
		if p := pageFor(at.Flow.Type, &a, at.Ahead()); p != nil {
			p.bots = botsOf(a.Options)
			return p
		}
	}
	return x.undrawable(at)
}

// pageFor is the stage for what is asked in a flow of a type; nil when this API
// has none.
func pageFor(t tenant.FlowType, a *asked, ahead []flow.Ahead) *page {
	switch a.Type {
	case "identification_data":
		return identify(t, a, ahead)
	case "authentication_data":
		return authenticate(a)
	case "create_authenticator_data":
		return setUp(a)
	case "create_totp_data":
		return codePage(totpComponent, user("", object{"config_url": a.OTPAuthURI}), "code", tenant.CodeDigits)
	case "select_oob_otp_channels_data":
		return pick("channel", "How to reach you", a.Channels, a.Channels, func(n int) object { return object{"channel": a.Channels[n]} })
	case "account_recovery_select_destination_data":
		return destinations(a)
	case "verify_oob_otp_data":
		return oneTimeCode(a, "code", a.MaskedClaim)
	case "account_recovery_verify_code_data":
		return oneTimeCode(a, "account_recovery_code", a.MaskedName)
	case "new_password_data", "reset_password_data":
		return newPassword(object{})
	case "fill_user_profile_data":
		return profile(a.Attributes)
	case "change_setting_data":
		return settings(a)
	case "view_recovery_code_data":
		return confirm(staticComponent, object{"codes": a.RecoveryCodes}, object{"confirm_recovery_code": true})
	case "create_passkey_data":
		return passkeyCreation(a.CreationOptions, object{}, object{"skip": true})
	case "terminate_other_sessions_data":
		return confirm(loginComponent, object{}, object{"terminate_other_sessions": true})
	}
	return nil
}

// undrawable is a step that this API has no stage for.
func (x *executor) undrawable(at *flowengine.Answer) *page {
	return &page{component: errorComponent, more: x.failure("This app can't show the step " + strings.ReplaceAll(at.Action.Type, "_", " ") + ".")}
}

// user are the keys of stages that say whom they ask. Nobody is told more than
// they have said.
func user(shown string, more object) object {
	o := object{"pending_user": shown, "pending_user_avatar": avatar}
	for key, value := range more {
		o[key] = value
	}
	return o
}

func input(o object) flow.Input {
	in, _ := json.Marshal(o) // plain values
	return in
}

func inputs(o object) []flow.Input { return []flow.Input{input(o)} }

// must is a string that an answer needs.
func must(given body, key string, wrong details) string {
	value := strings.TrimSpace(text(given[key]))
	if value == "" {
		wrong.add(key, "required", "It is required.")
	}
	return value
}

// identify asks who the user is: with one field for all ways, or, where an
// account is made, with one for each.
func identify(t tenant.FlowType, a *asked, ahead []flow.Ahead) *page {
	var ways []string
	for _, o := range a.Options {
		switch o.Identification {
		case "email", "phone", "username":
			ways = append(ways, o.Identification)
		}
	}
	switch {
	case len(ways) == 0:
		return nil
	case creates(t):
		return signUp(ways, passwordNext(ahead, ways))
	}
	return &page{
		component: identificationComponent, fields: map[string]string{"": "uid_field"},
		more: object{
			"user_fields": ways, "password_fields": false, "allow_show_password": true, "primary_action": "Continue", "sources": []object{},
			"show_source_labels": false, "enable_remember_me": false, "flow_designation": types[t].designation, "captcha_stage": botsOf(a.Options).stage(), "passkey_challenge": nil,
		},
		read: func(given body, wrong details) []flow.Input {
			id := must(given, "uid_field", wrong)
			return inputs(object{"identification": wayOf(ways, id), "login_id": id})
		},
	}
}

// wayOf is what a login id looks like, among the ways that there are.
func wayOf(ways []string, id string) string {
	like := "username"
	switch {
	case strings.Contains(id, "@"):
		like = "email"
	case strings.HasPrefix(id, "+"):
		like = "phone"
	}
	if slices.Contains(ways, like) {
		return like
	}
	return ways[0]
}

// signUp asks what a new user will be known by, and for the password when that
// is what comes next.
func signUp(ways []string, password bool) *page {
	fields := loginIDFields(ways)
	p := prompting(fields, func(given body, wrong details) []flow.Input {
		var way string
		for _, f := range fields {
			if strings.TrimSpace(text(given[f.key])) == "" {
				continue
			}
			if way != "" {
				wrong.add(f.key, "exclusive", "Give one of these.")
			}
			way = f.key
		}
		if way == "" {
			wrong.add(fields[0].key, "required", "It is required.")
		}
		out := inputs(object{"identification": way, "login_id": strings.TrimSpace(text(given[way]))})
		if password {
			out = append(out, input(object{"authentication": "primary_password", "new_password": typedTwice(given, wrong)}))
		}
		return out
	})
	p.fields = map[string]string{"/login_id": fields[0].key, "/new_password": passwordKey}
	if len(fields) > 1 {
		p.fields["/login_id"] = nonField
	}
	if password {
		p.more["fields"] = shownFields(append(fields, newPasswordFields()...))
	}
	return p
}

// passwordNext says whether a password is set right after any of the ways.
func passwordNext(ahead []flow.Ahead, ways []string) bool {
	return len(ahead) > 0 && !slices.ContainsFunc(ahead, func(a flow.Ahead) bool {
		return slices.Contains(ways, a.Identification) &&
			(a.Step != "create_authenticator" || len(a.Ways) == 0 || a.Ways[0]["authentication"] != "primary_password")
	})
}

// prompting is a stage with fields.
func prompting(fields []field, read func(given body, wrong details) []flow.Input) *page {
	return &page{component: promptComponent, more: object{"fields": shownFields(fields)}, read: read}
}

func shownFields(fields []field) []object {
	out := make([]object, 0, len(fields))
	for n, f := range fields {
		o := f.show()
		o["order"], o["choices"] = 10*(n+1), nil
		if f.choices != nil {
			o["choices"] = f.choices
		}
		out = append(out, o)
	}
	return out
}

// newPassword asks for a password, twice; more goes with it.
func newPassword(more object) *page {
	p := prompting(newPasswordFields(), func(given body, wrong details) []flow.Input {
		o := object{"new_password": typedTwice(given, wrong)}
		for key, value := range more {
			o[key] = value
		}
		return inputs(o)
	})
	p.fields = map[string]string{"/new_password": passwordKey, "": passwordKey}
	return p
}

func typedTwice(given body, wrong details) string {
	password, again := text(given[passwordKey]), text(given[repeatKey])
	switch {
	case password == "":
		wrong.add(passwordKey, "required", "It is required.")
	case password != again:
		wrong.add(repeatKey, "mismatch", "The two passwords differ.")
	}
	return password
}

// profile asks for attributes. One that is left empty isn't given.
func profile(attributes []attribute) *page {
	var fields []field
	for _, a := range attributes {
		fields = append(fields, profileField(a.ProfileField))
	}
	return prompting(fields, func(given body, wrong details) []flow.Input {
		values := []object{}
		for n, f := range fields {
			value := strings.TrimSpace(text(given[f.key]))
			if value == "" && f.required {
				wrong.add(f.key, "required", "It is required.")
			}
			if value != "" {
				values = append(values, object{"pointer": attributes[n].Pointer, "value": value})
			}
		}
		return inputs(object{"attributes": values})
	})
}

// pick asks to choose one of several; needs are what some of them need.
func pick(key, label string, values, labels []string, choose func(n int) object, needs ...field) *page {
	asks := []field{{key: key, label: label, kind: "radio-button-group", required: true, choices: choicesOf(values, labels)}}
	for _, f := range needs { // by one choice, not by the others
		f.required = false
		asks = append(asks, f)
	}
	p := prompting(asks, func(given body, wrong details) []flow.Input {
		n := slices.Index(values, text(given[key]))
		if n < 0 {
			wrong.add(key, "invalid_choice", "Select one of these.")
			return nil
		}
		return inputs(choose(n))
	})
	p.fields = map[string]string{"": key}
	return p
}

func choicesOf(values, labels []string) []object {
	out := make([]object, len(values))
	for n := range values {
		out[n] = object{"value": values[n], "label": labels[n]}
	}
	return out
}

// confirm shows something that the user only goes on from.
func confirm(component string, more, yes object) *page {
	return &page{component: component, more: user("", more), read: func(body, details) []flow.Input { return inputs(yes) }}
}
