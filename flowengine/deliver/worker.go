package deliver

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

// The bounds of a worker.
const (
	defaultLease = time.Minute
	defaultPoll  = time.Second
	sendTimeout  = 15 * time.Second // of a whole try; well under the lease
	storeTimeout = 5 * time.Second

	claimBatch  = 32
	perGateway  = 8    // tries at once: a gateway that hangs has no more of us
	atOnce      = 1024 // tries in all
	maxLanes    = 512  // that are left out of a claim
	queueTick   = 10 * time.Second
	maxBackoff  = time.Minute
	maxTried    = 100 // even of a code that works for a day
	maxErrorLen = 300
)

// Worker sends what waits in the outbox. Any number of nodes may run one.
type Worker struct {
	o    Options
	http *http.Client
	wake chan struct{}
	jobs sync.WaitGroup

	mu     sync.Mutex
	total  int                    // tries under way
	slots  map[string]int         // the same by gateway
	full   map[tenant.Lane]string // lanes whose gateway has no slot
	health map[string]health      // by gateway
}

// health is how a gateway did at last; what is sent to nobody does likewise.
type health struct {
	err  error
	took time.Duration
}

// New makes a worker, which works while [Worker.Run] does.
func New(o Options) *Worker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.Delay == nil {
		o.Delay = backoff
	}
	if o.Sent == nil {
		o.Sent = func(Sent) {}
	}
	return &Worker{
		o: o, http: o.Guard.NewClient(), wake: make(chan struct{}, 1),
		slots: map[string]int{}, full: map[tenant.Lane]string{}, health: map[string]health{},
	}
}

// backoff doubles from a second to a minute, give or take a quarter.
func backoff(attempts int) time.Duration {
	d := maxBackoff
	if attempts < 7 {
		d = time.Second << max(0, attempts-1)
	}
	return d*3/4 + rand.N(d/2) //nolint:gosec // nothing secret about it
}

// Wake says that a message waits. It never blocks.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run sends what waits until ctx ends and what is under way has ended too.
func (w *Worker) Run(ctx context.Context) error {
	poll, queue := time.NewTicker(w.o.Poll), time.NewTicker(queueTick)
	defer poll.Stop()
	defer queue.Stop()
	w.measure(ctx)
	for {
		w.drain(ctx)
		select {
		case <-ctx.Done():
			w.jobs.Wait()
			return nil
		case <-poll.C:
		case <-w.wake:
		case <-queue.C:
			w.measure(ctx)
		}
	}
}

// measure tells how much waits.
func (w *Worker) measure(ctx context.Context) {
	if w.o.Queue == nil {
		return
	}
	n, oldest, err := w.o.Store.CountMessages(ctx)
	if err != nil {
		return // the claims say so already
	}
	age := time.Duration(0)
	if n > 0 {
		age = max(0, w.o.Now().Sub(oldest))
	}
	w.o.Queue(n, age)
}

// drain begins all that is due and has a slot.
func (w *Worker) drain(ctx context.Context) {
	for ctx.Err() == nil {
		room, full := w.room()
		if room <= 0 {
			return
		}
		claimed, err := w.o.Store.ClaimMessages(ctx, w.o.Now(), w.o.Lease, min(room, claimBatch), full)
		if err != nil {
			if ctx.Err() == nil {
				w.o.Log.WarnContext(ctx, "messages can't be claimed", "err", err)
			}
			return
		}
		for _, m := range claimed {
			w.begin(ctx, m)
		}
		if len(claimed) < min(room, claimBatch) {
			return
		}
	}
}

// room is how many tries may begin, and the lanes that have to wait.
func (w *Worker) room() (int, []tenant.Lane) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lanes := make([]tenant.Lane, 0, len(w.full))
	for l := range w.full {
		lanes = append(lanes, l)
	}
	if len(lanes) > maxLanes {
		return 0, nil
	}
	return atOnce - w.total, lanes
}

// begin starts a try at a message, or puts it back.
func (w *Worker) begin(ctx context.Context, m *tenant.Message) {
	j, err := w.prepare(ctx, m)
	if err != nil {
		// The claim stands until the lease ends; then somebody tries again.
		w.o.Log.WarnContext(ctx, "a message can't be prepared", "tenant", m.TenantID, "message", m.ID, "err", err)
		return
	}
	if !w.acquire(j) {
		m.Attempts--
		m.NextAt = w.o.Now()
		w.settle(ctx, m)
		return
	}
	w.jobs.Go(func() {
		defer w.release(j)
		w.try(context.WithoutCancel(ctx), j)
	})
}

// job is a try at a message.
type job struct {
	m       *tenant.Message
	tenant  *tenant.Tenant
	config  *tenant.Config
	gateway gateway
}

func (w *Worker) prepare(ctx context.Context, m *tenant.Message) (*job, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t, err := w.o.Tenant(ctx, m.TenantID)
	if err != nil {
		return nil, err
	}
	cfg, err := w.o.Config(ctx, t)
	if err != nil {
		return nil, err
	}
	return &job{m: m, tenant: t, config: cfg, gateway: w.gatewayFor(t, cfg, m.Channel)}, nil
}

