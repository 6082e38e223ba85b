package flowapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	"github.com/usher-id/usher/surface/flowapi"
	"github.com/usher-id/usher/surface/pages"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// house is the door with everything behind it, on a real database and a clock
// that the test moves.
type house struct {
	t        *testing.T
	server   *httptest.Server
	store    *store.Store
	engine   *flowengine.Engine
	hooks    *hook.Hooks
	master   *secret.Master
	registry *prometheus.Registry
	log      *lockedBuffer
	origin   func(host string) string // of the tenants' hosts
	inbox    *deliver.Worker          // reads messages, and sends none

	mu         sync.Mutex
	time       time.Time
	statements []string // the groups of the statements since the last look
	partition  uint32
}

// settings changes how a house is built.
type settings struct {
	hasher  secret.HasherOptions
	surface surface.Options

	listeners int                               // at most; 0 for the usual
	limiter   func(limit.Limiter) limit.Limiter // stands before the real one
	patience  time.Duration                     // with providers and directories; 0 for the usual
}

func build(t *testing.T, url string, change ...func(*settings)) *house {
	t.Helper()
	h := &house{t: t, time: time.Now(), registry: prometheus.NewRegistry(), log: &lockedBuffer{}}
	h.origin = func(host string) string { return "https://" + host }
	metrics := flowengine.NewMetrics(h.registry, flowengine.MetricsOptions{})
	log := slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := settings{
		hasher:  secret.HasherOptions{Workers: 2, Queue: 64, OnHash: metrics.Hashed, OnShed: metrics.Shed},
		limiter: func(l limit.Limiter) limit.Limiter { return l },
		surface: surface.Options{
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: log, Metrics: surface.NewMetrics(h.registry),
		},
	}
	for _, c := range change {
		c(&o)
	}
	ctx := context.Background()
	var err error
	h.store, err = store.Open(ctx, url, store.Options{OnQuery: func(group string, _ time.Duration, _ error) {
		switch group {
		case "begin", "commit", "flush", "tenant_read": // not counted, and the directory following changes
		default:
			h.mu.Lock()
			h.statements = append(h.statements, group)
			h.mu.Unlock()
		}
	}})
	must(t, err)
	t.Cleanup(func() { must(t, h.store.Close()) })
	must(t, h.store.Migrate(ctx))
	h.master, err = secret.OpenMaster(secret.NewMasterKey())
	must(t, err)
	hasher := secret.NewHasher(o.hasher)
	t.Cleanup(hasher.Close)
	directory := tenant.NewDirectory(h.store, metrics.DirectoryHooks(func(err error) { log.Warn("directory", "err", err) }), h.now)
	h.hooks, err = hook.New(hook.Options{
		Store: h.store, Master: h.master, Guard: outbound.Guard{AllowPrivate: true}, Metrics: hook.NewMetrics(h.registry), Log: log, Now: h.now,
		Poll: 5 * time.Millisecond,
	})
	must(t, err)
	guard := outbound.Guard{AllowPrivate: true}
	bots := botcheck.New(botcheck.Options{
		Secrets: h.store, Master: h.master, Guard: guard, Metrics: botcheck.NewMetrics(h.registry), Log: log, Timeout: o.patience,
	})
	directories := ldap.New(ldap.Options{Secrets: h.store, Master: h.master, Guard: guard, Metrics: ldap.NewMetrics(h.registry), Log: log, Timeout: o.patience})
	h.engine, err = flowengine.New(flowengine.Options{
		Store: h.store, Directory: directory, Limiter: o.limiter(limit.SQL(h.store)), Master: h.master, Hasher: hasher,
		Metrics: metrics, Log: log, Now: h.now, Outbox: noOutbox{}, Hooks: h.hooks, Bots: bots, LDAP: directories,
		PublicURL: h.publicURL, MaxListeners: o.listeners,
	})
	must(t, err)
	o.surface.Tenants = directory
	o.surface.Origins = func(ctx context.Context, x *tenant.Tenant) ([]string, error) {
		cfg, err := h.engine.Config(ctx, x)
		if err != nil {
			return nil, err
		}
		return cfg.Web.AllowedOrigins, nil
	}
	h.inbox = deliver.New(deliver.Options{
		Store: h.store, Master: h.master, Log: log, Now: h.now, Tenant: directory.ByID, Config: h.engine.Config, Dev: true,
		PublicURL: func(host, path string) string { return h.origin(host) + path },
	})
	mux := http.NewServeMux()
	mux.Handle("/", flowapi.New(h.engine, o.surface))
	mux.Handle(pages.Path, pages.New(h.engine, o.surface))
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)

	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- directory.Run(running) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	return h
}

func (h *house) publicURL(scheme flowengine.Scheme, host, path string) string {
	url := h.origin(host) + path
	if scheme == flowengine.WebSocket {
		url = "ws" + strings.TrimPrefix(url, "http")
	}
	return url
}

// onBoth runs a test in a house on each database.
func onBoth(t *testing.T, run func(h *house), change ...func(*settings)) {
	t.Helper()
	testenv.Databases(t, func(t *testing.T, url string) { run(build(t, url, change...)) })
}

