package selfservice_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
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

// client is an app, or a browser with its cookies.
type client struct {
	*house
	x      *tenant.Tenant
	prefix string // "/auth", or none
	accept string
	token  string
	http   *http.Client
}

const (
	acceptJSON = "application/json"
	acceptHTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// app is a client without cookies.
func (h *house) app(x *tenant.Tenant) *client {
	return &client{house: h, x: x, accept: acceptJSON, http: h.dialer(nil)}
}

// browser is a client with cookies that follows redirects; scripted, it asks for
// documents instead.
func (h *house) browser(x *tenant.Tenant, scripted bool) *client {
	jar, err := cookiejar.New(nil)
	must(h.t, err)
	c := &client{house: h, x: x, accept: acceptHTML, http: h.dialer(jar)}
	if scripted {
		c.accept = acceptJSON
	}
	return c
}

// dialer finds the server at every host below localhost.
func (h *house) dialer(jar http.CookieJar) *http.Client {
	return &http.Client{Jar: jar, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, h.server.Listener.Addr().String())
		},
	}}
}

// answer is what came back, from where a browser was sent to.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	at     *url.URL
	body   map[string]any
	list   []any
	raw    string
}

func (c *client) get(path string) answer { return c.do(http.MethodGet, path, nil) }

// post sends JSON, or as a browser without scripts does a form.
func (c *client) post(path string, fields obj) answer { return c.do(http.MethodPost, path, fields) }

func (c *client) do(method, path string, fields obj, headers ...string) answer {
	c.t.Helper()
	var body io.Reader
	media := ""
	switch {
	case fields == nil:
	case c.accept == acceptHTML:
		values := url.Values{}
		for k, v := range fields {
			values.Set(k, v.(string))
		}
		body, media = strings.NewReader(values.Encode()), "application/x-www-form-urlencoded"
	default:
		raw, err := json.Marshal(fields)
		must(c.t, err)
		body, media = bytes.NewReader(raw), "application/json"
	}
	if strings.HasPrefix(path, "/") {
		path = c.origin(c.x.Hosts[0]) + c.prefix + path
	}
	q, err := http.NewRequestWithContext(c.t.Context(), method, path, body)
	must(c.t, err)
	q.Header.Set("Accept", c.accept)
	if media != "" {
		q.Header.Set("Content-Type", media)
	}
	if c.token != "" {
		q.Header.Set("X-Session-Token", c.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	p, err := c.http.Do(q)
	must(c.t, err)
	defer p.Body.Close()
	raw, err := io.ReadAll(p.Body)
	must(c.t, err)
	a := answer{t: c.t, status: p.StatusCode, header: p.Header, at: p.Request.URL, raw: string(raw)}
	if strings.HasPrefix(p.Header.Get("Content-Type"), "application/json") {
		if len(raw) > 0 && raw[0] == '[' {
			must(c.t, json.Unmarshal(raw, &a.list))
		} else {
			must(c.t, json.Unmarshal(raw, &a.body))
		}
	}
	return a
}

// begin begins a flow: for a browser on its page, whose document is read then.
func (c *client) begin(kind, query string) answer {
	c.t.Helper()
	typ := "browser"
	if c.http.Jar == nil {
		typ = "api"
	}
	a := c.get("/self-service/" + kind + "/" + typ + query)
	if c.accept == acceptHTML {
		return c.onPage(a, kind)
	}
	return a.is(200)
}

// onPage reads the flow of the page that a browser was sent to.
func (c *client) onPage(a answer, kind string) answer {
	c.t.Helper()
	if a.status != 200 || a.at.Path != "/ui/"+kind || a.at.Query().Get("flow") == "" {
		c.t.Fatalf("the browser is not on the page %s but at %s: %d %s", kind, a.at, a.status, a.raw)
	}
	return c.get("/self-service/" + kind + "/flows?id=" + a.at.Query().Get("flow")).is(200)
}

// submit fills a flow's form in, with what is hidden in it.
func (c *client) submit(f answer, fields obj) answer {
	c.t.Helper()
	all := obj{}
	for _, n := range f.list0("ui", "nodes") {
		at := n.(obj)["attributes"].(obj)
		if at["type"] == "hidden" {
			all[at["name"].(string)] = at["value"]
		}
	}
	for k, v := range fields {
		all[k] = v
	}
	return c.do(http.MethodPost, f.str("ui", "action"), all)
}

type obj = map[string]any

// find reads a value by keys and indexes.
func (a answer) find(path ...any) any {
	var v any = a.body
	if a.list != nil {
		v = a.list
	}
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := v.(obj)
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

func (a answer) str(path ...any) string  { s, _ := a.find(path...).(string); return s }
func (a answer) list0(path ...any) []any { l, _ := a.find(path...).([]any); return l }

// is demands a status.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("want %d, got %d at %s: %s", status, a.status, a.at, a.raw)
	}
	return a
}

// refuses demands an error in the seed document's shape.
func (a answer) refuses(status int, id string) answer {
	a.t.Helper()
	if a.is(status); a.str("error", "id") != id || a.find("error", "code") != float64(status) || a.str("error", "status") != http.StatusText(status) ||
		a.str("error", "message") == "" || a.str("error", "request") != a.header.Get("X-Request-Id") || id != a.header.Get("Ory-Error-Id") {
		a.t.Fatalf("want %d %q, got %s", status, id, a.raw)
	}
	return a
}

// stands demands a flow's state and the messages of its form.
func (a answer) stands(state string, messages ...int) answer {
	a.t.Helper()
	if a.str("state") != state {
		a.t.Fatalf("want the state %s, got %s", state, a.raw)
	}
	return a.tells("", messages...)
}

// tells demands the messages of a node, or of the form.
func (a answer) tells(name string, ids ...int) answer {
	a.t.Helper()
	list := a.list0("ui", "messages")
	if name != "" {
		list, _ = a.node(name)["messages"].([]any)
	}
	if len(list) != len(ids) {
		a.t.Fatalf("want messages %v at %q, got %v", ids, name, list)
	}
	for i, id := range ids {
		if m := list[i].(obj); m["id"] != float64(id) || m["text"] == "" {
			a.t.Fatalf("want messages %v at %q, got %v", ids, name, list)
		}
	}
	return a
}

// node is the first node of a name; empty when there is none.
func (a answer) node(name string) obj {
	for _, n := range a.list0("ui", "nodes") {
		if at := n.(obj)["attributes"].(obj); at["name"] == name || at["id"] == name {
			return n.(obj)
		}
	}
	return obj{}
}

// asks lists the names of the nodes, with the values of buttons.
func (a answer) asks() string {
	var out []string
	for _, n := range a.list0("ui", "nodes") {
		at := n.(obj)["attributes"].(obj)
		name, _ := at["name"].(string)
		if name == "" {
			name, _ = at["id"].(string)
		}
		if at["type"] == "submit" {
			name += "=" + at["value"].(string)
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
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
