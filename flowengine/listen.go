package flowengine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/tenant"
)

// Bounds on who listens: a listener holds a connection.
const (
	maxListeners           = 10_000 // of a process, unless Options say otherwise
	maxListenersPerNetwork = 32     // of one IPv4 address or IPv6 /64
)

// listeners are the clients of this process that wait for news of runs. One
// watcher of the store serves them all.
type listeners struct {
	max     int
	metrics *listenMetrics

	mu        sync.Mutex
	byRun     map[string]map[*Listener]chan<- struct{} // by tenant and run
	byNetwork map[string]int
	total     int
	closed    bool
}

// Listener hears that a run changed elsewhere.
type Listener struct {
	News  <-chan struct{} // a value for news, perhaps of several at once; closed when this process stops
	Until time.Time       // when there will be no more news
	Close func()          // to be called once, when nobody listens any longer
}

type listenMetrics struct {
	open    prometheus.Gauge
	refused *prometheus.CounterVec
}

func newListenMetrics(r registrar) *listenMetrics {
	m := &listenMetrics{refused: r.counters("usher_flow_listeners_refused_total", "Clients that wanted to listen for news of a run and were one too many.", "reason")}
	m.open = prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_flow_listeners", Help: "Clients that listen for news of a run."})
	r.MustRegister(m.open)
	for _, reason := range []string{"per_network", "per_process"} {
		m.refused.WithLabelValues(reason)
	}
	return m
}

// Listen lets a client hear of changes to a run from elsewhere, such as a link
// that was approved. tenant.ErrFlowNotFound unless the run is the tenant's and
// goes on, tenant.ErrRateLimited and tenant.ErrUnavailable when too many listen.
func (e *Engine) Listen(ctx context.Context, t *tenant.Tenant, c Client, runID string) (*Listener, error) {
	if err := admit(t); err != nil {
		return nil, err
	}
	run, err := e.store.Run(ctx, t.ID, runID)
	if errors.Is(err, tenant.ErrNotFound) {
		return nil, tenant.ErrFlowNotFound
	}
	if err != nil {
		return nil, err
	}
	c.about(run.ID)
	if run.Status != tenant.RunNew && run.Status != tenant.RunPending || !e.now().Before(run.ExpiresAt) {
		return nil, tenant.ErrFlowNotFound
	}
	l, err := e.listeners.add(t.ID+" "+run.ID, networkOf(c.IP))
	if err != nil {
		return nil, err
	}
	cfg, err := e.Config(ctx, t)
	if err != nil {
		l.Close()
		return nil, err
	}
	l.Until = run.CreatedAt.Add(time.Duration(cfg.Flows.MaxLifetimeSeconds) * time.Second)
	return l, nil
}

func (h *listeners) add(key, network string) (*Listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, tenant.ErrUnavailable
	case h.total >= h.max:
		h.metrics.refused.WithLabelValues("per_process").Inc()
		return nil, tenant.ErrUnavailable.With("retry_after_seconds", 5)
	case h.byNetwork[network] >= maxListenersPerNetwork:
		h.metrics.refused.WithLabelValues("per_network").Inc()
		return nil, tenant.ErrRateLimited.With("retry_after_seconds", 5)
	}
	news := make(chan struct{}, 1)
	l := &Listener{News: news}
	l.Close = sync.OnceFunc(func() { h.remove(l, key, network) })
	if h.byRun[key] == nil {
		h.byRun[key] = map[*Listener]chan<- struct{}{}
	}
	h.byRun[key][l] = news
	h.byNetwork[network]++
	h.total++
	h.metrics.open.Inc()
	return l, nil
}

func (h *listeners) remove(l *Listener, key, network string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.byRun[key], l); len(h.byRun[key]) == 0 {
		delete(h.byRun, key)
	}
	if h.byNetwork[network]--; h.byNetwork[network] == 0 {
		delete(h.byNetwork, network)
	}
	h.total--
	h.metrics.open.Dec()
}

// told passes news on; with no ids everybody may have missed some.
func (h *listeners) told(tenantID, runID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if tenantID != "" || runID != "" {
		wake(h.byRun[tenantID+" "+runID])
		return
	}
	for _, all := range h.byRun {
		wake(all)
	}
}

func wake(all map[*Listener]chan<- struct{}) {
	for _, news := range all {
		select {
		case news <- struct{}{}:
		default: // it has some to hear already
		}
	}
}

// stop sends everybody away.
func (h *listeners) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	for _, all := range h.byRun {
		for _, news := range all {
			close(news)
		}
	}
	clear(h.byRun)
}

// StopListening sends all listeners away, so that the process can stop.
func (e *Engine) StopListening() { e.listeners.stop() }
