package authgear

import "github.com/usher-id/usher/tenant"

// stepTypes are the step types of the format that have another name here.
var stepTypes = map[string]string{
	"user_profile":         "fill_user_profile",
	"fill_in_user_profile": "fill_user_profile",
	"recovery_code":        "view_recovery_code",
}

// flows reads the project's own flows, which have the same form here. Whether
// they are sound is found out later; see fit.
func (t *translation) flows(root place) {
	for _, typ := range tenant.FlowTypes {
		if typ == tenant.Verify || typ == tenant.Settings {
			continue // that format has no such flows
		}
		key := string(typ) + "_flows"
		p := root.at("/authentication_flow/" + key)
		if !p.given {
			continue
		}
		t.put("/flows/"+key, p, p.value)
		all := t.out.find("/flows/" + key)
		for _, flow := range all.items {
			rename(typ, flow)
		}
	}
}

// rename gives the steps of a flow, or of a branch, the names of their types here.
func rename(typ tenant.FlowType, in *node) {
	steps := in.fields["steps"]
	if steps == nil {
		return
	}
	for _, step := range steps.items {
		if kind := step.fields["type"]; kind != nil {
			name, _ := kind.scalar.(string)
			if to, ok := stepTypes[name]; ok {
				kind.scalar = to
			}
			// An older edition called it so.
			if name == "authenticate" && (typ == tenant.Signup || typ == tenant.Promote) {
				kind.scalar = "create_authenticator"
			}
		}
		if ways := step.fields["one_of"]; ways != nil {
			for _, way := range ways.items {
				rename(typ, way)
			}
		}
	}
}
