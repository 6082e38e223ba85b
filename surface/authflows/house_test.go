package authflows_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/graph"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/surface/authflows"
	"github.com/usher-id/usher/surface/flowapi"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

const password = "correct horse battery"

// house is this door and the flow API, whose runs it tells of, on a real
// database and a clock that the test moves. There are tenants acme and other.
type house struct {
	t        *testing.T
	server   *httptest.Server
	store    *store.Store
	admin    *admin.Service
	registry *prometheus.Registry

	mu         sync.Mutex
	time       time.Time
	statements []string // the groups of the statements since the last look
}

// onBoth runs a test in a house on each database.
func onBoth(t *testing.T, run func(h *house)) {
	t.Helper()
	testenv.Databases(t, func(t *testing.T, url string) { run(build(t, url)) })
}

func build(t *testing.T, url string) *house {
	t.Helper()
	h := &house{t: t, time: time.Now(), registry: prometheus.NewRegistry()}
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	metrics := flowengine.NewMetrics(h.registry, flowengine.MetricsOptions{})
	var err error
	h.store, err = store.Open(ctx, url, store.Options{OnQuery: func(group string, _ time.Duration, _ error) {
		if group == "tenant_read" { // the directory, following changes
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.statements = append(h.statements, group)
	}})
	must(t, err)
	t.Cleanup(func() { must(t, h.store.Close()) })
	must(t, h.store.Migrate(ctx))
	master, err := secret.OpenMaster(secret.NewMasterKey())
	must(t, err)
	hasher := secret.NewHasher(secret.HasherOptions{})
	t.Cleanup(hasher.Close)
	limiter := limit.SQL(h.store)
	hooks, err := hook.New(hook.Options{
		Store: h.store, Master: master, Guard: outbound.Guard{AllowPrivate: true}, Metrics: hook.NewMetrics(h.registry), Log: log, Now: h.now,
	})
	must(t, err)
	may, err := graph.May()
	must(t, err)
	h.admin = &admin.Service{
		Store: h.store, Master: master, Hasher: hasher, Now: h.now, Hooks: hooks, Limiter: limiter, May: may, OnCancel: metrics.FlowCancelled,
	}
	_, _, err = h.admin.EnsureAdminTenant(ctx, "admin.test")
	must(t, err)
	for _, slug := range []string{"acme", "other"} {
		_, err := h.admin.CreateTenant(ctx, admin.System, admin.NewTenant{Slug: slug, Hosts: []string{slug + ".test"}})
		must(t, err)
	}
	h.wait(time.Hour) // runs are younger than their tenant

	directory := tenant.NewDirectory(h.store, metrics.DirectoryHooks(func(error) {}), h.now)
	engine, err := flowengine.New(flowengine.Options{
		Store: h.store, Directory: directory, Limiter: limiter, Master: master, Hasher: hasher, Metrics: metrics, Log: log, Now: h.now,
		Outbox: noOutbox{}, Hooks: hooks, PublicURL: func(_ flowengine.Scheme, host, path string) string { return "https://" + host + path },
	})
	must(t, err)
	o := surface.Options{
		Tenants: directory, Dev: true, Log: log, Metrics: surface.NewMetrics(h.registry),
		Origins: func(context.Context, *tenant.Tenant) ([]string, error) { return nil, nil },
	}
	mux := http.NewServeMux()
	mux.Handle("/", flowapi.New(engine, o))
	records := authflows.New(h.admin, o)
	mux.Handle(authflows.Path, records)
	mux.Handle(authflows.Path+"/", records)
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)

	running, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- directory.Run(running) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	return h
}

type noOutbox struct{}

func (noOutbox) Wake() {}

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

func (h *house) tenant(slug string) *tenant.Tenant {
	h.t.Helper()
	t, err := h.store.TenantBySlug(context.Background(), slug)
	must(h.t, err)
	return t
}

// key makes an API key.
func (h *house) key(slug string, role tenant.Role) string {
	h.t.Helper()
	key, _, err := h.admin.CreateAPIKey(context.Background(), admin.System, slug, admin.NewAPIKey{Name: "support desk", Role: role})
	must(h.t, err)
	return key
}

