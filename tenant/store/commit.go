package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"

	"github.com/usher-id/usher/tenant"
)

var insertRun = &statement{runStart, `INSERT INTO flow_run (tenant_id, id, flow_type, flow_name, config_version, status,
	surface, session_kind, user_id, session_id, device_id, factors, first_seen_at, first_ip, first_user_agent,
	last_seen_at, last_ip, last_user_agent, created_at, expires_at, finished_at, return_url, head, surface_data, timeline, walkable, audited)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, TRUE, FALSE)`}

// maxTimeline bounds the timeline of a run, in bytes; the last entry may stand over.
const maxTimeline = 8 << 10

// moveRun is a compare-and-swap: of two racing moves that finish, one does.
var moveRun = &statement{runMove, `UPDATE flow_run SET flow_type = ?, flow_name = ?, status = ?, session_kind = ?, user_id = ?,
	session_id = ?, device_id = ?, factors = ?, last_seen_at = ?, last_ip = ?, last_user_agent = ?, expires_at = ?, finished_at = ?,
	head = ?, timeline = CASE WHEN length(timeline) < ? THEN timeline || ? ELSE timeline END
	WHERE tenant_id = ? AND id = ? AND status IN ('new', 'pending')`}

var insertState = &statement{stateKeep, `INSERT INTO flow_state (tenant_id, token_hash, run_id, user_id, data, created_at)
	VALUES (?, ?, ?, ?, ?, ?)`}

var insertSession = &statement{sessionOpen, `INSERT INTO session (tenant_id, id, token_hash, user_id, run_id, amr,
	authenticated_at, created_at, last_seen_at, expires_at, idle_expires_at, ip, user_agent, revoked_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`}

// updateSecret is a compare-and-swap: a credential that works once is spent once.
var updateSecret = &statement{secretUpdate, `UPDATE authenticator SET secret = ?, updated_at = ?, must_change = ?
	WHERE tenant_id = ? AND id = ? AND secret = ?`}

var verifyIdentity = &statement{identityVerify, `UPDATE identity SET verified_at = ?
	WHERE tenant_id = ? AND user_id = ? AND kind = ? AND value = ? AND verified_at = 0`}

var removeOfType = &statement{factorRemove, `DELETE FROM authenticator WHERE tenant_id = ? AND user_id = ? AND type = ?`}

var updateAttributes = &statement{attributesUpdate, `UPDATE user_account SET standard_attributes = ?, custom_attributes = ?, updated_at = ?
	WHERE tenant_id = ? AND id = ?`}

// promote makes a full user, once.
var promote = &statement{userPromote, `UPDATE user_account SET anonymous = FALSE, updated_at = ? WHERE tenant_id = ? AND id = ? AND anonymous`}

var endSessions = &statement{sessionEnd, `UPDATE session SET revoked_at = ? WHERE tenant_id = ? AND user_id = ? AND revoked_at = 0 AND id <> ?`}

var renewSession = &statement{sessionRenew, `UPDATE session SET authenticated_at = ?, amr = ? WHERE tenant_id = ? AND id = ? AND revoked_at = 0`}

