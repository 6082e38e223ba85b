package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/http/pprof"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/store"
)

// newRegistry holds the families of the process. Every other family is added by
// the package that counts it.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "usher_build_info", Help: "Always 1; the labels say which program this is.",
	}, []string{"version", "revision", "goversion"})
	build.WithLabelValues(version, revision(), runtime.Version()).Set(1)
	r.MustRegister(build)
	return r
}

// revision is the commit this program was built from, "unknown" without one.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// telemetryHandler serves what only the operator's own systems may see.
func telemetryHandler(r *prometheus.Registry, h *health, profiling bool) http.Handler {
	mux := http.NewServeMux()
	if profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	h.routes(mux, true)
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{
		Registry: r, EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	return mux
}

// storage are the families of the database as this process sees it.
type storage struct {
	queries map[string]prometheus.Observer
	errors  map[string]prometheus.Counter
	retries prometheus.Counter

	up, degraded    map[string]prometheus.Gauge
	schema, pending prometheus.Gauge
	runs, sessions  prometheus.Gauge
	tenants         map[tenant.State]prometheus.Gauge
}

// The kinds of failed statement.
const (
	dbUnavailable = "unavailable" // the database can't be reached, or is too busy
	dbRefused     = "refused"     // a rule of the schema, such as a unique index
	dbOther       = "other"
)

func newStorage(reg prometheus.Registerer, redis bool) *storage {
	queries := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "usher_db_query_duration_seconds", Help: "How long statements took, by what they are for.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
	}, []string{"group"})
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "usher_db_errors_total", Help: "Statements that failed.",
	}, []string{"kind"})
	up := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "usher_dependency_up", Help: "Whether what Usher depends on answers.",
	}, []string{"dependency"})
	degraded := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "usher_degraded", Help: "1 for a way in which this process goes on with less than it should have.",
	}, []string{"mode"})
	tenants := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "usher_tenants", Help: "Tenants by state.",
	}, []string{"state"})
	s := &storage{
		queries:  map[string]prometheus.Observer{},
		errors:   map[string]prometheus.Counter{},
		retries:  prometheus.NewCounter(prometheus.CounterOpts{Name: "usher_db_tx_retries_total", Help: "Transactions begun again because the database asked for it."}),
		up:       map[string]prometheus.Gauge{depDatabase: up.WithLabelValues(depDatabase)},
		degraded: map[string]prometheus.Gauge{},
		schema:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_schema_version", Help: "The version of the database's schema."}),
		pending:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_migrations_pending", Help: "Migrations that this binary has and the database lacks."}),
		runs:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_flows_active", Help: "Runs that can be gone on with, in all of the database."}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_sessions_active", Help: "Sessions that prove something, in all of the database."}),
		tenants:  map[tenant.State]prometheus.Gauge{},
	}
	if redis {
		s.up[depRedis] = up.WithLabelValues(depRedis)
	}
	for _, mode := range modes {
		s.degraded[mode] = degraded.WithLabelValues(mode)
	}
	for _, g := range store.Groups() {
		s.queries[g] = queries.WithLabelValues(g)
	}
	for _, kind := range []string{dbUnavailable, dbRefused, dbOther} {
		s.errors[kind] = failed.WithLabelValues(kind)
	}
	for _, state := range []tenant.State{tenant.Active, tenant.Suspended} {
		s.tenants[state] = tenants.WithLabelValues(string(state))
	}
	reg.MustRegister(queries, failed, s.retries, up, degraded, s.schema, s.pending, s.runs, s.sessions, tenants)
	return s
}

// watchPool adds what the connections to the database are doing; it is read when
// it is scraped.
func (s *storage) watchPool(reg prometheus.Registerer, connections func() (busy, most int)) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "usher_db_connections", Help: "Connections to the database that are in use.",
		}, func() float64 { busy, _ := connections(); return float64(busy) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "usher_db_connections_max", Help: "Connections to the database that there may be.",
		}, func() float64 { _, most := connections(); return float64(most) }),
	)
}

// query is for store.Options.OnQuery.
func (s *storage) query(group string, took time.Duration, err error) {
	if o, ok := s.queries[group]; ok {
		o.Observe(took.Seconds())
	}
	var refusal *tenant.Error
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows), errors.Is(err, context.Canceled):
	case errors.Is(err, tenant.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		s.errors[dbUnavailable].Inc()
	case errors.As(err, &refusal):
		s.errors[dbRefused].Inc()
	default:
		s.errors[dbOther].Inc()
	}
}

// watch keeps the gauges up to date until ctx ends, so that a scrape never waits
// for the database.
func (s *storage) watch(ctx context.Context, db *store.Store, h *health) {
	const every, countEvery = 5 * time.Second, 6
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		missing := h.dependencies()
		for name, gauge := range s.up {
			gauge.Set(number(missing[name] == ""))
		}
		for mode, is := range h.degraded() {
			s.degraded[mode].Set(number(is))
		}
		if missing[depDatabase] == "" {
			s.look(ctx, db, n%countEvery == 0)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (s *storage) look(ctx context.Context, db *store.Store, count bool) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if have, want, err := db.SchemaVersion(ctx); err == nil {
		s.schema.Set(float64(have))
		s.pending.Set(float64(max(0, want-have)))
	}
	if !count {
		return
	}
	if runs, sessions, err := db.CountActive(ctx, time.Now()); err == nil {
		s.runs.Set(float64(runs))
		s.sessions.Set(float64(sessions))
	}
	if counted, err := db.CountTenants(ctx); err == nil {
		for state, gauge := range s.tenants {
			gauge.Set(float64(counted[state]))
		}
	}
}

// graphqlMetrics are the families of the admin API.
type graphqlMetrics struct {
	operations *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	reasons    *prometheus.CounterVec
}

func newGraphQLMetrics(reg prometheus.Registerer) *graphqlMetrics {
	m := &graphqlMetrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_graphql_operations_total", Help: "Operations of the admin API that were executed.",
		}, []string{"kind", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "usher_graphql_operation_duration_seconds", Help: "How long they took.", Buckets: prometheus.DefBuckets,
		}, []string{"kind", "outcome"}),
		reasons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_graphql_rejected_total", Help: "Requests to the admin API that were refused.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.operations, m.duration, m.reasons)
	for _, kind := range []string{"query", "mutation"} {
		for _, outcome := range []string{"ok", "refused", "error"} {
			m.operations.WithLabelValues(kind, outcome)
			m.duration.WithLabelValues(kind, outcome)
		}
	}
	for _, reason := range []string{"parse", "depth", "cost", "rate", "auth", "forbidden"} {
		m.reasons.WithLabelValues(reason)
	}
	return m
}

func (m *graphqlMetrics) operation(kind, outcome string, took time.Duration) {
	m.operations.WithLabelValues(kind, outcome).Inc()
	m.duration.WithLabelValues(kind, outcome).Observe(took.Seconds())
}

func (m *graphqlMetrics) rejected(reason string) { m.reasons.WithLabelValues(reason).Inc() }
