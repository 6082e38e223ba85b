package flowinstances

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// authenticate asks for a proof: for the password when that is the first of the
// ways, else for any of the user's devices. Either can be answered by the stage
// of the other.
func authenticate(a *asked) *page {
	if len(a.Options) == 0 {
		return nil
	}
	devices := devicesOf(a.Options)
	p := &page{component: validateComponent, also: passwordComponent, fields: map[string]string{"": "code"}}
	p.more = user("", object{"device_challenges": shownDevices(devices), "configuration_stages": []object{}})
	if isPassword(a.Options[0].Authentication) {
		p.component, p.also, p.fields = passwordComponent, validateComponent, map[string]string{"": "password"}
		p.more = user("", object{"allow_show_password": true})
	}
	p.read = func(given body, wrong details) []flow.Input {
		if cmp.Or(text(given["component"]), p.component) == validateComponent {
			return prove(devices, given, wrong)
		}
		n := slices.IndexFunc(a.Options, func(o option) bool { return isPassword(o.Authentication) })
		secret := text(given["password"])
		switch {
		case n < 0:
			wrong.add("component", "invalid", "No password is asked for.")
		case secret == "":
			wrong.add("password", "required", "It is required.")
		default:
			return inputs(object{"authentication": a.Options[n].Authentication, "index": n, "password": secret})
		}
		return nil
	}
	return p
}

// device is a way to prove it that this API calls a device.
type device struct {
	class, uid string // the uid is the place among all options
	method     string
	index      int
	shown      any // what the client needs to know about it
}

func devicesOf(options []option) []device {
	var out []device
	for n, o := range options {
		class := deviceClasses[o.Authentication]
		if class == "" {
			continue
		}
		d := device{class: class, uid: strconv.Itoa(n), method: o.Authentication, index: n, shown: object{}}
		switch {
		case o.RequestOptions != nil:
			d.shown = publicKey(o.RequestOptions)
		case o.MaskedName != "":
			d.shown = object{"target": o.MaskedName}
		}
		out = append(out, d)
	}
	return out
}

// publicKey are the options of a WebAuthn ceremony without their wrapping.
func publicKey(options json.RawMessage) json.RawMessage {
	var wrapped struct {
		PublicKey json.RawMessage `json:"publicKey"`
	}
	if json.Unmarshal(options, &wrapped) == nil && wrapped.PublicKey != nil {
		return wrapped.PublicKey
	}
	return options
}

func shownDevices(devices []device) []object {
	out := make([]object, 0, len(devices))
	for _, d := range devices {
		out = append(out, object{"device_class": d.class, "device_uid": d.uid, "challenge": d.shown, "last_used": nil})
	}
	return out
}

// prove reads an answer of devices: one that was selected, a code, or what a
// security key says. Selecting one that needs no message changes nothing.
func prove(devices []device, given body, wrong details) []flow.Input {
	if raw, ok := given["webauthn"]; ok && string(raw) != "null" {
		return with(devices, "webauthn", object{"assertion_response": raw}, wrong)
	}
	code := digits(given["code"], tenant.CodeDigits)
	if code != "" {
		return withCode(devices, code, wrong)
	}
	var selected struct {
		Class string `json:"device_class"`
		UID   string `json:"device_uid"`
	}
	if json.Unmarshal(given["selected_challenge"], &selected) != nil || selected.Class == "" {
		wrong.add("code", "required", "It is required.")
		return nil
	}
	i := slices.IndexFunc(devices, func(d device) bool { return d.class == selected.Class && d.uid == selected.UID })
	switch {
	case i < 0:
		wrong.add("selected_challenge", "invalid", "There is no such device.")
	case devices[i].class == "email" || devices[i].class == "sms":
		return inputs(object{"authentication": devices[i].method, "index": devices[i].index})
	}
	return nil
}

// withCode answers with a code that was typed in: six digits are an app's,
// anything else is a recovery code.
func withCode(devices []device, code string, wrong details) []flow.Input {
	if _, err := strconv.Atoi(code); err == nil && len(code) == tenant.CodeDigits {
		return with(devices, "totp", object{"code": code}, wrong)
	}
	return with(devices, "static", object{"recovery_code": code}, wrong)
}

// with answers with the first device of a class.
func with(devices []device, class string, answer object, wrong details) []flow.Input {
	i := slices.IndexFunc(devices, func(d device) bool { return d.class == class })
	if i < 0 {
		wrong.add("code", "invalid", "None of your devices has such a code.")
		return nil
	}
	answer["authentication"], answer["index"] = devices[i].method, devices[i].index
	return inputs(answer)
}

// digits is a code, which clients send as a string or as a number that has lost
// its zeros.
func digits(raw json.RawMessage, length int) string {
	if len(raw) > 0 && raw[0] >= '0' && raw[0] <= '9' {
		return strings.Repeat("0", max(0, length-len(raw))) + string(raw)
	}
	return strings.TrimSpace(text(raw))
}

