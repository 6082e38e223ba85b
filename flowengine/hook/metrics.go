package hook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/tenant"
)

// The outcomes of a call. The first three are of asking, the next of telling;
// timeout and failed are of both.
const (
	allowed   = "allowed"
	denied    = "denied"
	delivered = "delivered"
	timedOut  = "timeout"
	failed    = "failed"
	gaveUp    = "given_up" // failed, and not to be tried again
)

// Metrics are the families of hooks. Every combination of labels is there from
// the start, at 0.
type Metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	depth    prometheus.Gauge
	oldest   prometheus.Gauge
}

// NewMetrics registers the families of hooks.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_hook_calls_total", Help: "Calls of tenants' hooks: asked before something happens (blocking) or told when it has (event).",
		}, []string{"kind", "event", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "usher_hook_duration_seconds", Help: "How long calls of tenants' hooks took.", Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}, []string{"kind", "event"}),
		depth:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_hook_queue_depth", Help: "Deliveries to hooks that wait, over all nodes."}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_hook_oldest_pending_seconds", Help: "How long the oldest delivery has waited that still does."}),
	}
	r.MustRegister(m.calls, m.duration, m.depth, m.oldest)
	for kind, l := range map[string]struct {
		events   []tenant.HookEventType
		outcomes []string
	}{
		"blocking": {tenant.BlockingHookEvents, []string{allowed, denied, timedOut, failed}},
		"event":    {tenant.ToldHookEvents, []string{delivered, timedOut, failed, gaveUp}},
	} {
		for _, event := range l.events {
			m.duration.WithLabelValues(kind, string(event))
			for _, outcome := range l.outcomes {
				m.calls.WithLabelValues(kind, string(event), outcome)
			}
		}
	}
	return m
}

func (m *Metrics) called(event tenant.HookEventType, outcome string, took time.Duration) {
	kind := "event"
	if event.Blocking() {
		kind = "blocking"
	}
	m.calls.WithLabelValues(kind, string(event), outcome).Inc()
	if took > 0 {
		m.duration.WithLabelValues(kind, string(event)).Observe(took.Seconds())
	}
}
