package hook

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// The bounds of the worker.
const (
	defaultLease = 30 * time.Second
	defaultPoll  = time.Second
	measureEvery = 10 * time.Second
	storeTimeout = 5 * time.Second

	claimBatch  = 8
	perEndpoint = 8   // calls at once, give or take a batch: one that hangs has no more of us
	atOnce      = 256 // calls in all

	firstDelay = 5 * time.Second
	lastDelay  = 4 * time.Hour

	maxResponse = 2 << 10 // of the answer that is kept, in bytes
)

// backoff trebles from five seconds to four hours, give or take a quarter.
func backoff(attempts int) time.Duration {
	d := firstDelay
	for range attempts - 1 {
		if d = min(3*d, lastDelay); d == lastDelay {
			break
		}
	}
	return d*3/4 + rand.N(d/2) //nolint:gosec // nothing secret about it
}

// Tenants is where the worker looks up whom it works for.
type Tenants struct {
	ByID   func(ctx context.Context, id string) (*tenant.Tenant, error)
	Config func(ctx context.Context, t *tenant.Tenant) (*tenant.Config, error) // in force
}

// Wake says that something waits to be delivered. It never blocks.
func (h *Hooks) Wake() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run delivers what waits until ctx ends and what is under way has ended too.
// Any number of nodes may do so at once.
func (h *Hooks) Run(ctx context.Context, of Tenants) error {
	poll, measure := time.NewTicker(h.o.Poll), time.NewTicker(measureEvery)
	defer poll.Stop()
	defer measure.Stop()
	var jobs sync.WaitGroup
	h.measure(ctx)
	for {
		h.drain(ctx, of, &jobs)
		select {
		case <-ctx.Done():
			jobs.Wait()
			return nil
		case <-poll.C:
		case <-h.wake:
		case <-measure.C:
			h.measure(ctx)
		}
	}
}

// measure tells how much waits.
func (h *Hooks) measure(ctx context.Context) {
	n, oldest, err := h.o.Store.CountHookDeliveries(ctx)
	if err != nil {
		return // the claims say so already
	}
	age := time.Duration(0)
	if n > 0 {
		age = max(0, h.o.Now().Sub(oldest))
	}
	h.o.Metrics.depth.Set(float64(n))
	h.o.Metrics.oldest.Set(age.Seconds())
}

// drain begins all that is due and has room.
func (h *Hooks) drain(ctx context.Context, of Tenants, jobs *sync.WaitGroup) {
	for ctx.Err() == nil {
		total, full := h.lanes.full(perEndpoint)
		room := min(atOnce-total, claimBatch)
		if room <= 0 {
			return
		}
		claimed, err := h.o.Store.ClaimHookDeliveries(ctx, h.o.Now(), h.o.Lease, room, full)
		if err != nil {
			if ctx.Err() == nil {
				h.o.Log.WarnContext(ctx, "deliveries to hooks can't be claimed", "err", err)
			}
			return
		}
		for _, d := range claimed {
			lane := tenant.HookLane{TenantID: d.TenantID, Endpoint: d.Endpoint}
			h.lanes.enter(lane, 0)
			jobs.Go(func() {
				defer h.leave(lane)
				h.deliver(context.WithoutCancel(ctx), of, d)
			})
		}
		if len(claimed) < room {
			return
		}
	}
}

// leave gives room back; what had to wait for it goes on.
func (h *Hooks) leave(lane tenant.HookLane) {
	if h.lanes.leave(lane) == perEndpoint-1 {
		h.Wake()
	}
}

