package flowengine

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// CheckSession says whose session a token is. Every check reads the store, so
// that a revocation holds at once on every node. It refuses with
// tenant.ErrUnauthenticated whatever is wrong with the token, the session or
// its user.
func (e *Engine) CheckSession(ctx context.Context, t *tenant.Tenant, token string) (*tenant.Session, *tenant.User, error) {
	if err := admit(t); err != nil {
		return nil, nil, err
	}
	if len(token) != len(sessionPrefix)+tokenLength || !strings.HasPrefix(token, sessionPrefix) {
		return nil, nil, tenant.ErrUnauthenticated
	}
	s, u, err := e.store.SessionByToken(ctx, t.ID, secret.TokenHash(token))
	switch {
	case errors.Is(err, tenant.ErrNotFound):
		return nil, nil, tenant.ErrUnauthenticated
	case err != nil:
		return nil, nil, err
	}
	now := e.now()
	if !s.Live(now) || u.MayEnter(now) != nil {
		return nil, nil, tenant.ErrUnauthenticated
	}
	cfg, err := e.Config(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	if s.Unused && !e.complete(ctx, t, s, now) {
		return s, u, nil // untouched, so that the next check tries again
	}
	if now.Sub(s.LastSeenAt) >= touchEvery(cfg) {
		s.LastSeenAt, s.IdleExpiresAt = now, idleEnd(cfg, s, now)
		if err := e.store.TouchSession(ctx, t.ID, s.ID, now, s.IdleExpiresAt); err != nil {
			// What the session proves, it proves without being touched.
			e.log.WarnContext(ctx, "session not touched", "tenant", t.Slug, "err", err)
		}
	}
	return s, u, nil
}

// complete notes, at the first use of a session, that what its run made was used.
// It is the one write more that a session costs.
func (e *Engine) complete(ctx context.Context, t *tenant.Tenant, s *tenant.Session, now time.Time) bool {
	err := e.store.CompleteRun(ctx, t.ID, s.RunID, now)
	if err != nil {
		e.log.WarnContext(ctx, "run not completed", "tenant", t.Slug, "flow_id_hash", tenant.RunHash(s.RunID), "err", err)
	}
	return err == nil
}

// signedIn finds who is signed in on the device that asks, for the flows that
// are about that; "" when nobody is, and for the others.
func (e *Engine) signedIn(ctx context.Context, m *move, program *flow.Program) (string, error) {
	if m.client.SessionToken == "" || !program.AboutSession(m.run.Flow) {
		return "", nil
	}
	s, _, err := e.CheckSession(ctx, m.tenant, m.client.SessionToken)
	if errors.Is(err, tenant.ErrUnauthenticated) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	m.world.session = s
	return s.UserID, nil
}

// mine refuses a run that is about who is signed in to anybody else: they may
// neither move it nor see what it shows.
func (m *move) mine(s *flow.State) error {
	switch session := m.world.session; {
	case !m.run.Flow.Type.NeedsSession() || s.Done:
		return nil
	case session == nil:
		return tenant.ErrFlowNotAllowed.Says("whoever began this flow is no longer signed in")
	case session.UserID != s.User:
		return tenant.ErrDifferentUser
	}
	return nil
}

// touchEvery is how old the note of a session's last use may grow: a minute,
// or a tenth of a short idle timeout.
func touchEvery(cfg *tenant.Config) time.Duration {
	return min(time.Minute, time.Duration(cfg.Sessions.IdleTimeoutSeconds)*time.Second/10)
}

func idleEnd(cfg *tenant.Config, s *tenant.Session, now time.Time) time.Time {
	end := now.Add(time.Duration(cfg.Sessions.IdleTimeoutSeconds) * time.Second)
	if s.ExpiresAt.Before(end) {
		return s.ExpiresAt
	}
	return end
}

// Revocation names sessions of the user who asks.
type Revocation struct {
	ID     string // one of them; "" with the others false: the one that asks
	All    bool
	Others bool // all but the one that asks
}

// Revoked is what a revocation has ended.
type Revoked struct {
	Sessions int
	Own      bool // the one that asked among them
}

// RevokeSession ends sessions of the user whose session by is, which was
// checked just now. It refuses with tenant.ErrNotFound when no live session of
// the user is meant.
func (e *Engine) RevokeSession(ctx context.Context, t *tenant.Tenant, c Client, by *tenant.Session, r Revocation) (done Revoked, err error) {
	which := tenant.SessionSelector{ID: r.ID, UserID: by.UserID}
	switch {
	case r.All:
		which.ID = ""
	case r.Others:
		which.ID, which.Except = "", by.ID
	case r.ID == "":
		which.ID = by.ID
	}
	now := e.now()
	detail, err := json.Marshal(map[string]any{"session_id": which.ID, "all": r.All || r.Others})
	if err != nil {
		return done, err
	}
	told, err := e.tellRevoked(ctx, t, c, by.UserID, which, now)
	if err != nil {
		return done, err
	}
	n, begun := 0, time.Now()
	err = e.store.Change(ctx, func(tx tenant.Tx) error {
		var err error
		if n, err = tx.RevokeSessions(t.ID, which, now); err != nil {
			return err
		}
		if n == 0 {
			return tenant.ErrNotFound
		}
		if err := tx.TellHooks(told); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: t.ID, ID: secret.NewID(), At: now, Category: tenant.AuditSignIn, Action: "session.revoke", Outcome: "success",
			ActorKind: tenant.ActorUser, ActorID: by.UserID, IP: c.IP.String(), RequestID: c.RequestID, RunID: by.RunID, UserID: by.UserID, Detail: detail,
		})
	})
	if errors.Is(err, tenant.ErrNotFound) {
		return done, err
	}
	e.metrics.Audited(tenant.AuditSignIn, time.Since(begun), err)
	if err != nil {
		return done, err
	}
	e.unsealed.Store(true)
	e.metrics.SessionsRevoked(false, n)
	if len(told) > 0 {
		e.hooks.Wake()
	}
	return Revoked{Sessions: n, Own: r.All || which.ID == by.ID}, nil
}
