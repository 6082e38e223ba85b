package limit

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// SQL keeps buckets in the table rate_bucket. A try costs one statement, however
// many buckets it is counted in; one that is refused costs up to two more, which
// give back what the other buckets have paid. Until these have run, others may
// be refused a try that would have been theirs.
//
// What a crash forgets of the last moment is a few tries, so db may be a handle
// that doesn't wait for the disk.
func SQL(db *bun.DB) Limiter { return sqlLimiter{db} }

type sqlLimiter struct{ db *bun.DB }

// entry is what happens to one bucket: its TAT, or now if that is later, moves
// by delta, provided that the TAT isn't beyond room. Of a lock the failed tries
// are counted instead.
type entry struct {
	key   string
	delta int64
	room  int64
	fails bool
}

func (l sqlLimiter) Take(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) (locked bool, err error) {
	cs, lk, err := split(buckets)
	if err != nil || len(cs) == 0 && lk == nil {
		return false, err
	}
	at := now.UnixMicro()
	entries := make([]entry, 0, len(cs)+2)
	for _, c := range cs {
		entries = append(entries, entry{c.key, c.increment, at + c.tolerance - c.increment, false})
	}
	for _, key := range lk.keys() {
		entries = append(entries, entry{key, 0, at, true})
	}
	taken, err := l.move(ctx, tenantID, at, entries, lk)
	if err != nil {
		return false, err
	}
	if len(taken) == len(entries) {
		return lk != nil && taken[lk.locker()] > at, nil
	}
	return false, l.refuse(ctx, tenantID, now, cs, lk, taken)
}

