package flowengine

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Metrics are the engine's families. Every label has a closed set of values, and
// every combination is there from the start, at 0: a counter that is born above
// zero shows no increase.
type Metrics struct {
	started, finished, steps, rejections *prometheus.CounterVec
	flowDuration, stepDuration           *prometheus.HistogramVec
	collected                            prometheus.Counter

	authentications, policyRejections, breachChecks, limited, lockouts *prometheus.CounterVec
	hashDuration                                                       *prometheus.HistogramVec
	hashQueue                                                          prometheus.Histogram
	hashShed, refundsDropped                                           prometheus.Counter

	sessionsCreated prometheus.Counter
	sessionsRevoked *prometheus.CounterVec

	configCache, configErrors, configPublished *prometheus.CounterVec
	configPropagation                          prometheus.Histogram
	configGeneration                           prometheus.Gauge

	lookups *prometheus.CounterVec
	tenants *tenantLabel

	audited       *prometheus.CounterVec
	auditDuration prometheus.Histogram
	chains        *chainMetrics
	jobs          *prometheus.CounterVec
	jobSuccess    *prometheus.GaugeVec
	limits        *limitMetrics
	listen        *listenMetrics
	messages      *messageMetrics
}

// Outcome says how a run ended.
type Outcome string

// The outcomes of a run.
const (
	Succeeded   Outcome = "success"
	UserError   Outcome = "user_error"   // refused at once, for what the user sent
	Blocked     Outcome = "blocked"      // refused at once, by a rule
	Expired     Outcome = "expired"      // given up on the way
	Abandoned   Outcome = "abandoned"    // never answered
	Cancelled   Outcome = "cancelled"    // by an admin
	SystemError Outcome = "system_error" // refused at once, for a fault of ours
)

var outcomes = []Outcome{Succeeded, UserError, Blocked, Expired, Abandoned, Cancelled, SystemError}

// What labels may say, beside the names that other packages list.
var (
	surfaces      = []string{"flowapi", "selfservice", "pages"}
	stepOutcomes  = []string{"accepted", "rejected", "conflict", "system_error"}
	costs         = []string{"cheap", "hash", "external"}
	authOutcomes  = []string{"success", "rejected", "error"}
	policyRules   = []string{"minimum_length", "maximum_length", "uppercase_required", "lowercase_required", "alphabet_required", "digit_required", "symbol_required", "excluded_keywords", "minimum_zxcvbn_score", "breached_check", "other"}
	breachResults = []string{"clean", "breached"}
	lockoutScopes = []tenant.LockoutType{tenant.LockoutPerUser, tenant.LockoutPerUserPerIP}
	revocations   = []string{"user", "admin"}
	categories    = []tenant.AuditCategory{tenant.AuditSignIn, tenant.AuditAdmin, tenant.AuditSystem}
	origins       = []tenant.ActorKind{tenant.ActorMember, tenant.ActorKey, tenant.ActorCLI, tenant.ActorSystem}
)

// MetricsOptions sizes the metrics.
type MetricsOptions struct {
	TenantSlots int      // how many tenants get a series of their own; 0 for none, at most 1000
	Pinned      []string // slugs of tenants that always have one
	Now         func() time.Time

	LocksUncounted bool // limits are kept where nobody counts who is locked out
}

