package flow

import (
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/breached"
	"github.com/usher-id/usher/tenant/strength"
)

// password is a secret that the user remembers.
type password struct {
	oneShot
	name string
	amr  []string
}

func (password) For(step string) bool {
	return step == stepAuthenticate || step == stepCreateAuthenticator
}

func (password) Proves(step string) bool { return step == stepAuthenticate }

func (m password) Options(c *Cursor, s *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	has, err := c.has(m.name)
	switch {
	case err != nil:
		return nil, err
	case s.Type == stepCreateAuthenticator && !has:
		return []Option{{Show: map[string]any{"authentication": m.name, "password_policy": c.Config().PasswordPolicy.Public()}}}, nil
	case s.Type == stepAuthenticate && (has || c.secret() && !secondary(m.name)):
		return []Option{{Show: map[string]any{"authentication": m.name}}}, nil
	}
	return nil, nil
}

func (m password) Take(c *Cursor, s *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	if s.Type == stepCreateAuthenticator {
		return m.create(c, in)
	}
	given, err := in.text("password")
	if err != nil {
		return Verdict{}, err
	}
	if err := c.Allow(LimitPassword, c.subject()); err != nil {
		return Verdict{}, err
	}
	stored, err := c.stored(m.name)
	if err != nil {
		return Verdict{}, err
	}
	var hash string // of a stranger there is none, which takes as long and never matches
	if stored != nil && !c.Decoy && len(given) <= tenant.MaxPasswordBytes {
		hash = stored.Secret
	}
	ok, stale, err := c.Matches(hash, given)
	if err != nil {
		return Verdict{}, err
	}
	if !ok {
		return Verdict{}, tenant.ErrInvalidCredentials.With("AuthenticationType", m.name)
	}
	c.Right(LimitPassword, c.subject())
	if stale {
		fresh := *stored
		if fresh.Secret, err = c.Hash(given); err != nil {
			return Verdict{}, err
		}
		c.Do(Update{Authenticator: fresh, Was: stored.Secret})
	}
	if m.name == primaryPassword {
		c.Change = c.mustChange(given, stored)
	}
	return Verdict{AMR: m.amr}, nil
}

func (m password) create(c *Cursor, in *Answer) (Verdict, error) {
	given, err := in.text("new_password")
	if err != nil {
		return Verdict{}, err
	}
	if err := CheckPassword(&c.Config().PasswordPolicy, "/new_password", given); err != nil {
		return Verdict{}, err
	}
	if err := c.Allow(LimitCreate, c.subject()); err != nil { // going back to hash again isn't free
		return Verdict{}, err
	}
	hash, err := c.Hash(given)
	if err != nil {
		return Verdict{}, err
	}
	c.Draft.Authenticators = append(c.Draft.Authenticators, NewCredential{ID: c.NewID(), Type: m.name, Secret: hash})
	return Verdict{AMR: m.amr}, nil
}

// mustChange says why a password that was right won't do any longer.
func (c *Cursor) mustChange(password string, stored *tenant.Authenticator) string {
	policy := &c.Config().PasswordPolicy
	if stored.MustChange || policy.ForceChange && CheckPassword(policy, "", password) != nil {
		return changeInvalid
	}
	days := policy.ExpiryDays
	if days > 0 && c.Now().Sub(stored.UpdatedAt) >= time.Duration(days)*24*time.Hour {
		return changeExpired
	}
	return ""
}

// subject names the user that tries are counted for. A stranger is counted by
// what they called themselves, so that the limits tell nobody apart.
func (c *Cursor) subject() string {
	if c.Decoy || c.User == "" {
		return c.Claim.Kind + ":" + UniqueKey(&c.Config().LoginIDs, c.Claim)
	}
	return c.User
}

// secret says whether nobody may learn yet what the login id stands for: a user,
// who may have less than the step offers, is answered as a stranger is.
func (c *Cursor) secret() bool {
	return c.Decoy || c.Claim.Value != "" && len(c.AMR) == 0 && !c.Config().Accounts.RevealUnknownUsers
}

// has says whether the user has an authenticator of a type, the draft's included.
func (c *Cursor) has(typ string) (bool, error) {
	for _, a := range c.Draft.Authenticators {
		if a.Type == typ {
			return true, nil
		}
	}
	a, err := c.stored(typ)
	return a != nil, err
}

// stored finds the user's kept authenticator of a type; nil when there is none.
func (c *Cursor) stored(typ string) (*tenant.Authenticator, error) {
	if c.User == "" || c.Draft.NewUser {
		return nil, nil
	}
	account, err := c.Account(c.User)
	if err != nil || account == nil {
		return nil, err
	}
	for i := range account.Authenticators {
		if account.Authenticators[i].Type == typ {
			return &account.Authenticators[i], nil
		}
	}
	return nil, nil
}

// CheckPassword holds a new password against a policy. It refuses with
// tenant.ErrPasswordPolicy and every failed rule as a cause at the location.
func CheckPassword(policy *tenant.PasswordPolicy, location, password string) error {
	causes := policy.Violations(location, password, func() tenant.PasswordStrength {
		var s tenant.PasswordStrength
		if policy.MinimumZxcvbnScore > 0 {
			s.ZxcvbnScore = strength.Score(password)
		}
		if policy.BreachedCheck {
			s.Breached = breached.Contains(password)
		}
		return s
	})
	if len(causes) > 0 {
		return tenant.ErrPasswordPolicy.WithCauses(causes...)
	}
	return nil
}
