package flow

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// The three steps after identify in an account_recovery flow. A stranger walks
// through the same answers; only, nobody is written to.
type (
	selectDestination  struct{}
	verifyRecoveryCode struct{}
	resetPassword      struct{}
)

func (selectDestination) In(t tenant.FlowType) bool  { return t == tenant.AccountRecovery }
func (verifyRecoveryCode) In(t tenant.FlowType) bool { return t == tenant.AccountRecovery }
func (resetPassword) In(t tenant.FlowType) bool      { return t == tenant.AccountRecovery }

// destination is where a recovery code can go.
type destination struct {
	to tenant.Claim
	tenant.Destination
}

func (d destination) show(c *Cursor) map[string]any {
	return map[string]any{"masked_display_name": c.mask(d.to), "channel": d.Channel, "otp_form": d.OTPForm}
}

func (selectDestination) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	all, err := destinations(c, s)
	if err != nil {
		return nil, err
	}
	shown := make([]map[string]any, len(all))
	for i, d := range all {
		shown[i] = d.show(c)
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "account_recovery_select_destination_data", "options": shown}}, nil
}

func (selectDestination) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("index")
}

func (selectDestination) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	index, ok, err := in.number("index")
	if err == nil && !ok {
		err = tenant.Invalidf("/index", "required", "index is required")
	}
	if err != nil {
		return err
	}
	all, err := destinations(c, s)
	if err != nil {
		return err
	}
	if index < 0 || index >= len(all) {
		return tenant.Invalidf("/index", "range", "index is between 0 and %d", len(all)-1)
	}
	d := all[index]
	p, err := c.send(sent{Purpose: tenant.PurposeRecover, Form: d.OTPForm, Channel: d.Channel, To: d.to})
	if err != nil {
		return err
	}
	c.pass()
	c.Pending, err = marshal(p) // for the next step
	return err
}

// destinations are the ways a code can reach the user: the address they said,
// or all of theirs where the step says so or they said a username.
func destinations(c *Cursor, s *tenant.Step) ([]destination, error) {
	addresses := []tenant.Claim{c.Claim}
	username := c.Claim.Kind == idUsername
	switch {
	case c.Decoy && username:
		addresses = []tenant.Claim{decoyAddress(c.Claim)}
	case !c.Decoy && (username || s.EnumerateDestinations):
		identities, err := c.Identities(c.User)
		if err != nil {
			return nil, err
		}
		addresses = nil
		for _, i := range identities {
			addresses = append(addresses, i.Claim)
		}
	}
	var out []destination
	for _, to := range addresses {
		for _, d := range allowedChannels(c, s, to.Kind) {
			out = append(out, destination{to, d})
		}
	}
	if len(out) == 0 {
		return nil, tenant.ErrNoAuthenticator
	}
	return out, nil
}

func allowedChannels(c *Cursor, s *tenant.Step, kind string) []tenant.Destination {
	var of []tenant.Destination
	switch kind {
	case idEmail:
		of = c.Config().Recovery.Email
	case idPhone:
		of = c.Config().Recovery.Phone
	}
	if len(s.AllowedChannels) == 0 {
		return of
	}
	var out []tenant.Destination
	for _, d := range s.AllowedChannels {
		if (d.Channel == "email") == (kind == idEmail) && (kind == idEmail || kind == idPhone) {
			out = append(out, d)
		}
	}
	return out
}

// decoyAddress makes up where a stranger with a username could be reached: the
// same for the same name.
func decoyAddress(claim tenant.Claim) tenant.Claim {
	sum := sha256.Sum256([]byte("decoy:" + claim.Value))
	return tenant.Claim{Kind: idEmail, Value: strings.ToLower(base64.RawURLEncoding.EncodeToString(sum[:6])) + "@gmail.com"}
}

func (verifyRecoveryCode) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	p, err := pending[sent](c)
	if err != nil {
		return nil, err
	}
	data, err := c.describe(p, "account_recovery_verify_code_data", "masked_display_name")
	return &Action{Type: s.Type, Data: data}, err
}

func (verifyRecoveryCode) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("account_recovery_code", "resend")
}

func (verifyRecoveryCode) Take(c *Cursor, _ *tenant.Step, in *Answer) error {
	p, err := pending[sent](c)
	if err != nil {
		return err
	}
	done, next, err := c.tryCode(p, in, "account_recovery_code")
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

func (resetPassword) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	return &Action{Type: s.Type, Data: map[string]any{
		"type": "reset_password_data", "password_policy": c.Config().PasswordPolicy.Public()}}, nil
}

func (resetPassword) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("new_password")
}

func (resetPassword) Take(c *Cursor, _ *tenant.Step, in *Answer) error {
	if err := c.newPassword(in); err != nil {
		return err
	}
	c.pass()
	return nil
}
