package flowapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv/housetest"
)

// request is one HTTP request; the zero value of a part is the usual one.
type request struct {
	method  string // POST
	host    string
	path    string // under /api/v1
	body    any    // a string as it is, anything else as JSON
	headers map[string]string
	plain   bool // over HTTP
}

// answer is what came back.
type answer struct {
	t       *testing.T
	status  int
	header  http.Header
	cookies map[string]*http.Cookie
	body    map[string]any
	raw     string
}

func (h *house) do(r request) answer {
	h.T.Helper()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		must(h.T, err)
		body = bytes.NewReader(raw)
	}
	if r.method == "" {
		r.method = http.MethodPost
	}
	q, err := http.NewRequest(r.method, h.server.URL+"/api/v1"+r.path, body)
	must(h.T, err)
	q.Host = r.host
	q.Header.Set("Content-Type", "application/json")
	if !r.plain {
		q.Header.Set("X-Forwarded-Proto", "https")
	}
	for k, v := range r.headers {
		q.Header.Set(k, v)
	}
	p, err := h.server.Client().Do(q)
	must(h.T, err)
	defer p.Body.Close()
	raw, err := io.ReadAll(p.Body)
	must(h.T, err)
	a := answer{t: h.T, status: p.StatusCode, header: p.Header, cookies: map[string]*http.Cookie{}, raw: string(raw)}
	for _, c := range p.Cookies() {
		a.cookies[c.Name] = c
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			h.T.Fatalf("%d %s: %v", p.StatusCode, raw, err)
		}
	}
	return a
}

// obj builds JSON objects tersely.
type obj = map[string]any

// begin starts a flow and post sends inputs to a state.
func (h *house) begin(x *tenant.Tenant, flowType string, with obj) answer {
	h.T.Helper()
	body := obj{"type": flowType, "name": "default"}
	maps.Copy(body, with)
	return h.do(request{host: x.Hosts[0], path: "/authentication_flows", body: body})
}

func (h *house) post(x *tenant.Tenant, token string, inputs ...obj) answer {
	h.T.Helper()
	return h.do(request{host: x.Hosts[0], path: "/authentication_flows/states/input", body: obj{"state_token": token, "batch_input": inputs}})
}

func (h *house) login(x *tenant.Tenant, email, password string, with obj) answer {
	h.T.Helper()
	body := obj{"batch_input": []obj{identify(email), authenticate(password)}}
	maps.Copy(body, with)
	return h.begin(x, "login", body)
}

func identify(email string) obj { return obj{"identification": "email", "login_id": email} }
func authenticate(password string) obj {
	return obj{"authentication": "primary_password", "password": password}
}
func create(password string) obj {
	return obj{"authentication": "primary_password", "new_password": password}
}

// at reads a value out of the answer by keys and indexes.
func (a answer) at(path ...any) any { return housetest.At(a.body, path...) }

func (a answer) str(path ...any) string { s, _ := a.at(path...).(string); return s }
func (a answer) token() string          { return a.str("result", "state_token") }

// asks demands an answer that asks for an action.
func (a answer) asks(action string) answer {
	a.t.Helper()
	if a.status != 200 || a.str("result", "action", "type") != action {
		a.t.Fatalf("want an answer that asks to %s, got %d %s", action, a.status, a.raw)
	}
	return a
}

// refuses demands a refusal.
func (a answer) refuses(status int, reason string) answer {
	a.t.Helper()
	if a.status != status || a.str("error", "reason") != reason || a.at("error", "code") != float64(status) || a.str("error", "tracking_id") != a.header.Get("X-Request-Id") {
		a.t.Fatalf("want %d %s, got %d %s", status, reason, a.status, a.raw)
	}
	return a
}

// because demands one cause of a refusal: where, and which rule.
func (a answer) because(location, kind string) answer {
	a.t.Helper()
	if l, k := a.at("error", "info", "causes", 0, "location"), a.at("error", "info", "causes", 0, "kind"); l != location || k != kind {
		a.t.Fatalf("want %q at %q, got %s", kind, location, a.raw)
	}
	return a
}