// oneTimeCode waits for a code or a link that was sent. A code is typed in; a
// link is followed, and an answer asks whether it was.
func oneTimeCode(a *asked, key, target string) *page {
	resend := inputs(object{"resend": true})
	if a.OTPForm == tenant.LinkForm {
		ask := resend // for recovery: the page that the link leads to goes on by itself
		if key == "code" {
			ask = inputs(object{"check": true})
		}
		return &page{component: emailComponent, read: func(body, details) []flow.Input { return ask }}
	}
	var p *page
	switch class := deviceClasses[a.Authentication]; {
	case class == "":
		p = codePage(promptComponent, object{"fields": shownFields([]field{{key: "code", label: "Code that was sent to " + target, kind: "text", required: true}})}, key, a.CodeLength)
	case a.Step == "create_authenticator" && class == "sms":
		p = codePage(smsComponent, user(target, object{"phone_number_required": false}), key, a.CodeLength)
	case a.Step == "create_authenticator":
		p = codePage(emailSetupComponent, user(target, object{"email": target, "email_required": false}), key, a.CodeLength)
	default:
		p = codePage(validateComponent, user(target, object{
			"device_challenges":    shownDevices([]device{{class: class, uid: "0", shown: object{"target": target}}}),
			"configuration_stages": []object{},
		}), key, a.CodeLength)
		typed := p.read
		p.read = func(given body, wrong details) []flow.Input {
			if given["code"] == nil && given["selected_challenge"] != nil { // the same device, once more
				return resend
			}
			return typed(given, wrong)
		}
	}
	p.resend = resend
	return p
}

// codePage is a stage that takes a code and sends it as a key.
func codePage(component string, more object, key string, length int) *page {
	return &page{
		component: component, more: more, fields: map[string]string{"": "code"},
		read: func(given body, wrong details) []flow.Input {
			code := digits(given["code"], length)
			if code == "" {
				wrong.add("code", "required", "It is required.")
			}
			return inputs(object{key: code})
		},
	}
}

// destinations asks where a recovery code shall go, if there is a choice.
func destinations(a *asked) *page {
	var values, labels []string
	for n, o := range a.Options {
		values, labels = append(values, strconv.Itoa(n)), append(labels, o.MaskedName+" ("+o.Channel+")")
	}
	p := pick("destination", "Where to send the code", values, labels, func(n int) object { return object{"index": n} })
	if len(values) == 1 {
		p.auto = inputs(object{"index": 0})
	}
	return p
}

// setUp asks for a new way to prove it: for a password when that is the first,
// else for one of the others.
func setUp(a *asked) *page {
	switch {
	case len(a.Options) == 0:
		return nil
	case isPassword(a.Options[0].Authentication):
		return newPassword(object{"authentication": a.Options[0].Authentication})
	case len(a.Options) > 1:
		return choose(a.Options)
	}
	o := a.Options[0]
	switch class := deviceClasses[o.Authentication]; {
	case class == "webauthn":
		return passkeyCreation(o.CreationOptions, object{"authentication": o.Authentication}, nil)
	case class == "sms" && o.Target == nil:
		return addressed(smsComponent, "phone_number", object{"phone_number_required": true}, o)
	case class == "email" && o.Target == nil:
		return addressed(emailSetupComponent, "email", object{"email": nil, "email_required": true}, o)
	}
	p := choose(a.Options)
	p.auto = inputs(object{"authentication": o.Authentication})
	return p
}

// setUpLabels are the ways to choose from. Passkeys have a stage of their own.
var setUpLabels = map[string]string{"": "Password", "email": "Email", "sms": "SMS", "totp": "Authenticator app"}

// choose asks which way to set up, and for what the way needs.
func choose(options []option) *page {
	const asking = "How to prove that it is you"
	var values, labels []string
	var needs []field
	for _, o := range options {
		class := deviceClasses[o.Authentication]
		label, ok := setUpLabels[class]
		if !ok {
			continue
		}
		values, labels = append(values, o.Authentication), append(labels, label)
		switch {
		case isPassword(o.Authentication):
			needs = append(needs, newPasswordFields()...)
		case o.Target == nil && class != "totp":
			needs = append(needs, field{key: "target", label: "Email address or phone number", kind: "text"})
		}
	}
	p := pick("authentication", asking, values, labels, nil, needs...)
	p.fields = map[string]string{"": "authentication", "/target": "target", "/new_password": passwordKey}
	p.read = func(given body, wrong details) []flow.Input {
		way := text(given["authentication"])
		if !slices.Contains(values, way) {
			wrong.add("authentication", "invalid_choice", "Select one of these.")
			return nil
		}
		o := object{"authentication": way}
		if isPassword(way) {
			o["new_password"] = typedTwice(given, wrong)
		}
		if target := strings.TrimSpace(text(given["target"])); target != "" {
			o["target"] = target
		}
		return inputs(o)
	}
	return p
}

// addressed asks for the address that a code goes to.
func addressed(component, key string, more object, o option) *page {
	return &page{
		component: component, more: user("", more), fields: map[string]string{"": key},
		read: func(given body, wrong details) []flow.Input {
			return inputs(object{"authentication": o.Authentication, "target": must(given, key, wrong)})
		},
	}
}

// passkeyCreation asks a browser to make a passkey. An answer without one skips
// it, where that may be.
func passkeyCreation(options json.RawMessage, with, skip object) *page {
	return &page{
		component: webauthnComponent, more: user("", object{"registration": publicKey(options)}), fields: map[string]string{"": "response"},
		read: func(given body, wrong details) []flow.Input {
			raw, ok := given["response"]
			if ok && string(raw) != "null" && string(raw) != "{}" {
				o := object{"creation_response": raw}
				for key, value := range with {
					o[key] = value
				}
				return inputs(o)
			}
			if skip == nil {
				wrong.add("response", "required", "It is required.")
				return nil
			}
			return inputs(skip)
		},
	}
}