// NewMetrics registers the engine's families.
func NewMetrics(reg prometheus.Registerer, o MetricsOptions) *Metrics {
	r := registrar{reg}
	m := &Metrics{
		listen:       newListenMetrics(r),
		messages:     newMessageMetrics(r),
		limits:       newLimitMetrics(r, o.LocksUncounted),
		started:      r.counters("usher_flows_started_total", "Runs of flows begun.", "flow_type", "surface"),
		finished:     r.counters("usher_flows_finished_total", "Runs of flows ended; one that is refused at once counts as begun and ended.", "flow_type", "surface", "outcome"),
		flowDuration: r.histograms("usher_flow_duration_seconds", "From the start of a run to its end.", []float64{1, 5, 15, 30, 60, 120, 300, 900, 1800}, "flow_type", "outcome"),
		steps:        r.counters("usher_flow_steps_total", "Inputs that steps took or refused.", "step_type", "outcome"),
		stepDuration: r.histograms("usher_flow_step_duration_seconds", "How long a request moved a run, under the step it ended on.", prometheus.DefBuckets, "step_type", "cost"),
		rejections:   r.counters("usher_flow_rejections_total", "Refusals of the flow engine.", "reason"),
		collected:    r.counter("usher_flow_gc_total", "Runs that nobody finished, cleared away."),

		authentications:  r.counters("usher_authentications_total", "Tries to prove something.", "method", "factor", "outcome"),
		policyRejections: r.counters("usher_password_policy_rejections_total", "Rules that new passwords broke.", "rule"),
		breachChecks:     r.counters("usher_breach_check_total", "New passwords looked up in the list of common ones.", "outcome"),
		limited:          r.counters("usher_rate_limited_total", "Tries refused because there were too many.", "bucket"),
		lockouts:         r.counters("usher_lockouts_total", "Users locked out after failed tries, existing or not.", "scope"),
		refundsDropped:   r.counter("usher_rate_limit_refunds_dropped_total", "Right tries that stayed counted as failed."),
		hashDuration:     r.histograms("usher_password_hash_duration_seconds", "How long hashing a password took.", []float64{.01, .025, .05, .1, .25, .5, 1, 2.5}, "algorithm", "op"),
		hashQueue:        r.histograms("usher_password_hash_queue_seconds", "How long a password waited to be hashed.", []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}).WithLabelValues().(prometheus.Histogram),
		hashShed:         r.counter("usher_password_hash_shed_total", "Passwords turned away because too many waited to be hashed."),

		sessionsCreated: r.counter("usher_sessions_created_total", "Sessions opened."),
		sessionsRevoked: r.counters("usher_sessions_revoked_total", "Sessions ended before their time.", "reason"),

		configCache:       r.counters("usher_config_cache_total", "Lookups of compiled configurations; shared is a miss whose document another tenant has too.", "outcome"),
		configErrors:      r.counters("usher_config_load_errors_total", "Published configurations that could not be loaded.", "reason"),
		configPublished:   r.counters("usher_config_publish_total", "Attempts to publish a configuration.", "origin", "outcome"),
		configPropagation: r.histograms("usher_config_propagation_seconds", "From a change of a tenant until this node serves it.", []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}).WithLabelValues().(prometheus.Histogram),

		configGeneration: r.gauges("usher_config_generation", "When the newest change of a tenant that this node has taken in was made, in unix milliseconds; nodes that agree serve the same.").WithLabelValues(),

		lookups: r.counters("usher_tenant_host_lookups_total", "Lookups of tenants by host.", "outcome"),
		tenants: newTenantLabel(reg, o),

		audited:       r.counters("usher_audit_events_total", "Events for the audit log.", "category", "outcome"),
		auditDuration: r.histograms("usher_audit_write_duration_seconds", "How long keeping an event took.", prometheus.DefBuckets).WithLabelValues().(prometheus.Histogram),
		chains:        newChainMetrics(r),
		jobs:          r.counters("usher_job_runs_total", "Runs of background jobs.", "job", "outcome"),
		jobSuccess:    r.gauges("usher_job_last_success_timestamp_seconds", "When a background job last went well.", "job"),
	}
	m.begin()
	return m
}

