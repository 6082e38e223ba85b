package store

import (
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type tenantRow struct {
	bun.BaseModel `bun:"table:tenant,alias:t"`

	ID            string
	Slug          string
	Name          string
	State         string
	SuspendReason string
	PfidPartition int64
	DataKey       string
	Version       int64
	Revision      int64
	DraftRevision int64
	CreatedAt     int64
	ChangedAt     int64
}

type hostRow struct {
	bun.BaseModel `bun:"table:tenant_host,alias:h"`

	Host     string
	TenantID string
	Position int64
}

func newTenantRow(t *tenant.Tenant) *tenantRow {
	return &tenantRow{
		ID: t.ID, Slug: t.Slug, Name: clean(t.Name), State: string(t.State), SuspendReason: clean(t.SuspendReason),
		PfidPartition: int64(t.Partition), DataKey: seal(t.Key), Version: t.Version, Revision: t.Revision,
		DraftRevision: t.DraftRevision, CreatedAt: ms(t.CreatedAt), ChangedAt: ms(t.ChangedAt),
	}
}

func (r *tenantRow) noun() (*tenant.Tenant, error) {
	key, err := unseal(r.DataKey)
	return &tenant.Tenant{
		ID: r.ID, Slug: r.Slug, Name: r.Name, State: tenant.State(r.State), SuspendReason: r.SuspendReason,
		Partition: uint32(r.PfidPartition), Key: key, Version: r.Version, Revision: r.Revision, //nolint:gosec // written from one
		DraftRevision: r.DraftRevision, CreatedAt: at(r.CreatedAt), ChangedAt: at(r.ChangedAt),
	}, err
}

// tenants reads the tenants of a query, with their hosts.
func tenants(ctx context.Context, db bun.IDB, where func(*bun.SelectQuery) *bun.SelectQuery) ([]*tenant.Tenant, error) {
	var rows []tenantRow
	if err := where(db.NewSelect().Model(&rows)).Scan(ctx); err != nil || len(rows) == 0 {
		return nil, err
	}
	out := make([]*tenant.Tenant, len(rows))
	byID := make(map[string]*tenant.Tenant, len(rows))
	ids := make([]string, len(rows))
	for i := range rows {
		t, err := rows[i].noun()
		if err != nil {
			return nil, err
		}
		out[i], byID[t.ID], ids[i] = t, t, t.ID
	}
	var hosts []hostRow
	err := db.NewSelect().Model(&hosts).Where("h.tenant_id IN (?)", bun.List(ids)).Order("h.tenant_id", "h.position").Scan(ctx)
	for _, h := range hosts {
		byID[h.TenantID].Hosts = append(byID[h.TenantID].Hosts, h.Host)
	}
	return out, err
}

func oneTenant(ctx context.Context, db bun.IDB, condition, value, suffix string) (*tenant.Tenant, error) {
	if !askable(value) {
		return nil, tenant.ErrTenantNotFound
	}
	ts, err := tenants(ctx, db, func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where(condition, value)
		if suffix != "" {
			q = q.For(suffix)
		}
		return q
	})
	if err == nil && len(ts) == 0 {
		return nil, tenant.ErrTenantNotFound
	}
	if err != nil {
		return nil, err
	}
	return ts[0], nil
}

func (s *Store) tenant(ctx context.Context, condition, value string) (*tenant.Tenant, error) {
	ctx, cancel := s.within(ctx, tenantRead)
	defer cancel()
	t, err := oneTenant(ctx, s.read, condition, value, "")
	return t, refuse(err)
}

// TenantByHost implements [tenant.TenantReader].
func (s *Store) TenantByHost(ctx context.Context, host string) (*tenant.Tenant, error) {
	return s.tenant(ctx, "t.id = (SELECT tenant_id FROM tenant_host WHERE host = ?)", host)
}

// TenantBySlug implements [tenant.TenantReader].
func (s *Store) TenantBySlug(ctx context.Context, slug string) (*tenant.Tenant, error) {
	return s.tenant(ctx, "t.slug = ?", slug)
}

// TenantByID implements [tenant.TenantReader].
func (s *Store) TenantByID(ctx context.Context, id string) (*tenant.Tenant, error) {
	return s.tenant(ctx, "t.id = ?", id)
}

// Tenants implements [tenant.TenantReader]. Case of ASCII letters doesn't
// matter in a search.
func (s *Store) Tenants(ctx context.Context, search string, state tenant.State, page tenant.Page) ([]*tenant.Tenant, error) {
	ts, err := tenants(in(ctx, tenantRead), s.read, func(q *bun.SelectQuery) *bun.SelectQuery {
		if page.After != "" {
			q = q.Where("t.slug > ?", clean(page.After))
		}
		if state != "" {
			q = q.Where("t.state = ?", string(state))
		}
		if search = clean(search); search != "" {
			// lower() knows ASCII alone: on SQLite always, on PostgreSQL by the column's collation.
			low, name := strings.ToLower(search), strings.Map(asciiLower, search)
			q = q.Where(`(t.slug >= ? AND t.slug < ?)
				OR (lower(t.name) >= ? AND lower(t.name) < ?)
				OR t.id IN (SELECT tenant_id FROM tenant_host WHERE host >= ? AND host < ?)`,
				low, above(low), name, above(name), low, above(low))
		}
		return q.Order("t.slug").Limit(int64(page.Limit))
	})
	return ts, refuse(err)
}

func asciiLower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

