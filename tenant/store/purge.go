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
	purgeBatch   = 500 // rows of a kind in one transaction
)

// Purge implements [tenant.RunStore]. Several nodes may purge at once; each run
// is returned to one of them.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (expired []tenant.Run, err error) {
	ctx = in(ctx, purge)
	for len(expired) < limit {
		batch := min(purgeBatch, limit-len(expired))
		var seen int
		var given []tenant.Run
		if err := s.persist(ctx, func() error {
			return s.transact(ctx, false, func(tx bun.Tx) (err error) {
				seen, given, err = purgeRuns(ctx, tx, s.skipLocked, now, batch)
				return err
			})
		}); err != nil {
			return expired, err
		}
		expired = append(expired, given...)
		if seen < batch {
			break
		}
	}
	if err := s.forget(ctx, `DELETE FROM session WHERE (tenant_id, id) IN
		(SELECT tenant_id, id FROM session WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`, now.Add(-sessionsKept)); err != nil {
		return expired, err
	}
	for _, old := range []struct {
		statement string
		kept      time.Duration
	}{
		{`DELETE FROM otp_code WHERE (tenant_id, id) IN
			(SELECT tenant_id, id FROM otp_code WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`, codesKept},
		{`DELETE FROM message WHERE (tenant_id, id) IN
			(SELECT tenant_id, id FROM message WHERE created_at < ? ORDER BY created_at LIMIT ?)`, messagesKept},
		{`DELETE FROM hook_delivery WHERE (tenant_id, id) IN
			(SELECT tenant_id, id FROM hook_delivery WHERE created_at < ? ORDER BY created_at LIMIT ?)`, hooksKept},
		{`DELETE FROM shown_error WHERE (tenant_id, id) IN
			(SELECT tenant_id, id FROM shown_error WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`, 0},
	} {
		if err := s.forget(ctx, old.statement, now.Add(-old.kept)); err != nil {
			return expired, err
		}
	}
	if err := s.persist(ctx, func() error { return s.transact(ctx, false, func(tx bun.Tx) error { return purgeLate(ctx, tx) }) }); err != nil {
		return expired, err
	}
	if err := s.forget(ctx, `DELETE FROM tenant_gone WHERE tenant_id IN
		(SELECT tenant_id FROM tenant_gone WHERE deleted_at < ? ORDER BY deleted_at LIMIT ?)`, now.Add(-goneKept)); err != nil {
		return expired, err
	}
	return expired, refuse(s.analyze(ctx))
}

// purgeLate deletes the runs that began as their tenant was deleted.
func purgeLate(ctx context.Context, tx bun.Tx) error {
	for _, table := range []string{"flow_run", "flow_state"} {
		if _, err := tx.NewRaw(`DELETE FROM ? WHERE tenant_id IN (SELECT tenant_id FROM tenant_gone g
			WHERE NOT EXISTS (SELECT 1 FROM tenant t WHERE t.id = g.tenant_id))`, bun.Ident(table)).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// forget deletes what is older, batch by batch.
func (s *Store) forget(ctx context.Context, statement string, before time.Time) error {
	for {
		var gone int64
		if err := s.persist(ctx, func() error {
			return s.transact(ctx, false, func(tx bun.Tx) error {
				r, err := tx.NewRaw(statement, ms(before), purgeBatch).Exec(ctx)
				if err != nil {
					return err
				}
				gone, err = r.RowsAffected()
				return err
			})
		}); err != nil || gone < purgeBatch {
			return err
		}
	}
}

// purgeRuns forgets the states of runs whose time is over and cancels those
// that never finished, which it returns.
func purgeRuns(ctx context.Context, tx bun.Tx, skipLocked string, now time.Time, limit int) (seen int, expired []tenant.Run, err error) {
	var rows []runRow
	q := tx.NewSelect().Model(&rows).Where("r.walkable AND r.expires_at <= ?", ms(now)).Order("r.expires_at").Limit(int64(limit))
	if skipLocked != "" {
		q = q.For(skipLocked)
	}
	if err := q.Scan(ctx); err != nil || len(rows) == 0 {
		return 0, nil, err
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
	if _, err := tx.NewUpdate().Model((*runRow)(nil)).Set("walkable = FALSE").
		Set("status = CASE WHEN status IN ('new', 'pending') THEN 'cancelled' ELSE status END").
		Where("(tenant_id, id) IN (VALUES ?)", bun.List(keys)).Exec(ctx); err != nil {
		return 0, nil, err
	}
	_, err = tx.NewRaw("DELETE FROM flow_state WHERE (tenant_id, run_id) IN (VALUES ?)", bun.List(keys)).Exec(ctx)
	return len(rows), expired, err
}

// analyze has PostgreSQL count a table that it has never counted. Until then its
// planner takes every index that begins with the tenant for as good as any, and
// the plan of a prepared statement stays bad while the table grows. Its own
// daemon would come a minute later.
func (s *Store) analyze(ctx context.Context) error {
	if !s.postgres() {
		return nil
	}
	var tables []string
	if err := s.fast.NewRaw(`SELECT relname FROM pg_stat_user_tables WHERE schemaname = current_schema()
		AND last_analyze IS NULL AND last_autoanalyze IS NULL AND n_live_tup > 20`).Scan(ctx, &tables); err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := s.fast.NewRaw("ANALYZE ?", bun.Ident(table)).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
