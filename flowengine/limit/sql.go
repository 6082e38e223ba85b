package limit

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// SQL keeps buckets in the table rate_bucket. A try costs one statement, however
// many buckets it is counted in; one that is refused costs a second, which gives
// back what the other buckets have paid. Until that has run, others may be
// refused a try that would have been theirs.
//
// What a crash forgets of the last moment is a few tries, so db may be a handle
// that doesn't wait for the disk.
func SQL(db *bun.DB) Limiter { return sqlLimiter{db} }

type sqlLimiter struct{ db *bun.DB }

// entry is what happens to one bucket: its TAT, or now if that is later, moves
// by delta, provided that the TAT isn't beyond room.
type entry struct {
	key   string
	delta int64
	room  int64
}

func (l sqlLimiter) Take(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) error {
	cs, err := cells(buckets)
	if err != nil || len(cs) == 0 {
		return err
	}
	at := now.UnixMicro()
	entries := make([]entry, len(cs))
	for i, c := range cs {
		entries[i] = entry{c.key, c.increment, at + c.tolerance - c.increment}
	}
	taken, err := l.move(ctx, tenantID, at, entries)
	if err != nil || len(taken) == len(cs) {
		return err
	}

	for i, c := range cs {
		entries[i] = entry{c.key, 0, math.MaxInt64} // only look
		if _, ok := taken[c.key]; ok {
			entries[i].delta = -c.increment
		}
	}
	tats, err := l.move(ctx, tenantID, at, entries)
	if err != nil {
		return err
	}
	retryAt := at
	for _, c := range cs {
		if _, ok := taken[c.key]; !ok {
			retryAt = max(retryAt, c.retryAt(tats[c.key]))
		}
	}
	return limited(now, retryAt)
}

func (l sqlLimiter) Refund(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) error {
	cs, err := cells(buckets)
	if err != nil || len(cs) == 0 {
		return err
	}
	entries := make([]entry, len(cs))
	for i, c := range cs {
		entries[i] = entry{c.key, -c.increment, math.MaxInt64}
	}
	_, err = l.move(ctx, tenantID, now.UnixMicro(), entries)
	return err
}

// move changes buckets in one statement and answers with the new TATs of those
// that it changed. A TAT in the past is as good as now: the bucket is full.
//
// The database evaluates the condition on the row as it is once it is locked,
// so two tries at the same moment can't both have the last token.
func (l sqlLimiter) move(ctx context.Context, tenantID string, now int64, entries []entry) (map[string]int64, error) {
	var values, rooms strings.Builder
	args := make([]any, 0, 5*len(entries)+2)
	for i, e := range entries {
		if i > 0 {
			values.WriteString(", ")
		}
		values.WriteString("(?, ?, ?)")
		args = append(args, tenantID, e.key, now+e.delta)
	}
	args = append(args, now, now)
	for _, e := range entries {
		rooms.WriteString(" WHEN ? THEN ?")
		args = append(args, e.key, e.room)
	}
	var rows []struct {
		Bucket string
		TAT    int64 `bun:"tat"`
	}
	err := l.db.NewRaw(`INSERT INTO rate_bucket (tenant_id, bucket, tat) VALUES `+values.String()+`
ON CONFLICT (tenant_id, bucket) DO UPDATE
SET tat = CASE WHEN rate_bucket.tat < ? THEN excluded.tat ELSE rate_bucket.tat + excluded.tat - ? END
WHERE rate_bucket.tat <= CASE excluded.bucket`+rooms.String()+` END
RETURNING bucket, tat`, args...).Scan(ctx, &rows)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	tats := make(map[string]int64, len(rows))
	for _, r := range rows {
		tats[r.Bucket] = r.TAT
	}
	return tats, nil
}

const (
	// purgeLag leaves alone what was full only just now: its rows may be in use,
	// and the clock of another node may be behind.
	purgeLag = time.Minute
	// purgeWindow is how many rows one statement looks at.
	purgeWindow = 1000
)

// Purge walks over the table once, in the order of its primary key.
func (l sqlLimiter) Purge(ctx context.Context, now time.Time) error {
	full := now.Add(-purgeLag).UnixMicro()
	type place struct{ TenantID, Bucket string }
	var from place
	for {
		var to place
		err := l.db.NewRaw(`SELECT tenant_id, bucket FROM rate_bucket WHERE (tenant_id, bucket) > (?, ?)
ORDER BY tenant_id, bucket LIMIT 1 OFFSET ?`, from.TenantID, from.Bucket, purgeWindow-1).Scan(ctx, &to)
		last := errors.Is(err, sql.ErrNoRows) // what is left is less than a window
		if err != nil && !last {
			return unavailable(ctx, err)
		}
		window := l.db.NewDelete().Table("rate_bucket").Where("(tenant_id, bucket) > (?, ?)", from.TenantID, from.Bucket).Where("tat < ?", full)
		if !last {
			window.Where("(tenant_id, bucket) <= (?, ?)", to.TenantID, to.Bucket)
		}
		if _, err := window.Exec(ctx); err != nil {
			return unavailable(ctx, err)
		}
		if last {
			return nil
		}
		from = to
	}
}
