package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

// CountUsersWithout implements [tenant.UserReader].
func (s *Store) CountUsersWithout(ctx context.Context, tenantID string, with, without []tenant.WayIn) (int, error) {
	q := s.read.NewSelect().Model((*userRow)(nil)).Where("u.tenant_id = ? AND u.state = ?", tenantID, string(tenant.UserActive))
	if with != nil {
		q = q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery { return whereOpen(q, with) })
	}
	q = q.WhereGroup(" AND NOT ", func(q *bun.SelectQuery) *bun.SelectQuery { return whereOpen(q, without) })
	n, err := q.Count(in(ctx, userRead))
	return int(n), refuse(err)
}

// whereOpen narrows users to those to whom one of the ways in is open.
func whereOpen(q *bun.SelectQuery, ways []tenant.WayIn) *bun.SelectQuery {
	const identity = "EXISTS (SELECT 1 FROM identity i WHERE i.tenant_id = u.tenant_id AND i.user_id = u.id AND i.kind = ?)"
	const authenticator = "EXISTS (SELECT 1 FROM authenticator a WHERE a.tenant_id = u.tenant_id AND a.user_id = u.id AND a.type IN (?))"
	q = q.Where("1 = 0") // no way is open to nobody
	for _, w := range ways {
		if w.Authenticators == nil {
			q = q.WhereOr(identity, w.Kind)
		} else {
			q = q.WhereOr(identity+" AND "+authenticator, w.Kind, bun.List(some(w.Authenticators)))
		}
	}
	return q
}
