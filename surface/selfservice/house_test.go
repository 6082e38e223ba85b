package selfservice_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/surface/flowapi"
	"github.com/usher-id/usher/surface/selfservice"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// house is the door with everything behind it and the flow API beside it, on a
// real database and a clock that the test moves. Tenants answer to
// <slug>.localhost, and have pages below /ui/.
type house struct {
	t         *testing.T
	server    *httptest.Server
	port      string
	store     *store.Store
	engine    *flowengine.Engine
	master    *secret.Master
	hasher    *secret.Hasher
	inbox     *deliver.Worker // reads messages, and sends none
	registry  *prometheus.Registry
	page      atomic.Pointer[http.HandlerFunc] // what the tenants' pages show
	mu        sync.Mutex
	time      time.Time
	partition uint32
}

func build(t *testing.T, database string) *house {
	t.Helper()
	h := &house{t: t, time: time.Now(), registry: prometheus.NewRegistry()}
	h.shows(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a page") })
	log := slog.New(slog.DiscardHandler)
	metrics := flowengine.NewMetrics(h.registry, flowengine.MetricsOptions{})
	ctx := context.Background()
	var err error
	h.store, err = store.Open(ctx, database, store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, h.store.Close()) })
	must(t, h.store.Migrate(ctx))
	h.master, err = secret.OpenMaster(secret.NewMasterKey())
	must(t, err)
	h.hasher = secret.NewHasher(secret.HasherOptions{Workers: 2, Queue: 64})
	t.Cleanup(h.hasher.Close)
	directory := tenant.NewDirectory(h.store, metrics.DirectoryHooks(func(error) {}), h.now)
	hooks, err := hook.New(hook.Options{
		Store: h.store, Master: h.master, Guard: outbound.Guard{AllowPrivate: true}, Metrics: hook.NewMetrics(h.registry), Log: log, Now: h.now,
	})
	must(t, err)
	h.engine, err = flowengine.New(flowengine.Options{
		Store: h.store, Directory: directory, Limiter: limit.SQL(h.store), Master: h.master, Hasher: h.hasher, Metrics: metrics, Log: log, Now: h.now,
		Outbox: noOutbox{}, Hooks: hooks, PublicURL: func(_ flowengine.Scheme, host, path string) string { return h.origin(host) + path },
	})
	must(t, err)
	h.inbox = deliver.New(deliver.Options{
		Store: h.store, Master: h.master, Log: log, Now: h.now, Tenant: directory.ByID, Config: h.engine.Config, Dev: true,
		PublicURL: func(host, path string) string { return h.origin(host) + path },
	})
	options := surface.Options{
		Tenants: directory, Dev: true, Log: log, Metrics: surface.NewMetrics(h.registry),
		Origins: func(ctx context.Context, x *tenant.Tenant) ([]string, error) {
			cfg, err := h.engine.Config(ctx, x)
			if err != nil {
				return nil, err
			}
			return cfg.Web.AllowedOrigins, nil
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/", flowapi.New(h.engine, options))
	door := selfservice.New(h.engine, options)
	for _, path := range selfservice.Paths {
		mux.Handle(path, door)
	}
	mux.HandleFunc("/ui/", func(w http.ResponseWriter, r *http.Request) { (*h.page.Load()).ServeHTTP(w, r) })
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	_, h.port, err = net.SplitHostPort(h.server.Listener.Addr().String())
	must(t, err)
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- directory.Run(running) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	return h
}

func (h *house) shows(page http.HandlerFunc) { h.page.Store(&page) }

// onBoth runs a test in a house on each database.
func onBoth(t *testing.T, run func(t *testing.T, h *house)) {
	t.Helper()
	testenv.Databases(t, func(t *testing.T, url string) { run(t, build(t, url)) })
}

func (h *house) origin(host string) string { return "http://" + host + ":" + h.port }

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

// tenant makes a tenant with pages of its own.
func (h *house) tenant(slug string, change ...func(*tenant.Config)) *tenant.Tenant {
	h.t.Helper()
	host := slug + ".localhost"
	cfg := tenant.DefaultConfig()
	cfg.PasswordPolicy.BreachedCheck = false
	cfg.OTP.ResendCooldownSeconds = 1
	cfg.Web.ReturnURLs = []string{h.origin(host) + "/ui/welcome"}
	at := h.origin(host) + "/ui/"
	cfg.SelfService = tenant.SelfService{
		LoginURL: at + "login", RegistrationURL: at + "registration", RecoveryURL: at + "recovery", VerificationURL: at + "verification",
		SettingsURL: at + "settings", ErrorURL: at + "error", DefaultReturnURL: at + "home", VerifyAfterRegistration: true,
	}
	for _, c := range change {
		c(cfg)
	}
	if problems := tenant.CheckConfig(cfg); len(problems) > 0 {
		h.t.Fatal(problems)
	}
	document, err := json.Marshal(cfg)
	must(h.t, err)
	sum := sha256.Sum256(document)
	key, err := h.master.NewTenantKey()
	must(h.t, err)
	h.partition++
	x := &tenant.Tenant{
		ID: secret.NewID(), Slug: slug, Name: slug, State: tenant.Active, Hosts: []string{host}, Partition: h.partition, Key: key,
		Version: 1, CreatedAt: h.now(), ChangedAt: h.now(),
	}
	h.change(x, func(tx tenant.Tx) error {
		if err := tx.CreateTenant(x); err != nil {
			return err
		}
		return tx.CreateVersion(&tenant.Version{TenantID: x.ID, Number: 1, Document: document, Hash: hex.EncodeToString(sum[:]), CreatedAt: h.now()})
	})
	return x
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

// user imports a user with a password and an address, which isn't verified.
func (h *house) user(x *tenant.Tenant, email, password string, change ...func(*tenant.UserRecord)) *tenant.UserRecord {
	h.t.Helper()
	hash, err := h.hasher.Hash(context.Background(), tenant.DefaultConfig().Authenticators.Password, password)
	must(h.t, err)
	now := h.now()
	u := &tenant.UserRecord{User: tenant.User{TenantID: x.ID, ID: secret.NewID(), State: tenant.UserActive, CreatedAt: now, UpdatedAt: now}}
	u.Identities = []tenant.Identity{{
		TenantID: x.ID, ID: secret.NewID(), UserID: u.ID, Claim: tenant.Claim{Kind: "email", Value: email}, Shown: email, CreatedAt: now,
	}}
	u.Authenticators = []tenant.Authenticator{{
		TenantID: x.ID, ID: secret.NewID(), UserID: u.ID, Type: "primary_password", Secret: hash, CreatedAt: now, UpdatedAt: now,
	}}
	for _, c := range change {
		c(u)
	}
	h.change(x, func(tx tenant.Tx) error { return tx.CreateUser(u) })
	return u
}

// verified says whether an address of a user is.
func (h *house) verified(u *tenant.UserRecord) bool {
	h.t.Helper()
	now, err := h.store.User(context.Background(), u.TenantID, u.ID)
	must(h.t, err)
	return !now.Identities[0].VerifiedAt.IsZero()
}

// code is the newest code that was sent to an address; "" when there is none.
func (h *house) code(x *tenant.Tenant, to string) string {
	h.t.Helper()
	list, err := h.store.Messages(context.Background(), x.ID, tenant.MessageFilter{To: to}, tenant.Page{Limit: 1})
	must(h.t, err)
	if len(list) == 0 {
		return ""
	}
	cfg, err := h.engine.Config(context.Background(), x)
	must(h.t, err)
	r, err := h.inbox.Read(x, cfg, list[0])
	must(h.t, err)
	return r.Code
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noOutbox leaves messages where they are.
type noOutbox struct{}

func (noOutbox) Wake() {}
