package flow

import "github.com/usher-id/usher/tenant"

// loginID identifies by an e-mail address, a phone number, or a username.
type loginID struct {
	oneShot
	kind string
}

func (loginID) For(step string) bool { return step == stepIdentify }

// Proves: anybody can say it.
func (loginID) Proves(string) bool { return false }

func (m loginID) Options(*Cursor, *tenant.Step, *tenant.Branch) ([]Option, error) {
	return []Option{{Show: map[string]any{"identification": m.kind}}}, nil
}

func (m loginID) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	raw, err := in.text("login_id")
	if err != nil {
		return Verdict{}, err
	}
	rules := &c.Config().LoginIDs
	claim, err := NormalizeClaim(rules, m.kind, raw)
	if err != nil {
		return Verdict{}, err
	}
	known := c.Ref.Type == tenant.Login || c.Ref.Type == tenant.AccountRecovery || c.Ref.Type == tenant.Verify
	return Verdict{Claim: claim, Shown: raw, Also: otherForms(rules, claim, raw, known)}, nil
}
