package flow

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// hook asks the tenant's hooks whether something may happen, if there are any,
// and notes the attributes that they set.
func (c *Cursor) hook(event tenant.HookEventType) error {
	if len(c.Config().Hooks.For(event)) == 0 {
		return nil
	}
	user, err := c.shownToHooks()
	if err != nil {
		return err
	}
	facts := map[string]any{"flow": c.Ref}
	switch event {
	case tenant.HookPostIdentified:
		facts["identification"] = c.identification()
	case tenant.HookPreAuthenticated:
		facts["amr"] = append([]string{}, c.AMR...) // a list even when it is empty
	case tenant.HookProfilePreUpdate:
		facts["changed"] = slices.Sorted(maps.Keys(c.Draft.Profile))
	}
	c.called = true
	set, err := c.Hook(event, user, facts)
	if err != nil {
		return err
	}
	for pointer, value := range set {
		if c.Draft.Profile == nil {
			c.Draft.Profile = map[string]json.RawMessage{}
		}
		if c.Draft.Profile[pointer] = value; c.Draft.NewUser && string(value) == "null" {
			delete(c.Draft.Profile, pointer) // there was nothing before it
		}
	}
	return nil
}

// identification is how the user just said who they are; of a login id also
// which.
func (c *Cursor) identification() map[string]any {
	switch c.Claim.Kind {
	case idEmail, idPhone, idUsername:
		return map[string]any{"type": c.method, "value": c.Claim.Value}
	}
	return map[string]any{"type": c.method}
}

// shownToHooks is the user as they would be once the run has ended; nil while
// nobody is known, and for a stranger who isn't told. It reads as much for them.
func (c *Cursor) shownToHooks() (*tenant.HookUser, error) {
	user := &tenant.User{ID: c.User, State: tenant.UserActive}
	var identities []tenant.Identity
	if !c.Draft.NewUser {
		kept, err := c.Identities(c.User)
		if err != nil || c.User == "" || c.Decoy {
			return nil, err
		}
		account, err := c.Account(c.User)
		if err != nil || account == nil {
			return nil, err
		}
		copied := account.User
		user, identities = &copied, kept
	}
	for _, n := range c.Draft.Identities {
		i := tenant.Identity{Claim: n.Claim}
		if slices.Contains(c.Proved, n.Claim) {
			i.VerifiedAt = c.Now()
		}
		identities = append(identities, i)
	}
	user.Anonymous = len(identities) == 0 && (c.Draft.NewUser || user.Anonymous)
	attributes, err := FillProfile(user.Attributes, c.Draft.Profile)
	if err != nil {
		return nil, err
	}
	user.Attributes = attributes
	return tenant.NewHookUser(user, identities), nil
}

// FillProfile puts attributes given by pointer into what is known already. Those
// that begin with x_ are the tenant's own; a null removes one.
func FillProfile(known tenant.UserAttributes, given map[string]json.RawMessage) (tenant.UserAttributes, error) {
	for _, part := range []struct {
		kept   *json.RawMessage
		custom bool
	}{{&known.Standard, false}, {&known.Custom, true}} {
		object := map[string]json.RawMessage{}
		if len(*part.kept) > 0 {
			if err := json.Unmarshal(*part.kept, &object); err != nil {
				return known, err
			}
		}
		touched := false
		for pointer, value := range given {
			if strings.HasPrefix(pointer, "/x_") != part.custom {
				continue
			}
			touched = true
			if object[pointer[1:]] = value; string(value) == "null" {
				delete(object, pointer[1:])
			}
		}
		if !touched {
			continue
		}
		merged, err := json.Marshal(object)
		if err != nil {
			return known, err
		}
		*part.kept = merged
	}
	return known, nil
}
