package limittest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
)

// Open makes a limiter. All limiters that one Open makes share their buckets, as
// the nodes of a deployment do, or a node before and after a restart.
type Open func() limit.Limiter

// Run runs the suite. place is called once for each case and sets up an empty
// place.
func Run(t *testing.T, place func(t *testing.T) Open) {
	for name, check := range map[string]func(*testing.T, Open){
		"burst":          burst,
		"retry":          retry,
		"steady":         steady,
		"parallel":       parallel,
		"instances":      instances,
		"unlimited":      unlimited,
		"refund":         refund,
		"all or nothing": allOrNothing,
		"opposite order": oppositeOrder,
		"tenants":        tenants,
		"changed rate":   changedRate,
		"purge":          purge,
		"named twice":    namedTwice,
		"odd keys":       oddKeys,
		"cancelled":      cancelled,
	} {
		t.Run(name, func(t *testing.T) { check(t, place(t)) })
	}
	for name, check := range lockouts {
		t.Run("lockout/"+name, func(t *testing.T) { check(t, place(t)) })
	}
}

// The time of these tests: ahead of any clock, so that nothing expires by one.
var epoch = time.Date(2096, 2, 29, 12, 0, 0, 123456789, time.UTC)

func bucket(key string, burst, period int) limit.Bucket {
	return limit.Bucket{Key: key, Rate: tenant.Rate{Burst: burst, PeriodSeconds: period}}
}

// try is one of tenant t.
func try(bs ...limit.Bucket) limit.Try { return limit.Try{TenantID: "t", Buckets: bs} }

// count says how many of n tries are let in. Anything but a refusal fails.
func count(t *testing.T, l limit.Limiter, tenantID string, now time.Time, n int, bs ...limit.Bucket) int {
	t.Helper()
	in := 0
	for range n {
		switch _, err := l.Take(context.Background(), tenantID, now, bs...); {
		case err == nil:
			in++
		case !errors.Is(err, tenant.ErrRateLimited):
			t.Fatalf("Take: %v", err)
		}
	}
	return in
}

// paid is the outcome of a try.
func paid(_ bool, err error) error { return err }

func expect(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d were let in, want %d", what, got, want)
	}
}

func burst(t *testing.T, open Open) {
	l := open()
	for _, b := range []limit.Bucket{
		bucket("one", 1, 60), bucket("ten", 10, 60), bucket("seven", 7, 60), bucket("long", 3, 86400), bucket("fast", 700, 1),
	} {
		expect(t, b.Key, count(t, l, "t", epoch, b.Rate.Burst+5, b), b.Rate.Burst)
		full := epoch.Add(time.Duration(b.Rate.PeriodSeconds) * time.Second)
		expect(t, b.Key+" a period later", count(t, l, "t", full, b.Rate.Burst+5, b), b.Rate.Burst)
	}
}

