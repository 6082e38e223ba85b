package flow

import (
	"time"

	"github.com/usher-id/usher/tenant"
)

// changeSetting lets the user change one thing of theirs. Everything that may be
// changed is offered at once, with what is needed to change it, so that one page
// can show all of it and one answer changes it.
type changeSetting struct{}

func (changeSetting) In(t tenant.FlowType) bool { return t == tenant.Settings }

func (changeSetting) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	if c.Pending != nil {
		return prompt(c, s)
	}
	all, _, err := options(c, s)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "change_setting_data", "options": all}}, nil
}

func (changeSetting) Understands(c *Cursor, s *tenant.Step, in *Answer) bool {
	return understands(c, s, in, "setting")
}

func (changeSetting) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	i, _, done, err := take(c, s, in, "setting")
	if err != nil || !done {
		return err
	}
	c.enter(i)
	return nil
}

// mayChange refuses to change credentials in a settings flow when the user has
// proved themselves too long ago: a session that was left open is enough to look
// around, and not to take the account over.
func (c *Cursor) mayChange() error {
	if c.Ref.Type != tenant.Settings {
		return nil
	}
	fresh := time.Duration(c.Config().Sessions.PrivilegedSeconds) * time.Second
	if s := c.Session(); s == nil || c.Now().Sub(s.AuthenticatedAt) >= fresh {
		return tenant.ErrSessionNotFresh
	}
	return nil
}
