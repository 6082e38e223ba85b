package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// accountColumns are of a user and one of their authenticators, each of which
// may be absent: then its id is empty.
const accountColumns = `
	coalesce(u.id, ''), coalesce(u.state, ''), coalesce(u.disabled_reason, ''), coalesce(u.standard_attributes, ''),
	coalesce(u.custom_attributes, ''), coalesce(u.created_at, 0), coalesce(u.updated_at, 0),
	coalesce(a.id, ''), coalesce(a.type, ''), coalesce(a.secret, ''), coalesce(a.created_at, 0), coalesce(a.updated_at, 0), coalesce(a.must_change, FALSE), coalesce(u.anonymous, FALSE),
	coalesce(` + accessColumn + `, '')`

// accessColumn is when a user's access begins and ends, in one column that is
// empty for almost everybody: each column costs about as much as finding the row.
const accessColumn = `CASE WHEN u.disabled_until | u.deactivated_at | u.valid_from | u.valid_until | u.delete_at | u.anonymize_at | u.anonymized_at = 0 THEN ''
	ELSE u.disabled_until || ' ' || u.deactivated_at || ' ' || u.valid_from || ' ' || u.valid_until || ' ' || u.delete_at || ' ' || u.anonymize_at || ' ' || u.anonymized_at END`

// accessScan reads accessColumn into a row.
type accessScan struct{ *userRow }

// Scan implements [sql.Scanner].
func (u accessScan) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("store: access times are a %T", v)
	}
	times := []*int64{&u.DisabledUntil, &u.DeactivatedAt, &u.ValidFrom, &u.ValidUntil, &u.DeleteAt, &u.AnonymizeAt, &u.AnonymizedAt}
	for i, word := range strings.Fields(text) {
		var err error
		if *times[i], err = strconv.ParseInt(word, 10, 64); err != nil {
			return fmt.Errorf("store: access times: %w", err)
		}
	}
	return nil
}

const authenticatorsOfUser = `LEFT JOIN authenticator a ON a.tenant_id = u.tenant_id AND a.user_id = u.id`

// accountScan folds rows of accountColumns into an account.
type accountScan struct {
	userRow
	authenticatorRow authenticatorRow
	account          *tenant.Account
}

func (r *accountScan) dest() []any {
	u, a := &r.userRow, &r.authenticatorRow
	return []any{
		&u.ID, &u.State, &u.DisabledReason, &u.StandardAttributes, &u.CustomAttributes, &u.CreatedAt, &u.UpdatedAt,
		&a.ID, &a.Type, &a.Secret, &a.CreatedAt, &a.UpdatedAt, &a.MustChange, &u.Anonymous,
		accessScan{u},
	}
}

func (r *accountScan) fold(tenantID string) {
	if r.ID == "" {
		return
	}
	r.TenantID = tenantID
	if r.account == nil {
		r.account = &tenant.Account{User: r.userRow.noun()}
	}
	if a := &r.authenticatorRow; a.ID != "" {
		a.TenantID, a.UserID = tenantID, r.ID
		as := append(r.account.Authenticators, a.noun())
		slices.SortFunc(as, func(a, b tenant.Authenticator) int { return strings.Compare(a.ID, b.ID) })
		r.account.Authenticators = as
	}
}

// An account that isn't found takes as long to read as one that is: the
// tenant's first one is read instead, and not answered.
const selectByIdentity = `SELECT i.kind, i.value, i.unique_key, i.verified_at,` + accountColumns + `
	FROM identity i JOIN user_account u ON u.tenant_id = i.tenant_id AND u.id = i.user_id ` + authenticatorsOfUser + `
	WHERE i.tenant_id = ? AND i.id = coalesce((SELECT id FROM identity WHERE tenant_id = ? AND `

const orFirst = `), (SELECT id FROM identity WHERE tenant_id = ? ORDER BY id LIMIT 1)) ORDER BY a.id`

var (
	selectAccountByClaim = &statement{group: accountByClaim, text: selectByIdentity + `value = ? AND kind = ?` + orFirst}

	// Of several users who are found, the one with the value is meant, and then
	// by the order of the other forms.
	selectAccountByForms = &statement{group: accountByClaim, text: selectByIdentity + `(value IN (?, ?, ?, ?) OR unique_key IN (?, ?, ?)) AND kind = ?
	ORDER BY CASE WHEN value = ? THEN 0 WHEN value = ? OR unique_key = ? THEN 1 WHEN value = ? OR unique_key = ? THEN 2 ELSE 3 END, id LIMIT 1` + orFirst}
)

var selectAccount = &statement{group: accountByID, text: `SELECT` + accountColumns + `
	FROM user_account u ` + authenticatorsOfUser + ` WHERE u.tenant_id = ? AND u.id = ?`}

// AccountByClaim implements [tenant.UserReader].
func (s *Store) AccountByClaim(ctx context.Context, tenantID string, claim tenant.Claim, also ...string) (*tenant.Account, error) {
	v, kind := claim.Value, claim.Kind
	q, key := selectAccountByClaim, []string{tenantID, v, kind, tenantID}
	if len(also) > 0 {
		a := [3]string{v, v, v}
		copy(a[:], also)
		q, key = selectAccountByForms, []string{tenantID, v, a[0], a[1], a[2], a[0], a[1], a[2], kind, v, a[0], a[0], a[1], a[1], tenantID}
	}
	var found accountScan
	var i identityRow
	err := s.lookup(ctx, q, func(scan scan) error {
		if err := scan(append([]any{&i.Kind, &i.Value, &i.UniqueKey, &i.VerifiedAt}, found.dest()...)...); err != nil {
			return err
		}
		found.fold(tenantID)
		return nil
	}, tenantID, key...)
	if err != nil {
		return nil, err
	}
	is := i.Value == v || slices.Contains(also, i.Value) || slices.Contains(also, i.UniqueKey)
	if found.account == nil || i.Kind != kind || !is {
		return nil, tenant.ErrUserNotFound
	}
	found.account.Claim, found.account.ClaimVerified = tenant.Claim{Kind: kind, Value: i.Value}, at(i.VerifiedAt)
	return found.account, nil
}

// Account implements [tenant.UserReader].
func (s *Store) Account(ctx context.Context, tenantID, userID string) (*tenant.Account, error) {
	return s.account(ctx, selectAccount, tenantID, userID)
}

func (s *Store) account(ctx context.Context, q *statement, tenantID string, key ...string) (*tenant.Account, error) {
	var found accountScan
	err := s.lookup(ctx, q, func(scan scan) error {
		if err := scan(found.dest()...); err != nil {
			return err
		}
		found.fold(tenantID)
		return nil
	}, tenantID, key...)
	if err != nil || found.account == nil {
		return nil, cmp.Or(err, error(tenant.ErrUserNotFound))
	}
	return found.account, nil
}

// lookup finds rows by what a client sent; ErrUserNotFound for what can't be in
// the database.
func (s *Store) lookup(ctx context.Context, q *statement, row func(scan) error, tenantID string, key ...string) error {
	args := []any{tenantID}
	for _, k := range key {
		if !askable(k) {
			return tenant.ErrUserNotFound
		}
		args = append(args, k)
	}
	return s.each(ctx, q, row, args...)
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
