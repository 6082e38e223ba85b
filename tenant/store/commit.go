package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/usher-id/usher/tenant"
)

var insertRun = &statement{runStart, `INSERT INTO flow_run (tenant_id, id, flow_type, flow_name, config_version, status,
	surface, session_kind, user_id, session_id, device_id, factors, first_seen_at, first_ip, first_user_agent,
	last_seen_at, last_ip, last_user_agent, created_at, expires_at, finished_at, walkable, audited)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, TRUE, FALSE)`}

// moveRun is a compare-and-swap: of two racing moves that finish, one does.
var moveRun = &statement{runMove, `UPDATE flow_run SET flow_type = ?, flow_name = ?, status = ?, session_kind = ?, user_id = ?,
	session_id = ?, device_id = ?, factors = ?, last_seen_at = ?, last_ip = ?, last_user_agent = ?, expires_at = ?, finished_at = ?
	WHERE tenant_id = ? AND id = ? AND status IN ('new', 'pending')`}

var insertState = &statement{stateKeep, `INSERT INTO flow_state (tenant_id, token_hash, run_id, user_id, data, created_at)
	VALUES (?, ?, ?, ?, ?, ?)`}

var insertSession = &statement{sessionOpen, `INSERT INTO session (tenant_id, id, token_hash, user_id, run_id, amr,
	authenticated_at, created_at, last_seen_at, expires_at, idle_expires_at, ip, user_agent, revoked_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`}

// rehashSecret is for the password that was verified alone: one that was
// changed in the meantime stays.
var rehashSecret = &statement{rehash, `UPDATE authenticator SET secret = ?
	WHERE tenant_id = ? AND id = ? AND user_id = ? AND type = ? AND updated_at = ?`}

// Commit implements [tenant.RunStore]. The audit log isn't written: a run that
// has finished is the record that SealAudit makes the event of.
func (s *Store) Commit(ctx context.Context, c *tenant.Commit) error {
	run := insertRun
	if !c.New {
		run = moveRun
	}
	hot := []*statement{run, insertState}
	if c.Session != nil {
		hot = append(hot, insertSession)
	}
	if c.Rehash != nil {
		hot = append(hot, rehashSecret)
	}
	return s.shortly(ctx, acknowledged(c), hot, func(w *write) error {
		if err := w.run(c); err != nil {
			return err
		}
		f := &c.State
		if _, err := w.do(insertState, f.TenantID, f.TokenHash, f.RunID, f.UserID, seal(f.Data), ms(f.CreatedAt)); err != nil {
			return err
		}
		var users []*tenant.User
		if c.User != nil {
			users = append(users, c.User)
		}
		if err := createUsers(in(w.ctx, userWrite), w.Tx, users, c.Identities, c.Authenticators); err != nil {
			return err
		}
		if a := c.Rehash; a != nil {
			if _, err := w.do(rehashSecret, a.Secret, a.TenantID, a.ID, a.UserID, a.Type, ms(a.UpdatedAt)); err != nil {
				return err
			}
		}
		if c.Session == nil {
			return nil
		}
		n := c.Session
		_, err := w.do(insertSession, n.TenantID, n.ID, n.TokenHash, n.UserID, n.RunID, words(n.AMR), ms(n.AuthenticatedAt),
			ms(n.CreatedAt), ms(n.LastSeenAt), ms(n.ExpiresAt), ms(n.IdleExpiresAt), clean(n.IP), clean(n.UserAgent))
		return belongs(err, tenant.ErrUserNotFound)
	})
}

// acknowledged says whether a move tells the user of something that must not be
// forgotten.
func acknowledged(c *tenant.Commit) bool {
	return c.Finishes() || c.User != nil || c.Session != nil || len(c.Identities) > 0 || len(c.Authenticators) > 0
}

// run starts or moves the run of a commit.
func (w *write) run(c *tenant.Commit) error {
	r := &c.Run
	if c.New {
		_, err := w.do(insertRun, r.TenantID, r.ID, string(r.Flow.Type), r.Flow.Name, r.ConfigVersion, string(r.Status),
			r.Surface, string(r.SessionKind), r.UserID, r.SessionID, clean(r.DeviceID), words(r.Factors),
			ms(r.FirstSeen.At), clean(r.FirstSeen.IP), clean(r.FirstSeen.UserAgent),
			ms(r.LastSeen.At), clean(r.LastSeen.IP), clean(r.LastSeen.UserAgent),
			ms(r.CreatedAt), ms(r.ExpiresAt), ms(r.FinishedAt))
		return belongs(err, tenant.ErrTenantNotFound)
	}
	n, err := w.do(moveRun, string(r.Flow.Type), r.Flow.Name, string(r.Status), string(r.SessionKind), r.UserID,
		r.SessionID, clean(r.DeviceID), words(r.Factors),
		ms(r.LastSeen.At), clean(r.LastSeen.IP), clean(r.LastSeen.UserAgent), ms(r.ExpiresAt), ms(r.FinishedAt),
		r.TenantID, r.ID)
	if err != nil || n == 1 {
		return err
	}
	var status string
	err = w.NewSelect().Model((*runRow)(nil)).Column("status").Where("tenant_id = ? AND id = ?", r.TenantID, r.ID).
		Scan(in(w.ctx, runRead), &status)
	if errors.Is(err, sql.ErrNoRows) || status == string(tenant.RunCancelled) {
		return tenant.ErrFlowNotFound
	}
	if err != nil {
		return err
	}
	return tenant.ErrFlowConflict
}