// begin makes every combination of labels, at 0.
func (m *Metrics) begin() {
	for _, t := range tenant.FlowTypes {
		for _, s := range surfaces {
			m.started.WithLabelValues(string(t), s)
			for _, o := range outcomes {
				m.finished.WithLabelValues(string(t), s, string(o))
			}
		}
		for _, o := range outcomes {
			m.flowDuration.WithLabelValues(string(t), string(o))
		}
	}
	for _, s := range flow.StepTypes() {
		each(stepOutcomes, func(o string) { m.steps.WithLabelValues(s, o) })
		each(costs, func(c string) { m.stepDuration.WithLabelValues(s, c) })
	}
	for _, r := range rejectionOf {
		m.rejections.WithLabelValues(r)
	}
	m.rejections.WithLabelValues("other")
	for _, method := range flow.Methods() {
		if factor := factorOf(method); factor != "" {
			each(authOutcomes, func(o string) { m.authentications.WithLabelValues(method, factor, o) })
		}
	}
	each(policyRules, func(r string) { m.policyRejections.WithLabelValues(r) })
	each(breachResults, func(r string) { m.breachChecks.WithLabelValues(r) })
	each(lockoutScopes, func(s tenant.LockoutType) { m.lockouts.WithLabelValues(string(s)) })
	each(flow.Limits, func(b flow.Limit) { m.limited.WithLabelValues(string(b)) })
	for _, a := range secret.Algorithms() {
		m.hashDuration.WithLabelValues(a, "hash")
		m.hashDuration.WithLabelValues(a, "verify")
	}
	each(revocations, func(r string) { m.sessionsRevoked.WithLabelValues(r) })
	each([]string{"hit", "miss", "shared"}, func(o string) { m.configCache.WithLabelValues(o) })
	each([]string{"store", "invalid"}, func(r string) { m.configErrors.WithLabelValues(r) })
	for _, o := range origins {
		m.configPublished.WithLabelValues(string(o), "published")
		m.configPublished.WithLabelValues(string(o), "refused")
	}
	each(tenant.LookupOutcomes, func(o tenant.LookupOutcome) { m.lookups.WithLabelValues(string(o)) })
	for _, c := range categories {
		m.audited.WithLabelValues(string(c), "written")
		m.audited.WithLabelValues(string(c), "failed")
	}
	each(jobNames, func(j string) {
		m.jobs.WithLabelValues(j, "success")
		m.jobs.WithLabelValues(j, "error")
		m.jobSuccess.WithLabelValues(j)
	})
}

func each[T any](values []T, do func(T)) {
	for _, v := range values {
		do(v)
	}
}

// factorOf is which factor a method proves; "" for one that proves none.
func factorOf(method string) string {
	switch {
	case strings.HasPrefix(method, "primary_"):
		return "primary"
	case strings.HasPrefix(method, "secondary_"), method == "recovery_code", method == "device_token":
		return "secondary"
	}
	return ""
}

// DirectoryHooks counts what a directory does.
func (m *Metrics) DirectoryHooks(failed func(error)) tenant.DirectoryHooks {
	byOutcome := map[tenant.LookupOutcome]prometheus.Counter{}
	for _, o := range tenant.LookupOutcomes {
		byOutcome[o] = m.lookups.WithLabelValues(string(o))
	}
	return tenant.DirectoryHooks{
		Lookup:   func(o tenant.LookupOutcome) { byOutcome[o].Inc() },
		Changed:  func(_ *tenant.Tenant, after time.Duration) { m.configPropagation.Observe(after.Seconds()) },
		Followed: func(newest time.Time) { m.configGeneration.Set(float64(newest.UnixMilli())) },
		Failed:   failed,
	}
}

// Hashed is for secret.HasherOptions.OnHash.
func (m *Metrics) Hashed(algorithm, op string, took, queued time.Duration) {
	m.hashDuration.WithLabelValues(algorithm, op).Observe(took.Seconds())
	m.hashQueue.Observe(queued.Seconds())
}

// Shed is for secret.HasherOptions.OnShed.
func (m *Metrics) Shed() { m.hashShed.Inc() }

// Published counts a configuration that was published, or refused.
func (m *Metrics) Published(by tenant.ActorKind, err error) {
	outcome := "published"
	if err != nil {
		outcome = "refused"
	}
	if !slices.Contains(origins, by) {
		by = tenant.ActorSystem
	}
	m.configPublished.WithLabelValues(string(by), outcome).Inc()
}

// Audited counts an event for the audit log.
func (m *Metrics) Audited(category tenant.AuditCategory, took time.Duration, err error) {
	outcome := "written"
	if err != nil {
		outcome = "failed"
	}
	m.audited.WithLabelValues(string(category), outcome).Inc()
	m.auditDuration.Observe(took.Seconds())
}

// SessionsRevoked counts sessions ended by a user or an admin.
func (m *Metrics) SessionsRevoked(byAdmin bool, n int) {
	reason := "user"
	if byAdmin {
		reason = "admin"
	}
	m.sessionsRevoked.WithLabelValues(reason).Add(float64(n))
}

func (m *Metrics) flowStarted(t tenant.FlowType, surface string) {
	m.started.WithLabelValues(string(t), surface).Inc()
}

func (m *Metrics) flowFinished(slug string, t tenant.FlowType, surface string, o Outcome, took time.Duration) {
	m.finished.WithLabelValues(string(t), surface, string(o)).Inc()
	m.flowDuration.WithLabelValues(string(t), string(o)).Observe(took.Seconds())
	m.tenants.count(slug, t, o)
}

