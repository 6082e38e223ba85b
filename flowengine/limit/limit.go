package limit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// Bucket is a count of tries: those of an IP address, at a Rate, or the failed
// ones about somebody, under the rules of a Lockout.
type Bucket struct {
	Key  string      // unique within the tenant
	Rate tenant.Rate // a Burst of 0 means that it isn't counted

	Lockout *tenant.Lockout // nil for a Rate
	By      string          // who makes the failed tries about Key, such as an IP address
}

// Try is one that was taken from buckets of a tenant.
type Try struct {
	TenantID string
	Buckets  []Bucket
}

// LockoutKey is the key that failed tries about a subject are counted under:
// hashed, because a stranger is counted by what they called themselves.
func LockoutKey(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return "lockout:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Limiter keeps buckets. All of it is safe for concurrent use, by several
// processes too.
type Limiter interface {
	// Take pays for one try with one token of every bucket, or of none when one
	// of them is empty. It then answers tenant.ErrRateLimited with the facts
	// retry_at (RFC 3339) and retry_after_seconds: when all of them will have
	// one again, if nobody else takes it. The keys differ from each other.
	//
	// A bucket with a Lockout, of which there is at most one, counts the try as
	// failed until Refund takes that back. While it locks out nothing is counted
	// and the answer is tenant.ErrAccountLockout with the facts until (RFC 3339)
	// and retry_after_seconds. locked says that this try, should it stay failed,
	// is one that locks out.
	Take(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) (locked bool, err error)
	// Refund gives back tries that Take has taken. An error may leave some of
	// them taken.
	Refund(ctx context.Context, now time.Time, tries ...Try) error
	// Forgive forgets the failed tries about b.Key that b.By has made.
	Forgive(ctx context.Context, tenantID string, now time.Time, b Bucket) error
	// Unlock forgets all failed tries about a key, whoever has made them.
	Unlock(ctx context.Context, tenantID string, now time.Time, key string) error
	// Purge forgets the buckets, of all tenants, that are full, and says how many
	// subjects are locked out; nil where they can't be counted on the way.
	Purge(ctx context.Context, now time.Time) (Locked, error)
}

// Locked is how many subjects are locked out, of all tenants: users, existing or
// not, or pairs of a user and who makes the tries.
type Locked map[tenant.LockoutType]int

// Operations are what limiters are asked for, as metrics name it.
var Operations = []string{opTake, opRefund, opForgive, opUnlock}

const (
	opTake    = "take"
	opRefund  = "refund"
	opForgive = "forgive"
	opUnlock  = "unlock"
)

// cell is a bucket in the terms of the algorithm, in microseconds: fine enough
// for any rate, and the time of day still fits a float64, which is all that
// Redis' Lua has.
type cell struct {
	key       string
	increment int64 // what one try adds to the TAT
	tolerance int64 // how far the TAT may be ahead of now
}

// lock is a bucket with a Lockout, in microseconds.
type lock struct {
	total, own               string // keys of the tries of everybody, and of one contributor
	perUser                  bool   // the total locks; else the contributor's own does
	most                     int    // failed tries that lock
	minimum, maximum, memory int64
	factor                   float64
	steps                    int // after so many more the maximum is reached
}

// separator stands between whom tries are about and who makes them.
const separator = "|"

// split drops the buckets without a limit and sorts the others by key, so that
// concurrent statements lock rows in one order.
func split(buckets []Bucket) (cells []cell, lockout *lock, err error) {
	cells = make([]cell, 0, len(buckets))
	for _, b := range buckets {
		switch {
		case b.Lockout != nil && b.Lockout.MaxAttempts > 0 && lockout != nil:
			return nil, nil, fmt.Errorf("limit: two lockouts, %q and %q", lockout.total, b.Key)
		case b.Lockout != nil && b.Lockout.MaxAttempts > 0:
			lockout = newLock(&b)
		case b.Lockout == nil && b.Rate.Burst > 0:
			increment := max(1, int64(b.Rate.PeriodSeconds)*1_000_000/int64(b.Rate.Burst))
			cells = append(cells, cell{b.Key, increment, increment * int64(b.Rate.Burst)})
		}
	}
	slices.SortFunc(cells, func(a, b cell) int { return strings.Compare(a.key, b.key) })
	for i := 1; i < len(cells); i++ {
		if cells[i].key == cells[i-1].key {
			return nil, nil, fmt.Errorf("limit: bucket %q is named twice", cells[i].key)
		}
	}
	return cells, lockout, nil
}

func newLock(b *Bucket) *lock {
	r := b.Lockout
	l := &lock{
		total: b.Key, own: b.Key + separator + b.By, perUser: r.Type == tenant.LockoutPerUser, most: r.MaxAttempts, factor: max(1, r.BackoffFactor),
		minimum: int64(r.MinimumSeconds) * 1_000_000, maximum: int64(r.MaximumSeconds) * 1_000_000, memory: int64(r.HistorySeconds) * 1_000_000,
		steps: math.MaxInt32,
	}
	switch {
	case l.minimum >= l.maximum:
		l.minimum, l.steps = l.maximum, 0
	case l.factor > 1:
		l.steps = int(math.Ceil(math.Log(float64(l.maximum)/float64(l.minimum)) / math.Log(l.factor)))
	}
	return l
}

// keys are the buckets that a lock counts in; none of no lock.
func (l *lock) keys() []string {
	switch {
	case l == nil:
		return nil
	case l.perUser:
		return []string{l.total, l.own}
	}
	return []string{l.own}
}

// locker is the bucket that locks out.
func (l *lock) locker() string {
	if l.perUser {
		return l.total
	}
	return l.own
}

// until is when the lockout ends that so many failed tries in a bucket lead to;
// 0 for none.
func (l *lock) until(key string, now int64, failed int) int64 {
	switch over := failed - l.most; {
	case over < 0 || key != l.locker():
		return 0
	case over >= l.steps:
		return now + l.maximum
	default:
		return now + int64(math.Floor(float64(l.minimum)*math.Pow(l.factor, float64(over))+0.5))
	}
}

// retryAt is when a bucket that has refused will have a token again.
func (c cell) retryAt(tat int64) int64 { return tat + c.increment - c.tolerance }

// limited is the refusal; retryAt is in unix microseconds.
func limited(now time.Time, retryAt int64) error {
	seconds, at := comeBack(now, retryAt)
	return tenant.ErrRateLimited.With("retry_at", at).With("retry_after_seconds", seconds)
}

// lockedOut is the refusal; until is in unix microseconds.
func lockedOut(now time.Time, until int64) error {
	seconds, at := comeBack(now, until)
	return tenant.ErrAccountLockout.With("until", at).With("retry_after_seconds", seconds)
}

// comeBack says when to come back, in whole seconds, rounded up: who comes back
// at that moment is let in.
func comeBack(now time.Time, micro int64) (seconds int, at string) {
	wait := max(time.Microsecond, time.Duration(micro-now.UnixMicro())*time.Microsecond)
	seconds = int((wait + time.Second - 1) / time.Second)
	return seconds, now.Add(wait).UTC().Add(time.Second - 1).Truncate(time.Second).Format(time.RFC3339)
}

// unavailable hides what the database or Redis said from the client.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() == context.Canceled {
		return ctx.Err() // nobody listens
	}
	return tenant.ErrUnavailable.With("retry_after_seconds", 1).Because(fmt.Errorf("limit: %w", err))
}
