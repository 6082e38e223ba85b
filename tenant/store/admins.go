package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type keyRow struct {
	bun.BaseModel `bun:"table:api_key,alias:k"`

	TenantID   string
	ID         string
	Name       string
	Hash       string
	LastFour   string
	Role       string
	CreatedAt  int64
	CreatedBy  string
	ExpiresAt  int64
	LastUsedAt int64
	RevokedAt  int64
}

type grantRow struct {
	bun.BaseModel `bun:"table:role_grant,alias:g"`

	UserID string
	Domain string
	Role   string
}

func (r *keyRow) noun() *tenant.APIKey {
	return &tenant.APIKey{
		TenantID: r.TenantID, ID: r.ID, Name: r.Name, Hash: r.Hash, LastFour: r.LastFour, Role: tenant.Role(r.Role),
		CreatedAt: at(r.CreatedAt), CreatedBy: r.CreatedBy, ExpiresAt: at(r.ExpiresAt), LastUsedAt: at(r.LastUsedAt), RevokedAt: at(r.RevokedAt),
	}
}

func (r *grantRow) noun() tenant.Grant {
	return tenant.Grant{UserID: r.UserID, Role: tenant.Role(r.Role), Domain: r.Domain}
}

var selectKey = &statement{group: keyCheck, text: `SELECT id, name, last_four, role, created_at, created_by, expires_at, last_used_at, revoked_at
	FROM api_key WHERE tenant_id = ? AND hash = ?`}

// APIKeyByHash implements [tenant.AdminReader]. It says nothing of whether the
// key still holds.
func (s *Store) APIKeyByHash(ctx context.Context, tenantID, hash string) (*tenant.APIKey, error) {
	k := keyRow{TenantID: tenantID, Hash: hash}
	err := s.each(ctx, selectKey, func(scan scan) error {
		return scan(&k.ID, &k.Name, &k.LastFour, &k.Role, &k.CreatedAt, &k.CreatedBy, &k.ExpiresAt, &k.LastUsedAt, &k.RevokedAt)
	}, tenantID, clean(hash))
	if err != nil {
		return nil, err
	}
	if k.ID == "" {
		return nil, tenant.ErrNotFound
	}
	return k.noun(), nil
}

// APIKeys implements [tenant.AdminReader].
func (s *Store) APIKeys(ctx context.Context, tenantID string, page tenant.Page) ([]*tenant.APIKey, error) {
	var rows []keyRow
	q := s.read.NewSelect().Model(&rows).Where("k.tenant_id = ?", tenantID)
	if page.After != "" {
		q = q.Where("k.id < ?", clean(page.After))
	}
	err := q.Order("k.id DESC").Limit(int64(page.Limit)).Scan(in(ctx, adminRead))
	return mapped(rows, (*keyRow).noun), refuse(err)
}

var touchKey = &statement{group: keyTouch, text: `UPDATE api_key SET last_used_at = ? WHERE tenant_id = ? AND id = ? AND last_used_at < ?`}

// TouchAPIKey implements [tenant.AdminReader].
func (s *Store) TouchAPIKey(ctx context.Context, tenantID, id string, used time.Time) error {
	_, err := s.alone(ctx, false, touchKey, ms(used), tenantID, id, ms(used))
	return err
}

// GrantsOf implements [tenant.AdminReader].
func (s *Store) GrantsOf(ctx context.Context, userID string) ([]tenant.Grant, error) {
	return s.grants(ctx, "user_id = ?", userID)
}

// GrantsIn implements [tenant.AdminReader].
func (s *Store) GrantsIn(ctx context.Context, domain string) ([]tenant.Grant, error) {
	return s.grants(ctx, "domain = ?", domain)
}

func (s *Store) grants(ctx context.Context, condition, value string) ([]tenant.Grant, error) {
	ctx, cancel := s.within(ctx, adminRead)
	defer cancel()
	var rows []grantRow
	err := s.read.NewSelect().Model(&rows).Where(condition, clean(value)).Order("domain", "user_id").Scan(ctx)
	return mapped(rows, (*grantRow).noun), refuse(err)
}

// CreateAPIKey implements [tenant.Tx].
func (t *tx) CreateAPIKey(k *tenant.APIKey) error {
	t.rights(k.TenantID)
	_, err := t.NewInsert().Model(&keyRow{
		TenantID: k.TenantID, ID: k.ID, Name: clean(k.Name), Hash: k.Hash, LastFour: clean(k.LastFour), Role: string(k.Role),
		CreatedAt: ms(k.CreatedAt), CreatedBy: clean(k.CreatedBy), ExpiresAt: ms(k.ExpiresAt), LastUsedAt: ms(k.LastUsedAt),
		RevokedAt: ms(k.RevokedAt),
	}).Exec(t.in(adminWrite))
	if taken(err, "api_key", "hash") {
		err = tenant.ErrAlreadyExists.Says("there is such a key already").Because(err)
	}
	return t.note(belongs(err, tenant.ErrTenantNotFound))
}

// RevokeAPIKey implements [tenant.Tx]. A key that is revoked already stays as
// it is.
func (t *tx) RevokeAPIKey(tenantID, id string, now time.Time) (*tenant.APIKey, error) {
	t.rights(tenantID)
	var rows []keyRow
	_, err := t.NewUpdate().Model((*keyRow)(nil)).
		Set("revoked_at = CASE WHEN revoked_at = 0 THEN ? ELSE revoked_at END", ms(now)).
		Where("tenant_id = ? AND id = ?", tenantID, clean(id)).Returning("*").Exec(t.in(adminWrite), &rows)
	if err != nil {
		return nil, t.note(err)
	}
	if len(rows) == 0 {
		return nil, tenant.ErrNotFound
	}
	return rows[0].noun(), nil
}

// PutGrant implements [tenant.Tx]. A user has one role in a domain: the last
// one given.
func (t *tx) PutGrant(g tenant.Grant) error {
	row := grantRow{UserID: g.UserID, Domain: g.Domain, Role: string(g.Role)}
	_, err := t.NewInsert().Model(&row).On("CONFLICT (user_id, domain) DO UPDATE").Set("role = EXCLUDED.role").Exec(t.in(adminWrite))
	if err != nil {
		return t.note(err)
	}
	return t.granted(g)
}

// DeleteGrant implements [tenant.Tx].
func (t *tx) DeleteGrant(g tenant.Grant) error {
	r, err := t.NewDelete().Model((*grantRow)(nil)).
		Where("user_id = ? AND domain = ? AND role = ?", clean(g.UserID), clean(g.Domain), string(g.Role)).Exec(t.in(adminWrite))
	if err := t.one(r, err, tenant.ErrNotFound); err != nil {
		return err
	}
	return t.granted(g)
}

// granted marks the tenant of a grant; of one for the platform, the admin
// tenant.
func (t *tx) granted(g tenant.Grant) error {
	if g.Domain != tenant.PlatformDomain {
		t.rights(g.Domain)
		return nil
	}
	var ids []string
	err := t.NewSelect().Model((*tenantRow)(nil)).Column("id").Where("slug = ?", tenant.AdminSlug).Scan(t.in(tenantRead), &ids)
	for _, id := range ids {
		t.rights(id)
	}
	return t.note(err)
}