// Commit implements [tenant.RunStore]. The audit log isn't written: a run that
// has finished is the record that SealAudit makes the event of.
func (s *Store) Commit(ctx context.Context, c *tenant.Commit) error {
	return s.shortly(ctx, acknowledged(c), statementsOf(c), func(w *write) error {
		if err := w.run(c); err != nil {
			return err
		}
		f := &c.State
		if _, err := w.do(insertState, f.TenantID, f.TokenHash, f.RunID, f.UserID, seal(f.Data), ms(f.CreatedAt)); err != nil {
			return err
		}
		for _, part := range []func(*tenant.Commit) error{w.updates, w.create, w.codes, w.messages, w.hooks, w.session} {
			if err := part(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// statementsOf lists what a commit will run, which is prepared before it begins.
func statementsOf(c *tenant.Commit) []*statement {
	hot := []*statement{insertRun, insertState}
	if !c.New {
		hot[0] = moveRun
	}
	for _, part := range []struct {
		needed bool
		by     []*statement
	}{
		{len(c.Updates) > 0, []*statement{updateSecret}},
		{len(c.Verified) > 0, []*statement{verifyIdentity}},
		{len(c.Remove) > 0, []*statement{removeOfType}},
		{c.Attributes != nil, []*statement{updateAttributes}},
		{c.Promotes, []*statement{promote}},
		{c.RevokeSessions, []*statement{endSessions}},
		{c.Renewed != "", []*statement{renewSession}},
		{len(c.UseCodes)+len(c.Codes) > 0, []*statement{useCode, endCodes, insertCode}},
		{len(c.Messages) > 0, []*statement{insertMessage}},
		{len(c.Hooks) > 0, []*statement{insertHookDelivery}},
		{c.Session != nil, []*statement{insertSession}},
	} {
		if part.needed {
			hot = append(hot, part.by...)
		}
	}
	return hot
}

func (w *write) create(c *tenant.Commit) error {
	var users []*tenant.User
	if c.User != nil {
		users = append(users, c.User)
	}
	return createUsers(in(w.ctx, userWrite), w.Tx, users, c.Identities, c.Authenticators)
}

// updates changes what the user has already.
func (w *write) updates(c *tenant.Commit) error {
	tid, user, now := c.Run.TenantID, c.Run.UserID, ms(c.State.CreatedAt)
	for _, u := range c.Updates {
		n, err := w.do(updateSecret, u.Authenticator.Secret, ms(u.Authenticator.UpdatedAt), u.Authenticator.MustChange, tid, u.Authenticator.ID, u.Was)
		if err != nil {
			return err
		}
		if n == 0 && u.Must {
			return tenant.ErrInvalidCredentials
		}
	}
	for _, claim := range c.Verified {
		if _, err := w.do(verifyIdentity, now, tid, user, claim.Kind, claim.Value); err != nil {
			return err
		}
	}
	for _, typ := range c.Remove {
		if _, err := w.do(removeOfType, tid, user, typ); err != nil {
			return err
		}
	}
	if c.Promotes {
		if n, err := w.do(promote, now, tid, user); err != nil || n == 0 {
			return cmp.Or(err, error(tenant.ErrFlowConflict))
		}
	}
	if c.Attributes != nil {
		if _, err := w.do(updateAttributes, clean(string(c.Attributes.Standard)), clean(string(c.Attributes.Custom)), now, tid, user); err != nil {
			return err
		}
	}
	return nil
}

// session ends, renews and opens sessions.
func (w *write) session(c *tenant.Commit) error {
	now := ms(c.State.CreatedAt)
	if c.RevokeSessions {
		if _, err := w.do(endSessions, now, c.Run.TenantID, c.Run.UserID, c.Run.SessionID); err != nil {
			return err
		}
	}
	if c.Renewed != "" {
		if _, err := w.do(renewSession, now, words(c.Run.Factors), c.Run.TenantID, c.Renewed); err != nil {
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
}

// acknowledged says whether a move tells the user of something that must not be
// forgotten.
func acknowledged(c *tenant.Commit) bool {
	return c.Finishes() || c.User != nil || c.Session != nil || len(c.Identities) > 0 || len(c.Authenticators) > 0 ||
		len(c.Updates) > 0 || len(c.Messages) > 0
}

// run starts or moves the run of a commit.
func (w *write) run(c *tenant.Commit) error {
	r := &c.Run
	if c.New {
		_, err := w.do(insertRun, r.TenantID, r.ID, string(r.Flow.Type), r.Flow.Name, r.ConfigVersion, string(r.Status),
			r.Surface, string(r.SessionKind), r.UserID, r.SessionID, clean(r.DeviceID), words(r.Factors),
			ms(r.FirstSeen.At), clean(r.FirstSeen.IP), clean(r.FirstSeen.UserAgent),
			ms(r.LastSeen.At), clean(r.LastSeen.IP), clean(r.LastSeen.UserAgent),
			ms(r.CreatedAt), ms(r.ExpiresAt), ms(r.FinishedAt), clean(r.ReturnURL), r.Head, r.SurfaceData, timeline(c.Events))
		return belongs(err, tenant.ErrTenantNotFound)
	}
	n, err := w.do(moveRun, string(r.Flow.Type), r.Flow.Name, string(r.Status), string(r.SessionKind), r.UserID,
		r.SessionID, clean(r.DeviceID), words(r.Factors),
		ms(r.LastSeen.At), clean(r.LastSeen.IP), clean(r.LastSeen.UserAgent), ms(r.ExpiresAt), ms(r.FinishedAt),
		r.Head, maxTimeline, timeline(c.Events), r.TenantID, r.ID)
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
