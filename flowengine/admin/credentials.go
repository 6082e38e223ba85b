package admin

import (
	"context"
	"slices"

	"github.com/usher-id/usher/tenant"
)

// AddIdentity gives a user a login id. ErrValidation, ErrDuplicatedIdentity,
// ErrUserNotFound.
func (s *Service) AddIdentity(ctx context.Context, a Actor, slug, userID string, n NewIdentity) (*tenant.UserRecord, error) {
	rules, err := s.loginIDs(ctx, slug)
	if err != nil {
		return nil, err
	}
	return s.changeUser(ctx, a, slug, userID, "user.add_identity", func(c *change, u *tenant.UserRecord) error {
		if len(u.Identities) >= maxIdentities {
			return tenant.Invalidf("/identity", "max_items", "a user has at most %d login ids", maxIdentities)
		}
		id, err := newIdentity(rules, u.TenantID, u.ID, n, "/value", s.now())
		if err != nil {
			return err
		}
		u.Identities = append(u.Identities, *id)
		c.detail = detail{"kind": id.Kind, "identity": id.ID}
		if n.Verified {
			c.tell(tenant.HookIdentityVerified, u, map[string]any{"identity": tenant.NewHookIdentity(id)})
		}
		return firstOf(c.AddIdentity(id), c.UpdateUser(&u.User))
	})
}

// loginIDs are the rules for the login ids of a tenant, by its slug.
func (s *Service) loginIDs(ctx context.Context, slug string) (*tenant.LoginIDs, error) {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	cfg, err := s.Published(ctx, t)
	if err != nil {
		return nil, err
	}
	return &cfg.LoginIDs, nil
}

// RemoveIdentity takes a login id from a user. ErrUserNotFound, ErrNotFound,
// ErrLastWayIn for the last one of an operator's.
func (s *Service) RemoveIdentity(ctx context.Context, a Actor, slug, userID, identityID string) (*tenant.UserRecord, error) {
	return s.strip(ctx, a, slug, userID, "user.remove_identity", func(c *change, u *tenant.UserRecord) (left int, err error) {
		i := slices.IndexFunc(u.Identities, func(id tenant.Identity) bool { return id.ID == identityID })
		if i < 0 {
			return 0, tenant.ErrNotFound
		}
		claim := u.Identities[i].Claim
		c.detail = detail{"kind": claim.Kind, "identity": identityID}
		u.Identities = slices.Delete(u.Identities, i, i+1)
		if claim.Kind == tenant.PasskeyKind {
			err = s.dropPasskey(c, u, claim.Value)
		}
		return len(u.Identities), firstOf(err, c.RemoveIdentity(c.t.ID, identityID))
	})
}

// dropPasskey removes the passkey that an identity stood for.
func (s *Service) dropPasskey(c *change, u *tenant.UserRecord, id string) error {
	for i := range u.Authenticators {
		p, err := u.Authenticators[i].Passkey()
		if err != nil {
			return err
		}
		if p != nil && p.ID == id {
			ended, err := c.RevokeSessions(c.t.ID, tenant.SessionSelector{UserID: u.ID}, s.now())
			c.tell(tenant.HookAuthenticatorRemoved, u, shownAuthenticator(&u.Authenticators[i]))
			c.tellRevoked(u, "", ended)
			err = firstOf(err, c.RemoveAuthenticator(c.t.ID, u.Authenticators[i].ID))
			u.Authenticators = slices.Delete(u.Authenticators, i, i+1)
			return err
		}
	}
	return nil
}

// RemoveAuthenticator takes a credential from a user and ends the sessions that
// it may have opened; with a second factor go the remembered devices, with the
// last one also the recovery codes. ErrUserNotFound, ErrNotFound, ErrLastWayIn for the last
// one of an operator's.
func (s *Service) RemoveAuthenticator(ctx context.Context, a Actor, slug, userID, authenticatorID string) (*tenant.UserRecord, error) {
	return s.strip(ctx, a, slug, userID, "user.remove_authenticator", func(c *change, u *tenant.UserRecord) (left int, err error) {
		i := slices.IndexFunc(u.Authenticators, func(au tenant.Authenticator) bool { return au.ID == authenticatorID })
		if i < 0 {
			return 0, tenant.ErrNotFound
		}
		ended, err := c.RevokeSessions(c.t.ID, tenant.SessionSelector{UserID: userID}, s.now())
		if err != nil {
			return 0, err
		}
		c.detail = detail{"type": u.Authenticators[i].Type, "authenticator": authenticatorID, "sessions": ended}
		if err := c.dropPasskeyIdentity(u, &u.Authenticators[i]); err != nil {
			return 0, err
		}
		c.tell(tenant.HookAuthenticatorRemoved, u, shownAuthenticator(&u.Authenticators[i]))
		c.tellRevoked(u, "", ended)
		second := isSecond(u.Authenticators[i])
		u.Authenticators = slices.Delete(u.Authenticators, i, i+1)
		err = c.RemoveAuthenticator(c.t.ID, authenticatorID)
		if err == nil && second {
			err = c.lostSecond(u)
		}
		return len(u.Authenticators), err
	})
}

// dropPasskeyIdentity removes the identity that an authenticator is found by, if
// it is a passkey.
func (c *change) dropPasskeyIdentity(u *tenant.UserRecord, a *tenant.Authenticator) error {
	p, err := a.Passkey()
	if err != nil || p == nil {
		return err
	}
	i := slices.IndexFunc(u.Identities, func(id tenant.Identity) bool { return id.Claim == p.Claim() })
	if i < 0 {
		return nil
	}
	err = c.RemoveIdentity(c.t.ID, u.Identities[i].ID)
	u.Identities = slices.Delete(u.Identities, i, i+1)
	return err
}

// strip takes something from a user; the last of its kind not from the last
// operator.
func (s *Service) strip(ctx context.Context, a Actor, slug, userID, action string, take func(*change, *tenant.UserRecord) (left int, err error)) (*tenant.UserRecord, error) {
	var u *tenant.UserRecord
	err := s.sparingOperator(ctx, slug, userID, func(guard func(*change) error) (err error) {
		u, err = s.changeUser(ctx, a, slug, userID, action, func(c *change, u *tenant.UserRecord) error {
			left, err := take(c, u)
			if err == nil && left == 0 {
				err = guard(c)
			}
			return firstOf(err, c.UpdateUser(&u.User))
		})
		return err
	})
	return u, err
}
