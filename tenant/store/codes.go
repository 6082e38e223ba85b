package store

import (
	"context"
	"time"

	"github.com/usher-id/usher/tenant"
)

const codeColumns = ` id, run_id, purpose, form, channel, target_kind, target, sealed, link_hash, state_hash,
	max_attempts, attempts, created_at, expires_at, approved_at, ended_at`

// readCode are the columns and how the message that carries the code stands.
const readCode = codeColumns + `, coalesce((SELECT m.status FROM message AS m
	WHERE m.tenant_id = otp_code.tenant_id AND m.code_id = otp_code.id AND m.code_id <> ''), '')`

var (
	selectCode = &statement{group: codeRead, text: `SELECT` + readCode + ` FROM otp_code WHERE tenant_id = ? AND id = ?`}

	selectCodeByLink = &statement{group: codeRead, text: `SELECT` + readCode + ` FROM otp_code
		WHERE tenant_id = ? AND link_hash = ? AND link_hash <> '' AND ended_at = 0 AND expires_at > ?`}

	// tryCode pays before anybody looks: of many tries at once each takes one.
	tryCode = &statement{group: codeTry, text: `UPDATE otp_code SET attempts = attempts + 1
		WHERE tenant_id = ? AND id = ? AND ended_at = 0 AND expires_at > ? AND attempts < max_attempts RETURNING` + readCode}

	approveCode = &statement{group: codeWrite, text: `UPDATE otp_code SET approved_at = ?
		WHERE tenant_id = ? AND id = ? AND form = 'link' AND ended_at = 0 AND expires_at > ?`}

	insertCode = &statement{group: codeWrite, text: `INSERT INTO otp_code (tenant_id,` + codeColumns + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)`}

	// endCodes ends what an earlier message of the run brought for the same purpose.
	endCodes = &statement{group: codeWrite, text: `UPDATE otp_code SET ended_at = ?
		WHERE tenant_id = ? AND run_id = ? AND purpose = ? AND ended_at = 0`}

	useCode = &statement{group: codeWrite, text: `UPDATE otp_code SET ended_at = ? WHERE tenant_id = ? AND id = ? AND ended_at = 0`}
)

// Code implements [tenant.CodeStore].
func (s *Store) Code(ctx context.Context, tenantID, id string) (*tenant.Code, error) {
	return s.code(ctx, selectCode, tenantID, id)
}

// CodeByLink implements [tenant.CodeStore].
func (s *Store) CodeByLink(ctx context.Context, tenantID, linkHash string, now time.Time) (*tenant.Code, error) {
	return s.code(ctx, selectCodeByLink, tenantID, linkHash, ms(now))
}

func (s *Store) code(ctx context.Context, q *statement, tenantID, key string, args ...any) (*tenant.Code, error) {
	if !askable(key) {
		return nil, tenant.ErrNotFound
	}
	var c *tenant.Code
	err := s.each(ctx, q, func(scan scan) (err error) {
		c, err = scanCode(tenantID, scan)
		return err
	}, append([]any{tenantID, key}, args...)...)
	if err == nil && c == nil {
		err = tenant.ErrNotFound
	}
	return c, err
}

func scanCode(tenantID string, scan scan) (*tenant.Code, error) {
	c := tenant.Code{TenantID: tenantID}
	var purpose, form, sealed, delivery string
	var created, expires, approved, ended int64
	if err := scan(&c.ID, &c.RunID, &purpose, &form, &c.Channel, &c.Target.Kind, &c.Target.Value, &sealed, &c.LinkHash, &c.StateHash,
		&c.MaxAttempts, &c.Attempts, &created, &expires, &approved, &ended, &delivery); err != nil {
		return nil, err
	}
	c.Purpose, c.Form, c.Delivery = tenant.CodePurpose(purpose), tenant.CodeForm(form), tenant.MessageStatus(delivery)
	c.CreatedAt, c.ExpiresAt, c.ApprovedAt, c.EndedAt = at(created), at(expires), at(approved), at(ended)
	var err error
	c.Sealed, err = unseal(sealed)
	return &c, err
}

// TryCode implements [tenant.CodeStore]. What was paid is paid for good.
func (s *Store) TryCode(ctx context.Context, tenantID, id string, now time.Time) (*tenant.Code, error) {
	if !askable(id) {
		return nil, tenant.ErrNotFound
	}
	var c *tenant.Code
	err := s.returning(ctx, tryCode, func(scan scan) (err error) {
		c, err = scanCode(tenantID, scan)
		return err
	}, tenantID, id, ms(now))
	if err != nil || c != nil {
		return c, err
	}
	c, err = s.Code(ctx, tenantID, id)
	switch {
	case err != nil:
		return nil, err
	case !c.EndedAt.IsZero() || !now.Before(c.ExpiresAt):
		return nil, tenant.ErrOTPExpired
	}
	return nil, tenant.ErrRateLimited
}

// ApproveCode implements [tenant.CodeStore].
func (s *Store) ApproveCode(ctx context.Context, tenantID, id string, now time.Time) error {
	if !askable(id) {
		return tenant.ErrOTPExpired
	}
	n, err := s.alone(ctx, true, approveCode, ms(now), tenantID, id, ms(now))
	if err == nil && n == 0 {
		err = tenant.ErrOTPExpired
	}
	return err
}

// codes ends the codes that were used and those that new ones replace, and
// keeps the new ones.
func (w *write) codes(c *tenant.Commit) {
	now := ms(c.State.CreatedAt)
	for _, id := range c.UseCodes {
		w.do(useCode, now, c.Run.TenantID, id).none = tenant.ErrOTPExpired
	}
	for i := range c.Codes {
		k := &c.Codes[i]
		w.do(endCodes, now, k.TenantID, k.RunID, string(k.Purpose))
		w.do(insertCode, k.TenantID, k.ID, k.RunID, string(k.Purpose), string(k.Form), k.Channel, k.Target.Kind,
			clean(k.Target.Value), seal(k.Sealed), k.LinkHash, k.StateHash, k.MaxAttempts, k.Attempts, ms(k.CreatedAt), ms(k.ExpiresAt))
	}
}