// acquire takes a slot at the job's gateway. Without one its lane waits until a
// slot is free.
func (w *Worker) acquire(j *job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.slots[j.gateway.key] >= perGateway {
		w.full[tenant.Lane{TenantID: j.m.TenantID, Channel: j.m.Channel}] = j.gateway.key
		return false
	}
	w.slots[j.gateway.key]++
	w.total++
	return true
}

func (w *Worker) release(j *job) {
	w.mu.Lock()
	w.total--
	if w.slots[j.gateway.key]--; w.slots[j.gateway.key] == 0 {
		delete(w.slots, j.gateway.key)
	}
	waited := false
	for lane, key := range w.full {
		if key == j.gateway.key {
			delete(w.full, lane)
			waited = true
		}
	}
	w.mu.Unlock()
	if waited {
		w.Wake()
	}
}

// try sends a message once and settles what comes of it.
func (w *Worker) try(ctx context.Context, j *job) {
	begun := time.Now()
	err := w.hand(ctx, j)
	m, now, outcome := j.m, w.o.Now(), Taken
	decoy := m.Provider == tenant.DecoyProvider
	if !decoy {
		m.Provider = j.gateway.provider
		if !errors.Is(err, errExpired) {
			w.heard(j.gateway.key, err, time.Since(begun))
		}
	}
	m.Error = ""
	var f *failure
	switch {
	case err == nil:
		m.Status, m.SentAt = tenant.MessageSent, now
	case errors.Is(err, errExpired):
		outcome, m.Status = Expired, tenant.MessageExpired
	default:
		outcome, m.Error = Retried, clip(err.Error())
		m.NextAt = now.Add(w.o.Delay(m.Attempts))
		if errors.As(err, &f) && f.after > 0 {
			m.NextAt = now.Add(max(f.after, m.NextAt.Sub(now)))
		}
		if f != nil && f.permanent || m.Attempts >= maxTried || !m.NextAt.Before(m.ExpiresAt) {
			outcome, m.Status = Failed, tenant.MessageFailed
		}
	}
	if m.Status != tenant.MessageQueued && !w.o.Dev {
		m.Payload = nil
	}
	w.settle(ctx, m)
	if decoy {
		return
	}
	w.o.Sent(Sent{Channel: m.Channel, Provider: m.Provider, Purpose: m.Purpose, Outcome: outcome, Took: time.Since(begun)})
	if outcome == Failed || outcome == Retried {
		w.o.Log.WarnContext(ctx, "message not sent", "tenant", j.tenant.Slug, "message", m.ID, "channel", m.Channel,
			"provider", m.Provider, "attempt", m.Attempts, "outcome", outcome, "err", m.Error)
	}
}

func clip(s string) string {
	if len(s) > maxErrorLen {
		s = s[:maxErrorLen]
	}
	return oneLine(s)
}

var errExpired = errors.New("the code no longer works")

// hand gives a message to its gateway.
func (w *Worker) hand(ctx context.Context, j *job) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if !w.o.Now().Before(j.m.ExpiresAt) {
		return errExpired
	}
	if j.m.CodeID != "" {
		code, err := w.o.Store.Code(ctx, j.m.TenantID, j.m.CodeID)
		if err != nil && !errors.Is(err, tenant.ErrNotFound) {
			return err
		}
		if err != nil || !code.EndedAt.IsZero() { // used, or replaced by a newer one
			return errExpired
		}
	}
	r, err := w.render(j.tenant, j.config, j.m) // a decoy too: what it costs delays the next request
	if err != nil {
		return &failure{text: "it can't be written: " + err.Error(), permanent: true}
	}
	if j.m.Provider == tenant.DecoyProvider {
		return w.pretend(ctx, &j.gateway)
	}
	return j.gateway.hand(ctx, &outgoing{Rendered: r, job: j})
}

// pretend does as the gateway did at last.
func (w *Worker) pretend(ctx context.Context, g *gateway) error {
	if g.local {
		return g.hand(ctx, nil)
	}
	w.mu.Lock()
	h := w.health[g.key]
	w.mu.Unlock()
	wait := time.NewTimer(h.took)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	return h.err
}

// heard remembers how a gateway did. A refusal of one address says nothing of
// the gateway.
func (w *Worker) heard(gateway string, err error, took time.Duration) {
	var f *failure
	if errors.As(err, &f) && f.permanent && !f.general {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.health) > 10_000 {
		clear(w.health)
	}
	w.health[gateway] = health{err, took}
}

// settle writes what became of a message. When that fails somebody sends it
// again once the lease has ended.
func (w *Worker) settle(ctx context.Context, m *tenant.Message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := w.o.Store.SettleMessage(ctx, m); err != nil {
		w.o.Log.WarnContext(ctx, "what became of a message was not kept", "tenant", m.TenantID, "message", m.ID, "status", m.Status, "err", err)
	}
}