func retry(t *testing.T, open Open) {
	l, b := open(), bucket("b", 4, 60)
	expect(t, "at first", count(t, l, "t", epoch, 4, b), 4)
	_, err := l.Take(t.Context(), "t", epoch.Add(time.Second), b)
	refusal := tenant.AsError(err)
	if refusal.Reason != tenant.ErrRateLimited.Reason {
		t.Fatalf("Take: %v", err)
	}
	// One comes back every 15 s; one of them has passed.
	if got := refusal.Info["retry_after_seconds"]; got != 14 {
		t.Errorf("retry_after_seconds = %v", got)
	}
	if got := refusal.RetryAfter(); got != 14*time.Second {
		t.Errorf("RetryAfter = %v", got)
	}
	at, err := time.Parse(time.RFC3339, refusal.Info["retry_at"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if early := epoch.Add(15 * time.Second); at.Before(early) || at.Sub(early) >= time.Second {
		t.Errorf("retry_at = %v", at)
	}
	expect(t, "just before", count(t, l, "t", epoch.Add(15*time.Second-time.Millisecond), 1, b), 0)
	expect(t, "at that time", count(t, l, "t", at, 2, b), 1)
}

// Who never tries faster than the rate is never refused.
func steady(t *testing.T, open Open) {
	l, b := open(), bucket("b", 2, 10)
	for i := range 20 {
		expect(t, fmt.Sprint("try ", i), count(t, l, "t", epoch.Add(time.Duration(i)*5*time.Second), 1, b), 1)
	}
}

func parallel(t *testing.T, open Open) {
	l, b := open(), bucket("b", 7, 60)
	expect(t, "20 at once", together(t, 20, func(int) error { return paid(l.Take(t.Context(), "t", epoch, b)) }), 7)
}

func instances(t *testing.T, open Open) {
	one, two, b := open(), open(), bucket("b", 6, 60)
	got := together(t, 20, func(i int) error {
		l := one
		if i%2 == 1 {
			l = two
		}
		return paid(l.Take(t.Context(), "t", epoch, b))
	})
	expect(t, "20 at two nodes", got, 6)
	expect(t, "after a restart", count(t, open(), "t", epoch, 1, b), 0)
}

// together runs n tries at once and says how many were let in.
func together(t *testing.T, n int, try func(i int) error) int {
	t.Helper()
	var in atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			switch err := try(i); {
			case err == nil:
				in.Add(1)
			case !errors.Is(err, tenant.ErrRateLimited):
				t.Errorf("Take: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(in.Load())
}

func unlimited(t *testing.T, open Open) {
	l := open()
	gone, cancel := context.WithCancel(t.Context())
	cancel() // whatever asks the database now would fail
	for _, bs := range [][]limit.Bucket{nil, {bucket("b", 0, 60)}, {bucket("a", 0, 1), bucket("b", 0, 1)}} {
		if _, err := l.Take(gone, "t", epoch, bs...); err != nil {
			t.Errorf("Take: %v", err)
		}
		if err := l.Refund(gone, epoch, try(bs...)); err != nil {
			t.Errorf("Refund: %v", err)
		}
	}
	expect(t, "beside a limit", count(t, l, "t", epoch, 5, bucket("a", 0, 60), bucket("b", 3, 60)), 3)
}

func refund(t *testing.T, open Open) {
	l, a, b := open(), bucket("a", 3, 60), bucket("b", 4, 60)
	give := func(bs ...limit.Bucket) {
		t.Helper()
		if err := l.Refund(t.Context(), epoch, try(bs...)); err != nil {
			t.Fatal(err)
		}
	}
	give(a) // nothing was taken
	expect(t, "a bucket never holds more than its burst", count(t, l, "t", epoch, 5, a), 3)
	give(a)
	expect(t, "one was given back", count(t, l, "t", epoch, 5, a), 1)
	give(a, b)
	expect(t, "to both", count(t, l, "t", epoch, 5, a, b), 1)
	for range 9 {
		give(b)
	}
	expect(t, "too much was given back", count(t, l, "t", epoch, 9, b), 4)

	expect(t, "another tenant", count(t, l, "u", epoch, 9, a), 3)
	if err := l.Refund(t.Context(), epoch, try(a, b), limit.Try{TenantID: "u", Buckets: []limit.Bucket{a}}, try(a)); err != nil {
		t.Fatal(err)
	}
	expect(t, "of three tries, two", count(t, l, "t", epoch, 9, a), 2)
	expect(t, "one", count(t, l, "t", epoch, 9, b), 1)
	expect(t, "the other tenant's", count(t, l, "u", epoch, 9, a), 1)
}

func allOrNothing(t *testing.T, open Open) {
	l := open()
	wide, narrow, other := bucket("m wide", 10, 60), bucket("n narrow", 1, 3600), bucket("a other", 10, 60)
	expect(t, "together", count(t, l, "t", epoch, 8, wide, narrow, other), 1)
	expect(t, "the wide one has paid once", count(t, l, "t", epoch, 20, wide), 9)
	expect(t, "so has the other", count(t, l, "t", epoch, 20, other), 9)
	_, err := l.Take(t.Context(), "t", epoch, wide, narrow, other)
	if got := tenant.AsError(err).Info["retry_after_seconds"]; got != 3600 {
		t.Errorf("retry_after_seconds = %v, want that of the slowest", got)
	}
	later := epoch.Add(time.Hour)
	expect(t, "an hour later", count(t, l, "t", later, 8, narrow, wide), 1)
}

// Tries that name the same buckets in another order don't wait for each other in
// a circle.
func oppositeOrder(t *testing.T, open Open) {
	l, a, b := open(), bucket("a", 100, 60), bucket("b", 10, 60)
	got := together(t, 40, func(i int) error {
		if i%2 == 0 {
			return paid(l.Take(t.Context(), "t", epoch, a, b))
		}
		return paid(l.Take(t.Context(), "t", epoch, b, a))
	})
	if got > 10 || got < 1 {
		t.Errorf("%d were let in, want at most 10", got)
	}
	expect(t, "nothing is paid for the refused", count(t, l, "t", epoch, 200, a), 100-got)
}

func tenants(t *testing.T, open Open) {
	l, b := open(), bucket("b", 2, 60)
	expect(t, "one tenant", count(t, l, "t1", epoch, 5, b), 2)
	expect(t, "another", count(t, l, "t2", epoch, 5, b), 2)
}

func changedRate(t *testing.T, open Open) {
	l := open()
	expect(t, "at first", count(t, l, "t", epoch, 9, bucket("b", 4, 60)), 4)
	expect(t, "stricter", count(t, l, "t", epoch.Add(30*time.Second), 9, bucket("b", 2, 60)), 1)
	expect(t, "wider", count(t, l, "t", epoch.Add(30*time.Second), 9, bucket("b", 60, 60)), 0)
	expect(t, "later", count(t, l, "t", epoch.Add(60*time.Second), 99, bucket("b", 60, 60)), 30)
}

func purge(t *testing.T, open Open) {
	l, short, long := open(), bucket("short", 2, 10), bucket("long", 2, 86400)
	expect(t, "short", count(t, l, "t", epoch, 2, short), 2)
	expect(t, "long", count(t, l, "t", epoch, 2, long), 2)
	later := epoch.Add(time.Hour)
	if _, err := l.Purge(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	expect(t, "what is still counted", count(t, l, "t", later, 2, long), 0)
	expect(t, "what was full", count(t, l, "t", later, 5, short), 2)
}

func namedTwice(t *testing.T, open Open) {
	if _, err := open().Take(t.Context(), "t", epoch, bucket("b", 2, 10), bucket("b", 3, 10)); err == nil {
		t.Error("accepted")
	}
}

func oddKeys(t *testing.T, open Open) {
	l := open()
	for _, key := range []string{"ip:2001:db8::1", `'; DROP TABLE rate_bucket; --`, "?", "{}", "ümläut\t*", ""} {
		expect(t, key, count(t, l, "t", epoch, 3, bucket(key, 2, 60)), 2)
	}
}

func cancelled(t *testing.T, open Open) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open().Take(gone, "t", epoch, bucket("b", 2, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("Take: %v", err)
	}
}
