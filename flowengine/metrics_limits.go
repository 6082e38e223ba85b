package flowengine

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine/limit"
)

// limitMetrics are the families of the place that limits are kept in.
type limitMetrics struct {
	locked     *prometheus.GaugeVec // nil where they can't be counted
	operations *prometheus.CounterVec
}

func newLimitMetrics(r registrar, uncounted bool) *limitMetrics {
	m := &limitMetrics{
		operations: r.counters("usher_cache_operations_total", "Operations that Redis was asked for: limits are kept there with --redis-url.", "op", "outcome"),
	}
	for _, op := range limit.Operations {
		m.operations.WithLabelValues(op, "ok")
		m.operations.WithLabelValues(op, "error")
	}
	if !uncounted {
		m.locked = r.gauges("usher_locked_subjects", "Users who are locked out, existing or not, in all of the database; per_user_per_ip counts them once for each address.", "scope")
		for _, s := range lockoutScopes {
			m.locked.WithLabelValues(string(s))
		}
	}
	return m
}

func (m *limitMetrics) count(locked limit.Locked) {
	if m.locked == nil {
		return
	}
	for _, s := range lockoutScopes {
		m.locked.WithLabelValues(string(s)).Set(float64(locked[s]))
	}
}

// CacheDone is for limit.Redis.
func (m *Metrics) CacheDone(op string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	m.limits.operations.WithLabelValues(op, outcome).Inc()
}
