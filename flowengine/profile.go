package flowengine

import (
	"context"
	"errors"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// maxSessions is how many sessions of a user are shown at once.
const maxSessions = 250

// Profile reads a user with identities, for whoever has proved to be them.
// tenant.ErrUserNotFound.
func (e *Engine) Profile(ctx context.Context, t *tenant.Tenant, userID string) (*tenant.UserRecord, error) {
	if err := admit(t); err != nil {
		return nil, err
	}
	return e.store.User(ctx, t.ID, userID)
}

// Sessions lists the sessions of a user that prove something, the newest first.
func (e *Engine) Sessions(ctx context.Context, t *tenant.Tenant, userID string) ([]*tenant.Session, error) {
	if err := admit(t); err != nil {
		return nil, err
	}
	return e.store.Sessions(ctx, t.ID, tenant.SessionFilter{UserID: userID, LiveAt: e.now()}, tenant.Page{Limit: maxSessions})
}

// SignOut ends the session that a token is for. It has nothing to do when that
// is over already, and refuses with tenant.ErrUnauthenticated when there never
// was one.
func (e *Engine) SignOut(ctx context.Context, t *tenant.Tenant, c Client, token string) error {
	s, _, err := e.CheckSession(ctx, t, token)
	if err == nil {
		_, err = e.RevokeSession(ctx, t, c, s, Revocation{})
		if errors.Is(err, tenant.ErrNotFound) { // somebody else was faster
			err = nil
		}
		return err
	}
	if !errors.Is(err, tenant.ErrUnauthenticated) {
		return err
	}
	if _, _, lookErr := e.store.SessionByToken(ctx, t.ID, secret.TokenHash(token)); lookErr == nil {
		return nil
	}
	return err
}
