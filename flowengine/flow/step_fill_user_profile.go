package flow

import (
	"encoding/json"
	"maps"

	"github.com/usher-id/usher/tenant"
)

// fillUserProfile asks for attributes of the user.
type fillUserProfile struct{}

func (fillUserProfile) In(t tenant.FlowType) bool { return t == tenant.Signup || t == tenant.Promote }

func (fillUserProfile) Offer(_ *Cursor, s *tenant.Step) (*Action, error) {
	if len(s.UserProfile) == 0 {
		return nil, nil
	}
	return &Action{Type: stepFillUserProfile, Data: map[string]any{"type": "fill_user_profile_data", "attributes": s.UserProfile}}, nil
}

func (fillUserProfile) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("attributes")
}

func (fillUserProfile) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	var given []struct {
		Pointer string          `json:"pointer"`
		Value   json.RawMessage `json:"value"`
	}
	if err := in.value("attributes", "a list of {pointer, value}", &given); err != nil {
		return err
	}
	asked, got := map[string]bool{}, map[string]json.RawMessage{}
	for _, f := range s.UserProfile {
		asked[f.Pointer] = true
	}
	var causes []tenant.Cause
	for i, a := range given {
		at := pointer("/attributes", i)
		if !asked[a.Pointer] {
			causes = append(causes, tenant.Cause{Location: at + "/pointer", Kind: "enum"})
			continue
		}
		if kind := tenant.CheckAttribute(a.Pointer, a.Value); kind != "" {
			causes = append(causes, tenant.Cause{Location: at + "/value", Kind: kind})
		}
		got[a.Pointer] = a.Value
	}
	for _, f := range s.UserProfile {
		if _, ok := got[f.Pointer]; f.Required && !ok {
			causes = append(causes, tenant.Cause{Location: "/attributes", Kind: "required", Details: map[string]any{"pointer": f.Pointer}})
		}
	}
	if len(causes) > 0 {
		return tenant.ErrValidation.Says("the attributes do not fit").WithCauses(causes...)
	}
	c.fill(got)
	c.pass()
	return nil
}

// fill drafts attributes, by pointer.
func (c *Cursor) fill(attributes map[string]json.RawMessage) {
	if c.Draft.Profile == nil && len(attributes) > 0 {
		c.Draft.Profile = map[string]json.RawMessage{}
	}
	maps.Copy(c.Draft.Profile, attributes)
}
