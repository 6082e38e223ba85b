package flow

import (
	"slices"

	"github.com/usher-id/usher/tenant"
)

// authenticate asks the user to prove it with a credential they have.
type authenticate struct{}

func (authenticate) In(t tenant.FlowType) bool {
	return t == tenant.Login || t == tenant.Reauth || t == tenant.AccountRecovery
}

func (authenticate) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	if remembers(c, s) {
		if known, err := c.remembered(); err != nil || known {
			return nil, err
		}
	}
	if c.selectedProof(s) {
		return nil, nil
	}
	all, _, err := options(c, s)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		switch {
		case c.inGrace(s):
			return nil, nil
		case s.EnrollmentAllowed && len(c.AMR) > 0:
			return createAuthenticator{}.Offer(c, enrolment(s))
		case s.Optional:
			return nil, nil
		case c.Config().Accounts.RevealUnknownUsers || len(c.AMR) > 0:
			return nil, tenant.ErrNoAuthenticator
		}
		// A user with nothing to prove it by is answered like a stranger.
		c.Decoy = true
		if all, _, err = options(c, s); err != nil {
			return nil, err
		}
	}
	if c.Pending != nil {
		return prompt(c, s)
	}
	device := remembers(c, s)
	return &Action{Type: s.Type, Data: map[string]any{
		"type": "authentication_data", "options": all,
		"device_token_enabled": device, "device_token_enable": device, // the seed prints both spellings
	}}, nil
}

func (authenticate) Understands(c *Cursor, s *tenant.Step, in *Answer) bool {
	return understands(c, s, in, "authentication")
}

func (authenticate) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	if s.EnrollmentAllowed {
		all, _, err := options(c, s)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return createAuthenticator{}.Take(c, enrolment(s), in)
		}
	}
	device, err := in.flag("request_device_token")
	if err != nil {
		return err
	}
	c.Device = c.Device || device && remembers(c, s)
	return takeFactor(c, s, in)
}

// selectedProof says whether the session that the user selected was opened with
// a second factor, when that is all that the step asks for.
func (c *Cursor) selectedProof(s *tenant.Step) bool {
	if c.Selected == "" || !slices.Contains(c.AMR, "mfa") {
		return false
	}
	return !slices.ContainsFunc(s.OneOf, func(b tenant.Branch) bool {
		return !secondary(b.Method()) && b.Method() != recoveryCodeName && b.Method() != deviceTokenName
	})
}

// inGrace says whether the step may still be passed by.
func (c *Cursor) inGrace(s *tenant.Step) bool {
	return s.Grace && c.Now().Before(c.Config().Authenticators.Grace())
}

// enrolment is the step as it is for a user who has none of its methods yet.
func enrolment(s *tenant.Step) *tenant.Step {
	e := *s
	e.Type = stepCreateAuthenticator
	return &e
}

// takeFactor is what proving and setting up a factor share.
func takeFactor(c *Cursor, s *tenant.Step, in *Answer) error {
	i, v, done, err := take(c, s, in, "authentication")
	if err != nil || !done {
		return err
	}
	for _, m := range v.AMR {
		c.amr(m)
		c.Renews = c.Selected != ""
	}
	c.mark(s, v.Claim)
	c.enter(i)
	return nil
}
