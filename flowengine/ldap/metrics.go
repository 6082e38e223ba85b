package ldap

import "github.com/prometheus/client_golang/prometheus"

// The outcomes of a try.
const (
	passed  = "passed"
	refused = "refused" // nobody was found, or the password was wrong
	failed  = "failed"  // the directory couldn't be asked
)

// Metrics is the family of directories. Every outcome is there from the start,
// at 0.
type Metrics struct{ binds *prometheus.CounterVec }

// NewMetrics registers the family of directories.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "usher_ldap_binds_total", Help: "Users proved by a directory of their tenant, or not.",
	}, []string{"outcome"})}
	r.MustRegister(m.binds)
	for _, outcome := range []string{passed, refused, failed} {
		m.binds.WithLabelValues(outcome)
	}
	return m
}
