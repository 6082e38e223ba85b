package flow

import "github.com/usher-id/usher/tenant"

// createAuthenticator asks the user to set up a credential that they don't have
// yet; whoever has all of them isn't asked.
type createAuthenticator struct{}

func (createAuthenticator) In(t tenant.FlowType) bool {
	return t == tenant.Signup || t == tenant.Login || t == tenant.Promote || t == tenant.Settings
}

func (createAuthenticator) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	if c.Pending != nil {
		return prompt(c, s)
	}
	if c.inGrace(s) {
		return nil, nil
	}
	all, _, err := options(c, s)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "create_authenticator_data", "options": all}}, nil
}

func (createAuthenticator) Understands(c *Cursor, s *tenant.Step, in *Answer) bool {
	return understands(c, s, in, "authentication")
}

func (createAuthenticator) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	return takeFactor(c, s, in)
}
