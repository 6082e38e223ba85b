package flow

import "github.com/usher-id/usher/tenant"

// terminateOtherSessions asks a user who is signed in elsewhere to end that.
type terminateOtherSessions struct{}

func (terminateOtherSessions) In(t tenant.FlowType) bool { return t == tenant.Login }

func (terminateOtherSessions) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	if c.EndOthers {
		return nil, nil
	}
	others, err := c.OtherSessions(c.User)
	if err != nil || !others {
		return nil, err
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "terminate_other_sessions_data"}}, nil
}

func (terminateOtherSessions) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has(stepTerminateOtherSessions)
}

// Take notes it; they end when the flow does.
func (terminateOtherSessions) Take(c *Cursor, _ *tenant.Step, in *Answer) error {
	yes, err := in.flag(stepTerminateOtherSessions)
	if err == nil && !yes {
		err = tenant.Invalidf("/terminate_other_sessions", "required", "terminate_other_sessions is true to go on here")
	}
	if err != nil {
		return err
	}
	c.EndOthers = true
	c.pass()
	return nil
}
