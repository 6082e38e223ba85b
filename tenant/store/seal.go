package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

// SealAudit implements [tenant.AuditStore]. Nodes that seal at once take turns
// at each tenant. What it writes need not be durable: the runs and the events
// are, and a chain that was lost is made again.
func (s *Store) SealAudit(ctx context.Context, limit int) (int, error) {
	ctx = in(ctx, auditSeal)
	var tenants []string
	err := s.read.NewRaw(`SELECT tenant_id FROM audit_log WHERE seq = 0
		UNION SELECT tenant_id FROM flow_run WHERE status IN ('finished', 'complete') AND NOT audited
		ORDER BY tenant_id LIMIT ?`, limit).Scan(ctx, &tenants)
	if err != nil {
		return 0, refuse(err)
	}
	sealed := 0
	for _, id := range tenants {
		if sealed >= limit {
			break
		}
		var n int
		if err := s.persist(ctx, func() (err error) {
			n, err = s.sealTenant(ctx, id, limit-sealed)
			return err
		}); err != nil {
			return sealed, err
		}
		sealed += n
	}
	return sealed, nil
}

func (s *Store) sealTenant(ctx context.Context, tenantID string, limit int) (n int, err error) {
	err = s.transact(ctx, false, func(tx bun.Tx) error {
		head, err := lockHead(ctx, tx, tenantID)
		if orphan(err) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		// Read behind the lock: what another node sealed is sealed.
		var rows []auditRow
		if err := tx.NewSelect().Model(&rows).Where("tenant_id = ? AND seq = 0", tenantID).Order("id").Limit(int64(limit)).Scan(ctx); err != nil {
			return err
		}
		events := mapped(rows, (*auditRow).noun)
		var runs []runRow
		if limit > len(rows) {
			if err := tx.NewSelect().Model(&runs).Where("tenant_id = ? AND status IN ('finished', 'complete') AND NOT audited", tenantID).
				Order("finished_at", "id").Limit(int64(limit - len(rows))).Scan(ctx); err != nil {
				return err
			}
		}
		for i := range runs {
			events = append(events, eventOf(&runs[i]))
		}
		if n = len(events); n == 0 {
			return nil
		}
		slices.SortFunc(events, func(a, b *tenant.AuditEvent) int { return cmp.Compare(a.ID, b.ID) })
		if err := chainAll(ctx, tx, head, events); err != nil || len(runs) == 0 {
			return err
		}
		ids := mapped(runs, func(r *runRow) string { return r.ID })
		_, err = tx.NewUpdate().Model((*runRow)(nil)).Set("audited = TRUE").
			Where("tenant_id = ? AND id IN (?)", tenantID, bun.List(ids)).Exec(ctx)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// chainAll chains events, of which some have a row that waits for it.
func chainAll(ctx context.Context, tx bun.Tx, head *head, events []*tenant.AuditEvent) error {
	rows := make([]auditRow, len(events))
	for i, e := range events {
		head.chain(e)
		rows[i] = newAuditRow(e)
	}
	if _, err := tx.NewInsert().Model(&rows).On("CONFLICT (tenant_id, id) DO UPDATE").Set("seq = EXCLUDED.seq").
		Set("prev_hash = EXCLUDED.prev_hash").Set("hash = EXCLUDED.hash").Exec(ctx); err != nil {
		return err
	}
	return head.move(ctx, tx)
}

// eventOf makes the sign-in event of a run that has finished.
func eventOf(row *runRow) *tenant.AuditEvent {
	r := row.noun()
	e := &tenant.AuditEvent{
		TenantID: r.TenantID, At: r.FinishedAt, Category: tenant.AuditSignIn, Action: "flow." + string(r.Flow.Type), Outcome: "success",
		ActorKind: tenant.ActorUser, ActorID: r.UserID, IP: r.LastSeen.IP, RunID: r.ID, UserID: r.UserID,
	}
	if e.At.IsZero() {
		e.At = r.LastSeen.At
	}
	var random [10]byte
	rand.Read(random[:])
	e.ID = tenant.UUIDv7(e.At, random)
	e.Detail, _ = json.Marshal(struct { // strings
		Flow    string   `json:"flow"`
		Surface string   `json:"surface"`
		Session string   `json:"session,omitempty"`
		Factors []string `json:"factors"`
	}{r.Flow.Name, r.Surface, r.SessionID, r.Factors})
	keepable(e)
	return e
}
