package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
)

const (
	deviceToken  = "device_token"
	recoveryCode = "recovery_code"
)

// isSecond says whether an authenticator is a second factor.
func isSecond(a tenant.Authenticator) bool { return strings.HasPrefix(a.Type, "secondary_") }

// RequirePasswordChange has a user choose a new password at the next login.
// ErrUserNotFound, ErrNotFound when they have no password.
func (s *Service) RequirePasswordChange(ctx context.Context, a Actor, slug, userID string) (*tenant.UserRecord, error) {
	return s.changeUser(ctx, a, slug, userID, "user.require_password_change", func(c *change, u *tenant.UserRecord) error {
		i := slices.IndexFunc(u.Authenticators, func(a tenant.Authenticator) bool { return a.Type == primaryPassword })
		if i < 0 {
			return tenant.ErrNotFound.Says("the user has no password")
		}
		if u.Authenticators[i].MustChange {
			return errUnchanged
		}
		u.Authenticators[i].MustChange = true // UpdatedAt stays: the password is as old as it was
		return firstOf(c.PutAuthenticator(&u.Authenticators[i]), c.UpdateUser(&u.User))
	})
}

// RevokeDeviceTokens has every device of a user asked for a second factor again.
// It says how many were remembered. ErrUserNotFound.
func (s *Service) RevokeDeviceTokens(ctx context.Context, a Actor, slug, userID string) (u *tenant.UserRecord, revoked int, err error) {
	u, err = s.changeUser(ctx, a, slug, userID, "user.revoke_device_tokens", func(c *change, u *tenant.UserRecord) error {
		if revoked, err = c.drop(u, deviceToken); err != nil || revoked == 0 {
			return firstOf(err, errUnchanged)
		}
		c.detail = detail{"device_tokens": revoked}
		return c.UpdateUser(&u.User)
	})
	return u, revoked, err
}

// drop removes the user's authenticators of the types and says how many there
// were.
func (c *change) drop(u *tenant.UserRecord, types ...string) (dropped int, err error) {
	u.Authenticators = slices.DeleteFunc(u.Authenticators, func(a tenant.Authenticator) bool {
		if err != nil || !slices.Contains(types, a.Type) {
			return false
		}
		dropped++
		err = c.RemoveAuthenticator(c.t.ID, a.ID)
		return true
	})
	return dropped, err
}

// lostSecond does what follows when a user loses a second factor: remembered
// devices are asked again, and with the last one the codes that replace it go.
func (c *change) lostSecond(u *tenant.UserRecord) error {
	types := []string{deviceToken}
	if !slices.ContainsFunc(u.Authenticators, isSecond) {
		types = append(types, recoveryCode)
	}
	_, err := c.drop(u, types...)
	return err
}
