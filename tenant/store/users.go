package store

import (
	"cmp"
	"context"
	"strings"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type userRow struct {
	bun.BaseModel `bun:"table:user_account,alias:u"`

	TenantID           string
	ID                 string
	State              string
	DisabledReason     string
	StandardAttributes string
	CustomAttributes   string
	CreatedAt          int64
	UpdatedAt          int64

	Anonymous bool

	DisabledUntil int64
	DeactivatedAt int64
	ValidFrom     int64
	ValidUntil    int64
	DeleteAt      int64
	AnonymizeAt   int64
	AnonymizedAt  int64
}

type identityRow struct {
	bun.BaseModel `bun:"table:identity,alias:i"`

	TenantID   string
	ID         string
	UserID     string
	Kind       string
	Value      string
	UniqueKey  string
	Shown      string
	VerifiedAt int64
	CreatedAt  int64
}

type authenticatorRow struct {
	bun.BaseModel `bun:"table:authenticator,alias:a"`

	TenantID  string
	ID        string
	UserID    string
	Type      string
	Secret    string
	CreatedAt int64
	UpdatedAt int64

	MustChange bool
}

func newUserRow(u *tenant.User) *userRow {
	return &userRow{
		TenantID: u.TenantID, ID: u.ID, State: string(u.State), DisabledReason: clean(u.DisabledReason),
		StandardAttributes: clean(string(u.Attributes.Standard)), CustomAttributes: clean(string(u.Attributes.Custom)),
		CreatedAt: ms(u.CreatedAt), UpdatedAt: ms(u.UpdatedAt),
		Anonymous:     u.Anonymous,
		DisabledUntil: ms(u.DisabledUntil), DeactivatedAt: ms(u.DeactivatedAt), ValidFrom: ms(u.ValidFrom), ValidUntil: ms(u.ValidUntil),
		DeleteAt: ms(u.DeleteAt), AnonymizeAt: ms(u.AnonymizeAt), AnonymizedAt: ms(u.AnonymizedAt),
	}
}

func (r *userRow) noun() tenant.User {
	return tenant.User{
		TenantID: r.TenantID, ID: r.ID, State: tenant.UserState(r.State), DisabledReason: r.DisabledReason,
		Attributes: tenant.UserAttributes{Standard: raw(r.StandardAttributes), Custom: raw(r.CustomAttributes)},
		CreatedAt:  at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
		Anonymous: r.Anonymous,
		Access: tenant.Access{
			DisabledUntil: at(r.DisabledUntil), DeactivatedAt: at(r.DeactivatedAt), ValidFrom: at(r.ValidFrom), ValidUntil: at(r.ValidUntil),
			DeleteAt: at(r.DeleteAt), AnonymizeAt: at(r.AnonymizeAt), AnonymizedAt: at(r.AnonymizedAt),
		},
	}
}

func newIdentityRow(i *tenant.Identity) identityRow {
	return identityRow{
		TenantID: i.TenantID, ID: i.ID, UserID: i.UserID, Kind: i.Kind, Value: clean(i.Value),
		UniqueKey: clean(cmp.Or(i.Key, i.Value)), Shown: clean(i.Shown),
		VerifiedAt: ms(i.VerifiedAt), CreatedAt: ms(i.CreatedAt),
	}
}

func (r *identityRow) noun() tenant.Identity {
	key := r.UniqueKey
	if key == r.Value {
		key = ""
	}
	return tenant.Identity{
		TenantID: r.TenantID, ID: r.ID, UserID: r.UserID, Claim: tenant.Claim{Kind: r.Kind, Value: r.Value}, Key: key, Shown: r.Shown,
		VerifiedAt: at(r.VerifiedAt), CreatedAt: at(r.CreatedAt),
	}
}

func newAuthenticatorRow(a *tenant.Authenticator) authenticatorRow {
	return authenticatorRow{
		TenantID: a.TenantID, ID: a.ID, UserID: a.UserID, Type: a.Type, Secret: a.Secret, MustChange: a.MustChange,
		CreatedAt: ms(a.CreatedAt), UpdatedAt: ms(a.UpdatedAt),
	}
}

func (r *authenticatorRow) noun() tenant.Authenticator {
	return tenant.Authenticator{
		TenantID: r.TenantID, ID: r.ID, UserID: r.UserID, Type: r.Type, Secret: r.Secret, MustChange: r.MustChange,
		CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
}

// userRecords reads the users of a query with everything, in four statements.
func userRecords(ctx context.Context, db bun.IDB, tenantID string, where func(*bun.SelectQuery) *bun.SelectQuery) ([]*tenant.UserRecord, error) {
	var users []userRow
	if err := where(db.NewSelect().Model(&users).Where("u.tenant_id = ?", tenantID)).Scan(ctx); err != nil || len(users) == 0 {
		return nil, err
	}
	out := make([]*tenant.UserRecord, len(users))
	byID := make(map[string]*tenant.UserRecord, len(users))
	ids := make([]string, len(users))
	for i := range users {
		u := &tenant.UserRecord{User: users[i].noun()}
		out[i], byID[u.ID], ids[i] = u, u, u.ID
	}
	theirs := func(model any) *bun.SelectQuery {
		return db.NewSelect().Model(model).Where("tenant_id = ? AND user_id IN (?)", tenantID, bun.List(ids))
	}
	var identities []identityRow
	if err := theirs(&identities).Order("user_id", "id").Scan(ctx); err != nil {
		return nil, err
	}
	for i := range identities {
		u := byID[identities[i].UserID]
		u.Identities = append(u.Identities, identities[i].noun())
	}
	var authenticators []authenticatorRow
	if err := theirs(&authenticators).Order("user_id", "id").Scan(ctx); err != nil {
		return nil, err
	}
	for i := range authenticators {
		u := byID[authenticators[i].UserID]
		u.Authenticators = append(u.Authenticators, authenticators[i].noun())
	}
	var logins []struct {
		UserID string
		Last   int64
	}
	if err := theirs((*sessionRow)(nil)).Column("user_id").ColumnExpr("max(created_at) AS last").Group("user_id").Scan(ctx, &logins); err != nil {
		return nil, err
	}
	for _, l := range logins {
		byID[l.UserID].LastLoginAt = at(l.Last)
	}
	return out, nil
}

func userRecord(ctx context.Context, db bun.IDB, tenantID, condition string, args ...any) (*tenant.UserRecord, error) {
	us, err := userRecords(ctx, db, tenantID, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where(condition, args...) })
	if err == nil && len(us) == 0 {
		return nil, tenant.ErrUserNotFound
	}
	if err != nil {
		return nil, err
	}
	return us[0], nil
}

// User implements [tenant.UserReader].
func (s *Store) User(ctx context.Context, tenantID, userID string) (*tenant.UserRecord, error) {
	if !askable(userID) {
		return nil, tenant.ErrUserNotFound
	}
	ctx, cancel := s.within(ctx, userRead)
	defer cancel()
	u, err := userRecord(ctx, s.read, tenantID, "u.id = ?", userID)
	return u, refuse(err)
}

// Users implements [tenant.UserReader].
func (s *Store) Users(ctx context.Context, tenantID string, filter tenant.UserFilter, page tenant.Page) ([]*tenant.UserRecord, error) {
	us, err := userRecords(in(ctx, userRead), s.read, tenantID, func(q *bun.SelectQuery) *bun.SelectQuery {
		if page.After != "" {
			q = q.Where("u.id > ?", clean(page.After))
		}
		if filter.State != "" {
			q = q.Where("u.state = ?", string(filter.State))
		}
		if search := clean(filter.Search); search != "" {
			q = q.Where("u.id IN (?)", found(s.read, tenantID, search))
		}
		if filter.IDs != nil {
			q = q.Where("u.id IN (?)", bun.List(some(filter.IDs)))
		}
		return q.Order("u.id").Limit(int64(page.Limit))
	})
	return us, refuse(err)
}

// found is the ids of the users that a search finds: by the beginning of a
// canonical login id, or of one as the user wrote it, or by the user's id.
func found(db *bun.DB, tenantID, search string) *bun.RawQuery {
	low := strings.ToLower(search) // as most canonical values are
	return db.NewRaw(`SELECT user_id FROM identity WHERE tenant_id = ?0 AND value >= ?1 AND value < ?2
		UNION SELECT user_id FROM identity WHERE tenant_id = ?0 AND value >= ?3 AND value < ?4
		UNION SELECT user_id FROM identity WHERE tenant_id = ?0 AND shown >= ?1 AND shown < ?2 AND shown <> value
		UNION SELECT id FROM user_account WHERE tenant_id = ?0 AND id = ?3`,
		tenantID, search, above(search), low, above(low))
}

// some is a list that IN accepts: of nothing, what nothing is equal to.
func some(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}

// User implements [tenant.Tx].
func (t *tx) User(tenantID, id string) (*tenant.UserRecord, error) {
	if !askable(id) {
		return nil, tenant.ErrUserNotFound
	}
	u, err := userRecord(t.in(userRead), t.Tx, tenantID, "u.id = ?", id)
	return u, t.note(err)
}

// UserByClaim implements [tenant.Tx].
func (t *tx) UserByClaim(tenantID string, claim tenant.Claim) (*tenant.UserRecord, error) {
	if !askable(claim.Value) || !askable(claim.Kind) {
		return nil, tenant.ErrUserNotFound
	}
	u, err := userRecord(t.in(userRead), t.Tx, tenantID,
		"u.id = (SELECT user_id FROM identity WHERE tenant_id = ? AND value = ? AND kind = ?)", tenantID, claim.Value, claim.Kind)
	return u, t.note(err)
}

// Owners implements [tenant.Tx].
func (t *tx) Owners(tenantID string, claims []tenant.Claim) (map[tenant.Claim]string, error) {
	values := make([]string, 0, len(claims))
	for _, c := range claims {
		if askable(c.Value) {
			values = append(values, c.Value)
		}
	}
	var rows []identityRow
	err := t.NewSelect().Model(&rows).Column("kind", "value", "unique_key", "user_id").
		Where("tenant_id = ?0 AND (value IN (?1) OR unique_key IN (?1))", tenantID, bun.List(some(values))).Scan(t.in(userRead))
	owners := make(map[tenant.Claim]string, len(rows))
	for i := range rows {
		owners[tenant.Claim{Kind: rows[i].Kind, Value: rows[i].UniqueKey}] = rows[i].UserID
	}
	for i := range rows { // a value counts before another's key
		owners[tenant.Claim{Kind: rows[i].Kind, Value: rows[i].Value}] = rows[i].UserID
	}
	return owners, t.note(err)
}

// CreateUser implements [tenant.Tx].
func (t *tx) CreateUser(u *tenant.UserRecord) error { return t.CreateUsers([]*tenant.UserRecord{u}) }

// CreateUsers implements [tenant.Tx].
func (t *tx) CreateUsers(us []*tenant.UserRecord) error {
	users := make([]*tenant.User, len(us))
	var is []tenant.Identity
	var as []tenant.Authenticator
	for i, u := range us {
		users[i] = &u.User
		is = append(is, u.Identities...)
		as = append(as, u.Authenticators...)
	}
	return t.note(createUsers(t.in(userWrite), t.Tx, users, is, as))
}

// createUsers makes what is given of users, in one statement a table.
func createUsers(ctx context.Context, tx bun.Tx, us []*tenant.User, is []tenant.Identity, as []tenant.Authenticator) error {
	for _, n := range newcomers(tx, us, is, as) {
		if _, err := n.query.Exec(ctx); err != nil {
			return n.failed(err)
		}
	}
	return nil
}

// newcomer is one insert of those that make users, and what its failure means.
type newcomer struct {
	query  *bun.InsertQuery
	failed func(error) error
}

func newcomers(db bun.IDB, us []*tenant.User, is []tenant.Identity, as []tenant.Authenticator) (all []newcomer) {
	if len(us) > 0 {
		rows := mapped(us, func(u **tenant.User) *userRow { return newUserRow(*u) })
		all = append(all, newcomer{db.NewInsert().Model(&rows), func(err error) error {
			if taken(err, "user_account", "") {
				return tenant.ErrAlreadyExists.Says("there is a user of this id already").Because(err)
			}
			return belongs(err, tenant.ErrTenantNotFound)
		}})
	}
	if len(is) > 0 {
		rows := mapped(is, newIdentityRow)
		all = append(all, newcomer{db.NewInsert().Model(&rows), identityTaken})
	}
	if len(as) > 0 {
		rows := mapped(as, newAuthenticatorRow)
		all = append(all, newcomer{db.NewInsert().Model(&rows), func(err error) error { return belongs(err, tenant.ErrUserNotFound) }})
	}
	return all
}

func identityTaken(err error) error {
	if taken(err, "identity", "value") || taken(err, "identity", "unique_key") {
		return tenant.ErrDuplicatedIdentity.Because(err)
	}
	return belongs(err, tenant.ErrUserNotFound)
}

// UpdateUser implements [tenant.Tx].
func (t *tx) UpdateUser(u *tenant.User) error {
	r, err := t.NewUpdate().Model(newUserRow(u)).
		Column("state", "disabled_reason", "standard_attributes", "custom_attributes", "updated_at",
			"disabled_until", "deactivated_at", "valid_from", "valid_until", "delete_at", "anonymize_at", "anonymized_at").
		Where("tenant_id = ? AND id = ?", u.TenantID, u.ID).Exec(t.in(userWrite))
	return t.one(r, err, tenant.ErrUserNotFound)
}

// DeleteUser implements [tenant.Tx]. With a user of the admin tenant go their
// grants.
func (t *tx) DeleteUser(tenantID, id string) error {
	ctx := t.in(userWrite)
	r, err := t.NewDelete().Model((*userRow)(nil)).Where("tenant_id = ? AND id = ?", tenantID, id).Exec(ctx)
	if err := t.one(r, err, tenant.ErrUserNotFound); err != nil {
		return err
	}
	r, err = t.NewRaw(`DELETE FROM role_grant WHERE user_id = ?
		AND EXISTS (SELECT 1 FROM tenant WHERE id = ? AND slug = ?)`, id, tenantID, tenant.AdminSlug).Exec(ctx)
	if err != nil {
		return t.note(err)
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		t.rights(tenantID)
	}
	return nil
}

// AddIdentity implements [tenant.Tx].
func (t *tx) AddIdentity(i *tenant.Identity) error {
	row := newIdentityRow(i)
	_, err := t.NewInsert().Model(&row).Exec(t.in(userWrite))
	return t.note(identityTaken(err))
}

// RemoveIdentity implements [tenant.Tx].
func (t *tx) RemoveIdentity(tenantID, id string) error {
	r, err := t.NewDelete().Model((*identityRow)(nil)).Where("tenant_id = ? AND id = ?", tenantID, id).Exec(t.in(userWrite))
	return t.one(r, err, tenant.ErrNotFound)
}

// PutAuthenticator implements [tenant.Tx].
func (t *tx) PutAuthenticator(a *tenant.Authenticator) error {
	row := newAuthenticatorRow(a)
	r, err := t.NewInsert().Model(&row).On("CONFLICT (tenant_id, id) DO UPDATE").Set("type = EXCLUDED.type").
		Set("secret = EXCLUDED.secret").Set("must_change = EXCLUDED.must_change").Set("updated_at = EXCLUDED.updated_at").Where("a.user_id = EXCLUDED.user_id").Exec(t.in(userWrite))
	return t.one(r, belongs(err, tenant.ErrUserNotFound), tenant.ErrUserNotFound)
}

// RemoveAuthenticator implements [tenant.Tx].
func (t *tx) RemoveAuthenticator(tenantID, id string) error {
	r, err := t.NewDelete().Model((*authenticatorRow)(nil)).Where("tenant_id = ? AND id = ?", tenantID, id).Exec(t.in(userWrite))
	return t.one(r, err, tenant.ErrNotFound)
}

// IdentitiesOf implements [tenant.UserReader].
func (s *Store) IdentitiesOf(ctx context.Context, tenantID, userID string) ([]tenant.Identity, error) {
	var rows []identityRow
	err := s.read.NewSelect().Model(&rows).Where("i.tenant_id = ? AND i.user_id = ?", tenantID, clean(userID)).
		Order("i.id").Scan(in(ctx, userRead))
	return mapped(rows, (*identityRow).noun), refuse(err)
}
