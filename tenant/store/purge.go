package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

const (
	sessionsKept = 30 * 24 * time.Hour // after their end, for the record of when users logged in
	codesKept    = 24 * time.Hour
	messagesKept = 30 * 24 * time.Hour // from when they were made, for the record of who was written to
	hooksKept    = 7 * 24 * time.Hour  // from when they were made: they tell of users
	goneKept     = 24 * time.Hour
)

// Purge implements [tenant.RunStore]: at most limit rows of each
// kind a call. Several nodes may purge at once; each run is
// returned to one of them.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (expired []tenant.Run, err error) {
	ctx = in(ctx, purge)
	err = s.transact(ctx, false, func(tx bun.Tx) error {
		expired, err = purgeRuns(ctx, tx, s.skipLocked, now, limit)
		return err
	})
	if err != nil {
		return nil, refuse(err)
	}
	// Only now: a session that is being read keeps its locks short.
	for _, q := range []*bun.RawQuery{
		s.fast.NewRaw(`DELETE FROM session WHERE (tenant_id, id) IN
			(SELECT tenant_id, id FROM session WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`, ms(now.Add(-sessionsKept)), limit),
		s.fast.NewRaw(`DELETE FROM otp_code WHERE (tenant_id, id) IN
			(SELECT tenant_id, id FROM otp_code WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`, ms(now.Add(-codesKept)), limit),
		s.fast.NewRaw(`DELETE FROM message WHERE (tenant_id, id) IN
			(SELECT tenant_id, id FROM message WHERE created_at < ? ORDER BY created_at LIMIT ?)`, ms(now.Add(-messagesKept)), limit),
		s.fast.NewRaw(`DELETE FROM hook_delivery WHERE (tenant_id, id) IN
			(SELECT tenant_id, id FROM hook_delivery WHERE created_at < ? ORDER BY created_at LIMIT ?)`, ms(now.Add(-hooksKept)), limit),
		s.fast.NewRaw(`DELETE FROM tenant_gone WHERE tenant_id IN
			(SELECT tenant_id FROM tenant_gone WHERE deleted_at < ? ORDER BY deleted_at LIMIT ?)`, ms(now.Add(-goneKept)), limit),
	} {
		if err := s.transact(ctx, false, func(tx bun.Tx) error {
			_, err := q.Conn(tx).Exec(ctx)
			return err
		}); err != nil {
			return expired, refuse(err)
		}
	}
	return expired, nil
}

// purgeRuns forgets the states of runs whose time is over and cancels those
// that never finished, which it returns.
func purgeRuns(ctx context.Context, tx bun.Tx, skipLocked string, now time.Time, limit int) (expired []tenant.Run, err error) {
	var rows []runRow
	q := tx.NewSelect().Model(&rows).Where("r.walkable AND r.expires_at <= ?", ms(now)).Order("r.expires_at").Limit(int64(limit))
	if skipLocked != "" {
		q = q.For(skipLocked)
	}
	if err := q.Scan(ctx); err != nil || len(rows) == 0 {
		return nil, err
	}
	keys := make([]bun.TupleValues, len(rows))
	for i := range rows {
		r := &rows[i]
		keys[i] = bun.Tuple([]string{r.TenantID, r.ID})
		if r.Status == string(tenant.RunNew) || r.Status == string(tenant.RunPending) {
			run := r.noun()
			run.Status = tenant.RunCancelled
			expired = append(expired, run)
		}
	}
	_, err = tx.NewUpdate().Model((*runRow)(nil)).Set("walkable = FALSE").
		Set("status = CASE WHEN status IN ('new', 'pending') THEN 'cancelled' ELSE status END").
		Where("(tenant_id, id) IN (VALUES ?)", bun.List(keys)).Exec(ctx)
	if err != nil {
		return nil, err
	}
	_, err = tx.NewRaw("DELETE FROM flow_state WHERE (tenant_id, run_id) IN (VALUES ?)", bun.List(keys)).Exec(ctx)
	return expired, err
}
