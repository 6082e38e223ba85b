package graph_test

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

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/graph"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// world is a served admin API on a real database, with the tenants admin, acme
// and other.
type world struct {
	t       *testing.T
	store   *store.Store
	master  *secret.Master
	url     string
	tenants map[string]*tenant.Tenant
	keys    map[string]string // by slug and role, such as acme/owner

	session string // of the user whom every cookie stands for; "" for none

	mu         sync.Mutex
	logged     bytes.Buffer
	rejected   []string
	operations []string
}

func newWorld(t *testing.T, url string, change ...func(*graph.Options)) *world {
	t.Helper()
	w := &world{t: t, tenants: map[string]*tenant.Tenant{}, keys: map[string]string{}}
	s, err := store.Open(t.Context(), url, store.Options{})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	must(t, s.Migrate(t.Context()))
	w.store = s
	master, err := secret.OpenMaster(secret.NewMasterKey())
	must(t, err)
	hasher := secret.NewHasher(secret.HasherOptions{})
	t.Cleanup(hasher.Close)
	service := &admin.Service{Store: s, Master: master, Hasher: hasher, Now: time.Now, Limiter: limit.SQL(s)}
	w.master = master
	service.Messages = deliver.New(deliver.Options{
		Store: s, Master: master, Limiter: limit.SQL(s), Log: slog.New(slog.DiscardHandler),
		PublicURL: func(host, path string) string { return "https://" + host + path },
	})
	service.Hooks, err = hook.New(hook.Options{
		Store: s, Master: master, Guard: outbound.Guard{AllowPrivate: true}, Metrics: hook.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	for i, slug := range []string{"admin", "acme", "other"} {
		key, err := master.NewTenantKey()
		must(t, err)
		w.seed(&tenant.Tenant{
			ID: secret.NewID(), Slug: slug, Name: slug, State: tenant.Active, Hosts: []string{slug + ".localhost"},
			Partition: uint32(i + 1), Key: key, Version: 1, CreatedAt: time.Now(), ChangedAt: time.Now(),
		})
	}
	w.newKey("admin", tenant.Operator)
	for _, role := range []tenant.Role{tenant.Owner, tenant.Admin, tenant.Editor, tenant.Support, tenant.Viewer} {
		w.newKey("acme", role)
		w.newKey("other", role)
	}
	o := graph.Options{
		Admin: service, Store: s, Log: slog.New(slog.NewTextHandler(lockedWriter{w}, nil)),
		Session:  func(r *http.Request) (string, bool, error) { return w.session, w.session != "", nil },
		OnReject: func(reason string) { w.locked(func() { w.rejected = append(w.rejected, reason) }) },
		OnOperation: func(kind, outcome string, _ time.Duration) {
			w.locked(func() { w.operations = append(w.operations, kind+" "+outcome) })
		},
	}
	for _, c := range change {
		c(&o)
	}
	h, err := graph.NewHandler(o)
	must(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

type lockedWriter struct{ w *world }

func (l lockedWriter) Write(p []byte) (n int, err error) {
	l.w.locked(func() { n, err = l.w.logged.Write(p) })
	return n, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// change writes to the store, with the audit event that it insists on.
func (w *world) change(tenantID string, f func(tenant.Tx) error) {
	w.t.Helper()
	must(w.t, w.store.Change(context.Background(), func(tx tenant.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: tenantID, ID: secret.NewID(), At: time.Now(), Category: tenant.AuditSystem, Action: "test", Outcome: "success",
			ActorKind: tenant.ActorSystem, Detail: json.RawMessage("{}"),
		})
	}))
}

func (w *world) seed(t *tenant.Tenant) {
	w.t.Helper()
	doc, hash := document.Encode(tenant.DefaultConfig())
	w.change(t.ID, func(tx tenant.Tx) error {
		if err := tx.CreateTenant(t); err != nil {
			return err
		}
		return tx.CreateVersion(&tenant.Version{TenantID: t.ID, Number: 1, Document: doc, Hash: hash, Author: "test", CreatedAt: time.Now()})
	})
	w.tenants[t.Slug] = t
}

// newKey makes an API key and keeps it as slug/role.
func (w *world) newKey(slug string, role tenant.Role) *tenant.APIKey {
	w.t.Helper()
	key := secret.NewToken("usher_" + slug + "_")
	k := &tenant.APIKey{
		TenantID: w.tenants[slug].ID, ID: secret.NewID(), Name: string(role), Hash: secret.TokenHash(key), LastFour: key[len(key)-4:],
		Role: role, CreatedAt: time.Now(), CreatedBy: "test",
	}
	w.change(k.TenantID, func(tx tenant.Tx) error { return tx.CreateAPIKey(k) })
	w.keys[slug+"/"+string(role)] = key
	return k
}

// newUser makes a user with an e-mail address and answers their id.
func (w *world) newUser(slug, email string) string {
	w.t.Helper()
	u := &tenant.UserRecord{User: tenant.User{
		TenantID: w.tenants[slug].ID, ID: secret.NewID(), State: tenant.UserActive, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}}
	u.Identities = []tenant.Identity{{
		TenantID: u.TenantID, ID: secret.NewID(), UserID: u.ID, Claim: tenant.Claim{Kind: "email", Value: email}, Shown: email, CreatedAt: time.Now(),
	}}
	w.change(u.TenantID, func(tx tenant.Tx) error { return tx.CreateUser(u) })
	return u.ID
}

// newMessage puts a message with the code 135799 into the outbox and answers its id.
func (w *world) newMessage(slug, user string, status tenant.MessageStatus) string {
	w.t.Helper()
	t := w.tenants[slug]
	u, err := w.store.User(context.Background(), t.ID, user)
	must(w.t, err)
	now := time.Now()
	run := tenant.Run{TenantID: t.ID, ID: secret.NewPFID(t.Partition), Flow: tenant.FlowRef{Type: tenant.Login, Name: "default"}, Status: tenant.RunNew, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	code := tenant.Code{
		TenantID: t.ID, ID: secret.NewID(), RunID: run.ID, Purpose: tenant.PurposeVerify, Form: tenant.CodeForm6, Channel: "email",
		Target: u.Identities[0].Claim, MaxAttempts: 5, CreatedAt: now, ExpiresAt: now.Add(5 * time.Minute), Delivery: status,
	}
	m, err := deliver.Compose(w.master, t, tenant.DefaultConfig(), &code, "135799", "", secret.NewID(), false)
	must(w.t, err)
	must(w.t, w.store.Commit(context.Background(), &tenant.Commit{
		New: true, Run: run, State: tenant.FlowState{TenantID: t.ID, TokenHash: secret.NewToken(""), RunID: run.ID, CreatedAt: now},
		Codes: []tenant.Code{code}, Messages: []tenant.Message{*m},
	}))
	return m.ID
}

func (w *world) grant(userID string, role tenant.Role, domain string) {
	w.t.Helper()
	w.change(w.tenants["admin"].ID, func(tx tenant.Tx) error { return tx.PutGrant(tenant.Grant{UserID: userID, Role: role, Domain: domain}) })
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	raw    string
	Data   map[string]any
	Errors []struct {
		Message    string
		Path       []any
		Extensions struct{ Code, Reason, RequestID string }
	}
}

// reason is the first refusal's; empty when there is none.
func (a *answer) reason() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Reason
}

// at walks into the data by names and indices.
func (a *answer) at(path ...any) any {
	var v any = a.Data
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// ask sends a query with an API key (as in keys); vars are names and values.
func (w *world) ask(key, query string, vars map[string]any) *answer {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	must(w.t, err)
	return w.post(string(body), "Authorization", "Bearer "+w.keys[key])
}

// post sends a body with headers, given as names and values.
func (w *world) post(body string, headers ...string) *answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url, strings.NewReader(body))
	must(w.t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.send(r)
}

func (w *world) send(r *http.Request) *answer {
	w.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	must(w.t, err)
	a := &answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if err := json.Unmarshal(raw, a); err != nil {
		w.t.Fatalf("not JSON (%d): %s", resp.StatusCode, raw)
	}
	return a
}

func databases(t *testing.T, run func(t *testing.T, url string)) { testenv.Databases(t, run) }
