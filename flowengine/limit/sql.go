package limit

import (
	"cmp"
	"context"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// SQL keeps buckets in the table rate_bucket. A try costs one statement, however
// many buckets it is counted in; one that is refused costs up to two more, which
// give back what the other buckets have paid. Until these have run, others may
// be refused a try that would have been theirs.
//
// What a crash forgets of the last moment is a few tries, so db needn't wait for
// the disk.
func SQL(db Database) Limiter { return sqlLimiter{db} }

// Database runs one statement, with the parameters ?1, ?2 and so on, as a
// transaction of its own, and calls row for every row that it returns. The same
// text comes again and again. Its errors are a [tenant.Error] when it can't be
// reached.
type Database interface {
	Hot(ctx context.Context, text string, row func(scan func(dest ...any) error) error, args ...any) error
}

type sqlLimiter struct{ db Database }

// args are the parameters of a statement.
type args []any

// add gives a parameter its place.
func (a *args) add(v any) string {
	*a = append(*a, v)
	return "?" + strconv.Itoa(len(*a))
}

// number is add for what the database couldn't tell is a whole number.
func (a *args) number(n int64) string { return "CAST(" + a.add(n) + " AS BIGINT)" }

// list is add for several, between parentheses.
func (a *args) list(vs []string) string {
	places := make([]string, len(vs))
	for i, v := range vs {
		places[i] = a.add(v)
	}
	return "(" + strings.Join(places, ", ") + ")"
}

// exec runs a statement that returns nothing.
func (l sqlLimiter) exec(ctx context.Context, text string, args ...any) error {
	if err := l.db.Hot(ctx, text, nil, args...); err != nil {
		return unavailable(ctx, err)
	}
	return nil
}

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

func (l sqlLimiter) Refund(ctx context.Context, now time.Time, tries ...Try) error {
	type bucket struct{ tenantID, key string }
	back := map[bucket]int64{}
	for _, t := range tries {
		cs, lk, err := split(t.Buckets)
		if err == nil {
			err = l.unpay(ctx, t.TenantID, now.UnixMicro(), lk, lk.keys())
		}
		if err != nil {
			return err
		}
		for _, c := range cs {
			back[bucket{t.TenantID, c.key}] += c.increment
		}
	}
	// In the order that all lock rows in.
	rest := slices.SortedFunc(maps.Keys(back), func(a, b bucket) int {
		return cmp.Or(cmp.Compare(a.tenantID, b.tenantID), cmp.Compare(a.key, b.key))
	})
	for len(rest) > 0 {
		n := 1 << (bits.Len(uint(min(len(rest), maxRefunded))) - 1) // so that there are few texts to prepare
		var p args
		values := make([]string, n)
		for i, b := range rest[:n] {
			values[i] = "(" + p.add(b.tenantID) + ", " + p.add(b.key) + ", " + p.add(-back[b]) + ", 0, 0)"
		}
		// A bucket that is full, or was forgotten, gets nothing by it: its TAT is in the past.
		if err := l.exec(ctx, `INSERT INTO rate_bucket (tenant_id, bucket, tat, failed, forgets_at) VALUES `+strings.Join(values, ", ")+`
ON CONFLICT (tenant_id, bucket) DO UPDATE SET tat = rate_bucket.tat + excluded.tat`, p...); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// maxRefunded is how many buckets one statement gives something back to.
const maxRefunded = 64

// unpay takes a failed try back from the keys that have counted it, and the
// lockout that it led to, unless it was forgotten meanwhile.
func (l sqlLimiter) unpay(ctx context.Context, tenantID string, now int64, lk *lock, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	p := args{tenantID, now, lk.own}
	return l.exec(ctx, `UPDATE rate_bucket SET failed = failed - 1, tat = 0
WHERE tenant_id = ?1 AND bucket IN `+p.list(keys)+` AND failed > 0 AND forgets_at > ?2
AND EXISTS (SELECT 1 FROM rate_bucket o WHERE o.tenant_id = ?1 AND o.bucket = ?3 AND o.failed > 0 AND o.forgets_at > ?2)`, p...)
}

func (l sqlLimiter) Forgive(ctx context.Context, tenantID string, _ time.Time, b Bucket) error {
	_, lk, err := split([]Bucket{b})
	if err != nil || lk == nil {
		return err
	}
	failed := int64(-1)
	err = l.db.Hot(ctx, "DELETE FROM rate_bucket WHERE tenant_id = ?1 AND bucket = ?2 RETURNING failed",
		func(scan func(...any) error) error { return scan(&failed) }, tenantID, lk.own)
	if err != nil {
		return unavailable(ctx, err)
	}
	if !lk.perUser || failed < 0 {
		return nil
	}
	return l.exec(ctx, `UPDATE rate_bucket SET tat = CASE WHEN failed - CAST(?1 AS BIGINT) < ?2 THEN 0 ELSE tat END,
failed = CASE WHEN failed > ?1 THEN failed - ?1 ELSE 0 END WHERE tenant_id = ?3 AND bucket = ?4`, failed, lk.most, tenantID, lk.total)
}

func (l sqlLimiter) Unlock(ctx context.Context, tenantID string, _ time.Time, key string) error {
	const after = "}" // follows the separator
	return l.exec(ctx, "DELETE FROM rate_bucket WHERE tenant_id = ?1 AND (bucket = ?2 OR bucket > ?3 AND bucket < ?4)",
		tenantID, key, key+separator, key+after)
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
	p := args{tenantID, now}
	var values, rooms strings.Builder
	for i, e := range entries {
		if i > 0 {
			values.WriteString(", ")
		}
		key := p.add(e.key)
		tat, failed, forgets := now+e.delta, 0, int64(0)
		if e.fails {
			tat, failed = lk.until(e.key, now, 1), 1
			forgets = max(now, tat) + lk.memory
		}
		values.WriteString("(?1, " + key + ", " + p.add(tat) + ", " + p.add(failed) + ", " + p.add(forgets) + ")")
		rooms.WriteString(" WHEN " + key + " THEN " + p.number(e.room))
	}
	set := `tat = ` + movedTAT
	if lk != nil {
		set = lockSet(lk, &p)
	}
	tats := make(map[string]int64, len(entries))
	err := l.db.Hot(ctx, `INSERT INTO rate_bucket (tenant_id, bucket, tat, failed, forgets_at) VALUES `+values.String()+`
ON CONFLICT (tenant_id, bucket) DO UPDATE SET `+set+`
WHERE rate_bucket.tat <= CASE excluded.bucket`+rooms.String()+` END
RETURNING bucket, tat`, func(scan func(...any) error) error {
		var bucket string
		var tat int64
		err := scan(&bucket, &tat)
		tats[bucket] = tat
		return err
	}, p...)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return tats, nil
}

const (
	atNow    = `CAST(?2 AS BIGINT)`
	movedTAT = `CASE WHEN rate_bucket.tat < ` + atNow + ` THEN excluded.tat ELSE rate_bucket.tat + excluded.tat - ` + atNow + ` END`
)

// lockSet counts a failed try in the rows of a lock, and moves the others.
func lockSet(lk *lock, p *args) string {
	most, memory := p.number(int64(lk.most)), p.number(lk.memory)
	failed := `(CASE WHEN rate_bucket.forgets_at <= ` + atNow + ` THEN 1 ELSE rate_bucket.failed + 1 END)`
	over := `(` + failed + ` - ` + most + `)`
	lasts := `CASE WHEN ` + over + ` >= ` + p.number(int64(lk.steps)) + ` THEN ` + p.number(lk.maximum) +
		` ELSE CAST(floor(` + p.number(lk.minimum) + ` * power(CAST(` + p.add(lk.factor) + ` AS DOUBLE PRECISION), ` + over + `) + 0.5) AS BIGINT) END`
	until := `(CASE WHEN excluded.bucket = ` + p.add(lk.locker()) + ` AND ` + failed + ` >= ` + most + ` THEN ` + atNow + ` + ` + lasts + ` ELSE 0 END)`
	return `tat = CASE WHEN excluded.failed = 0 THEN ` + movedTAT + ` ELSE ` + until + ` END,
failed = CASE WHEN excluded.failed = 0 THEN 0 ELSE ` + failed + ` END,
forgets_at = CASE WHEN excluded.failed = 0 THEN 0 WHEN ` + until + ` > ` + atNow + ` THEN ` + until + ` + ` + memory + ` ELSE ` + atNow + ` + ` + memory + ` END`
}

const (
	// purgeLag leaves alone what was full only just now: its rows may be in use,
	// and the clock of another node may be behind.
	purgeLag = time.Minute
	// purgeWindow is how many rows one statement looks at.
	purgeWindow = 1000
)

// Purge walks over the table once, in the order of its primary key.
func (l sqlLimiter) Purge(ctx context.Context, now time.Time) (Locked, error) {
	full := now.Add(-purgeLag).UnixMicro()
	var tenantID, bucket string
	var byAll, byOne, inAll, inOne int
	for {
		window, p := "(tenant_id, bucket) > (?1, ?2)", args{tenantID, bucket, full}
		last := true // what is left is less than a window
		err := l.db.Hot(ctx, `SELECT tenant_id, bucket FROM rate_bucket WHERE (tenant_id, bucket) > (?1, ?2)
ORDER BY tenant_id, bucket LIMIT 1 OFFSET ?3`, func(scan func(...any) error) error {
			last = false
			return scan(&tenantID, &bucket)
		}, tenantID, bucket, purgeWindow-1)
		if err != nil {
			return nil, unavailable(ctx, err)
		}
		if !last {
			window += " AND (tenant_id, bucket) <= (?4, ?5)"
			p = append(p, tenantID, bucket)
		}
		if err := l.exec(ctx, "DELETE FROM rate_bucket WHERE "+window+" AND tat < ?3 AND forgets_at < ?3", p...); err != nil {
			return nil, err
		}
		p[2] = now.UnixMicro()
		err = l.db.Hot(ctx, `SELECT count(*) FILTER (WHERE bucket NOT LIKE '%`+separator+`%'), count(*) FILTER (WHERE bucket LIKE '%`+separator+`%')
FROM rate_bucket WHERE `+window+` AND failed > 0 AND tat > ?3`, func(scan func(...any) error) error { return scan(&inAll, &inOne) }, p...)
		if err != nil {
			return nil, unavailable(ctx, err)
		}
		if byAll, byOne = byAll+inAll, byOne+inOne; last {
			return Locked{tenant.LockoutPerUser: byAll, tenant.LockoutPerUserPerIP: byOne}, nil
		}
	}
}
