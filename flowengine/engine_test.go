package flowengine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// rig is an engine on a real database, with a clock that the test moves.
type rig struct {
	*Engine
	store    *store.Store
	master   *secret.Master
	registry *prometheus.Registry

	mu   sync.Mutex
	time time.Time
}

func newRig(t testing.TB, url string) *rig {
	t.Helper()
	ctx := context.Background()
	r := &rig{registry: prometheus.NewRegistry(), time: time.Now()}
	var err error
	r.store, err = store.Open(ctx, url, store.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, r.store.Close()) })
	check(t, r.store.Migrate(ctx))
	r.master, err = secret.OpenMaster(secret.NewMasterKey())
	check(t, err)
	m := NewMetrics(r.registry, MetricsOptions{TenantSlots: 200})
	hasher := secret.NewHasher(secret.HasherOptions{OnHash: m.Hashed, OnShed: m.Shed})
	t.Cleanup(hasher.Close)
	r.Engine, err = New(Options{
		Store: r.store, Directory: tenant.NewDirectory(r.store, m.DirectoryHooks(nil), r.now), Limiter: limit.SQL(r.store),
		Master: r.master, Hasher: hasher, Metrics: m, Log: slog.New(slog.DiscardHandler), Now: r.now,
	})
	check(t, err)
	return r
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.time
}

func (r *rig) wait(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.time = r.time.Add(d)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tenants makes tenants t0, t1, ... in one transaction; each configures its own.
func (r *rig) tenants(t testing.TB, n int, configure func(i int, c *tenant.Config)) []*tenant.Tenant {
	t.Helper()
	var all []*tenant.Tenant
	check(t, r.store.Change(context.Background(), func(tx tenant.Tx) error {
		all = nil
		for i := range n {
			cfg := tenant.DefaultConfig()
			configure(i, cfg)
			document, err := json.Marshal(cfg)
			check(t, err)
			key, err := r.master.NewTenantKey()
			check(t, err)
			slug := fmt.Sprintf("t%d", i)
			x := &tenant.Tenant{
				ID: secret.NewID(), Slug: slug, Name: slug, State: tenant.Active, Hosts: []string{slug + ".test"}, Partition: uint32(i), Key: key,
				Version: 1, CreatedAt: r.now(), ChangedAt: r.now(),
			}
			if err := tx.CreateTenant(x); err != nil {
				return err
			}
			v := &tenant.Version{TenantID: x.ID, Number: 1, Document: document, Hash: secret.TokenHash(string(document)), CreatedAt: r.now()}
			if err := tx.CreateVersion(v); err != nil {
				return err
			}
			all = append(all, x)
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: all[0].ID, ID: secret.NewID(), At: r.now(), Category: tenant.AuditAdmin, Action: "test", Outcome: "success", ActorKind: tenant.ActorCLI,
		})
	}))
	return all
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Tenants with the same document share a program, and a tenant that was looked
// at once costs a few KiB whatever its document.
func TestProgramsAreSharedAndSmall(t *testing.T) {
	const n = 1000
	for _, c := range []struct {
		name      string
		configure func(int, *tenant.Config)
		programs  int
	}{
		{"one document", func(int, *tenant.Config) {}, 1},
		{"a document each", func(i int, c *tenant.Config) { c.Sessions.LifetimeSeconds = 3600 + i }, n},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, testenv.SQLite(t))
			all := r.tenants(t, n, c.configure)
			ctx := context.Background()
			hosts := make([]string, n)
			for i := range all {
				hosts[i] = all[i].Hosts[0]
			}
			all = nil
			before := heapInUse()
			distinct := map[*flow.Program]bool{}
			for _, host := range hosts {
				x, err := r.directory.ByHost(ctx, host)
				check(t, err)
				p, err := r.programs.of(ctx, x.ID, x.Version)
				check(t, err)
				distinct[p] = true
			}
			if len(distinct) != c.programs {
				t.Errorf("%d programs, want %d", len(distinct), c.programs)
			}
			clear(distinct)
			each := (heapInUse() - before) / n
			t.Logf("%d bytes for each tenant", each)
			if each > 6<<10 {
				t.Errorf("%d bytes for each tenant", each)
			}
			runtime.KeepAlive(r)
		})
	}
}

// Many who ask for a program at once compile it once.
func TestProgramIsCompiledOnce(t *testing.T) {
	r := newRig(t, testenv.SQLite(t))
	x := r.tenants(t, 1, func(int, *tenant.Config) {})[0]
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := r.programs.of(context.Background(), x.ID, 1); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := r.value(t, "usher_config_cache_total", "miss"); n != 1 {
		t.Errorf("%v were read", n)
	}
	if _, err := r.programs.of(context.Background(), x.ID, 2); err == nil || tenant.AsError(err).Kind != tenant.Internal {
		t.Errorf("a version that isn't there: %v", err)
	}
}