// refuse gives back what a refused try has paid, and says when to come again.
func (l sqlLimiter) refuse(ctx context.Context, tenantID string, now time.Time, cs []cell, lk *lock, taken map[string]int64) error {
	at := now.UnixMicro()
	entries := make([]entry, 0, len(cs)+1)
	for _, c := range cs {
		e := entry{c.key, 0, math.MaxInt64, false} // only look
		if _, ok := taken[c.key]; ok {
			e.delta = -c.increment
		}
		entries = append(entries, e)
	}
	var paid []string
	for _, key := range lk.keys() {
		if _, ok := taken[key]; ok {
			paid = append(paid, key)
		} else {
			entries = append(entries, entry{key, 0, math.MaxInt64, false})
		}
	}
	if err := l.unpay(ctx, tenantID, at, lk, paid); err != nil {
		return err
	}
	tats, err := l.move(ctx, tenantID, at, entries, nil)
	if err != nil {
		return err
	}
	if lk != nil && tats[lk.locker()] > at && !slices.Contains(paid, lk.locker()) {
		return lockedOut(now, tats[lk.locker()])
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
	cs, lk, err := split(buckets)
	if err != nil {
		return err
	}
	at := now.UnixMicro()
	if len(cs) > 0 {
		entries := make([]entry, len(cs))
		for i, c := range cs {
			entries[i] = entry{c.key, -c.increment, math.MaxInt64, false}
		}
		if _, err = l.move(ctx, tenantID, at, entries, nil); err != nil {
			return err
		}
	}
	return l.unpay(ctx, tenantID, at, lk, lk.keys())
}

// unpay takes a failed try back from the keys that have counted it, and the
// lockout that it led to, unless it was forgotten meanwhile.
func (l sqlLimiter) unpay(ctx context.Context, tenantID string, now int64, lk *lock, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := l.db.NewRaw(`UPDATE rate_bucket SET failed = failed - 1, tat = 0
WHERE tenant_id = ?0 AND bucket IN (?1) AND failed > 0 AND forgets_at > ?2
AND EXISTS (SELECT 1 FROM rate_bucket o WHERE o.tenant_id = ?0 AND o.bucket = ?3 AND o.failed > 0 AND o.forgets_at > ?2)`,
		tenantID, bun.List(keys), now, lk.own).Exec(ctx)
	if err != nil {
		return unavailable(ctx, err)
	}
	return nil
}

func (l sqlLimiter) Forgive(ctx context.Context, tenantID string, _ time.Time, b Bucket) error {
	_, lk, err := split([]Bucket{b})
	if err != nil || lk == nil {
		return err
	}
	var own []int64
	err = l.db.NewRaw("DELETE FROM rate_bucket WHERE tenant_id = ? AND bucket = ? RETURNING failed", tenantID, lk.own).Scan(ctx, &own)
	if err == nil && lk.perUser && len(own) > 0 {
		_, err = l.db.NewRaw(`UPDATE rate_bucket SET tat = CASE WHEN failed - ?0 < ?1 THEN 0 ELSE tat END,
failed = CASE WHEN failed > ?0 THEN failed - ?0 ELSE 0 END WHERE tenant_id = ?2 AND bucket = ?3`, own[0], lk.most, tenantID, lk.total).Exec(ctx)
	}
	if err != nil {
		return unavailable(ctx, err)
	}
	return nil
}

func (l sqlLimiter) Unlock(ctx context.Context, tenantID string, _ time.Time, key string) error {
	const after = "}" // follows the separator
	_, err := l.db.NewDelete().Table("rate_bucket").
		Where("tenant_id = ? AND (bucket = ? OR bucket > ? AND bucket < ?)", tenantID, key, key+separator, key+after).Exec(ctx)
	if err != nil {
		return unavailable(ctx, err)
	}
	return nil
}

// move changes buckets in one statement and answers with the new TATs of those
// that it changed. A TAT in the past is as good as now: the bucket is full.
//
// The database evaluates the condition on the row as it is once it is locked,
// so two tries at the same moment can't both have the last token.
func (l sqlLimiter) move(ctx context.Context, tenantID string, now int64, entries []entry, lk *lock) (map[string]int64, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) }) // one order of locking rows
	args := []any{tenantID, now}
	arg := func(v any) string {
		args = append(args, v)
		return "?" + strconv.Itoa(len(args)-1)
	}
	var values, rooms strings.Builder
	for i, e := range entries {
		if i > 0 {
			values.WriteString(", ")
		}
		key := arg(e.key)
		tat, failed, forgets := now+e.delta, 0, int64(0)
		if e.fails {
			tat, failed = lk.until(e.key, now, 1), 1
			forgets = max(now, tat) + lk.memory
		}
		values.WriteString("(?0, " + key + ", " + arg(tat) + ", " + arg(failed) + ", " + arg(forgets) + ")")
		rooms.WriteString(" WHEN " + key + " THEN " + arg(e.room))
	}
	set := `tat = ` + movedTAT
	if lk != nil {
		set = lockSet(lk, arg)
	}
	var rows []struct {
		Bucket string
		TAT    int64 `bun:"tat"`
	}
	err := l.db.NewRaw(`INSERT INTO rate_bucket (tenant_id, bucket, tat, failed, forgets_at) VALUES `+values.String()+`
ON CONFLICT (tenant_id, bucket) DO UPDATE SET `+set+`
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

const movedTAT = `CASE WHEN rate_bucket.tat < ?1 THEN excluded.tat ELSE rate_bucket.tat + excluded.tat - ?1 END`

// lockSet counts a failed try in the rows of a lock, and moves the others.
func lockSet(lk *lock, arg func(any) string) string {
	most := arg(lk.most)
	failed := `(CASE WHEN rate_bucket.forgets_at <= ?1 THEN 1 ELSE rate_bucket.failed + 1 END)`
	over := `(` + failed + ` - ` + most + `)`
	lasts := `CASE WHEN ` + over + ` >= ` + arg(lk.steps) + ` THEN ` + arg(lk.maximum) +
		` ELSE CAST(floor(` + arg(lk.minimum) + ` * power(CAST(` + arg(lk.factor) + ` AS DOUBLE PRECISION), ` + over + `) + 0.5) AS BIGINT) END`
	until := `(CASE WHEN excluded.bucket = ` + arg(lk.locker()) + ` AND ` + failed + ` >= ` + most + ` THEN ?1 + ` + lasts + ` ELSE 0 END)`
	return `tat = CASE WHEN excluded.failed = 0 THEN ` + movedTAT + ` ELSE ` + until + ` END,
failed = CASE WHEN excluded.failed = 0 THEN 0 ELSE ` + failed + ` END,
forgets_at = CASE WHEN excluded.failed = 0 THEN 0 WHEN ` + until + ` > ?1 THEN ` + until + ` + ` + arg(lk.memory) + ` ELSE ?1 + ` + arg(lk.memory) + ` END`
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
		window := l.db.NewDelete().Table("rate_bucket").Where("(tenant_id, bucket) > (?, ?)", from.TenantID, from.Bucket).Where("tat < ?0 AND forgets_at < ?0", full)
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
