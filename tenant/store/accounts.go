package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// accountColumns are of a user and one of their authenticators, each of which
// may be absent: then its id is empty.
const accountColumns = `
	coalesce(u.id, ''), coalesce(u.state, ''), coalesce(u.disabled_reason, ''), coalesce(u.standard_attributes, ''),
	coalesce(u.custom_attributes, ''), coalesce(u.created_at, 0), coalesce(u.updated_at, 0),
	coalesce(a.id, ''), coalesce(a.type, ''), coalesce(a.secret, ''), coalesce(a.created_at, 0), coalesce(a.updated_at, 0)`

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
		&a.ID, &a.Type, &a.Secret, &a.CreatedAt, &a.UpdatedAt,
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

var selectAccountByClaim = &statement{accountByClaim, `SELECT` + accountColumns + `
	FROM identity i JOIN user_account u ON u.tenant_id = i.tenant_id AND u.id = i.user_id ` + authenticatorsOfUser + `
	WHERE i.tenant_id = ? AND i.value = ? AND i.kind = ?`}

var selectAccount = &statement{accountByID, `SELECT` + accountColumns + `
	FROM user_account u ` + authenticatorsOfUser + ` WHERE u.tenant_id = ? AND u.id = ?`}

// AccountByClaim implements [tenant.UserReader].
func (s *Store) AccountByClaim(ctx context.Context, tenantID string, claim tenant.Claim) (*tenant.Account, error) {
	return s.account(ctx, selectAccountByClaim, tenantID, claim.Value, claim.Kind)
}

// Account implements [tenant.UserReader].
func (s *Store) Account(ctx context.Context, tenantID, userID string) (*tenant.Account, error) {
	return s.account(ctx, selectAccount, tenantID, userID)
}

func (s *Store) account(ctx context.Context, q *statement, tenantID string, key ...string) (*tenant.Account, error) {
	args := []any{tenantID}
	for _, k := range key {
		if !askable(k) {
			return nil, tenant.ErrUserNotFound
		}
		args = append(args, k)
	}
	var scan accountScan
	err := s.each(ctx, q, func(rows *sql.Rows) error {
		if err := rows.Scan(scan.dest()...); err != nil {
			return err
		}
		scan.fold(tenantID)
		return nil
	}, args...)
	if err != nil {
		return nil, err
	}
	if scan.account == nil {
		return nil, tenant.ErrUserNotFound
	}
	return scan.account, nil
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
