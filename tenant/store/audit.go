package store

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type auditRow struct {
	bun.BaseModel `bun:"table:audit_log,alias:e"`

	TenantID  string
	ID        string
	Seq       int64
	At        int64
	Category  string
	Action    string
	Outcome   string
	ActorKind string
	ActorID   string
	IP        string
	RequestID string
	RunID     string
	UserID    string
	Detail    string
	PrevHash  string
	Hash      string
}

func newAuditRow(e *tenant.AuditEvent) auditRow {
	return auditRow{
		TenantID: e.TenantID, ID: e.ID, Seq: e.Seq, At: ms(e.At), Category: string(e.Category), Action: e.Action, Outcome: e.Outcome,
		ActorKind: string(e.ActorKind), ActorID: e.ActorID, IP: e.IP, RequestID: e.RequestID, RunID: e.RunID, UserID: e.UserID,
		Detail: string(e.Detail), PrevHash: e.PrevHash, Hash: e.Hash,
	}
}

func (r *auditRow) noun() *tenant.AuditEvent {
	return &tenant.AuditEvent{
		TenantID: r.TenantID, ID: r.ID, Seq: r.Seq, At: at(r.At), Category: tenant.AuditCategory(r.Category), Action: r.Action,
		Outcome: r.Outcome, ActorKind: tenant.ActorKind(r.ActorKind), ActorID: r.ActorID, IP: r.IP, RequestID: r.RequestID,
		RunID: r.RunID, UserID: r.UserID, Detail: raw(r.Detail), PrevHash: r.PrevHash, Hash: r.Hash,
	}
}

// keepable brings an event to what both databases give back unchanged, which
// its hash is taken of.
func keepable(e *tenant.AuditEvent) {
	e.At = at(ms(e.At))
	for _, field := range []*string{&e.Action, &e.Outcome, &e.ActorID, &e.IP, &e.RequestID, &e.RunID, &e.UserID} {
		*field = clean(*field)
	}
	e.Detail = raw(clean(string(e.Detail)))
}

var insertAudit = &statement{group: auditWrite, text: `INSERT INTO audit_log (tenant_id, id, seq, at, category, action, outcome, actor_kind,
	actor_id, ip, request_id, run_id, user_id, detail, prev_hash, hash) VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '')`}

// RecordSignIn implements [tenant.AuditStore]. It is durable.
func (s *Store) RecordSignIn(ctx context.Context, e *tenant.AuditEvent) error {
	keepable(e)
	_, err := s.alone(ctx, true, insertAudit, e.TenantID, e.ID, ms(e.At), string(e.Category), e.Action, e.Outcome,
		string(e.ActorKind), e.ActorID, e.IP, e.RequestID, e.RunID, e.UserID, string(e.Detail))
	return belongs(err, tenant.ErrTenantNotFound)
}

// Audit implements [tenant.Tx]. Seq, PrevHash and Hash are set at the end of
// the change.
func (t *tx) Audit(e *tenant.AuditEvent) error {
	keepable(e)
	t.events = append(t.events, e)
	return nil
}

// sealEvents writes the events of a change, the admins' and the system's at the
// end of their tenants' chains.
func (t *tx) sealEvents() error {
	ctx := t.in(auditWrite)
	// Heads are locked in one order, so that changes wait for each other and
	// don't die of it.
	slices.SortStableFunc(t.events, func(a, b *tenant.AuditEvent) int { return cmp.Compare(a.TenantID, b.TenantID) })
	for len(t.events) > 0 {
		id := t.events[0].TenantID
		n := slices.IndexFunc(t.events, func(e *tenant.AuditEvent) bool { return e.TenantID != id })
		if n < 0 {
			n = len(t.events)
		}
		theirs := t.events[:n]
		t.events = t.events[n:]
		chained := slices.ContainsFunc(theirs, func(e *tenant.AuditEvent) bool { return e.Category != tenant.AuditSignIn })
		if chained {
			head, err := lockHead(ctx, t.Tx, id)
			if err != nil {
				return belongs(err, tenant.ErrTenantNotFound)
			}
			for _, e := range theirs {
				if e.Category != tenant.AuditSignIn {
					head.chain(e)
				}
			}
			if err := head.move(ctx, t.Tx); err != nil {
				return err
			}
		}
		rows := mapped(theirs, func(e **tenant.AuditEvent) auditRow { return newAuditRow(*e) })
		if _, err := t.NewInsert().Model(&rows).Exec(ctx); err != nil {
			return belongs(err, tenant.ErrTenantNotFound)
		}
	}
	return nil
}