// deliver tries a delivery once and settles what comes of it.
func (h *Hooks) deliver(ctx context.Context, of Tenants, d *tenant.HookDelivery) {
	t, e, err := h.endpoint(ctx, of, d)
	if err != nil {
		// The claim stands until the lease ends; then somebody tries again.
		h.o.Log.WarnContext(ctx, "a hook can't be looked up", "tenant", d.TenantID, "hook", d.Endpoint, "delivery", d.ID, "err", err)
		return
	}
	if e == nil {
		d.Status, d.TriedAt, d.Error = tenant.HookFailed, h.o.Now(), "there is no such endpoint any more, or it is switched off"
		h.o.Metrics.called(d.Type, gaveUp, 0)
		h.settle(ctx, d)
		return
	}
	a := h.call(ctx, t, e, letter{id: d.EventID, typ: d.Type, body: d.Body, delivery: d.ID, attempt: d.Attempts})
	outcome := h.judge(d, &a)
	h.o.Metrics.called(d.Type, outcome, a.took)
	h.settle(ctx, d)
	if outcome != delivered {
		h.o.Log.WarnContext(ctx, "a hook was not told", "tenant", t.Slug, "hook", e.Name, "event", d.Type, "delivery", d.ID, "attempt", d.Attempts,
			"outcome", outcome, "err", d.Error)
	}
}

// judge writes down what came of a try.
func (h *Hooks) judge(d *tenant.HookDelivery, a *answer) (outcome string) {
	now := h.o.Now()
	d.TriedAt, d.Took, d.StatusCode, d.Response, d.Error = now, a.took, a.status, clip(a.body), ""
	err := a.failure()
	if err == nil {
		d.Status = tenant.HookDelivered
		return delivered
	}
	outcome, d.Error = failed, line(err.Error(), 300)
	if a.timeout {
		outcome = timedOut
	}
	d.NextAt = now.Add(h.o.Delay(d.Attempts))
	if outbound.Permanent(a.err) || a.status == http.StatusGone || !d.NextAt.Before(d.ExpiresAt) {
		outcome, d.Status = gaveUp, tenant.HookFailed
	}
	return outcome
}

// endpoint finds where a delivery goes now; nil when nowhere.
func (h *Hooks) endpoint(ctx context.Context, of Tenants, d *tenant.HookDelivery) (*tenant.Tenant, *tenant.HookEndpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t, err := of.ByID(ctx, d.TenantID)
	if errors.Is(err, tenant.ErrTenantNotFound) {
		return nil, nil, nil // and the delivery went with it
	}
	if err != nil {
		return nil, nil, err
	}
	cfg, err := of.Config(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	e := cfg.Hooks.Endpoint(d.Endpoint)
	if e == nil || !e.Enabled {
		return t, nil, nil
	}
	return t, e, nil
}

// settle writes what became of a delivery. When that fails somebody delivers it
// again once the lease has ended.
func (h *Hooks) settle(ctx context.Context, d *tenant.HookDelivery) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := h.o.Store.SettleHookDelivery(ctx, d); err != nil {
		h.o.Log.WarnContext(ctx, "what became of a delivery to a hook was not kept", "tenant", d.TenantID, "delivery", d.ID, "status", d.Status, "err", err)
	}
}

func clip(body []byte) string { return string(body[:min(len(body), maxResponse)]) }

// lanes counts calls under way, by endpoint.
type lanes struct {
	mu    sync.Mutex
	total int
	calls map[tenant.HookLane]int
}

// enter counts a call, unless there are so many already; 0 for any number.
func (l *lanes) enter(lane tenant.HookLane, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if most > 0 && l.calls[lane] >= most {
		return false
	}
	if l.calls == nil {
		l.calls = map[tenant.HookLane]int{}
	}
	l.calls[lane]++
	l.total++
	return true
}

// leave counts it out and says how many are left.
func (l *lanes) leave(lane tenant.HookLane) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	l.calls[lane]--
	n := l.calls[lane]
	if n == 0 {
		delete(l.calls, lane)
	}
	return n
}

// full says how many calls there are, and which lanes have so many that they
// have to wait.
func (l *lanes) full(most int) (total int, waiting []tenant.HookLane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for lane, n := range l.calls {
		if n >= most {
			waiting = append(waiting, lane)
		}
	}
	return l.total, waiting
}