// CountTenants implements [tenant.TenantReader].
func (s *Store) CountTenants(ctx context.Context) (map[tenant.State]int, error) {
	ctx, cancel := s.within(ctx, tenantRead)
	defer cancel()
	var rows []struct {
		State string
		N     int
	}
	err := s.read.NewSelect().Model((*tenantRow)(nil)).Column("state").ColumnExpr("count(*) AS n").Group("state").Scan(ctx, &rows)
	counts := map[tenant.State]int{}
	for _, r := range rows {
		counts[tenant.State(r.State)] = r.N
	}
	return counts, refuse(err)
}

// ChangedSince implements [tenant.TenantReader]. The times are those of the
// clocks of the nodes that made the changes, taken before their commits, so ask
// for a few seconds more than have passed. A deleted tenant is forgotten after
// a day.
func (s *Store) ChangedSince(ctx context.Context, since time.Time) (map[string]int64, error) {
	ctx, cancel := s.within(ctx, tenantRead)
	defer cancel()
	var rows []struct {
		ID       string
		Revision int64
	}
	err := s.read.NewRaw(`SELECT id, revision FROM tenant WHERE changed_at >= ?
		UNION ALL SELECT tenant_id, 0 FROM tenant_gone WHERE deleted_at >= ?`, ms(since), ms(since)).Scan(ctx, &rows)
	changed := make(map[string]int64, len(rows))
	for _, r := range rows {
		changed[r.ID] = r.Revision
	}
	return changed, refuse(err)
}

// NewestChange implements [tenant.TenantReader].
func (s *Store) NewestChange(ctx context.Context) (time.Time, error) {
	ctx, cancel := s.within(ctx, tenantRead)
	defer cancel()
	var newest int64
	err := s.read.NewRaw(`SELECT coalesce(max(at), 0) FROM (SELECT max(changed_at) AS at FROM tenant
		UNION ALL SELECT max(deleted_at) FROM tenant_gone) AS changes`).Scan(ctx, &newest)
	return at(newest), refuse(err)
}

// Tenant implements [tenant.Tx].
func (t *tx) Tenant(slug string) (*tenant.Tenant, error) {
	found, err := oneTenant(t.in(tenantRead), t.Tx, "t.slug = ?", slug, t.s.forUpdate)
	return found, t.note(err)
}

// CreateTenant implements [tenant.Tx].
func (t *tx) CreateTenant(n *tenant.Tenant) error {
	n.Revision, n.ChangedAt = 1, t.now
	ctx := t.in(tenantWrite)
	if _, err := t.NewInsert().Model(newTenantRow(n)).Exec(ctx); err != nil {
		return t.note(tenantTaken(err))
	}
	t.changed(n.ID)
	return t.putHosts(n)
}

// UpdateTenant implements [tenant.Tx].
func (t *tx) UpdateTenant(n *tenant.Tenant) error {
	n.ChangedAt = t.now
	ctx := t.in(tenantWrite)
	var revision []int64
	_, err := t.NewUpdate().Model(newTenantRow(n)).
		Column("slug", "name", "state", "suspend_reason", "data_key", "version", "draft_revision", "changed_at").
		Set("revision = revision + 1").Where("id = ?", n.ID).Returning("revision").Exec(ctx, &revision)
	if err != nil {
		return t.note(tenantTaken(err))
	}
	if len(revision) == 0 {
		return tenant.ErrTenantNotFound
	}
	n.Revision = revision[0]
	t.changed(n.ID)
	if _, err := t.NewDelete().Model((*hostRow)(nil)).Where("tenant_id = ?", n.ID).Exec(ctx); err != nil {
		return t.note(err)
	}
	return t.putHosts(n)
}

func (t *tx) putHosts(n *tenant.Tenant) error {
	if len(n.Hosts) == 0 {
		return nil
	}
	rows := make([]hostRow, len(n.Hosts))
	for i, h := range n.Hosts {
		rows[i] = hostRow{Host: h, TenantID: n.ID, Position: int64(i)}
	}
	_, err := t.NewInsert().Model(&rows).Exec(t.in(tenantWrite))
	return t.note(tenantTaken(err))
}

func tenantTaken(err error) error {
	switch {
	case taken(err, "tenant", "slug"):
		return tenant.ErrAlreadyExists.Says("there is a tenant of this slug already").Because(err)
	case taken(err, "tenant_host", ""):
		return tenant.ErrAlreadyExists.Says("another tenant has this host already").Because(err)
	case taken(err, "tenant", "pfid_partition"):
		return tenant.ErrAlreadyExists.Says("another tenant has this partition already").Because(err)
	case taken(err, "tenant", ""):
		return tenant.ErrAlreadyExists.Says("there is a tenant of this id already").Because(err)
	}
	return err
}

// DeleteTenant implements [tenant.Tx].
func (t *tx) DeleteTenant(id string) error {
	ctx := t.in(tenantWrite)
	r, err := t.NewDelete().Model((*tenantRow)(nil)).Where("id = ?", id).Exec(ctx)
	if err := t.one(r, err, tenant.ErrTenantNotFound); err != nil {
		return err
	}
	// What names the tenant without belonging to its row.
	for _, q := range []*bun.RawQuery{
		t.NewRaw("DELETE FROM flow_run WHERE tenant_id = ?", id),
		t.NewRaw("DELETE FROM flow_state WHERE tenant_id = ?", id),
		t.NewRaw("DELETE FROM rate_bucket WHERE tenant_id = ?", id),
		t.NewRaw("DELETE FROM role_grant WHERE domain = ?", id),
		t.NewRaw("INSERT INTO tenant_gone (tenant_id, deleted_at) VALUES (?, ?) ON CONFLICT (tenant_id) DO UPDATE SET deleted_at = excluded.deleted_at", id, ms(t.now)),
	} {
		if _, err := q.Exec(ctx); err != nil {
			return t.note(err)
		}
	}
	t.changed(id)
	return nil
}
