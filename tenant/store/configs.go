package store

import (
	"context"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type versionRow struct {
	bun.BaseModel `bun:"table:config_version,alias:v"`

	TenantID  string
	Number    int64
	Document  string
	Hash      string
	Message   string
	Author    string
	CreatedAt int64
}

func (r *versionRow) noun() *tenant.Version {
	return &tenant.Version{
		TenantID: r.TenantID, Number: r.Number, Document: []byte(r.Document), Hash: r.Hash,
		Message: r.Message, Author: r.Author, CreatedAt: at(r.CreatedAt),
	}
}

type draftRow struct {
	bun.BaseModel `bun:"table:config_draft,alias:d"`

	TenantID  string
	Base      int64
	Document  string
	Author    string
	UpdatedAt int64
}

type secretRow struct {
	bun.BaseModel `bun:"table:secret,alias:s"`

	TenantID  string
	Name      string
	Sealed    string
	LastFour  string
	UpdatedAt int64
}

func version(ctx context.Context, db bun.IDB, tenantID string, number int64) (*tenant.Version, error) {
	var r versionRow
	err := db.NewSelect().Model(&r).Where("tenant_id = ? AND number = ?", tenantID, number).Scan(ctx)
	return r.noun(), err
}

func draft(ctx context.Context, db bun.IDB, tenantID string) (*tenant.Draft, error) {
	var r draftRow
	err := db.NewSelect().Model(&r).Where("tenant_id = ?", tenantID).Scan(ctx)
	return &tenant.Draft{
		TenantID: r.TenantID, Base: r.Base, Document: []byte(r.Document), Author: r.Author, UpdatedAt: at(r.UpdatedAt),
	}, err
}

// Version implements [tenant.ConfigReader].
func (s *Store) Version(ctx context.Context, tenantID string, number int64) (*tenant.Version, error) {
	ctx, cancel := s.within(ctx, configRead)
	defer cancel()
	v, err := version(ctx, s.read, tenantID, number)
	if err != nil {
		return nil, orRefuse(err, tenant.ErrNotFound)
	}
	return v, nil
}

// Versions implements [tenant.ConfigReader].
func (s *Store) Versions(ctx context.Context, tenantID string, page tenant.Page) ([]*tenant.Version, error) {
	var rows []versionRow
	q := s.read.NewSelect().Model(&rows).Where("tenant_id = ?", tenantID)
	if page.After != "" {
		n, err := strconv.ParseInt(page.After, 10, 64)
		if err != nil {
			return nil, nil // nothing comes after what can't be
		}
		q = q.Where("number < ?", n)
	}
	err := q.Order("number DESC").Limit(int64(page.Limit)).Scan(in(ctx, configRead))
	return mapped(rows, (*versionRow).noun), refuse(err)
}

// Draft implements [tenant.ConfigReader].
func (s *Store) Draft(ctx context.Context, tenantID string) (*tenant.Draft, error) {
	ctx, cancel := s.within(ctx, configRead)
	defer cancel()
	d, err := draft(ctx, s.read, tenantID)
	if err != nil {
		return nil, orRefuse(err, tenant.ErrNotFound)
	}
	return d, nil
}

// Secrets implements [tenant.ConfigReader]; by name.
func (s *Store) Secrets(ctx context.Context, tenantID string) ([]tenant.Secret, error) {
	ctx, cancel := s.within(ctx, configRead)
	defer cancel()
	var rows []secretRow
	err := s.read.NewSelect().Model(&rows).ExcludeColumn("sealed").Where("tenant_id = ?", tenantID).Order("name").Scan(ctx)
	return mapped(rows, func(r *secretRow) tenant.Secret {
		return tenant.Secret{Name: r.Name, LastFour: r.LastFour, UpdatedAt: at(r.UpdatedAt)}
	}), refuse(err)
}

// OpenSecret implements [tenant.ConfigReader].
func (s *Store) OpenSecret(ctx context.Context, tenantID, name string) ([]byte, error) {
	if !askable(name) {
		return nil, tenant.ErrNotFound
	}
	ctx, cancel := s.within(ctx, configRead)
	defer cancel()
	var r secretRow
	err := s.read.NewSelect().Model(&r).Column("sealed").Where("tenant_id = ? AND name = ?", tenantID, name).Scan(ctx)
	if err != nil {
		return nil, orRefuse(err, tenant.ErrNotFound)
	}
	return unseal(r.Sealed)
}

// Draft implements [tenant.Tx].
func (t *tx) Draft(tenantID string) (*tenant.Draft, error) {
	d, err := draft(t.in(configRead), t.Tx, tenantID)
	if err != nil {
		return nil, t.found(err, tenant.ErrNotFound)
	}
	return d, nil
}

// PutDraft implements [tenant.Tx].
func (t *tx) PutDraft(d *tenant.Draft) error {
	t.touched(d.TenantID)
	_, err := t.NewInsert().Model(&draftRow{
		TenantID: d.TenantID, Base: d.Base, Document: string(d.Document), Author: clean(d.Author), UpdatedAt: ms(d.UpdatedAt),
	}).On("CONFLICT (tenant_id) DO UPDATE").Set("base = EXCLUDED.base").Set("document = EXCLUDED.document").
		Set("author = EXCLUDED.author").Set("updated_at = EXCLUDED.updated_at").Exec(t.in(configWrite))
	return t.note(belongs(err, tenant.ErrTenantNotFound))
}

// DeleteDraft implements [tenant.Tx]; it is no error when there is none.
func (t *tx) DeleteDraft(tenantID string) error {
	t.touched(tenantID)
	_, err := t.NewDelete().Model((*draftRow)(nil)).Where("tenant_id = ?", tenantID).Exec(t.in(configWrite))
	return t.note(err)
}

// Version implements [tenant.Tx].
func (t *tx) Version(tenantID string, number int64) (*tenant.Version, error) {
	v, err := version(t.in(configRead), t.Tx, tenantID, number)
	if err != nil {
		return nil, t.found(err, tenant.ErrNotFound)
	}
	return v, nil
}

// CreateVersion implements [tenant.Tx].
func (t *tx) CreateVersion(v *tenant.Version) error {
	t.touched(v.TenantID)
	_, err := t.NewInsert().Model(&versionRow{
		TenantID: v.TenantID, Number: v.Number, Document: string(v.Document), Hash: v.Hash,
		Message: clean(v.Message), Author: clean(v.Author), CreatedAt: ms(v.CreatedAt),
	}).Exec(t.in(configWrite))
	if taken(err, "config_version", "") {
		err = tenant.ErrVersionConflict.Because(err)
	}
	return t.note(belongs(err, tenant.ErrTenantNotFound))
}

// PutSecret implements [tenant.Tx].
func (t *tx) PutSecret(tenantID string, n tenant.Secret, sealed []byte) error {
	t.touched(tenantID)
	_, err := t.NewInsert().Model(&secretRow{
		TenantID: tenantID, Name: clean(n.Name), Sealed: seal(sealed), LastFour: clean(n.LastFour), UpdatedAt: ms(n.UpdatedAt),
	}).On("CONFLICT (tenant_id, name) DO UPDATE").Set("sealed = EXCLUDED.sealed").Set("last_four = EXCLUDED.last_four").
		Set("updated_at = EXCLUDED.updated_at").Exec(t.in(configWrite))
	return t.note(belongs(err, tenant.ErrTenantNotFound))
}

// DeleteSecret implements [tenant.Tx].
func (t *tx) DeleteSecret(tenantID, name string) error {
	t.touched(tenantID)
	r, err := t.NewDelete().Model((*secretRow)(nil)).Where("tenant_id = ? AND name = ?", tenantID, clean(name)).Exec(t.in(configWrite))
	return t.one(r, err, tenant.ErrNotFound)
}
