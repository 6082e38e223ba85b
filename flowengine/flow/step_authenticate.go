package flow

import "github.com/usher-id/usher/tenant"

// authenticate asks the user to prove it with a credential they have.
type authenticate struct{}

func (authenticate) In(t tenant.FlowType) bool { return t == tenant.Login }

func (authenticate) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	all, _, err := options(c, s)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 && s.Optional {
		return nil, nil
	}
	if len(all) == 0 {
		if c.Config().Accounts.RevealUnknownUsers || len(c.AMR) > 0 {
			return nil, tenant.ErrNoAuthenticator
		}
		// A user with nothing to prove it by is answered like a stranger.
		c.Decoy = true
		if all, _, err = options(c, s); err != nil {
			return nil, err
		}
	}
	return &Action{Type: s.Type, Data: map[string]any{
		"type": "authentication_data", "options": all,
		"device_token_enabled": false, "device_token_enable": false, // the seed prints both spellings
	}}, nil
}

func (authenticate) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("authentication")
}

func (authenticate) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	i, v, err := choose(c, s, in, "authentication")
	if err != nil {
		return err
	}
	c.AMR = append(c.AMR, v.AMR...)
	c.mark(s, v.Claim)
	c.enter(i)
	return nil
}
