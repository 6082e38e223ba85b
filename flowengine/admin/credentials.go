package admin

import (
	"context"
	"encoding/json"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// AddIdentity gives a user a further login id. ErrUserNotFound, ErrValidation,
// ErrDuplicatedIdentity.
func (s *Service) AddIdentity(ctx context.Context, a Actor, slug, userID string, n NewIdentity) (*tenant.UserRecord, error) {
	claim, err := flow.NormalizeClaim(n.Kind, n.Value)
	if err != nil {
		return nil, err
	}
	return s.changeCredentials(ctx, a, slug, userID, "user.identity.add", map[string]any{"identity": claim}, func(tx tenant.Tx, u *tenant.UserRecord) error {
		now := s.Now()
		i := &tenant.Identity{TenantID: u.TenantID, ID: secret.NewID(), UserID: u.ID, Claim: claim, Shown: n.Value, CreatedAt: now}
		if n.Verified {
			i.VerifiedAt = now
		}
		return tx.AddIdentity(i)
	})
}

// RemoveIdentity takes a login id from a user. ErrUserNotFound, ErrNotFound
// when it isn't theirs.
func (s *Service) RemoveIdentity(ctx context.Context, a Actor, slug, userID, identityID string) (*tenant.UserRecord, error) {
	return s.changeCredentials(ctx, a, slug, userID, "user.identity.remove", map[string]any{"identity_id": identityID}, func(tx tenant.Tx, u *tenant.UserRecord) error {
		for _, i := range u.Identities {
			if i.ID == identityID {
				return tx.RemoveIdentity(u.TenantID, identityID)
			}
		}
		return tenant.ErrNotFound.Says("the user has no such identity")
	})
}

// RemoveAuthenticator takes a credential from a user and ends the sessions that
// it may have opened. ErrUserNotFound, ErrNotFound when it isn't theirs.
func (s *Service) RemoveAuthenticator(ctx context.Context, a Actor, slug, userID, authenticatorID string) (*tenant.UserRecord, error) {
	return s.changeCredentials(ctx, a, slug, userID, "user.authenticator.remove", map[string]any{"authenticator_id": authenticatorID}, func(tx tenant.Tx, u *tenant.UserRecord) error {
		for _, x := range u.Authenticators {
			if x.ID == authenticatorID {
				if _, err := tx.RevokeSessions(u.TenantID, tenant.SessionSelector{UserID: u.ID}, s.Now()); err != nil {
					return err
				}
				return tx.RemoveAuthenticator(u.TenantID, authenticatorID)
			}
		}
		return tenant.ErrNotFound.Says("the user has no such authenticator")
	})
}

// changeCredentials does something to what a user signs in with, and audits it.
func (s *Service) changeCredentials(ctx context.Context, a Actor, slug, userID, action string, detail map[string]any, change func(tenant.Tx, *tenant.UserRecord) error) (*tenant.UserRecord, error) {
	what, err := json.Marshal(detail)
	if err != nil {
		return nil, err
	}
	var after *tenant.UserRecord
	err = s.Store.Change(ctx, func(tx tenant.Tx) error {
		t, err := tx.Tenant(slug)
		if err != nil {
			return err
		}
		before, err := tx.User(t.ID, userID)
		if err != nil {
			return err
		}
		if err := change(tx, before); err != nil {
			return err
		}
		if after, err = tx.User(t.ID, userID); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: t.ID, ID: secret.NewID(), At: s.Now(), Category: tenant.AuditAdmin, Action: action, Outcome: "success",
			ActorKind: a.Kind, ActorID: a.ID, IP: a.IP, RequestID: a.RequestID, UserID: userID, Detail: what,
		})
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}
