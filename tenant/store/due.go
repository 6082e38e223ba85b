package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

// UsersDue implements [tenant.UserReader].
func (s *Store) UsersDue(ctx context.Context, now time.Time, limit int) ([]tenant.DueUser, error) {
	var due []tenant.DueUser
	for _, column := range []string{"delete_at", "anonymize_at"} {
		var rows []userRow
		err := s.read.NewSelect().Model(&rows).Column("tenant_id", "id").Where("? > 0 AND ? <= ?", bun.Ident(column), bun.Ident(column), ms(now)).
			OrderExpr("?", bun.Ident(column)).Limit(int64(limit)).Scan(in(ctx, userRead))
		if err != nil {
			return nil, refuse(err)
		}
		for i := range rows {
			due = append(due, tenant.DueUser{TenantID: rows[i].TenantID, UserID: rows[i].ID, Delete: column == "delete_at"})
		}
	}
	return due, nil
}
