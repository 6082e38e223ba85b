package flow

import (
	"slices"

	"github.com/usher-id/usher/tenant"
)

// A guarded branch asks whoever takes it to show that they are no program, by
// the response of a widget (tenant.BotProtection). It is asked for before
// anything is looked up, hashed, sent or counted against the user, at each
// request anew: a response works once, and what it let through isn't kept in the
// state, where one would buy any number of guesses by going back. Within a
// request, which ends at the first refusal, one response is enough for all its
// inputs.

// guarded says whether a branch asks for a response. A signup_login branch asks
// too where one does that the run may go on in.
func (p *Program) guarded(b *tenant.Branch) bool {
	if !p.config.BotProtection.Enabled || b.BotProtection.Always() {
		return p.config.BotProtection.Enabled
	}
	to := []tenant.FlowRef{{Type: tenant.Signup, Name: b.SignupFlow}, {Type: tenant.Login, Name: b.LoginFlow}}
	return slices.ContainsFunc(to, func(ref tenant.FlowRef) bool { return p.guardsEntry(ref, b.Identification) })
}

// guardsEntry says whether a flow that a run may go on in asks for a response
// where it begins.
func (p *Program) guardsEntry(ref tenant.FlowRef, identification string) bool {
	f := p.flows[ref]
	if f == nil {
		return false
	}
	first := &f.Steps[0]
	return p.guarded(&first.OneOf[branchFor(first, identification)]) // Compile has seen that it is there
}

// widget is what a client needs to show the widget.
func (p *Program) widget() map[string]any {
	provider := &p.config.BotProtection.Provider
	return map[string]any{"enabled": true, "provider": map[string]any{"type": provider.Type, "site_key": provider.SiteKey}}
}

// maxBotResponse is the longest response in bytes; those of the providers have
// a few thousand.
const maxBotResponse = 16 << 10

// human demands a response that is right, once in a request.
func (c *Cursor) human(in *Answer) error {
	if c.isHuman {
		return nil
	}
	if !in.has("bot_protection") {
		return tenant.ErrBotProtectionRequired
	}
	var given struct{ Type, Response string }
	if err := in.value("bot_protection", "an object {type, response}", &given); err != nil {
		return err
	}
	provider := c.Config().BotProtection.Provider.Type
	switch {
	case given.Type != provider:
		return tenant.Invalidf("/bot_protection/type", "enum", "the tenant's widget is of type %s", provider)
	case given.Response == "":
		return tenant.Invalidf("/bot_protection/response", "required", "response is what the widget gives")
	case len(given.Response) > maxBotResponse:
		return tenant.Invalidf("/bot_protection/response", "maxLength", "no widget gives a response of this length")
	}
	if err := c.Allow(LimitBotProtection, ""); err != nil { // each costs a call
		return err
	}
	c.called = true
	if err := c.Human(given.Response); err != nil {
		return err
	}
	c.Right(LimitBotProtection, "")
	c.isHuman = true
	return nil
}

// guard checks that a guarded branch can ask.
func (k *checker) guard(b *tenant.Branch, at string) {
	switch {
	case !b.BotProtection.Always():
	case b.Authentication == deviceTokenName:
		k.problem(at+"/bot_protection", "NotHere", "a device token isn't asked for, so nothing can be asked with it")
	case k.program.config.BotProtection.Provider.SiteKey == "":
		k.problem(at+"/bot_protection", "NoProvider", "the branch asks for bot protection, and bot_protection.provider has no site key")
	}
}

// protect puts guards into a derived flow, where the tenant's requirements say
// so. verified says that the address that the user identified with has been, so
// that no code is sent to it.
func protect(cfg *tenant.Config, t tenant.FlowType, steps []tenant.Step, verified bool) []tenant.Step {
	if !cfg.BotProtection.Enabled {
		return steps
	}
	out := slices.Clone(steps) // flows share their steps
	for i := range out {
		s := &out[i]
		s.OneOf = slices.Clone(s.OneOf)
		for j := range s.OneOf {
			b := &s.OneOf[j]
			verifies := s.Type == stepIdentify && (t == tenant.Verify || len(b.Steps) > 0 && b.Steps[0].Type == stepVerify)
			if slices.ContainsFunc(risks(cfg, t, s, b, verified, verifies), (*tenant.BotRequirement).Always) {
				b.BotProtection = &tenant.BotRequirement{Mode: tenant.BotAlways}
			}
			b.Steps = protect(cfg, t, b.Steps, verified || verifies)
		}
	}
	return out
}

// risks are the requirements that cover a branch of a derived flow. verifies says
// that a code is sent at once when the branch is taken.
func risks(cfg *tenant.Config, t tenant.FlowType, s *tenant.Step, b *tenant.Branch, verified, verifies bool) []*tenant.BotRequirement {
	r := &cfg.BotProtection.Requirements
	codes := map[string]*tenant.BotRequirement{idEmail: &r.OOBOTPEmail, idPhone: &r.OOBOTPSMS}
	method := b.Method()
	if by, sends := methods[method].(oob); sends {
		if verified && b.TargetStep == identified {
			return nil
		}
		return []*tenant.BotRequirement{codes[by.kind]}
	}
	switch {
	case s.Type == stepAuthenticate && (method == primaryPassword || method == secondaryPassword):
		return []*tenant.BotRequirement{&r.Password}
	case s.Type != stepIdentify:
	case t == tenant.AccountRecovery && method == idUsername: // a code goes to any address of theirs
		return []*tenant.BotRequirement{&r.AccountRecovery, &r.OOBOTPEmail, &r.OOBOTPSMS}
	case t == tenant.AccountRecovery:
		return []*tenant.BotRequirement{&r.AccountRecovery, codes[method]}
	case t == tenant.Verify:
		return []*tenant.BotRequirement{codes[method]}
	case verifies:
		return []*tenant.BotRequirement{&r.SignupOrLogin, codes[method]}
	case method == idEmail || method == idPhone || method == idUsername || method == idAnonymous:
		return []*tenant.BotRequirement{&r.SignupOrLogin}
	case method == idLDAP:
		return []*tenant.BotRequirement{&r.SignupOrLogin, &r.Password}
	}
	return nil
}
