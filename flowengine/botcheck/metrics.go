package botcheck

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/tenant"
)

// The outcomes of a check.
const (
	passed   = "passed"
	refused  = "refused"
	timedOut = "timeout"
	failed   = "failed" // no answer that could be used
)

// Metrics is the family of bot protection. Every combination of labels is there
// from the start, at 0.
type Metrics struct{ challenges *prometheus.CounterVec }

// NewMetrics registers the family of bot protection.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "usher_bot_challenges_total", Help: "Responses of bot protection's widgets that were checked with their provider.",
	}, []string{"provider", "outcome"})}
	r.MustRegister(m.challenges)
	for _, provider := range tenant.BotProviders {
		for _, outcome := range []string{passed, refused, timedOut, failed} {
			m.challenges.WithLabelValues(provider, outcome)
		}
	}
	return m
}
