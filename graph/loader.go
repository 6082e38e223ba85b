package graph

import (
	"context"
	"errors"
	"time"

	"github.com/vikstrous/dataloadgen"

	"github.com/usher-id/usher/tenant"
)

type userRef struct{ tenantID, id string }

// userLoader reads the users that a list refers to, those of one tenant in one
// statement.
type userLoader = *dataloadgen.Loader[userRef, *tenant.UserRecord]

func newUserLoader(store tenant.UserReader) userLoader {
	read := func(ctx context.Context, refs []userRef) (map[userRef]*tenant.UserRecord, error) {
		ids := map[string][]string{}
		for _, ref := range refs {
			ids[ref.tenantID] = append(ids[ref.tenantID], ref.id)
		}
		found := make(map[userRef]*tenant.UserRecord, len(refs))
		for tenantID, these := range ids {
			users, err := store.Users(ctx, tenantID, tenant.UserFilter{IDs: these}, tenant.Page{Limit: len(these)})
			if err != nil {
				return nil, err
			}
			for _, u := range users {
				found[userRef{tenantID, u.ID}] = u
			}
		}
		return found, nil
	}
	return dataloadgen.NewMappedLoader(read, dataloadgen.WithBatchCapacity(MaxFirst), dataloadgen.WithWait(time.Millisecond))
}

// user finds a user; nil when there is no such user any more.
func (c *call) user(ctx context.Context, tenantID, id string) (*tenant.UserRecord, error) {
	if id == "" {
		return nil, nil
	}
	u, err := c.users.Load(ctx, userRef{tenantID, id})
	if errors.Is(err, dataloadgen.ErrNotFound) {
		return nil, nil
	}
	return u, err
}
