package authflows_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/graph"
	"github.com/usher-id/usher/surface/authflows"
	"github.com/usher-id/usher/surface/flowapi"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
	"github.com/usher-id/usher/testenv/housetest"
)

const password = "correct horse battery"

// house is this door and the flow API, whose runs it tells of, with everything
// behind them. There are tenants acme and other.
type house struct {
	*housetest.House
	server *httptest.Server
	admin  *admin.Service
}

// onBoth runs a test in a house on each database.
func onBoth(t *testing.T, run func(h *house)) {
	t.Helper()
	testenv.Databases(t, func(t *testing.T, url string) { run(build(t, url)) })
}

func build(t *testing.T, url string) *house {
	t.Helper()
	h := &house{House: housetest.Build(t, url, func(o *housetest.Options) { o.Doors.Dev = true })}
	may, err := graph.May()
	must(t, err)
	h.admin = &admin.Service{
		Store: h.Store, Master: h.Master, Hasher: h.Hasher, Now: h.Now, Hooks: h.Hooks, Limiter: h.Limiter, May: may, OnCancel: h.Metrics.FlowCancelled,
	}
	_, _, err = h.admin.EnsureAdminTenant(t.Context(), "admin.test")
	must(t, err)
	for _, slug := range []string{"acme", "other"} {
		_, err := h.admin.CreateTenant(t.Context(), admin.System, admin.NewTenant{Slug: slug, Hosts: []string{slug + ".test"}})
		must(t, err)
	}
	h.Wait(time.Hour) // runs are younger than their tenant
	mux := http.NewServeMux()
	mux.Handle("/", flowapi.New(h.Engine, h.Doors))
	records := authflows.New(h.admin, h.Doors)
	mux.Handle(authflows.Path, records)
	mux.Handle(authflows.Path+"/", records)
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	return h
}

func (h *house) tenant(slug string) *tenant.Tenant {
	h.T.Helper()
	t, err := h.Store.TenantBySlug(context.Background(), slug)
	must(h.T, err)
	return t
}

// key makes an API key.
func (h *house) key(slug string, role tenant.Role) string {
	h.T.Helper()
	key, _, err := h.admin.CreateAPIKey(context.Background(), admin.System, slug, admin.NewAPIKey{Name: "support desk", Role: role})
	must(h.T, err)
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
	h.T.Helper()
	r, err := http.NewRequestWithContext(h.T.Context(), method, h.server.URL+path, strings.NewReader(body))
	must(h.T, err)
	r.Host = slug + ".test"
	r.Header.Set("User-Agent", "agent/1")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := h.server.Client().Do(r)
	must(h.T, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	must(h.T, err)
	a := &answer{t: h.T, status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if resp.Header.Get("Content-Type") != "application/json" {
		h.T.Fatalf("%s %s: %s: %s", method, path, resp.Header.Get("Content-Type"), raw)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	must(h.T, d.Decode(&a.body))
	if d.More() {
		h.T.Fatalf("%s %s: more than one answer: %s", method, path, raw)
	}
	return a
}

func (h *house) get(slug, path, key string) *answer {
	h.T.Helper()
	return h.send("GET", slug, authflows.Path+path, key, "")
}

func (h *house) post(slug, path, key string) *answer {
	h.T.Helper()
	return h.send("POST", slug, authflows.Path+path, key, "")
}

// flow calls the flow API.
func (h *house) flow(slug, path string, body any, headers ...string) *answer {
	h.T.Helper()
	raw, err := json.Marshal(body)
	must(h.T, err)
	return h.send("POST", slug, "/api/v1/authentication_flows"+path, "", string(raw), append(headers, "Content-Type", "application/json")...)
}

type obj = map[string]any

// begin starts a login with inputs and answers its id and state token.
func (h *house) begin(slug string, inputs ...obj) (id, token string) {
	h.T.Helper()
	a := h.flow(slug, "", obj{"type": "login", "batch_input": append([]obj{}, inputs...)})
	return a.ok().str("result", "id"), a.str("result", "state_token")
}

func (h *house) input(slug, token string, input obj) *answer {
	h.T.Helper()
	return h.flow(slug, "/states/input", obj{"state_token": token, "input": input})
}

var (
	ada    = obj{"identification": "email", "login_id": "ada@example.com"}
	proves = obj{"authentication": "primary_password", "password": password}
	fails  = obj{"authentication": "primary_password", "password": "wrong"}
)

// signUp makes the user ada and answers the run and the session token.
func (h *house) signUp(slug string) (id, session string) {
	h.T.Helper()
	a := h.flow(slug, "", obj{"type": "signup", "session": "token", "batch_input": []obj{ada, {"authentication": "primary_password", "new_password": password}}}).ok()
	return a.str("result", "id"), a.str("result", "action", "data", "session_token")
}

func (h *house) session(slug, token string) *answer {
	h.T.Helper()
	return h.send("GET", slug, "/api/v1/session", token, "")
}

// at reads a value by keys and indexes.
func (a *answer) at(path ...any) any { return housetest.At(a.body, path...) }

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
	h.T.Helper()
	a := h.get(slug, "/"+id, key).ok()
	if a.str("summary", "status") != status {
		h.T.Errorf("want a record that is %s, got %s", status, a.raw)
	}
	return a
}

func (h *house) metric(name string, labels map[string]string) float64 {
	h.T.Helper()
	families, err := h.Registry.Gather()
	must(h.T, err)
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
	housetest.Must(t, err)
}