// head is the end of a tenant's chain, locked.
type head struct {
	bun.BaseModel `bun:"table:audit_head"`

	TenantID string
	Seq      int64
	Hash     string
}

// lockHead reads the end of a chain, beginning it if need be, and keeps others
// from extending it until the transaction ends.
func lockHead(ctx context.Context, tx bun.Tx, tenantID string) (*head, error) {
	h := &head{TenantID: tenantID}
	err := tx.NewRaw(`INSERT INTO audit_head (tenant_id, seq, hash) VALUES (?, 0, '')
		ON CONFLICT (tenant_id) DO UPDATE SET seq = audit_head.seq RETURNING seq, hash`, tenantID).Scan(ctx, &h.Seq, &h.Hash)
	return h, err
}

func (h *head) chain(e *tenant.AuditEvent) {
	e.Chain(h.Seq+1, h.Hash)
	h.Seq, h.Hash = e.Seq, e.Hash
}

func (h *head) move(ctx context.Context, tx bun.Tx) error {
	_, err := tx.NewUpdate().Model(h).Column("seq", "hash").Where("tenant_id = ?", h.TenantID).Exec(ctx)
	return err
}

// AuditLog implements [tenant.AuditStore]. Events are sealed in the order of
// their ids, so what comes after an event is the same before and after.
func (s *Store) AuditLog(ctx context.Context, tenantID string, filter tenant.AuditFilter, page tenant.Page) ([]*tenant.AuditEvent, error) {
	half := func(order string) *bun.SelectQuery {
		return filterAudit(s.read.NewSelect().Model((*auditRow)(nil)).Where("tenant_id = ?", tenantID), filter).
			Order(order).Limit(int64(page.Limit))
	}
	unsealed := half("id DESC").Where("seq = 0")
	sealed := half("seq DESC").Where("seq > 0")
	if page.After != "" {
		const place = "FROM audit_log WHERE tenant_id = ? AND id = ?"
		after := clean(page.After)
		unsealed = unsealed.Where("id < (SELECT id "+place+" AND seq = 0)", tenantID, after)
		sealed = sealed.Where("seq < (SELECT CASE WHEN seq = 0 THEN ? ELSE seq END "+place+")", math.MaxInt64, tenantID, after)
	}
	// One statement, so that nothing is sealed between its parts.
	var rows []auditRow
	err := s.read.NewRaw(`SELECT * FROM (SELECT * FROM (?) AS unsealed UNION ALL SELECT * FROM (?) AS sealed) AS log
		ORDER BY seq = 0 DESC, seq DESC, id DESC LIMIT ?`, unsealed, sealed, page.Limit).Scan(in(ctx, auditRead), &rows)
	return mapped(rows, (*auditRow).noun), refuse(err)
}

func filterAudit(q *bun.SelectQuery, f tenant.AuditFilter) *bun.SelectQuery {
	for _, equal := range []struct{ column, value string }{
		{"category", string(f.Category)}, {"action", f.Action}, {"request_id", f.RequestID},
	} {
		if equal.value != "" {
			q = q.Where("? = ?", bun.Ident(equal.column), clean(equal.value))
		}
	}
	if f.SupportCode != "" {
		suffix, ok := tenant.ParseSupportCode(f.SupportCode)
		q = q.Where("substr(run_id, 25) = ? AND run_id <> '' AND ?", suffix, ok)
	}
	if f.UserID != "" {
		q = q.Where("user_id = ? AND user_id <> ''", clean(f.UserID))
	}
	if !f.Since.IsZero() {
		q = q.Where("at >= ?", ms(f.Since))
	}
	if !f.Until.IsZero() {
		q = q.Where("at < ?", ms(f.Until))
	}
	return q
}

// AuditChain implements [tenant.AuditStore].
func (s *Store) AuditChain(ctx context.Context, tenantID string, from int64, limit int) ([]*tenant.AuditEvent, error) {
	var rows []auditRow
	err := s.read.NewSelect().Model(&rows).Where("tenant_id = ? AND seq >= ? AND seq > 0", tenantID, from).
		Order("seq").Limit(int64(limit)).Scan(in(ctx, auditRead))
	return mapped(rows, (*auditRow).noun), refuse(err)
}

// AuditHead implements [tenant.AuditStore].
func (s *Store) AuditHead(ctx context.Context, tenantID string) (seq int64, hash string, err error) {
	ctx, cancel := s.within(ctx, auditRead)
	defer cancel()
	var heads []head
	if err := s.read.NewSelect().Model(&heads).Where("tenant_id = ?", tenantID).Scan(ctx); err != nil || len(heads) == 0 {
		return 0, "", refuse(err)
	}
	return heads[0].Seq, heads[0].Hash, nil
}
