package flow

import (
	"slices"
	"time"

	"github.com/usher-id/usher/tenant"
)

// Why a password has to change.
const (
	changeInvalid = "no_longer_valid" // it breaks the policy of today, or an admin says so
	changeExpired = "expiry"
)

// changePassword asks for a new password: at login when the one just used won't
// do any longer, in a settings flow always.
type changePassword struct{}

func (changePassword) In(t tenant.FlowType) bool { return t == tenant.Login || t == tenant.Settings }

func (changePassword) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	data := map[string]any{"type": "new_password_data", "password_policy": c.Config().PasswordPolicy.Public()}
	if c.Change != "" {
		data["force_change_reason"] = c.Change
	} else if c.Ref.Type == tenant.Login {
		return nil, nil
	}
	return &Action{Type: s.Type, Data: data}, nil
}

func (changePassword) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("new_password")
}

func (changePassword) Take(c *Cursor, _ *tenant.Step, in *Answer) error {
	if err := c.newPassword(in); err != nil {
		return err
	}
	c.Change = ""
	c.pass()
	return nil
}

// newPassword drafts the password that replaces the user's.
func (c *Cursor) newPassword(in *Answer) error {
	given, err := in.text("new_password")
	if err == nil {
		err = c.mayChange() // first: the history would tell somebody else what the password is
	}
	if err != nil {
		return err
	}
	policy := &c.Config().PasswordPolicy
	if err := CheckPassword(policy, "/new_password", given); err != nil {
		return err
	}
	if err := c.Allow(LimitCreate, c.subject()); err != nil {
		return err
	}
	if err := c.unused(given); err != nil {
		return err
	}
	c.Draft.NewPassword, err = c.Hash(given)
	return err
}

// unused refuses a password that the user has, or had as the history rules say.
func (c *Cursor) unused(password string) error {
	account, err := c.Account(c.User)
	if err != nil || account == nil {
		return err
	}
	history := &c.Config().PasswordPolicy.History
	var old []tenant.Authenticator
	for _, a := range account.Authenticators {
		if a.Type == primaryPassword && c.Ref.Type != tenant.AccountRecovery || a.Type == tenant.OldPassword && history.Enabled() {
			old = append(old, a)
		}
	}
	slices.SortFunc(old, func(a, b tenant.Authenticator) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	for i, a := range old {
		recent := history.Days > 0 && c.Now().Sub(a.UpdatedAt) < time.Duration(history.Days)*24*time.Hour
		if a.Type == tenant.OldPassword && i >= history.Size && !recent {
			continue
		}
		same, _, err := c.Matches(a.Secret, password)
		if err != nil {
			return err
		}
		if same {
			return tenant.ErrPasswordPolicy.WithCauses(tenant.Cause{Location: "/new_password", Kind: "history"})
		}
	}
	return nil
}
