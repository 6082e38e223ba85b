package flow

import (
	"encoding/json"
	"maps"

	"github.com/usher-id/usher/tenant"
)

// fillUserProfile asks for attributes of the user; in a settings flow it shows
// those that are known.
type fillUserProfile struct{}

func (fillUserProfile) In(t tenant.FlowType) bool {
	return t == tenant.Signup || t == tenant.Promote || t == tenant.Settings
}

func (fillUserProfile) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	if len(s.UserProfile) == 0 {
		return nil, nil
	}
	attributes, err := c.attributes(s.UserProfile)
	return &Action{Type: stepFillUserProfile, Data: map[string]any{"type": "fill_user_profile_data", "attributes": attributes}}, err
}

// attribute is one that is asked for, in a settings flow with what it is now.
type attribute struct {
	tenant.ProfileField
	Value json.RawMessage `json:"value,omitempty"`
}

func (c *Cursor) attributes(fields []tenant.ProfileField) ([]attribute, error) {
	known := map[string]json.RawMessage{}
	if c.Ref.Type == tenant.Settings {
		account, err := c.Account(c.User)
		if err != nil {
			return nil, err
		}
		if account != nil {
			if known, err = byPointer(account.Attributes); err != nil {
				return nil, err
			}
		}
	}
	out := make([]attribute, len(fields))
	for i, f := range fields {
		out[i] = attribute{f, known[f.Pointer]}
	}
	return out, nil
}

// byPointer lists attributes by their pointers.
func byPointer(of tenant.UserAttributes) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, part := range []json.RawMessage{of.Standard, of.Custom} {
		object := map[string]json.RawMessage{}
		if len(part) > 0 {
			if err := json.Unmarshal(part, &object); err != nil {
				return nil, err
			}
		}
		for key, value := range object {
			out["/"+key] = value
		}
	}
	return out, nil
}

func (fillUserProfile) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("attributes")
}

func (fillUserProfile) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	if err := c.fillProfile(s.UserProfile, in); err != nil {
		return err
	}
	c.pass()
	return nil
}

// fillProfile drafts what the answer gives of the attributes that are asked for.
func (c *Cursor) fillProfile(fields []tenant.ProfileField, in *Answer) error {
	var given []struct {
		Pointer string          `json:"pointer"`
		Value   json.RawMessage `json:"value"`
	}
	if err := in.value("attributes", "a list of {pointer, value}", &given); err != nil {
		return err
	}
	asked, got := map[string]bool{}, map[string]json.RawMessage{}
	for _, f := range fields {
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
	for _, f := range fields {
		if _, ok := got[f.Pointer]; f.Required && !ok {
			causes = append(causes, tenant.Cause{Location: "/attributes", Kind: "required", Details: map[string]any{"pointer": f.Pointer}})
		}
	}
	if len(causes) > 0 {
		return tenant.ErrValidation.Says("the attributes do not fit").WithCauses(causes...)
	}
	c.fill(got)
	return nil
}

// fill drafts attributes, by pointer.
func (c *Cursor) fill(attributes map[string]json.RawMessage) {
	if c.Draft.Profile == nil && len(attributes) > 0 {
		c.Draft.Profile = map[string]json.RawMessage{}
	}
	maps.Copy(c.Draft.Profile, attributes)
}
