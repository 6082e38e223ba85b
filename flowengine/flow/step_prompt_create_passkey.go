package flow

import "github.com/usher-id/usher/tenant"

// promptCreatePasskey offers a passkey to users who have none yet, and an
// account to keep; they may decline.
type promptCreatePasskey struct{}

func (promptCreatePasskey) In(t tenant.FlowType) bool {
	return t == tenant.Signup || t == tenant.Login || t == tenant.Promote || t == tenant.Settings
}

func (promptCreatePasskey) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	has, err := c.has(primaryPasskey)
	if err != nil || has {
		return nil, err
	}
	if name, err := c.accountName(); err != nil || name == "" {
		return nil, err
	}
	options, err := c.creationOptions()
	return &Action{Type: s.Type, Data: map[string]any{"type": "create_passkey_data", "creation_options": options}}, err
}

func (promptCreatePasskey) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("creation_response", "skip")
}

func (promptCreatePasskey) Take(c *Cursor, _ *tenant.Step, in *Answer) error {
	skip, err := in.flag("skip")
	if err == nil && !skip {
		c.method = primaryPasskey
		_, err = c.createPasskey(in)
	}
	if err != nil {
		return err
	}
	c.pass()
	return nil
}
