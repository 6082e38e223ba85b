package flowengine

import (
	"context"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

// The jobs, and how much one transaction of each does at most.
const (
	jobSeal   = "seal_audit"
	jobPurge  = "purge"
	jobLimits = "purge_limits"
	jobForget = "forget_users"
	jobVerify = "verify_audit"

	sealBatch  = 500
	purgeBatch = 500
)

var jobNames = []string{jobSeal, jobPurge, jobLimits, jobForget, jobVerify}

// Run does, until ctx ends, what happens by itself: it chains the audit log and
// checks it, ends what has expired, and forgets what has outlived its use. Any
// number of nodes may do so at once.
func (e *Engine) Run(ctx context.Context) error {
	var jobs sync.WaitGroup
	jobs.Go(func() { e.refund(ctx) })
	jobs.Go(func() { e.every(ctx, 500*time.Millisecond, jobSeal, e.seal) })
	jobs.Go(func() { e.every(ctx, verifyEvery, jobVerify, e.verify) })
	jobs.Go(func() { e.every(ctx, 15*time.Second, jobPurge, e.purge) })
	jobs.Go(func() {
		e.do(ctx, jobLimits, e.purgeLimits) // who is locked out is known from the start
		e.every(ctx, time.Minute, jobLimits, e.purgeLimits)
	})
	if e.forgetDue != nil {
		jobs.Go(func() { e.every(ctx, 15*time.Second, jobForget, e.forgetDue) })
	}
	jobs.Go(func() {
		defer e.listeners.stop()
		_ = e.store.WatchRuns(ctx, e.listeners.told) // it ends with ctx alone
	})
	jobs.Go(func() { // what another node left behind
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				e.unsealed.Store(true)
			}
		}
	})
	jobs.Wait()
	return nil
}

func (e *Engine) every(ctx context.Context, interval time.Duration, name string, job func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.do(ctx, name, job)
		}
	}
}

func (e *Engine) do(ctx context.Context, name string, job func(context.Context) error) {
	err := job(ctx)
	if ctx.Err() != nil {
		return
	}
	e.metrics.ran(name, err)
	if err != nil {
		e.log.WarnContext(ctx, "job failed", "job", name, "err", err)
	}
}

// purgeLimits forgets buckets, and counts who is locked out on the way.
func (e *Engine) purgeLimits(ctx context.Context) error {
	locked, err := e.limiter.Purge(ctx, e.now())
	if err == nil && locked != nil {
		e.metrics.limits.count(locked)
	}
	return err
}

// seal chains what waits, if anything does.
func (e *Engine) seal(ctx context.Context) error {
	if !e.unsealed.Swap(false) {
		return nil
	}
	for {
		n, err := e.store.SealAudit(ctx, sealBatch)
		if err != nil {
			e.unsealed.Store(true)
			return err
		}
		if n < sealBatch {
			return nil
		}
	}
}

// purge ends the runs that nobody finished.
func (e *Engine) purge(ctx context.Context) error {
	for {
		expired, err := e.store.Purge(ctx, e.now(), purgeBatch)
		for i := range expired {
			e.ended(ctx, &expired[i])
		}
		if err != nil || len(expired) < purgeBatch {
			return err
		}
	}
}

// ended counts a run that nobody finished.
func (e *Engine) ended(ctx context.Context, r *tenant.Run) {
	e.metrics.collected.Inc()
	outcome := Expired
	if r.LastSeen.At.Equal(r.FirstSeen.At) {
		outcome = Abandoned
	}
	slug := "" // of a tenant deleted meanwhile
	if t, err := e.directory.ByID(ctx, r.TenantID); err == nil {
		slug = t.Slug
	}
	e.metrics.flowFinished(slug, r.Flow.Type, r.Surface, outcome, r.ExpiresAt.Sub(r.CreatedAt))
}
