package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type hookRow struct {
	bun.BaseModel `bun:"table:hook_delivery,alias:d"`

	TenantID   string
	ID         string
	EventID    string
	EventType  string
	Endpoint   string
	Body       string
	Status     string
	Attempts   int
	NextAt     int64
	ExpiresAt  int64
	CreatedAt  int64
	TriedAt    int64
	TookMS     int64 `bun:"took_ms"`
	StatusCode int
	Response   string
	Error      string
}

func newHookRow(d *tenant.HookDelivery) hookRow {
	return hookRow{
		TenantID: d.TenantID, ID: d.ID, EventID: d.EventID, EventType: string(d.Type), Endpoint: d.Endpoint, Body: clean(string(d.Body)),
		Status: string(d.Status), Attempts: d.Attempts, NextAt: ms(d.NextAt), ExpiresAt: ms(d.ExpiresAt), CreatedAt: ms(d.CreatedAt),
		TriedAt: ms(d.TriedAt), TookMS: d.Took.Milliseconds(), StatusCode: d.StatusCode, Response: clean(d.Response), Error: clean(d.Error),
	}
}

func (r *hookRow) noun() *tenant.HookDelivery {
	return &tenant.HookDelivery{
		TenantID: r.TenantID, ID: r.ID, EventID: r.EventID, Type: tenant.HookEventType(r.EventType), Endpoint: r.Endpoint, Body: []byte(r.Body),
		Status: tenant.HookDeliveryStatus(r.Status), Attempts: r.Attempts, NextAt: at(r.NextAt), ExpiresAt: at(r.ExpiresAt), CreatedAt: at(r.CreatedAt),
		TriedAt: at(r.TriedAt), Took: time.Duration(r.TookMS) * time.Millisecond, StatusCode: r.StatusCode, Response: r.Response, Error: r.Error,
	}
}

// ClaimHookDeliveries implements [tenant.HookStore]. A claim is the moving of
// the time of the next try.
func (s *Store) ClaimHookDeliveries(ctx context.Context, now time.Time, lease time.Duration, limit int, except []tenant.HookLane) ([]*tenant.HookDelivery, error) {
	ctx = in(ctx, hookClaim)
	due := s.read.NewSelect().TableExpr("hook_delivery").Column("tenant_id", "id").
		Where("status = 'queued' AND next_at <= ?", ms(now)).Order("next_at", "id").Limit(int64(limit))
	if len(except) > 0 {
		lanes := make([]bun.TupleValues, len(except))
		for i, l := range except {
			lanes[i] = bun.Tuple([]string{l.TenantID, l.Endpoint})
		}
		due = due.Where("(tenant_id, endpoint) NOT IN (VALUES ?)", bun.List(lanes))
	}
	if s.skipLocked != "" {
		due = due.For(s.skipLocked)
	}
	var rows []hookRow
	err := s.transact(ctx, false, func(tx bun.Tx) error {
		rows = nil
		return tx.NewRaw(`UPDATE hook_delivery SET next_at = ?, attempts = attempts + 1 WHERE (tenant_id, id) IN (?) RETURNING *`,
			ms(now.Add(lease)), due).Scan(ctx, &rows)
	})
	if err != nil {
		return nil, refuse(err)
	}
	slices.SortFunc(rows, func(a, b hookRow) int { return strings.Compare(a.ID, b.ID) })
	return mapped(rows, (*hookRow).noun), nil
}

// SettleHookDelivery implements [tenant.HookStore]. What is forgotten when the
// power fails is delivered again.
func (s *Store) SettleHookDelivery(ctx context.Context, d *tenant.HookDelivery) error {
	r := newHookRow(d)
	return refuse(s.transact(ctx, false, func(tx bun.Tx) error {
		_, err := tx.NewUpdate().Model(&r).Column("status", "next_at", "tried_at", "took_ms", "status_code", "response", "error").
			Where("tenant_id = ? AND id = ? AND status = 'queued'", d.TenantID, d.ID).
			Where("(attempts = ? OR ? = 'delivered')", d.Attempts, string(d.Status)).Exec(in(ctx, hookWrite))
		return err
	}))
}

// HookDelivery implements [tenant.HookStore].
func (s *Store) HookDelivery(ctx context.Context, tenantID, id string) (*tenant.HookDelivery, error) {
	if !askable(id) {
		return nil, tenant.ErrNotFound
	}
	var row hookRow
	if err := s.read.NewSelect().Model(&row).Where("tenant_id = ? AND id = ?", tenantID, id).Scan(in(ctx, hookRead)); err != nil {
		return nil, orRefuse(err, tenant.ErrNotFound)
	}
	return row.noun(), nil
}

// HookDeliveries implements [tenant.HookStore].
func (s *Store) HookDeliveries(ctx context.Context, tenantID string, filter tenant.HookDeliveryFilter, page tenant.Page) ([]*tenant.HookDelivery, error) {
	var rows []hookRow
	q := s.read.NewSelect().Model(&rows).Where("tenant_id = ?", tenantID)
	if page.After != "" {
		q = q.Where("id < ?", clean(page.After))
	}
	for _, f := range []struct{ column, value string }{
		{"endpoint", filter.Endpoint}, {"event_type", string(filter.Type)}, {"status", string(filter.Status)}, {"event_id", filter.EventID},
	} {
		if f.value != "" {
			q = q.Where("? = ?", bun.Ident(f.column), clean(f.value))
		}
	}
	err := q.Order("id DESC").Limit(int64(page.Limit)).Scan(in(ctx, hookRead))
	return mapped(rows, (*hookRow).noun), refuse(err)
}

// CountHookDeliveries implements [tenant.HookStore].
func (s *Store) CountHookDeliveries(ctx context.Context) (queued int, oldest time.Time, err error) {
	var first int64
	err = s.read.NewRaw(`SELECT count(*), coalesce(min(created_at), 0) FROM hook_delivery WHERE status = 'queued'`).Scan(in(ctx, hookRead), &queued, &first)
	return queued, at(first), refuse(err)
}

var insertHookDelivery = &statement{group: hookWrite, text: `INSERT INTO hook_delivery (tenant_id, id, event_id, event_type, endpoint, body,
	status, attempts, next_at, expires_at, created_at, tried_at, took_ms, status_code, response, error)
	VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 0, 0, 0, '', '')`}

// hooks puts what hooks are told of into the outbox.
func (w *write) hooks(c *tenant.Commit) {
	for i := range c.Hooks {
		r := newHookRow(&c.Hooks[i])
		w.do(insertHookDelivery, r.TenantID, r.ID, r.EventID, r.EventType, r.Endpoint, r.Body,
			r.Status, r.NextAt, r.ExpiresAt, r.CreatedAt)
	}
}

// TellHooks implements [tenant.Tx].
func (t *tx) TellHooks(ds []tenant.HookDelivery) error {
	if len(ds) == 0 {
		return nil
	}
	rows := mapped(ds, newHookRow)
	_, err := t.NewInsert().Model(&rows).Exec(t.in(hookWrite))
	return t.note(belongs(err, tenant.ErrTenantNotFound))
}
