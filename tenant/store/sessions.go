package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type sessionRow struct {
	bun.BaseModel `bun:"table:session,alias:s"`

	TenantID        string
	ID              string
	TokenHash       string
	UserID          string
	RunID           string
	AMR             string
	AuthenticatedAt int64
	CreatedAt       int64
	LastSeenAt      int64
	ExpiresAt       int64
	IdleExpiresAt   int64
	IP              string
	UserAgent       string
	RevokedAt       int64
}

func (r *sessionRow) noun() *tenant.Session {
	return &tenant.Session{
		TenantID: r.TenantID, ID: r.ID, TokenHash: r.TokenHash, UserID: r.UserID, RunID: r.RunID, AMR: list(r.AMR),
		AuthenticatedAt: at(r.AuthenticatedAt), CreatedAt: at(r.CreatedAt), LastSeenAt: at(r.LastSeenAt),
		ExpiresAt: at(r.ExpiresAt), IdleExpiresAt: at(r.IdleExpiresAt), IP: r.IP, UserAgent: r.UserAgent, RevokedAt: at(r.RevokedAt),
	}
}

// selectSession asks about the run as long as the session was never touched:
// the first check completes the run, the first touch comes with it or after it.
var selectSession = &statement{group: sessionCheck, text: `SELECT s.id, s.user_id, s.run_id, s.amr, s.authenticated_at, s.created_at,
	s.last_seen_at, s.expires_at, s.idle_expires_at, s.ip, s.user_agent, s.revoked_at,
	s.last_seen_at = s.created_at AND EXISTS (SELECT 1 FROM flow_run r
		WHERE r.tenant_id = s.tenant_id AND r.id = s.run_id AND r.status = 'finished'),
	u.state, u.disabled_reason, u.standard_attributes, u.custom_attributes, u.created_at, u.updated_at, u.anonymous,
	` + accessColumn + `
	FROM session s JOIN user_account u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
	WHERE s.tenant_id = ? AND s.token_hash = ?`}

// SessionByToken implements [tenant.SessionStore].
func (s *Store) SessionByToken(ctx context.Context, tenantID, tokenHash string) (*tenant.Session, *tenant.User, error) {
	n := sessionRow{TenantID: tenantID, TokenHash: tokenHash}
	u := userRow{TenantID: tenantID}
	unused := false
	err := s.each(ctx, selectSession, func(scan scan) error {
		return scan(&n.ID, &n.UserID, &n.RunID, &n.AMR, &n.AuthenticatedAt, &n.CreatedAt,
			&n.LastSeenAt, &n.ExpiresAt, &n.IdleExpiresAt, &n.IP, &n.UserAgent, &n.RevokedAt, &unused,
			&u.State, &u.DisabledReason, &u.StandardAttributes, &u.CustomAttributes, &u.CreatedAt, &u.UpdatedAt, &u.Anonymous, accessScan{&u})
	}, tenantID, clean(tokenHash))
	if err != nil {
		return nil, nil, err
	}
	if n.ID == "" {
		return nil, nil, tenant.ErrNotFound
	}
	u.ID = n.UserID
	user, session := u.noun(), n.noun()
	session.Unused = unused
	return session, &user, nil
}

// Session implements [tenant.SessionStore].
func (s *Store) Session(ctx context.Context, tenantID, id string) (*tenant.Session, error) {
	if !askable(id) {
		return nil, tenant.ErrNotFound
	}
	ctx, cancel := s.within(ctx, sessionRead)
	defer cancel()
	var row sessionRow
	err := s.read.NewSelect().Model(&row).Where("s.tenant_id = ? AND s.id = ?", tenantID, id).Scan(ctx)
	if err != nil {
		return nil, orRefuse(err, tenant.ErrNotFound)
	}
	return row.noun(), nil
}

// Sessions implements [tenant.SessionStore].
func (s *Store) Sessions(ctx context.Context, tenantID string, filter tenant.SessionFilter, page tenant.Page) ([]*tenant.Session, error) {
	var rows []sessionRow
	q := s.read.NewSelect().Model(&rows).Where("s.tenant_id = ?", tenantID)
	if page.After != "" {
		q = q.Where("s.id < ?", clean(page.After))
	}
	if filter.UserID != "" {
		q = q.Where("s.user_id = ?", clean(filter.UserID))
	}
	if !filter.LiveAt.IsZero() {
		q = q.Where("s.revoked_at = 0 AND s.expires_at > ?0 AND s.idle_expires_at > ?0", ms(filter.LiveAt))
	}
	err := q.Order("s.id DESC").Limit(int64(page.Limit)).Scan(in(ctx, sessionRead))
	return mapped(rows, (*sessionRow).noun), refuse(err)
}

var touchSession = &statement{group: sessionTouch, text: `UPDATE session SET last_seen_at = ?, idle_expires_at = ?
	WHERE tenant_id = ? AND id = ? AND revoked_at = 0 AND last_seen_at < ?`}

// TouchSession implements [tenant.SessionStore]. Of two, the later one counts.
func (s *Store) TouchSession(ctx context.Context, tenantID, id string, seen, idleEnd time.Time) error {
	_, err := s.alone(ctx, false, touchSession, ms(seen), ms(idleEnd), tenantID, id, ms(seen))
	return err
}

// RevokeSessions implements [tenant.Tx].
func (t *tx) RevokeSessions(tenantID string, which tenant.SessionSelector, now time.Time) (int, error) {
	if which.ID == "" && which.UserID == "" {
		return 0, nil
	}
	q := t.NewUpdate().Model((*sessionRow)(nil)).Set("revoked_at = ?", ms(now)).
		Where("tenant_id = ? AND revoked_at = 0", tenantID).
		Where("expires_at > ?0 AND idle_expires_at > ?0", ms(now))
	if which.ID != "" {
		q = q.Where("id = ?", clean(which.ID))
	}
	if which.UserID != "" {
		q = q.Where("user_id = ?", clean(which.UserID))
	}
	if which.Except != "" {
		q = q.Where("id <> ?", clean(which.Except))
	}
	r, err := q.Exec(t.in(sessionEnd))
	if err != nil {
		return 0, t.note(err)
	}
	n, err := r.RowsAffected()
	return int(n), t.note(err)
}
