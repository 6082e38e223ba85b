package limittest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
)

// The cases about lockouts.
var lockouts = map[string]func(*testing.T, Open){
	"formula":            formula,
	"at once":            atOnce,
	"nodes and restart":  lockNodes,
	"while locked":       whileLocked,
	"history":            history,
	"per user and ip":    perUserPerIP,
	"refund":             lockRefund,
	"forgive":            forgive,
	"unlock":             unlock,
	"beside a rate":      besideRate,
	"off":                lockOff,
	"tenants":            lockTenants,
	"purge":              lockPurge,
	"count":              lockCount,
	"two":                twoLocks,
	"refund of nothing":  refundOfNothing,
	"refund when locked": refundOfLocking,
}

func rules(most int, change ...func(*tenant.Lockout)) *tenant.Lockout {
	r := &tenant.Lockout{
		MaxAttempts: most, HistorySeconds: 86400, MinimumSeconds: 60, MaximumSeconds: 1000, BackoffFactor: 2, Type: tenant.LockoutPerUser,
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func perIP(r *tenant.Lockout) { r.Type = tenant.LockoutPerUserPerIP }

func about(user, ip string, r *tenant.Lockout) limit.Bucket {
	return limit.Bucket{Key: "lockout:" + user, By: ip, Lockout: r}
}

// fail makes a try that fails; it says whether it was looked at, whether it
// locks out, and until when the user is locked out if it wasn't.
func fail(t *testing.T, l limit.Limiter, now time.Time, bs ...limit.Bucket) (looked, locks bool, until string) {
	t.Helper()
	locks, err := l.Take(t.Context(), "t", now, bs...)
	if err == nil {
		return true, locks, ""
	}
	e := tenant.AsError(err)
	if !errors.Is(err, tenant.ErrAccountLockout) {
		t.Fatalf("Take: %v", err)
	}
	until, _ = e.Info["until"].(string)
	if at, err := time.Parse(time.RFC3339, until); err != nil || e.RetryAfter() < time.Second || at.Sub(now) > e.RetryAfter()+time.Second {
		t.Errorf("until %q, retry after %v", until, e.RetryAfter())
	}
	return false, false, until
}

// tries makes failed tries at one moment and says how many were looked at.
func tries(t *testing.T, l limit.Limiter, now time.Time, n int, bs ...limit.Bucket) (looked int) {
	t.Helper()
	for range n {
		if ok, _, _ := fail(t, l, now, bs...); ok {
			looked++
		}
	}
	return looked
}

func give(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Each lockout lasts exactly min(minimum * factor^(failed - max_attempts), maximum).
func formula(t *testing.T, open Open) {
	for name, r := range map[string]*tenant.Lockout{
		"doubled":   rules(3),
		"by ip":     rules(3, perIP),
		"at once":   rules(1),
		"fraction":  rules(2, func(r *tenant.Lockout) { r.BackoffFactor = 1.5 }),
		"tenth":     rules(2, func(r *tenant.Lockout) { r.BackoffFactor, r.MaximumSeconds = 1.1, 86400 }),
		"constant":  rules(2, func(r *tenant.Lockout) { r.BackoffFactor = 1 }),
		"steep":     rules(2, func(r *tenant.Lockout) { r.BackoffFactor, r.MaximumSeconds = 100, 2_592_000 }),
		"to a hair": rules(2, func(r *tenant.Lockout) { r.MinimumSeconds, r.MaximumSeconds = 60, 480 }),
		"swapped":   rules(2, func(r *tenant.Lockout) { r.MinimumSeconds, r.MaximumSeconds = 90, 30 }),
	} {
		l, now, b := open(), epoch, about(name, "ip", r)
		for failed := 1; failed < r.MaxAttempts; failed++ {
			if looked, locks, _ := fail(t, l, now, b); !looked || locks {
				t.Fatalf("%s: try %d: looked at: %v, locks out: %v", name, failed, looked, locks)
			}
		}
		for failed := r.MaxAttempts; failed < r.MaxAttempts+14; failed++ {
			if looked, locks, _ := fail(t, l, now, b); !looked || !locks {
				t.Fatalf("%s: try %d: looked at: %v, locks out: %v", name, failed, looked, locks)
			}
			for _, early := range []time.Duration{0, r.For(failed) / 2, r.For(failed) - time.Microsecond} {
				if looked, _, until := fail(t, l, now.Add(early), b); looked {
					t.Errorf("%s: %d failed tries lock out for less than %v", name, failed, early)
				} else if want := now.Add(r.For(failed)).Add(time.Second - 1).Truncate(time.Second).Format(time.RFC3339); until != want {
					t.Errorf("%s: %d failed tries lock out until %s, want %s", name, failed, until, want)
				}
			}
			now = now.Add(r.For(failed))
		}
	}
}

func atOnce(t *testing.T, open Open) {
	for _, most := range []int{1, 5, 20, 25} {
		l, b := open(), about(fmt.Sprint(most), "ip", rules(most))
		if got := lockedTogether(t, 20, func(int) limit.Limiter { return l }, b); got != min(most, 20) {
			t.Errorf("%d of 20 tries at once were looked at, want %d", got, most)
		}
		if most > 20 { // all 20 have counted
			if got := tries(t, l, epoch, 10, b); got != most-20 {
				t.Errorf("%d more were looked at, want %d", got, most-20)
			}
		}
	}
}

func lockNodes(t *testing.T, open Open) {
	one, two, b := open(), open(), about("u", "ip", rules(6))
	if got := lockedTogether(t, 20, func(i int) limit.Limiter { return []limit.Limiter{one, two}[i%2] }, b); got != 6 {
		t.Errorf("%d at two nodes, want 6", got)
	}
	if got := tries(t, open(), epoch, 1, b); got != 0 {
		t.Error("a restart ends the lockout")
	}
}

// lockedTogether makes n tries at once and says how many were looked at.
func lockedTogether(t *testing.T, n int, node func(i int) limit.Limiter, b limit.Bucket) int {
	t.Helper()
	var looked atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			switch _, err := node(i).Take(context.Background(), "t", epoch, b); {
			case err == nil:
				looked.Add(1)
			case !errors.Is(err, tenant.ErrAccountLockout):
				t.Errorf("Take: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(looked.Load())
}

// Tries while locked out count for nothing.
func whileLocked(t *testing.T, open Open) {
	l, r := open(), rules(2)
	b := about("u", "ip", r)
	if got := tries(t, l, epoch, 50, b); got != 2 {
		t.Errorf("%d were looked at", got)
	}
	next := epoch.Add(time.Minute)
	if looked, locks, _ := fail(t, l, next, b); !looked || !locks {
		t.Error("the next one isn't the third")
	}
	if looked, _, _ := fail(t, l, next.Add(2*time.Minute-time.Microsecond), b); looked {
		t.Error("the third one locks out for less than two minutes")
	}
}

// Failed tries are forgotten a while after the last one, or after its lockout.
func history(t *testing.T, open Open) {
	l, r := open(), rules(3, func(r *tenant.Lockout) { r.HistorySeconds = 600 })
	b := about("u", "ip", r)
	now := epoch
	for range 10 { // two at a time, and never three
		if got := tries(t, l, now, 2, b); got != 2 {
			t.Fatalf("%d were looked at", got)
		}
		now = now.Add(600 * time.Second)
	}
	if got := tries(t, l, now, 3, b); got != 3 { // locked out for a minute
		t.Fatalf("%d were looked at", got)
	}
	if looked, locks, _ := fail(t, l, now.Add(659*time.Second), b); !looked || !locks {
		t.Error("forgotten before the time is over")
	}
	now = now.Add((659 + 120 + 600) * time.Second)
	if looked, locks, _ := fail(t, l, now, b); !looked || locks {
		t.Error("not forgotten after the lockout and the time")
	}
}

func perUserPerIP(t *testing.T, open Open) {
	l, r := open(), rules(3, perIP)
	if got := tries(t, l, epoch, 9, about("u", "a", r)); got != 3 {
		t.Errorf("%d from one address", got)
	}
	if got := tries(t, l, epoch, 9, about("u", "b", r)); got != 3 {
		t.Errorf("%d from another", got)
	}
	r = rules(3)
	if got := tries(t, l, epoch, 2, about("v", "a", r)); got != 2 {
		t.Errorf("%d from one address", got)
	}
	if got := tries(t, l, epoch, 9, about("v", "b", r)); got != 1 {
		t.Errorf("%d from another where all addresses count together", got)
	}
}

func lockRefund(t *testing.T, open Open) {
	l := open()
	for _, change := range []func(*tenant.Lockout){perIP, func(*tenant.Lockout) {}} {
		b := about(fmt.Sprintf("%p", change), "ip", rules(3, change))
		for range 10 { // right ones
			if looked, _, _ := fail(t, l, epoch, b); !looked {
				t.Fatal("a right try counts")
			}
			give(t, l.Refund(t.Context(), epoch, try(b)))
		}
		if got := tries(t, l, epoch, 9, b); got != 3 {
			t.Errorf("%d were looked at, want 3", got)
		}
	}
}

// The last try before a lockout locks out while it isn't known to be right.
func refundOfLocking(t *testing.T, open Open) {
	l := open()
	for i, change := range []func(*tenant.Lockout){perIP, func(*tenant.Lockout) {}} {
		b := about(fmt.Sprint(i), "ip", rules(3, change))
		tries(t, l, epoch, 2, b)
		if looked, locks, _ := fail(t, l, epoch, b); !looked || !locks {
			t.Fatal("it doesn't")
		}
		if looked, _, _ := fail(t, l, epoch, b); looked {
			t.Fatal("another one is looked at meanwhile")
		}
		give(t, l.Refund(t.Context(), epoch, try(b)))
		if looked, locks, _ := fail(t, l, epoch, b); !looked || !locks {
			t.Error("it was right, and the lockout goes on")
		}
	}
}

func refundOfNothing(t *testing.T, open Open) {
	l, b := open(), about("u", "ip", rules(3))
	give(t, l.Refund(t.Context(), epoch, try(b)))
	give(t, l.Forgive(t.Context(), "t", epoch, b))
	tries(t, l, epoch, 1, b)
	for range 5 {
		give(t, l.Refund(t.Context(), epoch, try(b)))
	}
	if got := tries(t, l, epoch, 9, b); got != 3 {
		t.Errorf("%d were looked at, want 3", got)
	}
}

// A success forgets the failed tries of whoever had it, and nobody else's.
func forgive(t *testing.T, open Open) {
	l := open()
	mine, theirs := about("u", "mine", rules(5)), about("u", "theirs", rules(5))
	tries(t, l, epoch, 2, mine)
	tries(t, l, epoch, 2, theirs)
	give(t, l.Forgive(t.Context(), "t", epoch, mine))
	if got := tries(t, l, epoch, 9, theirs); got != 3 {
		t.Errorf("all together: %d more of somebody else were looked at, want 3", got)
	}
	give(t, l.Forgive(t.Context(), "t", epoch, mine))
	if got := tries(t, l, epoch, 9, mine); got != 0 {
		t.Error("a success elsewhere ends a lockout that others have earned")
	}
	give(t, l.Forgive(t.Context(), "t", epoch, theirs))
	if got := tries(t, l, epoch, 9, mine); got != 5 {
		t.Errorf("after everybody's success: %d, want 5", got)
	}

	mine, theirs = about("v", "mine", rules(5, perIP)), about("v", "theirs", rules(5, perIP))
	tries(t, l, epoch, 9, mine)
	tries(t, l, epoch, 4, theirs)
	give(t, l.Forgive(t.Context(), "t", epoch, mine))
	if a, b := tries(t, l, epoch, 9, mine), tries(t, l, epoch, 9, theirs); a != 5 || b != 1 {
		t.Errorf("each by itself: %d and %d, want 5 and 1", a, b)
	}
}

func unlock(t *testing.T, open Open) {
	l := open()
	for i, change := range []func(*tenant.Lockout){perIP, func(*tenant.Lockout) {}} {
		a, b := about(fmt.Sprint(i), "a", rules(3, change)), about(fmt.Sprint(i), "b", rules(3, change))
		other := about(fmt.Sprint(i)+"2", "a", rules(3, change))
		for round := range 3 {
			tries(t, l, epoch, 9, a)
			tries(t, l, epoch, 9, b)
			tries(t, l, epoch, 9, other)
			give(t, l.Unlock(t.Context(), "t", epoch.Add(time.Duration(round)*time.Second), a.Key))
			if got := tries(t, l, epoch.Add(time.Second), 9, a); got != 3 {
				t.Errorf("%d were looked at, want 3", got)
			}
			if got := tries(t, l, epoch.Add(time.Second), 9, b); got != 3*(1-i) {
				t.Errorf("%d of another address were looked at, want %d", got, 3*(1-i))
			}
			if got := tries(t, l, epoch.Add(time.Second), 9, other); got != 0 {
				t.Error("somebody else is no longer locked out")
			}
			give(t, l.Unlock(t.Context(), "t", epoch.Add(time.Duration(round)*time.Second+500*time.Millisecond), a.Key))
		}
	}
	give(t, l.Unlock(t.Context(), "t", epoch, "lockout:nobody"))
}

// A refused try counts nowhere, whatever refused it.
func besideRate(t *testing.T, open Open) {
	l := open()
	rate, b := bucket("a rate", 4, 3600), about("u", "ip", rules(3))
	if got := tries(t, l, epoch, 9, rate, b); got != 3 {
		t.Errorf("%d were looked at, want 3", got)
	}
	expect(t, "what the refused ones have paid", count(t, l, "t", epoch, 9, rate), 1)
	rate, b = bucket("b rate", 2, 3600), about("v", "ip", rules(3))
	for i := range 5 {
		if _, err := l.Take(t.Context(), "t", epoch, rate, b); err == nil != (i < 2) || err != nil && !errors.Is(err, tenant.ErrRateLimited) {
			t.Errorf("try %d: %v", i, err)
		}
	}
	if got := tries(t, l, epoch, 9, b); got != 1 {
		t.Errorf("%d more were looked at, want 1", got)
	}
	give(t, l.Refund(t.Context(), epoch, try(rate, b)))
	if locked, err := l.Take(t.Context(), "t", epoch, rate, b); err != nil || !locked {
		t.Errorf("after a refund of both: %v %v", locked, err)
	}
}

func lockOff(t *testing.T, open Open) {
	l := open()
	gone, cancel := context.WithCancel(t.Context())
	cancel() // whatever asks the database now would fail
	b := about("u", "ip", rules(0))
	for range 30 {
		if locked, err := l.Take(gone, "t", epoch, b); locked || err != nil {
			t.Fatal(locked, err)
		}
	}
	give(t, l.Refund(gone, epoch, try(b)))
	give(t, l.Forgive(gone, "t", epoch, b))
}

func lockTenants(t *testing.T, open Open) {
	l, b := open(), about("u", "ip", rules(2))
	tries(t, l, epoch, 9, b)
	if _, err := l.Take(t.Context(), "another", epoch, b); err != nil {
		t.Error(err)
	}
	give(t, l.Unlock(t.Context(), "another", epoch, b.Key))
	give(t, l.Forgive(t.Context(), "another", epoch, b))
	if got := tries(t, l, epoch, 1, b); got != 0 {
		t.Error("another tenant ends the lockout")
	}
}

func lockPurge(t *testing.T, open Open) {
	l, r := open(), rules(3, func(r *tenant.Lockout) { r.HistorySeconds = 7200 })
	b := about("u", "ip", r)
	tries(t, l, epoch, 2, b)
	later := epoch.Add(time.Hour)
	locked(t, l, later)
	if looked, locks, _ := fail(t, l, later, b); !looked || !locks {
		t.Error("what still counts was purged")
	}
	locked(t, l, later.Add(3*time.Hour))
	if got := tries(t, l, later.Add(3*time.Hour), 9, b); got != 3 {
		t.Errorf("%d were looked at", got)
	}
}

// locked purges, and says how many are locked out; nil where nobody counts them.
func locked(t *testing.T, l limit.Limiter, now time.Time) limit.Locked {
	t.Helper()
	n, err := l.Purge(t.Context(), now)
	give(t, err)
	return n
}

func lockCount(t *testing.T, open Open) {
	l, all, one := open(), rules(2), rules(2, perIP)
	if locked(t, l, epoch) == nil {
		return
	}
	is := func(what string, now time.Time, perUser, perUserPerIP int) {
		t.Helper()
		if got, want := locked(t, l, now), (limit.Locked{tenant.LockoutPerUser: perUser, tenant.LockoutPerUserPerIP: perUserPerIP}); !maps.Equal(got, want) {
			t.Errorf("%s: %v are locked out, want %v", what, got, want)
		}
	}
	is("nobody yet", epoch, 0, 0)
	count(t, l, "t", epoch, 9, bucket("a rate that is used up", 2, 60))
	tries(t, l, epoch, 1, about("fails", "ip", all))
	is("nobody enough", epoch, 0, 0)
	tries(t, l, epoch, 2, about("u", "ip", all))
	for _, ip := range []string{"ip1", "ip2"} {
		tries(t, l, epoch, 2, about("v", ip, one))
	}
	if _, err := l.Take(t.Context(), "another", epoch, about("u", "ip", rules(1))); err != nil {
		t.Error(err)
	}
	is("of all tenants", epoch, 2, 2)
	give(t, l.Unlock(t.Context(), "another", epoch, about("u", "", all).Key))
	is("one unlocked", epoch, 1, 2)
	give(t, l.Forgive(t.Context(), "t", epoch, about("v", "ip2", one)))
	is("one forgiven", epoch, 1, 1)
	give(t, l.Refund(t.Context(), epoch, try(about("v", "ip1", one))))
	is("one was right", epoch, 1, 0)
	is("when it ends", epoch.Add(time.Minute), 0, 0)
}

func twoLocks(t *testing.T, open Open) {
	if _, err := open().Take(t.Context(), "t", epoch, about("u", "ip", rules(2)), about("v", "ip", rules(2))); err == nil {
		t.Error("accepted")
	}
}
