package flow

import (
	"slices"

	"github.com/usher-id/usher/tenant"
)

// WaysIn lists how the login flows let users in: by which identification, and
// with which authenticators in the first step that asks for any. No program,
// which is what doesn't compile, lets nobody in.
func (p *Program) WaysIn() []tenant.WayIn {
	if p == nil {
		return nil
	}
	var out []tenant.WayIn
	for _, ref := range p.Flows() {
		if ref.Type != tenant.Login {
			continue
		}
		steps := p.Flow(ref).Steps
		for i := range steps {
			for j := range steps[i].OneOf {
				b := &steps[i].OneOf[j]
				if b.Identification == "" {
					continue
				}
				way := tenant.WayIn{Kind: b.Identification, Authenticators: proofs(b.Steps)}
				if way.Authenticators == nil {
					way.Authenticators = proofs(steps[i+1:])
				}
				out = append(out, way)
			}
		}
	}
	return out
}

// proofs are the authentications of the first step that can't be passed by; nil
// when there is none.
func proofs(steps []tenant.Step) []string {
	for i := range steps {
		if steps[i].Optional {
			continue
		}
		var out []string
		for j := range steps[i].OneOf {
			if a := steps[i].OneOf[j].Authentication; a != "" {
				out = append(out, a)
			}
		}
		if out != nil && steps[i].Type == stepAuthenticate {
			return out
		}
	}
	return nil
}

// waysLeft says whether the user could sign in without a claim and an
// authenticator of theirs.
func (c *Cursor) waysLeft(claim tenant.Claim, authenticator string) (bool, error) {
	account, err := c.Account(c.User)
	if err != nil || account == nil {
		return false, err
	}
	identities, err := c.Identities(c.User)
	if err != nil {
		return false, err
	}
	identities = slices.DeleteFunc(slices.Clone(identities), func(i tenant.Identity) bool { return i.Claim == claim })
	authenticators := slices.DeleteFunc(slices.Clone(account.Authenticators), func(a tenant.Authenticator) bool { return a.ID == authenticator })
	return slices.ContainsFunc(c.program.WaysIn(), func(w tenant.WayIn) bool { return w.Open(identities, authenticators) }), nil
}
