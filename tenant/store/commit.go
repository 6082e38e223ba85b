package store

import (
	"context"
	"errors"

	"github.com/usher-id/usher/tenant"
)

var insertRun = &statement{group: runStart, text: `INSERT INTO flow_run (tenant_id, id, flow_type, flow_name, config_version, status,
	surface, session_kind, user_id, session_id, device_id, factors, first_seen_at, first_ip, first_user_agent,
	last_seen_at, last_ip, last_user_agent, created_at, expires_at, finished_at, return_url, head, surface_data, timeline, walkable, audited)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, TRUE, FALSE)`}

// maxTimeline bounds the timeline of a run, in bytes; the last entry may stand over.
const maxTimeline = 8 << 10

// moveRun is a compare-and-swap: of two racing moves that finish, one does.
var moveRun = &statement{group: runMove, text: `UPDATE flow_run SET flow_type = ?, flow_name = ?, status = ?, session_kind = ?, user_id = ?,
	session_id = ?, device_id = ?, factors = ?, last_seen_at = ?, last_ip = ?, last_user_agent = ?, expires_at = ?, finished_at = ?,
	head = ?, timeline = CASE WHEN length(timeline) < ? THEN timeline || ? ELSE timeline END
	WHERE tenant_id = ? AND id = ? AND status IN ('new', 'pending')`}

var insertState = &statement{group: stateKeep, text: `INSERT INTO flow_state (tenant_id, token_hash, run_id, user_id, data, created_at)
	VALUES (?, ?, ?, ?, ?, ?)`}

var insertSession = &statement{group: sessionOpen, text: `INSERT INTO session (tenant_id, id, token_hash, user_id, run_id, amr,
	authenticated_at, created_at, last_seen_at, expires_at, idle_expires_at, ip, user_agent, revoked_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`}

// updateSecret is a compare-and-swap: a credential that works once is spent once.
var updateSecret = &statement{group: secretUpdate, text: `UPDATE authenticator SET secret = ?, updated_at = ?, must_change = ?
	WHERE tenant_id = ? AND id = ? AND secret = ?`}

var verifyIdentity = &statement{group: identityVerify, text: `UPDATE identity SET verified_at = ?
	WHERE tenant_id = ? AND user_id = ? AND kind = ? AND value = ? AND verified_at = 0`}

var removeOfType = &statement{group: factorRemove, text: `DELETE FROM authenticator WHERE tenant_id = ? AND user_id = ? AND type = ?`}

var removeAuthenticator = &statement{group: factorRemove, text: `DELETE FROM authenticator WHERE tenant_id = ? AND user_id = ? AND id = ?`}

var removeClaim = &statement{group: factorRemove, text: `DELETE FROM identity WHERE tenant_id = ? AND user_id = ? AND kind = ? AND value = ?`}

var updateAttributes = &statement{group: attributesUpdate, text: `UPDATE user_account SET standard_attributes = ?, custom_attributes = ?, updated_at = ?
	WHERE tenant_id = ? AND id = ?`}

// promote makes a full user, once.
var promote = &statement{group: userPromote, text: `UPDATE user_account SET anonymous = FALSE, updated_at = ? WHERE tenant_id = ? AND id = ? AND anonymous`}

var endSessions = &statement{group: sessionEnd, text: `UPDATE session SET revoked_at = ? WHERE tenant_id = ? AND user_id = ? AND revoked_at = 0 AND id <> ?`}

var renewSession = &statement{group: sessionRenew, text: `UPDATE session SET authenticated_at = ?, amr = ? WHERE tenant_id = ? AND id = ? AND revoked_at = 0`}

// Commit implements [tenant.RunStore]. The audit log isn't written: a run that
// has finished is the record that SealAudit makes the event of.
func (s *Store) Commit(ctx context.Context, c *tenant.Commit) error {
	w := &write{s: s}
	w.run(c)
	f := &c.State
	w.do(insertState, f.TenantID, f.TokenHash, f.RunID, f.UserID, seal(f.Data), ms(f.CreatedAt))
	w.updates(c)
	w.create(c)
	w.codes(c)
	w.messages(c)
	w.hooks(c)
	w.session(c)
	err := w.commit(ctx, acknowledged(c))
	if errors.Is(err, errNotMoved) {
		return s.whyNotMoved(ctx, &c.Run)
	}
	return err
}

// errNotMoved says that a run couldn't be moved.
var errNotMoved = errors.New("the run has ended")

