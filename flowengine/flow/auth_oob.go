package flow

import (
	"slices"

	"github.com/usher-id/usher/tenant"
)

// oob proves that an address is the user's by sending a code to it.
type oob struct {
	name string
	kind string // of the address
	amr  []string
}

func (oob) For(step string) bool {
	return step == stepAuthenticate || step == stepCreateAuthenticator
}

func (oob) Proves(step string) bool { return step == stepAuthenticate }

func (m oob) Options(c *Cursor, s *tenant.Step, b *tenant.Branch) ([]Option, error) {
	delivery := c.Config().OTP.Of(m.kind)
	show := func(to tenant.Claim) Option {
		return Option{To: to, Show: map[string]any{"authentication": m.name, "otp_form": delivery.Form, "channels": delivery.Channels}}
	}
	if s.Type == stepCreateAuthenticator {
		has, err := c.has(m.name)
		if err != nil || has {
			return nil, err
		}
		o := show(c.addressFor(m, b))
		if o.To.Value != "" {
			o.Show["target"] = map[string]any{"masked_display_name": c.mask(o.To), "verification_required": c.mustVerify(b, o.To)}
		}
		return []Option{o}, nil
	}
	addresses, decoy, err := m.addresses(c, b)
	if err != nil {
		return nil, err
	}
	out := make([]Option, 0, len(addresses))
	for _, to := range addresses {
		o := show(to)
		o.Show["masked_display_name"] = c.mask(to)
		o.Decoy = decoy
		out = append(out, o)
	}
	return out, nil
}

// addresses are where this user can be reached to prove it: those that were set
// up for it, and as a first factor also the one they identified with. While it is
// a secret who the login id is, that one is all there is, whoever they are; and
// where the login id is no address of the kind, somebody without any is answered
// with a decoy.
func (m oob) addresses(c *Cursor, b *tenant.Branch) (out []tenant.Claim, decoy bool, err error) {
	target := c.Marks[b.TargetStep]
	fits := func(to tenant.Claim) bool { return b.TargetStep == "" || target == to }
	first, secret := !secondary(m.name), c.secret()
	own := first && c.Claim.Kind == m.kind && fits(c.Claim)
	if own && secret {
		return []tenant.Claim{c.Claim}, false, nil
	}
	account := &tenant.Account{}
	if !c.Decoy {
		if account, err = c.Account(c.User); err != nil || account == nil {
			return nil, false, err
		}
	}
	for _, a := range account.Authenticators {
		if to := (tenant.Claim{Kind: m.kind, Value: a.Secret}); a.Type == m.name && fits(to) {
			out = append(out, to)
		}
	}
	switch {
	case own && !slices.Contains(out, c.Claim) && (c.Known || len(account.Authenticators) == 0):
		out = append(out, c.Claim)
	case first && secret && len(out) == 0 && b.TargetStep == "":
		return []tenant.Claim{c.decoyAddress(m.kind)}, true, nil
	}
	return out, false, nil
}

// addressFor is the address that a new authenticator is about, as far as it
// follows from the run: of the target step, or the last one of the right kind
// that the user identified with.
func (c *Cursor) addressFor(m oob, b *tenant.Branch) tenant.Claim {
	if b.TargetStep != "" {
		return c.Marks[b.TargetStep]
	}
	if secondary(m.name) {
		return tenant.Claim{}
	}
	for _, i := range slices.Backward(c.Draft.Identities) {
		if i.Kind == m.kind {
			return i.Claim
		}
	}
	if c.Claim.Kind == m.kind {
		return c.Claim
	}
	return tenant.Claim{}
}

func (c *Cursor) mustVerify(b *tenant.Branch, to tenant.Claim) bool {
	return (b.VerificationRequired == nil || *b.VerificationRequired) && !slices.Contains(c.Proved, to)
}

func (m oob) Take(c *Cursor, s *tenant.Step, b *tenant.Branch, o Option, in *Answer) (Verdict, error) {
	delivery := c.Config().OTP.Of(m.kind)
	purpose := tenant.PurposeAuthenticate
	if s.Type == stepCreateAuthenticator {
		purpose = tenant.PurposeVerify
		if o.To.Value == "" {
			raw, err := in.text("target")
			if err == nil {
				o.To, err = normalize(&c.Config().LoginIDs, m.kind, raw, "/target")
			}
			if err != nil {
				return Verdict{}, err
			}
		}
		if !c.mustVerify(b, o.To) {
			return m.create(c, o.To), nil
		}
	}
	ch, err := channel(in, delivery.Channels)
	if err != nil {
		return Verdict{}, err
	}
	p, err := c.send(sent{Purpose: purpose, Form: delivery.Form, Channel: ch, To: o.To, Decoy: o.Decoy})
	return Verdict{Pending: p}, err
}

func (oob) Keys() []string { return codeKeys }

func (oob) Prompt(c *Cursor, _ *tenant.Step) (map[string]any, error) {
	p, err := pending[sent](c)
	if err != nil {
		return nil, err
	}
	return c.describe(p, "verify_oob_otp_data", "masked_claim_value")
}

func (m oob) Resume(c *Cursor, s *tenant.Step, _ *tenant.Branch, in *Answer) (Verdict, error) {
	p, err := pending[sent](c)
	if err != nil {
		return Verdict{}, err
	}
	done, next, err := c.tryCode(p, in, "code")
	if err != nil || !done {
		return Verdict{Pending: next}, err
	}
	c.prove(p.To)
	if s.Type == stepCreateAuthenticator {
		return m.create(c, p.To), nil
	}
	if len(c.AMR) == 0 && p.To == c.Claim && !c.Known {
		if err := m.distrust(c); err != nil {
			return Verdict{}, err
		}
	}
	return Verdict{Claim: p.To, AMR: m.amr}, nil
}

// create drafts the authenticator. A proved address counts as a factor.
func (m oob) create(c *Cursor, to tenant.Claim) Verdict {
	c.Draft.Authenticators = append(c.Draft.Authenticators, NewCredential{ID: c.NewID(), Type: m.name, Secret: to.Value})
	v := Verdict{Claim: to}
	if slices.Contains(c.Proved, to) {
		v.AMR = m.amr
	}
	return v
}

// distrust is for a user who proves for the first time that the address they
// identify with is theirs. Whoever set the password hasn't, and may be somebody
// else, who waits for its owner to come: as in a recovery the password has to
// change, and the sessions that are open end.
func (m oob) distrust(c *Cursor) error {
	account, err := c.Account(c.User)
	if err != nil || account == nil {
		return err
	}
	password := false
	for _, a := range account.Authenticators {
		if a.Type == m.name && a.Secret == c.Claim.Value { // set up for this
			return nil
		}
		password = password || a.Type == primaryPassword
	}
	if password {
		c.Change, c.EndOthers = changeInvalid, true
	}
	return nil
}

// prove notes that an address is the user's.
func (c *Cursor) prove(to tenant.Claim) {
	if !slices.Contains(c.Proved, to) {
		c.Proved = append(c.Proved, to)
	}
}
