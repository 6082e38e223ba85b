package housetest

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/botcheck"
	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/ldap"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
)

// House is what stands behind a door.
type House struct {
	T        *testing.T // whose helpers fail; see Sub
	Store    *store.Store
	Engine   *flowengine.Engine
	Metrics  *flowengine.Metrics
	Hooks    *hook.Hooks
	Limiter  limit.Limiter
	Master   *secret.Master
	Hasher   *secret.Hasher
	Inbox    *deliver.Worker // reads messages, and sends none
	Registry *prometheus.Registry
	Log      *Log
	Doors    surface.Options // for doors; over HTTPS behind a trusted proxy, unless changed

	Domain string                   // tenants answer to <slug>.<Domain>; "test" unless changed
	Origin func(host string) string // of tenants' hosts; https unless changed

	mu         sync.Mutex
	time       time.Time
	statements []string // the groups of those since the last look
	partition  uint32
}

// Options are how a house is built.
type Options struct {
	Hasher    secret.HasherOptions
	Doors     surface.Options
	Limiter   func(limit.Limiter) limit.Limiter // stands before the real one
	Listeners int                               // at most; 0 for the usual
	Patience  time.Duration                     // with providers and directories; 0 for the usual
}

// Build builds a house on a database, for as long as the test runs.
func Build(t *testing.T, url string, change ...func(*Options)) *House {
	t.Helper()
	h := &House{
		T: t, Registry: prometheus.NewRegistry(), Log: &Log{}, time: time.Now(), Domain: "test", Origin: func(host string) string { return "https://" + host },
	}
	log := slog.New(slog.NewJSONHandler(h.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.Metrics = flowengine.NewMetrics(h.Registry, flowengine.MetricsOptions{})
	o := Options{
		Hasher:  secret.HasherOptions{Workers: 2, Queue: 64, OnHash: h.Metrics.Hashed, OnShed: h.Metrics.Shed},
		Limiter: func(l limit.Limiter) limit.Limiter { return l },
		Doors: surface.Options{
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: log, Metrics: surface.NewMetrics(h.Registry),
		},
	}
	for _, c := range change {
		c(&o)
	}
	ctx := context.Background()
	var err error
	h.Store, err = store.Open(ctx, url, store.Options{OnQuery: h.ran})
	Must(t, err)
	t.Cleanup(func() { Must(t, h.Store.Close()) })
	Must(t, h.Store.Migrate(ctx))
	h.Master, err = secret.OpenMaster(secret.NewMasterKey())
	Must(t, err)
	h.Hasher = secret.NewHasher(o.Hasher)
	t.Cleanup(h.Hasher.Close)
	h.Limiter = o.Limiter(limit.SQL(h.Store))
	directory := tenant.NewDirectory(h.Store, h.Metrics.DirectoryHooks(func(err error) { log.Warn("directory", "err", err) }), h.Now)
	guard := outbound.Guard{AllowPrivate: true}
	h.Hooks, err = hook.New(hook.Options{
		Store: h.Store, Master: h.Master, Guard: guard, Metrics: hook.NewMetrics(h.Registry), Log: log, Now: h.Now, Poll: 5 * time.Millisecond,
	})
	Must(t, err)
	h.Engine, err = flowengine.New(flowengine.Options{
		Store: h.Store, Directory: directory, Limiter: h.Limiter, Master: h.Master, Hasher: h.Hasher, Metrics: h.Metrics, Log: log, Now: h.Now,
		Outbox: noOutbox{}, Hooks: h.Hooks, PublicURL: h.publicURL, MaxListeners: o.Listeners,
		Bots: botcheck.New(botcheck.Options{
			Secrets: h.Store, Master: h.Master, Guard: guard, Metrics: botcheck.NewMetrics(h.Registry), Log: log, Timeout: o.Patience,
		}),
		LDAP: ldap.New(ldap.Options{Secrets: h.Store, Master: h.Master, Guard: guard, Metrics: ldap.NewMetrics(h.Registry), Log: log, Timeout: o.Patience}),
	})
	Must(t, err)
	h.Inbox = deliver.New(deliver.Options{
		Store: h.Store, Master: h.Master, Log: log, Now: h.Now, Tenant: directory.ByID, Config: h.Engine.Config, Dev: true,
		PublicURL: func(host, path string) string { return h.Origin(host) + path },
	})
	h.Doors = o.Doors
	h.Doors.Tenants = directory
	h.Doors.Origins = func(ctx context.Context, x *tenant.Tenant) ([]string, error) {
		cfg, err := h.Engine.Config(ctx, x)
		if err != nil {
			return nil, err
		}
		return cfg.Web.AllowedOrigins, nil
	}

	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- directory.Run(running) }()
	t.Cleanup(func() { stop(); Must(t, <-done) })
	return h
}

func (h *House) publicURL(scheme flowengine.Scheme, host, path string) string {
	url := h.Origin(host) + path
	if scheme == flowengine.WebSocket {
		url = "ws" + strings.TrimPrefix(url, "http")
	}
	return url
}

// Sub runs a part of a test; what goes wrong in the house belongs to it.
func (h *House) Sub(name string, run func(t *testing.T)) {
	outer := h.T
	defer func() { h.T = outer }()
	outer.Run(name, func(t *testing.T) {
		h.T = t
		run(t)
	})
}

// Now is the house's time.
func (h *House) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.time
}

// Wait lets time go by, at once.
func (h *House) Wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.time = h.time.Add(d)
}

// Eventually waits for what happens soon, elsewhere.
func (h *House) Eventually(happens func() bool) {
	h.T.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happens(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.T.Fatal("it doesn't happen")
		}
	}
}

// ran notes a statement. Those of transactions aren't counted, nor what the
// directory reads to follow changes.
func (h *House) ran(group string, _ time.Duration, _ error) {
	switch group {
	case "begin", "commit", "flush", "tenant_read":
		return
	}
	h.mu.Lock()
	h.statements = append(h.statements, group)
	h.mu.Unlock()
}

// Counted gives the groups of the statements since the last look, and forgets them.
func (h *House) Counted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.statements
	h.statements = nil
	return s
}

// Metric reads one series, with its labels as name=value in order; 0 when there
// is none. Of a histogram it is how often something was observed.
func (h *House) Metric(name string, labels ...string) float64 {
	h.T.Helper()
	families, err := h.Registry.Gather()
	Must(h.T, err)
	want := fmt.Sprint(labels)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetName()+"="+l.GetValue())
			}
			if fmt.Sprint(values) == want {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

// noOutbox leaves messages where they are.
type noOutbox struct{}

func (noOutbox) Wake() {}

// At reads a value out of decoded JSON by keys and indexes; nil when it isn't there.
func At(v any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			l, _ := v.([]any)
			if k >= len(l) {
				return nil
			}
			v = l[k]
		}
	}
	return v
}

// Must ends a test that an error makes senseless.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
