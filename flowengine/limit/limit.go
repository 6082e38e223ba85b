package limit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// Bucket is one count of tries, such as those of an IP address.
type Bucket struct {
	Key  string      // unique within the tenant
	Rate tenant.Rate // a Burst of 0 means that it isn't counted
}

// Limiter keeps buckets. All of it is safe for concurrent use, by several
// processes too.
type Limiter interface {
	// Take pays for one try with one token of every bucket, or of none when one
	// of them is empty. It then answers tenant.ErrRateLimited with the facts
	// retry_at (RFC 3339) and retry_after_seconds: when all of them will have
	// one again, if nobody else takes it. The keys differ from each other.
	Take(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) error
	// Refund gives back one try that Take has taken.
	Refund(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) error
	// Purge forgets the buckets, of all tenants, that are full.
	Purge(ctx context.Context, now time.Time) error
}

// cell is a bucket in the terms of the algorithm, in microseconds: fine enough
// for any rate, and the time of day still fits a float64, which is all that
// Redis' Lua has.
type cell struct {
	key       string
	increment int64 // what one try adds to the TAT
	tolerance int64 // how far the TAT may be ahead of now
}

// cells drops the buckets without a limit and sorts the others by key, so that
// concurrent statements lock rows in one order.
func cells(buckets []Bucket) ([]cell, error) {
	out := make([]cell, 0, len(buckets))
	for _, b := range buckets {
		if b.Rate.Burst < 1 {
			continue
		}
		increment := max(1, int64(b.Rate.PeriodSeconds)*1_000_000/int64(b.Rate.Burst))
		out = append(out, cell{b.Key, increment, increment * int64(b.Rate.Burst)})
	}
	slices.SortFunc(out, func(a, b cell) int { return strings.Compare(a.key, b.key) })
	for i := 1; i < len(out); i++ {
		if out[i].key == out[i-1].key {
			return nil, fmt.Errorf("limit: bucket %q is named twice", out[i].key)
		}
	}
	return out, nil
}

// retryAt is when a bucket that has refused will have a token again.
func (c cell) retryAt(tat int64) int64 { return tat + c.increment - c.tolerance }

// limited is the refusal; retryAt is in unix microseconds.
func limited(now time.Time, retryAt int64) error {
	wait := max(time.Microsecond, time.Duration(retryAt-now.UnixMicro())*time.Microsecond)
	seconds := int((wait + time.Second - 1) / time.Second)
	// Whole seconds, rounded up: who comes back at that moment is let in.
	at := now.Add(wait).UTC().Add(time.Second - 1).Truncate(time.Second)
	return tenant.ErrRateLimited.
		With("retry_at", at.Format(time.RFC3339)).
		With("retry_after_seconds", seconds)
}

// unavailable hides what the database or Redis said from the client.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() == context.Canceled {
		return ctx.Err() // nobody listens
	}
	return tenant.ErrUnavailable.With("retry_after_seconds", 1).Because(fmt.Errorf("limit: %w", err))
}
