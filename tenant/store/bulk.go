package store

import (
	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

// Owners implements [tenant.Tx].
func (t *tx) Owners(tenantID string, claims []tenant.Claim) (map[tenant.Claim]string, error) {
	values := make([]string, 0, len(claims))
	for _, c := range claims {
		if askable(c.Value) {
			values = append(values, c.Value)
		}
	}
	var rows []identityRow
	err := t.NewSelect().Model(&rows).Column("kind", "value", "user_id").
		Where("tenant_id = ? AND value IN (?)", tenantID, bun.List(some(values))).Scan(t.in(userRead))
	owners := make(map[tenant.Claim]string, len(rows))
	for i := range rows {
		owners[tenant.Claim{Kind: rows[i].Kind, Value: rows[i].Value}] = rows[i].UserID
	}
	return owners, t.note(err)
}

// CreateUsers implements [tenant.Tx].
func (t *tx) CreateUsers(us []*tenant.UserRecord) error {
	if len(us) == 0 {
		return nil
	}
	users := make([]*userRow, len(us))
	var ids []tenant.Identity
	var authenticators []tenant.Authenticator
	for i, u := range us {
		users[i] = newUserRow(&u.User)
		ids = append(ids, u.Identities...)
		authenticators = append(authenticators, u.Authenticators...)
	}
	if _, err := t.NewInsert().Model(&users).Exec(t.in(userWrite)); err != nil {
		if taken(err, "user_account", "") {
			err = tenant.ErrAlreadyExists.Says("there is a user of this id already").Because(err)
		}
		return t.note(err)
	}
	return t.note(createUser(t.in(userWrite), t.Tx, nil, ids, authenticators))
}
