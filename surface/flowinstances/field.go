package flowinstances

import (
	"strings"

	"github.com/usher-id/usher/tenant"
)

// field is one field of a prompt.
type field struct {
	key, label, kind string
	initial, note    string
	required         bool
	choices          []object
}

// The fields that passwords are typed into.
const (
	passwordKey = "password"
	repeatKey   = "password_repeat"
)

func newPasswordFields() []field {
	return []field{
		{key: passwordKey, label: "Password", kind: "password", required: true},
		{key: repeatKey, label: "Password (repeat)", kind: "password", required: true},
	}
}

// loginIDFields ask for what a new user will be known by. Of several one is
// enough, and more than one can't be taken at once.
func loginIDFields(identifications []string) []field {
	var out []field
	for _, kind := range identifications {
		switch kind {
		case "email":
			out = append(out, field{key: kind, label: "Email address", kind: "email"})
		case "phone":
			out = append(out, field{key: kind, label: "Phone number", kind: "text"})
		case "username":
			out = append(out, field{key: kind, label: "Username", kind: "username"})
		}
	}
	if len(out) == 1 {
		out[0].required = true
	}
	return out
}

// profileField asks for an attribute.
func profileField(a tenant.ProfileField) field {
	key := strings.TrimPrefix(a.Pointer, "/")
	return field{key: key, label: strings.ReplaceAll(strings.TrimPrefix(key, "x_"), "_", " "), kind: "text", required: a.Required}
}

// fieldsOf are the fields of a stage that prompts.
func fieldsOf(s *stage) []field {
	switch s.step.Type {
	case "identify":
		return loginIDFields(methodsOf(s.step))
	case "fill_user_profile", "user_profile":
		var out []field
		for _, a := range s.step.UserProfile {
			out = append(out, profileField(a))
		}
		return out
	case "change_setting":
		return []field{{key: "setting", label: "What to change", kind: "radio-button-group", required: true}}
	}
	return newPasswordFields()
}

func (c *catalog) promptKey(s *stage, f field) string { return c.key("prompt", s.pk, f.key) }

// show is a field as the API of prompts shows it.
func (f field) show() object {
	return object{
		"field_key": f.key, "label": f.label, "type": f.kind, "required": f.required, "placeholder": "", "initial_value": f.initial, "sub_text": f.note,
	}
}

// prompts are all fields of all prompts.
func prompts(c *catalog) []row {
	var out []row
	for _, s := range c.stages {
		if s.kind != promptStage {
			continue
		}
		for n, f := range fieldsOf(s) {
			o := f.show()
			o["pk"], o["name"], o["order"] = c.promptKey(s, f), s.name+": "+f.key, 10*(n+1)
			o["placeholder_expression"], o["initial_value_expression"] = false, false
			out = append(out, row{o, func() object { return object{"prompt_stages_obj": []object{s.show(c)}} }})
		}
	}
	return out
}
