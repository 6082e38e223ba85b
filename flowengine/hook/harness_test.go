package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/hook/hooktest"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

const key = "usherhook_0123456789abcdefghjkmnpqrstvwxyz"

// rig is a tenant with hooks, on a real database.
type rig struct {
	t      testing.TB
	url    string
	store  *store.Store
	master *secret.Master
	tenant *tenant.Tenant
	config *tenant.Config
}

func newRig(t testing.TB, url string, endpoints ...tenant.HookEndpoint) *rig {
	t.Helper()
	r := &rig{t: t, url: url, store: open(t, url), config: tenant.DefaultConfig()}
	must(t, r.store.Migrate(t.Context()))
	r.config.Hooks.Endpoints = endpoints
	if problems := tenant.CheckConfig(r.config); len(problems) > 0 {
		t.Fatal(problems)
	}
	var err error
	r.master, err = secret.OpenMaster(secret.NewMasterKey())
	must(t, err)
	wrapped, err := r.master.NewTenantKey()
	must(t, err)
	r.tenant = &tenant.Tenant{
		ID: secret.NewID(), Slug: "acme", Name: "acme", State: tenant.Active, Hosts: []string{"acme.test"}, Partition: 1, Key: wrapped,
		Version: 1, CreatedAt: now(), ChangedAt: now(),
	}
	r.change(func(tx tenant.Tx) error { return tx.CreateTenant(r.tenant) })
	for _, e := range endpoints {
		r.putKey(tenant.HookSecretName(e.Name), key, now())
	}
	return r
}

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// change makes an audited change and reads the tenant again, whose revision may
// have grown.
func (r *rig) change(fn func(tenant.Tx) error) {
	r.t.Helper()
	must(r.t, r.store.Change(r.t.Context(), func(tx tenant.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: r.tenant.ID, ID: secret.NewID(), At: now(), Category: tenant.AuditSystem, Action: "test", Outcome: "success", ActorKind: tenant.ActorSystem,
		})
	}))
	var err error
	r.tenant, err = r.store.TenantByID(r.t.Context(), r.tenant.ID)
	must(r.t, err)
}

func (r *rig) putKey(name, value string, at time.Time) {
	r.t.Helper()
	sealed, err := r.master.Seal(r.tenant, tenant.SecretTable, name, []byte(value))
	must(r.t, err)
	r.change(func(tx tenant.Tx) error {
		return tx.PutSecret(r.tenant.ID, tenant.Secret{Name: name, UpdatedAt: at}, sealed)
	})
}

// secret opens one of the tenant's.
func (r *rig) secret(name string) string {
	r.t.Helper()
	sealed, err := r.store.OpenSecret(r.t.Context(), r.tenant.ID, name)
	must(r.t, err)
	plain, err := r.master.Open(r.tenant, tenant.SecretTable, name, sealed)
	must(r.t, err)
	return string(plain)
}

// node is one process's hooks. Without a change it may call private addresses
// and tries again at once.
type node struct {
	*hook.Hooks
	registry *prometheus.Registry
}

func (r *rig) node(s *store.Store, change ...func(*hook.Options)) *node {
	r.t.Helper()
	n := &node{registry: prometheus.NewRegistry()}
	o := hook.Options{
		Store: s, Master: r.master, Guard: outbound.Guard{AllowPrivate: true}, Metrics: hook.NewMetrics(n.registry), Log: slog.New(slog.DiscardHandler),
		Poll: 5 * time.Millisecond, Delay: func(int) time.Duration { return 10 * time.Millisecond },
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	n.Hooks, err = hook.New(o)
	must(r.t, err)
	return n
}

// run delivers until the test ends, or stop is called.
func (r *rig) run(n *node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- n.Run(ctx, hook.Tenants{
			ByID:   r.store.TenantByID,
			Config: func(context.Context, *tenant.Tenant) (*tenant.Config, error) { return r.config, nil },
		})
	}()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			must(r.t, <-done)
		}
	}
	r.t.Cleanup(stop)
	return stop
}

// tell puts events of a type into the outbox.
func (r *rig) tell(n int, typ tenant.HookEventType) []tenant.HookDelivery {
	r.t.Helper()
	var all []tenant.HookDelivery
	for i := range n {
		ds, err := hook.Tell(r.tenant, r.config, hook.Context{RequestID: "the-request", IP: "192.0.2.1"}, now(), hook.Event{Type: typ, Facts: map[string]any{"n": i}})
		must(r.t, err)
		all = append(all, ds...)
	}
	r.change(func(tx tenant.Tx) error { return tx.TellHooks(all) })
	return all
}

// settled waits until a delivery stands somewhere.
func (r *rig) settled(id string, want tenant.HookDeliveryStatus) *tenant.HookDelivery {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		d, err := r.store.HookDelivery(r.t.Context(), r.tenant.ID, id)
		must(r.t, err)
		if d.Status == want {
			return d
		}
		if time.Now().After(end) {
			r.t.Fatalf("the delivery is %s, want %s: %+v", d.Status, want, d)
		}
	}
}

func (n *node) counted(t testing.TB, kind string, event tenant.HookEventType, outcome string) float64 {
	t.Helper()
	families, err := n.registry.Gather()
	must(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "usher_hook_calls_total" && labels["kind"] == kind && labels["event"] == string(event) && labels["outcome"] == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("nothing counts %s %s %s", kind, event, outcome)
	return 0
}

// told is an endpoint that is told of created users, at a receiver.
func told(name string, r *hooktest.Receiver) tenant.HookEndpoint {
	return tenant.HookEndpoint{Name: name, URL: r.URL, Events: []tenant.HookEventType{tenant.HookUserCreated}, Enabled: true}
}

// asked is one that is asked.
func asked(name string, r *hooktest.Receiver, events ...tenant.HookEventType) tenant.HookEndpoint {
	return tenant.HookEndpoint{Name: name, URL: r.URL, Events: events, Blocking: true, Enabled: true}
}

func receiver(t testing.TB) *hooktest.Receiver { return hooktest.New(t, time.Now, key) }

func onBoth(t *testing.T, run func(t *testing.T, url string)) { testenv.Databases(t, run) }

func text(v any) string {
	b, _ := json.Marshal(v) //nolint:errchkjson // for messages
	return string(b)
}

// ask asks about a user called Sam.
func (r *rig) ask(n *node, typ tenant.HookEventType, set *map[string]json.RawMessage) error {
	r.t.Helper()
	got, err := n.Ask(r.t.Context(), r.tenant, r.config, hook.Question{
		Type: typ, Facts: map[string]any{"flow": tenant.FlowRef{Type: tenant.Login, Name: "default"}}, Context: hook.Context{RequestID: "the-request"},
		User: &tenant.HookUser{ID: "u1", State: tenant.UserActive, Standard: json.RawMessage(`{"given_name": "Sam", "nickname":"S"}`), Custom: json.RawMessage(`{"x_plan":{"a":1,"b":2}}`)},
	})
	if set != nil {
		*set = got
	}
	return err
}

func refused(t testing.TB, err error, want *tenant.Error) *tenant.Error {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want the refusal %s", err, want.Reason)
	}
	return tenant.AsError(err)
}
