package flowinstances

import (
	"cmp"
	"slices"

	"github.com/usher-id/usher/tenant"
)

// types says how this API sees flows of a type.
var types = map[tenant.FlowType]struct {
	designation string
	title       string // unless the tenant gives it one
}{
	tenant.Login:           {"authentication", "Sign in"},
	tenant.SignupLogin:     {"authentication", "Sign in or sign up"},
	tenant.Reauth:          {"authentication", "Confirm that it is you"},
	tenant.Signup:          {"enrollment", "Sign up"},
	tenant.Promote:         {"enrollment", "Keep your account"},
	tenant.AccountRecovery: {"recovery", "Recover your account"},
	tenant.Verify:          {"stage_configuration", "Verify your address"},
	tenant.Settings:        {"stage_configuration", "Your account"},
	logout.Type:            {"invalidation", "Sign out"},
}

// The values that some fields may have.
var (
	designations  = []string{"authentication", "authorization", "invalidation", "enrollment", "unenrollment", "recovery", "stage_configuration"}
	layouts       = []string{"stacked", "content_left", "content_right", "sidebar_left", "sidebar_right"}
	deniedActions = []string{"message_continue", "message", "continue"}
)

func (c *catalog) presentation(i *instance) tenant.FlowPresentation {
	look := c.looks[i.ref.String()]
	look.Flow = i.ref.String()
	return look
}

// show is a flow as this API shows it. Every key is there, always.
func (c *catalog) show(i *instance) object { return c.draw(i, c.presentation(i)) }

// draw shows a flow in the way that is given.
func (c *catalog) draw(i *instance, p tenant.FlowPresentation) object {
	o := c.brief(i, p)
	stages := make([]string, 0, len(i.bindings))
	for _, b := range i.bindings {
		if !slices.Contains(stages, b.stage.pk) {
			stages = append(stages, b.stage.pk)
		}
	}
	o["stages"], o["policies"] = stages, []string{}
	o["background"], o["background_themed_urls"] = p.Background, nil
	o["cache_count"] = 0 // runs are not planned ahead
	if o["authentication"] = "none"; i.ref.Type.NeedsSession() {
		o["authentication"] = "require_authenticated"
	}
	return o
}

// brief is a flow as stages name those that they stand in.
func (c *catalog) brief(i *instance, p tenant.FlowPresentation) object {
	return object{
		"pk": i.pk, "policybindingmodel_ptr_id": i.pk, "slug": i.slug,
		"name":               cmp.Or(p.DisplayName, i.slug),
		"title":              cmp.Or(p.Title, types[i.ref.Type].title),
		"designation":        types[i.ref.Type].designation,
		"background_url":     p.Background,
		"policy_engine_mode": "any",
		"compatibility_mode": p.CompatibilityMode,
		"export_url":         Base + "flows/instances/" + i.slug + "/export/",
		"layout":             cmp.Or(p.Layout, tenant.Stacked),
		"denied_action":      cmp.Or(p.DeniedAction, tenant.MessageContinue),
	}
}

// usedBy lists the flows that go on in this one.
func usedBy(c *call, i *instance) (any, error) {
	out := []object{}
	for _, other := range c.instances {
		if other.ref.Type == tenant.SignupLogin && slices.ContainsFunc(other.steps, func(s tenant.Step) bool {
			return slices.ContainsFunc(s.OneOf, func(b tenant.Branch) bool {
				return i.ref == tenant.FlowRef{Type: tenant.Login, Name: b.LoginFlow} || i.ref == tenant.FlowRef{Type: tenant.Signup, Name: b.SignupFlow}
			})
		}) {
			out = append(out, object{"app": "authentik_flows", "model_name": "flow", "pk": other.pk, "name": other.slug, "action": "left_dangling"})
		}
	}
	return out, nil
}
