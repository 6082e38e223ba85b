package flowinstances

import (
	"encoding/json"
	"strings"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// settingLabels are what a user can change in a prompt. Passkeys aren't among
// them: this API gives them a stage to themselves.
var settingLabels = map[string]string{
	"profile": "Profile", "password": "Password", "totp": "Authenticator app", "recovery_codes": "Recovery codes",
}

// removeTOTP is the choice that takes the authenticator app away.
const removeTOTP = "totp_remove"

// settings asks what to change, and has a field for everything that may be.
func settings(a *asked) *page {
	var values, labels []string
	var needs []field
	for _, o := range a.Options {
		label, ok := settingLabels[o.Setting]
		if !ok {
			continue
		}
		value := o.Setting
		switch {
		case value == "profile":
			for _, a := range o.Attributes {
				f := profileField(a.ProfileField)
				f.initial = text(a.Value)
				needs = append(needs, f)
			}
		case value == "password":
			needs = append(needs, newPasswordFields()...)
		case value == "totp" && o.Configured:
			value, label = removeTOTP, "Remove the authenticator app"
		case value == "totp":
			needs = append(needs, field{key: "code", label: "Code of the authenticator app", kind: "text", note: o.OTPAuthURI})
		}
		values, labels = append(values, value), append(labels, label)
	}
	if len(values) == 0 {
		return nil
	}
	p := pick("setting", "What to change", values, labels, nil, needs...)
	p.fields = map[string]string{"": "setting", "/new_password": passwordKey, "/code": "code"}
	p.read = func(given body, wrong details) []flow.Input {
		o := object{"setting": text(given["setting"])}
		switch o["setting"] {
		case "profile":
			o["attributes"] = changed(a, given)
		case "password":
			o["new_password"] = typedTwice(given, wrong)
		case "totp":
			o["code"] = digits(given["code"], tenant.CodeDigits)
		case removeTOTP:
			o["setting"], o["remove"] = "totp", true
		case "":
			wrong.add("setting", "required", "It is required.")
		}
		return inputs(o)
	}
	return p
}

// attribute is one of the user's, as a setting shows it.
type attribute struct {
	tenant.ProfileField
	Value json.RawMessage `json:"value"`
}

// changed are the attributes that an answer gives; one that was emptied is
// removed.
func changed(a *asked, given body) []object {
	out := []object{}
	for _, o := range a.Options {
		for _, at := range o.Attributes {
			raw, ok := given[strings.TrimPrefix(at.Pointer, "/")]
			value := strings.TrimSpace(text(raw))
			switch {
			case !ok || value == "" && len(at.Value) == 0:
			case value == "":
				out = append(out, object{"pointer": at.Pointer, "value": nil})
			default:
				out = append(out, object{"pointer": at.Pointer, "value": value})
			}
		}
	}
	return out
}
