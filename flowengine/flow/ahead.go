package flow

import "github.com/usher-id/usher/tenant"

// Ahead is one way to identify at the step that a run stands on, with what comes
// right after it.
type Ahead struct {
	Identification string
	Step           string           // the type of the step that comes then; [Finished] when none does
	Optional       bool             // that step may be passed by when the user has nothing for it
	Ways           []map[string]any // to take it, as in its action, without what depends on the user
}

// Ahead reads from the definition what a client may answer in one go: a page can
// show every way to identify together with what follows each of them, and send
// both as a batch. It is nil unless the run stands on an identify step and
// waits for a choice. Nothing is looked up, so that it tells nothing of a user:
// what a user then has may be less.
func (p *Program) Ahead(s State) []Ahead {
	c := &Cursor{State: s.clone(), program: p}
	here := c.step()
	if here == nil || here.Type != stepIdentify || c.Pending != nil || c.Linking != nil {
		return nil
	}
	at := c.At
	out := make([]Ahead, len(here.OneOf))
	for i := range here.OneOf {
		b := &here.OneOf[i]
		c.At = append(at[:len(at):len(at)], i, 0)
		out[i] = Ahead{Identification: b.Identification, Step: Finished}
		if next := c.next(here, b); next != nil {
			out[i].Step, out[i].Optional, out[i].Ways = next.Type, next.Optional, p.ways(next)
		}
	}
	return out
}

// next walks on to the step that asks something after a branch of an identify
// step was taken; nil at the end of the flow.
func (c *Cursor) next(from *tenant.Step, taken *tenant.Branch) *tenant.Step {
	for {
		s := c.step()
		switch {
		case s == nil && len(c.At) > 1:
			c.At = c.At[:len(c.At)-2]
		case s == nil:
			return nil
		case s.Type == stepCheckAccountStatus:
		case s.Type == stepVerify && s.TargetStep == from.Name && taken.Identification != idEmail && taken.Identification != idPhone:
		default:
			return s
		}
		c.At[len(c.At)-1]++
	}
}

// ways are the branches of a step as they are for everybody.
func (p *Program) ways(s *tenant.Step) []map[string]any {
	out := make([]map[string]any, 0, len(s.OneOf))
	for i := range s.OneOf {
		b := &s.OneOf[i]
		show := map[string]any{methodKey(s): b.Method()}
		switch m := methods[b.Method()].(type) {
		case password:
			if s.Type == stepCreateAuthenticator {
				show["password_policy"] = p.config.PasswordPolicy.Public()
			}
		case oob:
			delivery := p.config.OTP.Of(m.kind)
			show["otp_form"], show["channels"] = delivery.Form, delivery.Channels
		}
		if p.guarded(b) {
			show["bot_protection"] = p.widget()
		}
		out = append(out, show)
	}
	return out
}
