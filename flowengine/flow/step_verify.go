package flow

import (
	"slices"

	"github.com/usher-id/usher/tenant"
)

// verify proves that the claim of an earlier step is the user's, by a code sent
// to it.
type verify struct{}

func (verify) In(t tenant.FlowType) bool {
	return t == tenant.Signup || t == tenant.Promote || t == tenant.Verify
}

func (verify) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	to := c.Marks[s.TargetStep]
	delivery := c.Config().OTP.Of(to.Kind)
	if c.Pending == nil {
		if to.Kind != idEmail && to.Kind != idPhone || slices.Contains(c.Proved, to) {
			return nil, nil // nothing to verify, or verified already
		}
		if len(delivery.Channels) > 1 {
			return &Action{Type: s.Type, Data: map[string]any{
				"type": "select_oob_otp_channels_data", "channels": delivery.Channels, "masked_claim_value": c.mask(to)}}, nil
		}
		if err := sendVerification(c, to, delivery.Channels[0]); err != nil {
			return nil, err
		}
	}
	p, err := pending[sent](c)
	if err != nil {
		return nil, err
	}
	data, err := c.describe(p, "verify_oob_otp_data", "masked_claim_value")
	return &Action{Type: s.Type, Data: data}, err
}

func sendVerification(c *Cursor, to tenant.Claim, ch string) error {
	p, err := c.send(sent{Purpose: tenant.PurposeVerify, Form: c.Config().OTP.Of(to.Kind).Form, Channel: ch, To: to})
	if err != nil {
		return err
	}
	c.Pending, err = marshal(p)
	return err
}

func (verify) Understands(c *Cursor, _ *tenant.Step, in *Answer) bool {
	if c.Pending == nil {
		return in.has("channel")
	}
	return in.has(codeKeys...)
}

func (verify) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	to := c.Marks[s.TargetStep]
	if c.Pending == nil {
		if !in.has("channel") {
			return tenant.Invalidf("/channel", "required", "channel is required")
		}
		ch, err := channel(in, c.Config().OTP.Of(to.Kind).Channels)
		if err != nil {
			return err
		}
		return sendVerification(c, to, ch)
	}
	p, err := pending[sent](c)
	if err != nil {
		return err
	}
	done, next, err := c.tryCode(p, in, "code")
	if err != nil {
		return err
	}
	if !done {
		c.Pending, err = marshal(next)
		return err
	}
	c.prove(p.To)
	c.pass()
	return nil
}
