package surface

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Surfaces names every door there is: the values of the label surface.
var Surfaces = []string{"flowapi", "selfservice", "flowinstances", "authflows", "graphql", "oidc", "pages", "admin_ui", "system"}

// Unmatched is the route of a request that no route matches.
const Unmatched = "unmatched"

// Metrics are the HTTP families. Their series appear with the first request,
// except those that have no label but the surface.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	flight   *prometheus.GaugeVec
	panics   *prometheus.CounterVec
}

// NewMetrics registers the HTTP families.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_http_requests_total", Help: "HTTP requests answered.",
		}, []string{"surface", "route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "usher_http_request_duration_seconds", Help: "How long HTTP requests took to answer.",
			Buckets:                        []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100,
		}, []string{"surface", "route", "method", "code"}),
		flight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "usher_http_requests_in_flight", Help: "HTTP requests being answered now.",
		}, []string{"surface"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_http_panics_total", Help: "HTTP requests whose handler panicked.",
		}, []string{"surface"}),
	}
	reg.MustRegister(m.requests, m.duration, m.flight, m.panics)
	for _, s := range Surfaces {
		m.flight.WithLabelValues(s)
		m.panics.WithLabelValues(s)
	}
	return m
}

// methods are the values of the label method; any other is OTHER.
var methods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true}

func (m *Metrics) answered(surface, route, method string, status int, took time.Duration) {
	if !methods[method] {
		method = "OTHER"
	}
	code := strconv.Itoa(status)
	m.requests.WithLabelValues(surface, route, method, code).Inc()
	if status == http.StatusSwitchingProtocols {
		return // it took as long as the conversation
	}
	m.duration.WithLabelValues(surface, route, method, code).Observe(took.Seconds())
}

func (m *Metrics) inFlight(surface string, by float64) { m.flight.WithLabelValues(surface).Add(by) }

func (m *Metrics) panicked(surface string) { m.panics.WithLabelValues(surface).Inc() }