// answer is what a request was answered with.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// send makes a request; key "" is none.
func (h *house) send(method, slug, path, key, body string, headers ...string) *answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, strings.NewReader(body))
	must(h.t, err)
	r.Host = slug + ".test"
	r.Header.Set("User-Agent", "agent/1")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := h.server.Client().Do(r)
	must(h.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	must(h.t, err)
	a := &answer{t: h.t, status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if resp.Header.Get("Content-Type") != "application/json" {
		h.t.Fatalf("%s %s: %s: %s", method, path, resp.Header.Get("Content-Type"), raw)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	must(h.t, d.Decode(&a.body))
	if d.More() {
		h.t.Fatalf("%s %s: more than one answer: %s", method, path, raw)
	}
	return a
}

func (h *house) get(slug, path, key string) *answer {
	h.t.Helper()
	return h.send("GET", slug, authflows.Path+path, key, "")
}

func (h *house) post(slug, path, key string) *answer {
	h.t.Helper()
	return h.send("POST", slug, authflows.Path+path, key, "")
}

// flow calls the flow API.
func (h *house) flow(slug, path string, body any, headers ...string) *answer {
	h.t.Helper()
	raw, err := json.Marshal(body)
	must(h.t, err)
	return h.send("POST", slug, "/api/v1/authentication_flows"+path, "", string(raw), append(headers, "Content-Type", "application/json")...)
}

type obj = map[string]any

// begin starts a login with inputs and answers its id and state token.
func (h *house) begin(slug string, inputs ...obj) (id, token string) {
	h.t.Helper()
	a := h.flow(slug, "", obj{"type": "login", "batch_input": append([]obj{}, inputs...)})
	return a.ok().str("result", "id"), a.str("result", "state_token")
}

func (h *house) input(slug, token string, input obj) *answer {
	h.t.Helper()
	return h.flow(slug, "/states/input", obj{"state_token": token, "input": input})
}

var (
	ada    = obj{"identification": "email", "login_id": "ada@example.com"}
	proves = obj{"authentication": "primary_password", "password": password}
	fails  = obj{"authentication": "primary_password", "password": "wrong"}
)

// signUp makes the user ada and answers the run and the session token.
func (h *house) signUp(slug string) (id, session string) {
	h.t.Helper()
	a := h.flow(slug, "", obj{"type": "signup", "session": "token", "batch_input": []obj{ada, {"authentication": "primary_password", "new_password": password}}}).ok()
	return a.str("result", "id"), a.str("result", "action", "data", "session_token")
}

func (h *house) session(slug, token string) *answer {
	h.t.Helper()
	return h.send("GET", slug, "/api/v1/session", token, "")
}

// at reads a value by keys and indexes.
func (a *answer) at(path ...any) any {
	var v any = a.body
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

func (a *answer) str(path ...any) string { s, _ := a.at(path...).(string); return s }

func (a *answer) ok() *answer {
	a.t.Helper()
	if a.status != 200 {
		a.t.Fatalf("%d %s", a.status, a.raw)
	}
	return a
}

// refuses demands a code with its status, and the three keys of an error.
func (a *answer) refuses(status int, code string) *answer {
	a.t.Helper()
	if a.status != status || a.str("status") != "error" || a.str("code") != code || a.str("message") == "" || len(a.body) != 3 {
		a.t.Errorf("want %d %s, got %d %s", status, code, a.status, a.raw)
	}
	return a
}

// stands demands that a record has a status.
func (h *house) stands(slug, id, key, status string) *answer {
	h.t.Helper()
	a := h.get(slug, "/"+id, key).ok()
	if a.str("summary", "status") != status {
		h.t.Errorf("want a record that is %s, got %s", status, a.raw)
	}
	return a
}

func (h *house) metric(name string, labels map[string]string) float64 {
	h.t.Helper()
	families, err := h.registry.Gather()
	must(h.t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if want, ok := labels[l.GetName()]; ok && want != l.GetValue() {
					continue series
				}
			}
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
