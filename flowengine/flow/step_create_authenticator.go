package flow

import "github.com/usher-id/usher/tenant"

// createAuthenticator asks the user to set up a credential that they don't have
// yet; whoever has all of them isn't asked.
type createAuthenticator struct{}

func (createAuthenticator) In(t tenant.FlowType) bool { return t == tenant.Signup || t == tenant.Login }

func (createAuthenticator) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	all, _, err := options(c, s)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "create_authenticator_data", "options": all}}, nil
}

func (createAuthenticator) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("authentication")
}

func (createAuthenticator) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	i, v, err := choose(c, s, in, "authentication")
	if err != nil {
		return err
	}
	c.AMR = append(c.AMR, v.AMR...)
	c.mark(s, v.Claim)
	c.enter(i)
	return nil
}