// whyNotMoved looks at what became of a run that couldn't be moved.
func (s *Store) whyNotMoved(ctx context.Context, r *tenant.Run) error {
	now, err := s.Run(ctx, r.TenantID, r.ID)
	switch {
	case errors.Is(err, tenant.ErrNotFound), err == nil && now.Status == tenant.RunCancelled:
		return tenant.ErrFlowNotFound
	case err != nil:
		return err
	}
	return tenant.ErrFlowConflict
}

func (w *write) create(c *tenant.Commit) {
	var users []*tenant.User
	if c.User != nil {
		users = append(users, c.User)
	}
	for _, n := range newcomers(w.s.fast, users, c.Identities, c.Authenticators) {
		w.add(userWrite, n.query).failed = n.failed
	}
}

// updates changes what the user has already.
func (w *write) updates(c *tenant.Commit) {
	tid, user, now := c.Run.TenantID, c.Run.UserID, ms(c.State.CreatedAt)
	for _, u := range c.Updates {
		step := w.do(updateSecret, u.Authenticator.Secret, ms(u.Authenticator.UpdatedAt), u.Authenticator.MustChange, tid, u.Authenticator.ID, u.Was)
		if u.Must {
			step.none = tenant.ErrInvalidCredentials
		}
	}
	for _, claim := range c.Verified {
		w.do(verifyIdentity, now, tid, user, claim.Kind, claim.Value)
	}
	for _, typ := range c.Remove {
		w.do(removeOfType, tid, user, typ)
	}
	for _, p := range c.RemovePasskeys {
		w.do(removeAuthenticator, tid, user, p.AuthenticatorID)
		w.do(removeClaim, tid, user, tenant.PasskeyKind, p.ID)
	}
	if c.Promotes {
		w.do(promote, now, tid, user).none = tenant.ErrFlowConflict
	}
	if c.Attributes != nil {
		w.do(updateAttributes, clean(string(c.Attributes.Standard)), clean(string(c.Attributes.Custom)), now, tid, user)
	}
}

// session ends, renews and opens sessions.
func (w *write) session(c *tenant.Commit) {
	now := ms(c.State.CreatedAt)
	if c.RevokeSessions {
		w.do(endSessions, now, c.Run.TenantID, c.Run.UserID, c.Run.SessionID)
	}
	if r := c.Renewed; r != nil {
		w.do(renewSession, now, words(r.AMR), c.Run.TenantID, r.SessionID)
	}
	if n := c.Session; n != nil {
		w.do(insertSession, n.TenantID, n.ID, n.TokenHash, n.UserID, n.RunID, words(n.AMR), ms(n.AuthenticatedAt),
			ms(n.CreatedAt), ms(n.LastSeenAt), ms(n.ExpiresAt), ms(n.IdleExpiresAt), clean(n.IP), clean(n.UserAgent)).
			failed = func(err error) error { return belongs(err, tenant.ErrUserNotFound) }
	}
}

// acknowledged says whether a move tells the user of something that must not be
// forgotten.
func acknowledged(c *tenant.Commit) bool {
	return c.Finishes() || c.User != nil || c.Session != nil || len(c.Identities) > 0 || len(c.Authenticators) > 0 ||
		len(c.Updates) > 0 || len(c.Messages) > 0
}

// run starts or moves the run of a commit.
func (w *write) run(c *tenant.Commit) {
	r := &c.Run
	if c.New {
		w.do(insertRun, r.TenantID, r.ID, string(r.Flow.Type), r.Flow.Name, r.ConfigVersion, string(r.Status),
			r.Surface, string(r.SessionKind), r.UserID, r.SessionID, clean(r.DeviceID), words(r.Factors),
			ms(r.FirstSeen.At), clean(r.FirstSeen.IP), clean(r.FirstSeen.UserAgent),
			ms(r.LastSeen.At), clean(r.LastSeen.IP), clean(r.LastSeen.UserAgent),
			ms(r.CreatedAt), ms(r.ExpiresAt), ms(r.FinishedAt), clean(r.ReturnURL), r.Head, r.SurfaceData, timeline(c.Events))
		return
	}
	w.do(moveRun, string(r.Flow.Type), r.Flow.Name, string(r.Status), string(r.SessionKind), r.UserID,
		r.SessionID, clean(r.DeviceID), words(r.Factors),
		ms(r.LastSeen.At), clean(r.LastSeen.IP), clean(r.LastSeen.UserAgent), ms(r.ExpiresAt), ms(r.FinishedAt),
		r.Head, maxTimeline, timeline(c.Events), r.TenantID, r.ID).none = errNotMoved
}