// Runs that nobody finishes end by themselves, and what waits is chained.
func TestJanitor(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		x := r.tenants(t, 1, func(int, *tenant.Config) {})[0]
		ctx := context.Background()
		c := Client{IP: netip.MustParseAddr("192.0.2.1"), RequestID: "the-request", Surface: "flowapi"}
		login := Start{Flow: tenant.FlowRef{Type: tenant.Login, Name: "default"}, Session: tenant.CookieSession}
		who := flow.Input(`{"identification":"email","login_id":"a@example.com"}`)
		_, err := r.Start(ctx, x, c, login)
		check(t, err)
		r.wait(time.Second)
		a, err := r.Start(ctx, x, c, login)
		check(t, err)
		r.wait(time.Second)
		a, err = r.Submit(ctx, x, c, a.Token, who)
		check(t, err)
		_, err = r.Submit(ctx, x, c, a.Token, flow.Input(`{"authentication":"primary_password","password":"wrong"}`))
		if e := tenant.AsError(err); e.Reason != tenant.ErrInvalidCredentials.Reason {
			t.Fatal(err)
		}
		check(t, r.purge(ctx))
		check(t, r.seal(ctx))
		if log, err := r.store.AuditLog(ctx, x.ID, tenant.AuditFilter{Category: tenant.AuditSignIn}, tenant.Page{Limit: 9}); err != nil || len(log) != 1 || log[0].Seq == 0 {
			t.Errorf("%+v %v", log, err)
		}
		r.wait(time.Hour)
		check(t, r.purge(ctx))
		check(t, r.purge(ctx))
		for _, c := range []struct {
			name, values string // in the order of the labels' names
			want         float64
		}{
			{"usher_flows_started_total", "login flowapi", 2},
			{"usher_flows_finished_total", "login expired flowapi", 1},
			{"usher_flows_finished_total", "login abandoned flowapi", 1},
			{"usher_flows_finished_total", "login success flowapi", 0},
			{"usher_tenant_flows_total", "login failure t0", 2},
			{"usher_flow_gc_total", "", 2},
			{"usher_flow_rejections_total", "wrong_credential", 1},
			{"usher_flow_steps_total", "accepted identify", 1},
			{"usher_flow_steps_total", "rejected authenticate", 1},
			{"usher_flow_step_duration_seconds", "hash authenticate", 1},
			{"usher_authentications_total", "primary primary_password rejected", 1},
			{"usher_audit_events_total", "sign_in written", 1},
			{"usher_password_hash_duration_seconds", "argon2id verify", 1},
		} {
			if n := r.value(t, c.name, c.values); n != c.want {
				t.Errorf("%s{%s} is %v, want %v", c.name, c.values, n, c.want)
			}
		}
	})
}

// value reads a series by its name and the values of its labels, in the order of
// the labels' names.
func (r *rig) value(t testing.TB, name, values string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	check(t, err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				if valuesOf(m) == values {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	t.Fatalf("there is no %s with %q", name, values)
	return 0
}

func valuesOf(m *dto.Metric) string {
	var values []string
	for _, l := range m.GetLabel() {
		values = append(values, l.GetValue())
	}
	return strings.Join(values, " ")
}

// Every series is there from the start, at 0, and there are not too many.
func TestMetricsBeginAtZero(t *testing.T) {
	reg := prometheus.NewRegistry()
	NewMetrics(reg, MetricsOptions{})
	families, err := reg.Gather()
	check(t, err)
	series := 0
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "usher_") || f.GetHelp() == "" {
			t.Errorf("%s: %q", f.GetName(), f.GetHelp())
		}
		if f.GetType() == dto.MetricType_COUNTER && !strings.HasSuffix(f.GetName(), "_total") {
			t.Errorf("%s is a counter", f.GetName())
		}
		for _, m := range f.GetMetric() {
			series += 1 + len(m.GetHistogram().GetBucket())
			if m.GetCounter().GetValue() != 0 || m.GetHistogram().GetSampleCount() != 0 {
				t.Errorf("%s begins at %v", f.GetName(), m)
			}
		}
	}
	t.Logf("%d families, %d series", len(families), series)
	if len(families) < 25 || series > 3000 {
		t.Errorf("%d families, %d series", len(families), series)
	}
}

// No refusal that the engine can give is counted under other by oversight: the
// list of those that belong to the admin API is closed.
func TestEveryReasonIsCounted(t *testing.T) {
	elsewhere := []*tenant.Error{
		tenant.ErrMediaType, tenant.ErrMethodNotAllowed, tenant.ErrTooLarge, tenant.ErrNoRoute, tenant.ErrHTTPSRequired, tenant.ErrTenantNotFound,
		tenant.ErrUnauthenticated, tenant.ErrForbidden, tenant.ErrOrigin, tenant.ErrNotFound, tenant.ErrAlreadyExists, tenant.ErrVersionConflict,
		tenant.ErrLastWayIn, tenant.ErrConfigInvalid, tenant.ErrQueryTooComplex,
	}
	for _, e := range tenant.Catalogue() {
		_, counted := rejectionOf[e.Reason]
		if other := slices.ContainsFunc(elsewhere, func(o *tenant.Error) bool { return o.Reason == e.Reason }); counted == other {
			t.Errorf("%s: counted %v, of another door %v", e.Reason, counted, other)
		}
	}
}

func TestNetworkOf(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64",
	} {
		if got := networkOf(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is of %s, want %s", ip, got, want)
		}
	}
}