// sub runs a part of a test; what goes wrong in the house belongs to it.
func (h *house) sub(name string, run func(t *testing.T)) {
	outer := h.t
	defer func() { h.t = outer }()
	outer.Run(name, func(t *testing.T) {
		h.t = t
		run(t)
	})
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.time
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.time = h.time.Add(d)
}

// counted gives the statements since the last look, and forgets them.
func (h *house) counted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.statements
	h.statements = nil
	return s
}

// tenant makes a tenant that answers to <slug>.test.
func (h *house) tenant(slug string, change ...func(*tenant.Config)) *tenant.Tenant {
	h.t.Helper()
	cfg := tenant.DefaultConfig()
	cfg.PasswordPolicy.BreachedCheck = false
	for _, c := range change {
		c(cfg)
	}
	document, err := json.Marshal(cfg)
	must(h.t, err)
	sum := sha256.Sum256(document)
	key, err := h.master.NewTenantKey()
	must(h.t, err)
	h.partition++
	x := &tenant.Tenant{
		ID: secret.NewID(), Slug: slug, Name: slug, State: tenant.Active, Hosts: []string{slug + ".test"}, Partition: h.partition, Key: key,
		Version: 1, CreatedAt: h.now(), ChangedAt: h.now(),
	}
	h.change(x, func(tx tenant.Tx) error {
		if err := tx.CreateTenant(x); err != nil {
			return err
		}
		return tx.CreateVersion(&tenant.Version{
			TenantID: x.ID, Number: 1, Document: document, Hash: hex.EncodeToString(sum[:]), CreatedAt: h.now(),
		})
	})
	return x
}

// publish puts another version of the configuration in force.
func (h *house) publish(x *tenant.Tenant, number int64, change func(*tenant.Config)) {
	h.t.Helper()
	cfg := tenant.DefaultConfig()
	change(cfg)
	document, err := json.Marshal(cfg)
	must(h.t, err)
	sum := sha256.Sum256(document)
	h.change(x, func(tx tenant.Tx) error {
		fresh, err := tx.Tenant(x.Slug)
		if err != nil {
			return err
		}
		fresh.Version, fresh.ChangedAt = number, h.now()
		if err := tx.CreateVersion(&tenant.Version{
			TenantID: x.ID, Number: number, Document: document, Hash: hex.EncodeToString(sum[:]), CreatedAt: h.now(),
		}); err != nil {
			return err
		}
		return tx.UpdateTenant(fresh)
	})
}

// eventually waits for what happens soon, elsewhere.
func (h *house) eventually(happens func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happens(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatal("it doesn't happen")
		}
	}
}

// change writes to the database as an admin would.
func (h *house) change(x *tenant.Tenant, fn func(tenant.Tx) error) {
	h.t.Helper()
	must(h.t, h.store.Change(context.Background(), func(tx tenant.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: x.ID, ID: secret.NewID(), At: h.now(), Category: tenant.AuditAdmin, Action: "test", Outcome: "success",
			ActorKind: tenant.ActorCLI, Detail: json.RawMessage(`{}`),
		})
	}))
}

// secret keeps a secret of the configuration.
func (h *house) secret(x *tenant.Tenant, name, value string) {
	h.t.Helper()
	sealed, err := h.master.Seal(x, tenant.SecretTable, name, []byte(value))
	must(h.t, err)
	h.change(x, func(tx tenant.Tx) error {
		return tx.PutSecret(x.ID, tenant.Secret{Name: name, UpdatedAt: h.now()}, sealed)
	})
}

// user imports a user who logs in with a password. Login ids are kind:value.
func (h *house) user(x *tenant.Tenant, password string, loginIDs ...string) *tenant.UserRecord {
	h.t.Helper()
	hasher := secret.NewHasher(secret.HasherOptions{})
	defer hasher.Close()
	hash, err := hasher.Hash(context.Background(), tenant.DefaultConfig().Authenticators.Password, password)
	must(h.t, err)
	u := &tenant.UserRecord{User: tenant.User{TenantID: x.ID, ID: secret.NewID(), State: tenant.UserActive, CreatedAt: h.now(), UpdatedAt: h.now()}}
	for _, id := range loginIDs {
		kind, value, _ := strings.Cut(id, ":")
		u.Identities = append(u.Identities, tenant.Identity{
			TenantID: x.ID, ID: secret.NewID(), UserID: u.ID, Claim: tenant.Claim{Kind: kind, Value: value}, Shown: value, VerifiedAt: h.now(), CreatedAt: h.now(),
		})
	}
	u.Authenticators = []tenant.Authenticator{{
		TenantID: x.ID, ID: secret.NewID(), UserID: u.ID, Type: "primary_password", Secret: hash, CreatedAt: h.now(), UpdatedAt: h.now(),
	}}
	h.change(x, func(tx tenant.Tx) error { return tx.CreateUser(u) })
	return u
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// metric reads one series; 0 when there is none.
func (h *house) metric(name string, labels ...string) float64 {
	h.t.Helper()
	families, err := h.registry.Gather()
	must(h.t, err)
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

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