// FlowCancelled counts a run that its user or an admin gave up.
func (m *Metrics) FlowCancelled(t *tenant.Tenant, r *tenant.Run, took time.Duration) {
	m.flowFinished(t.Slug, r.Flow.Type, r.Surface, Cancelled, took)
}

// endOf is how a run ends that is refused at once.
func endOf(e *tenant.Error) Outcome {
	switch e.Kind {
	case tenant.Internal, tenant.Unavailable:
		return SystemError
	case tenant.Forbidden, tenant.TooMany:
		return Blocked
	default:
		return UserError
	}
}

// moved counts what a request did to a run. err is what the request was refused
// with; nil when everything was taken and kept.
func (m *Metrics) moved(trace []flow.Trace, policy *tenant.PasswordPolicy, took time.Duration, err *tenant.Error) {
	if err != nil {
		m.refused(err)
	}
	for i := range trace {
		t := &trace[i]
		outcome := "accepted"
		if t.Reason != "" || err != nil && i == len(trace)-1 {
			outcome = stepOutcome(err)
		}
		m.steps.WithLabelValues(t.StepType, outcome).Inc()
		if factor := factorOf(t.Method); factor != "" && t.StepType == "authenticate" {
			m.authentications.WithLabelValues(t.Method, factor, authOutcome(t, err)).Inc()
		}
		if t.StepType == "create_authenticator" && strings.HasSuffix(t.Method, "_password") {
			m.policy(policy, t, err)
		}
	}
	if n := len(trace); n > 0 {
		cost := "cheap"
		if slices.ContainsFunc(trace, func(t flow.Trace) bool { return t.Hashed }) {
			cost = "hash"
		}
		if slices.ContainsFunc(trace, func(t flow.Trace) bool { return t.Called }) {
			cost = "external"
		}
		m.stepDuration.WithLabelValues(trace[n-1].StepType, cost).Observe(took.Seconds())
	}
}

func (m *Metrics) refused(err *tenant.Error) {
	r, ok := rejectionOf[err.Reason]
	if !ok {
		r = "other"
	}
	m.rejections.WithLabelValues(r).Inc()
}

func stepOutcome(err *tenant.Error) string {
	switch {
	case err == nil:
		return "rejected"
	case err.Kind == tenant.Internal || err.Kind == tenant.Unavailable:
		return "system_error"
	case err.Kind == tenant.Conflict:
		return "conflict"
	}
	return "rejected"
}

func authOutcome(t *flow.Trace, err *tenant.Error) string {
	switch {
	case t.Reason == "":
		return "success"
	case err != nil && (err.Kind == tenant.Internal || err.Kind == tenant.Unavailable):
		return "error"
	}
	return "rejected"
}

// policy counts the rules that a new password broke.
func (m *Metrics) policy(policy *tenant.PasswordPolicy, t *flow.Trace, err *tenant.Error) {
	breached := "clean"
	if err != nil && t.Reason == tenant.ErrPasswordPolicy.Reason {
		causes, _ := err.Info["causes"].([]tenant.Cause)
		for _, c := range causes {
			rule := c.Kind
			if !slices.Contains(policyRules, rule) {
				rule = "other"
			}
			m.policyRejections.WithLabelValues(rule).Inc()
			if rule == "breached_check" {
				breached = "breached"
			}
		}
	}
	if policy.BreachedCheck && (t.Reason == "" || t.Reason == tenant.ErrPasswordPolicy.Reason) {
		m.breachChecks.WithLabelValues(breached).Inc()
	}
}

func (m *Metrics) ran(job string, err error) {
	outcome := "success"
	if err != nil {
		outcome = "error"
	} else {
		m.jobSuccess.WithLabelValues(job).SetToCurrentTime()
	}
	m.jobs.WithLabelValues(job, outcome).Inc()
}

// registrar makes and registers families.
type registrar struct{ prometheus.Registerer }

func (r registrar) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(v)
	return v
}

func (r registrar) counter(name, help string) prometheus.Counter {
	return r.counters(name, help).WithLabelValues()
}

func (r registrar) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	r.MustRegister(v)
	return v
}

func (r registrar) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, labels)
	r.MustRegister(v)
	return v
}
