package graph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/usher-id/usher/graph"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// TestBadRequests: what isn't a GraphQL request gets a 4xx and a reason.
func TestBadRequests(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	key := "Bearer " + w.keys["admin/operator"]
	deep := "{ tenant(slug: \"acme\") { config { flows { loginFlows { steps " + strings.Repeat("{ oneOf { steps ", 40) + "{ name }" + strings.Repeat(" } }", 40) + " } } } } }"
	var aliases strings.Builder
	for i := range 31 {
		fmt.Fprintf(&aliases, "a%d: viewer { id } ", i)
	}
	bomb := "fragment f0 on Query { viewer { id } }"
	for i := range 30 {
		bomb += fmt.Sprintf(" fragment f%d on Query { ...f%d ...f%d a%d: viewer { id } }", i+1, i, i, i)
	}
	for _, c := range []struct {
		name, body string
		headers    []string
		status     int
		reason     string
		counted    string
	}{
		{"no JSON", `{"query":`, nil, 400, "ValidationFailed", "parse"},
		{"empty", ``, nil, 400, "ValidationFailed", "parse"},
		{"not an object", `"query"`, nil, 400, "ValidationFailed", "parse"},
		{"wrong type", `{"query": 7}`, nil, 400, "ValidationFailed", "parse"},
		{"wrong variables", `{"query": "{ viewer { id } }", "variables": []}`, nil, 400, "ValidationFailed", "parse"},
		{"two objects", `{"query":"{ viewer { id } }"}{}`, nil, 400, "ValidationFailed", "parse"},
		{"a batch", ` [{"query":"{ viewer { id } }"}]`, nil, 400, "ValidationFailed", "parse"},
		{"no query", `{}`, nil, 400, "ValidationFailed", "parse"},
		{"no GraphQL", `{"query":"{"}`, nil, 400, "ValidationFailed", "parse"},
		{"unknown field", `{"query":"{ nothing }"}`, nil, 400, "ValidationFailed", "parse"},
		{"unknown operation", `{"query":"query a { viewer { id } }", "operationName": "b"}`, nil, 400, "ValidationFailed", "parse"},
		{"wrong argument", `{"query":"{ tenant(slug: 7) { id } }"}`, nil, 400, "ValidationFailed", "parse"},
		{"missing variable", `{"query":"query($s: String!) { tenant(slug: $s) { id } }"}`, nil, 400, "ValidationFailed", "parse"},
		{"subscription", `{"query":"subscription { viewer { id } }"}`, nil, 400, "ValidationFailed", "parse"},
		{"form", `query={viewer{id}}`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "UnsupportedMediaType", "parse"},
		{"plain text", `{"query":"{ viewer { id } }"}`, []string{"Content-Type", "text/plain"}, 415, "UnsupportedMediaType", "parse"},
		{"no type", `{}`, []string{"Content-Type", ""}, 415, "UnsupportedMediaType", "parse"},
		{"too deep", ask(deep), nil, 413, "QueryTooComplex", "depth"},
		{"too many aliases", ask("{ " + aliases.String() + " }"), nil, 413, "QueryTooComplex", "cost"},
		{"fragments of fragments", ask(bomb + " { ...f30 }"), nil, 413, "QueryTooComplex", "cost"},
		{"too costly", ask(`{ tenants(first: 100) { nodes { users(first: 100) { nodes { id } } } } }`), nil, 413, "QueryTooComplex", "cost"},
		{"too costly, by a variable", `{"query":"query($n: Int!) { tenants(first: $n) { nodes { users(first: $n) { nodes { id } } } } }","variables":{"n":100}}`, nil, 413, "QueryTooComplex", "cost"},
		{"too many tokens", ask("{ " + strings.Repeat("viewer { id } ", 2000) + "}"), nil, 413, "QueryTooComplex", "cost"},
		{"a cycle", ask("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"), nil, 400, "ValidationFailed", "parse"},
		{"introspection", ask("{ __schema { types { name } } }"), nil, 403, "Forbidden", "forbidden"},
		{"hidden introspection", ask("{ ...f } fragment f on Query { __type(name: \"User\") { name } }"), nil, 403, "Forbidden", "forbidden"},
	} {
		w.rejected = nil
		a := w.post(c.body, append([]string{"Authorization", key}, c.headers...)...)
		if a.status != c.status || a.reason() != c.reason || a.Errors[0].Extensions.RequestID == "" {
			t.Errorf("%s: %d %.500s", c.name, a.status, a.raw)
		}
		if !slices.Equal(w.rejected, []string{c.counted}) {
			t.Errorf("%s: counted as %v", c.name, w.rejected)
		}
	}
	if len(w.operations) != 0 {
		t.Errorf("something was executed: %v", w.operations)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		r, err := http.NewRequestWithContext(t.Context(), method, w.url+"?query={viewer{id}}", http.NoBody)
		must(t, err)
		r.Header.Set("Authorization", key)
		if a := w.send(r); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: %d", method, a.status)
		}
	}
}

func ask(query string) string {
	b, _ := json.Marshal(map[string]string{"query": query})
	return string(b)
}

// TestBadArguments: what the types can't say is refused with a reason too.
func TestBadArguments(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	for _, args := range []string{"first: 0", "first: -1", "first: 101", "first: 2147483648", `after: ""`, `after: "%"`} {
		a := w.ask("admin/operator", "{ tenants("+args+") { nodes { id } } }", nil)
		if a.reason() != "ValidationFailed" {
			t.Errorf("%s: %s", args, a.raw)
		}
	}
	for _, v := range []any{"x", 1.5, json.Number("99999999999999999999"), true, []int{1}, map[string]any{}} {
		a := w.ask("admin/operator", "query($n: Int!) { tenants(first: $n) { nodes { id } } }", map[string]any{"n": v})
		if a.reason() != "ValidationFailed" && a.reason() != "QueryTooComplex" {
			t.Errorf("%v: %s", v, a.raw)
		}
	}
	for _, input := range []map[string]any{
		{"tenant": "acme", "minimumLength": "x"},
		{"tenant": "acme", "minimumLength": 1.5},
		{"tenant": "acme", "excludedKeywords": []any{1, map[string]any{}}},
		{"tenant": "acme", "excludedKeywords": map[string]any{}},
		{"tenant": "acme", "digitRequired": "yes"},
		{"tenant": "acme", "digitRequired": []any{}},
		{"tenant": "acme", "unknown": true},
		{"tenant": nil},
		{"tenant": "acme", "expectedVersion": json.Number("9223372036854775808")},
		{"tenant": "acme", "expectedVersion": "x"},
		{"tenant": "acme", "autoPublish": 1},
	} {
		a := w.ask("acme/owner", `mutation($i: UpdatePasswordPolicyInput!) { updatePasswordPolicy(input: $i) { userErrors { reason } } }`, map[string]any{"i": input})
		if a.reason() != "ValidationFailed" {
			t.Errorf("%v: %s", input, a.raw)
		}
	}
	a := w.ask("acme/owner", `{ tenant(slug: "acme") { auditLog(filter: {since: "yesterday"}) { nodes { id } } } }`, nil)
	if a.reason() != "ValidationFailed" {
		t.Errorf("since: %s", a.raw)
	}
}

func TestBodySize(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	size := func(caller, query string, variables any, n int) *answer {
		t.Helper()
		b, err := json.Marshal(map[string]any{"query": query, "variables": variables})
		must(t, err)
		return w.post(string(b)+strings.Repeat(" ", max(n-len(b), 0)), "Authorization", "Bearer "+w.keys[caller])
	}
	const viewer = "{ viewer { id } }"
	if a := size("acme/owner", viewer, nil, graph.MaxBody); a.status != 200 {
		t.Errorf("at the limit: %d %s", a.status, a.raw)
	}
	for _, caller := range []string{"acme/viewer", "acme/owner", "admin/operator"} {
		if a := size(caller, viewer, nil, graph.MaxBody+1); a.status != 413 || a.reason() != "RequestTooLarge" {
			t.Errorf("%s over the limit: %d %s", caller, a.status, a.raw)
		}
	}
	const check = "mutation($i: ImportUsersInput!) { importUsers(input: $i) { userErrors { reason } } }"
	input := map[string]any{"i": map[string]any{"tenant": "acme", "format": "USHER", "document": "nonsense", "dryRun": true}}
	if a := size("acme/owner", check, input, 2*graph.MaxBody); a.status != 200 {
		t.Errorf("a document: %d %s", a.status, a.raw)
	}
	if a := size("acme/owner", check, input, graph.MaxDocument+1); a.status != 413 {
		t.Errorf("too large a document: %d %s", a.status, a.raw)
	}
	if a := size("acme/viewer", check, input, 2*graph.MaxBody); a.status != 413 {
		t.Errorf("a document of somebody who may not: %d %s", a.status, a.raw)
	}
}

// TestCSRF: another site can't make a browser change or read anything.
func TestCSRF(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	w.session = w.newUser("admin", "boss@example.com")
	w.grant(w.session, tenant.Operator, tenant.PlatformDomain)
	read := ask("{ viewer { id } }")
	change := ask(`mutation { createTenant(input: {slug: "x", name: "x", hosts: ["x.localhost"]}) { tenant { id } } }`)
	for _, c := range []struct {
		name, body string
		headers    []string
		status     int
	}{
		{"reading from here", read, []string{"Origin", w.url}, 200},
		{"reading without an origin", read, nil, 200},
		{"reading from elsewhere", read, []string{"Origin", "https://evil.example"}, 403},
		{"reading from null", read, []string{"Origin", "null"}, 403},
		{"changing without an origin", change, nil, 403},
		{"changing from elsewhere", change, []string{"Origin", "https://evil.example"}, 403},
		{"changing from a host that only begins so", change, []string{"Origin", w.url + ".evil.example"}, 403},
		{"changing from null", change, []string{"Origin", "null"}, 403},
		{"changing by a form", change, []string{"Origin", w.url, "Content-Type", "text/plain"}, 415},
		{"changing by a key from elsewhere", change, []string{"Origin", "https://tool.example", "Authorization", "Bearer " + w.keys["admin/operator"]}, 200},
	} {
		if a := w.post(c.body, c.headers...); a.status != c.status {
			t.Errorf("%s: %d %s", c.name, a.status, a.raw)
		}
	}
	if a := w.post(change, "Origin", w.url); a.status != 200 {
		t.Errorf("changing from here: %d %s", a.status, a.raw)
	}
	// A bad key isn't made good by a cookie.
	if a := w.post(read, "Authorization", "Bearer nonsense"); a.status != 401 {
		t.Errorf("bad key with a cookie: %d", a.status)
	}
}

// TestInternalErrorsStayInside: what went wrong is in the log, under the
// request's id, and not in the answer.
func TestInternalErrorsStayInside(t *testing.T) {
	const inner = "connection to 10.0.0.7 refused"
	w := newWorld(t, sqliteURL(t), func(o *graph.Options) {
		o.Session = func(*http.Request) (string, bool, error) { return "", false, errors.New(inner) }
	})
	a := w.post(ask("{ viewer { id } }"))
	if a.status != 500 || a.reason() != "InternalError" || strings.Contains(a.raw, inner) {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if log := w.logged.String(); !strings.Contains(log, inner) || !strings.Contains(log, a.Errors[0].Extensions.RequestID) {
		t.Errorf("log: %s", log)
	}

	// In a resolver: a version that can't be read, and a panic.
	acme := w.tenants["acme"].ID
	w.change(acme, func(tx tenant.Tx) error {
		return tx.CreateVersion(&tenant.Version{TenantID: acme, Number: 2, Document: []byte(`{"no such section": {}}`), Hash: "x", CreatedAt: w.tenants["acme"].CreatedAt})
	})
	a = w.ask("acme/owner", `{ tenant(slug: "acme") { versions { nodes { number config { web { allowedOrigins } } } } } }`, nil)
	if a.status != 200 || a.reason() != "InternalError" || strings.Contains(a.raw, "no such section") || w.operations[len(w.operations)-1] != "query error" {
		t.Errorf("%d %s %v", a.status, a.raw, w.operations)
	}
	if !strings.Contains(w.logged.String(), a.Errors[0].Extensions.RequestID) {
		t.Errorf("log: %s", w.logged.String())
	}
	broken := newWorld(t, sqliteURL(t), func(o *graph.Options) { o.Admin.Hasher = nil })
	a = broken.ask("acme/owner", `mutation { createUser(input: {tenant: "acme", identities: [{kind: "email", value: "a@example.com"}], password: "correct horse battery"}) { user { id } } }`, nil)
	if a.status != 200 || a.reason() != "InternalError" || strings.Contains(a.raw, "nil") || !strings.Contains(broken.logged.String(), "panic") {
		t.Errorf("a panic: %d %s", a.status, a.raw)
	}
}

// TestIntrospection is for development: the whole schema, with descriptions.
func TestIntrospection(t *testing.T) {
	w := newWorld(t, sqliteURL(t), func(o *graph.Options) { o.Dev = true })
	a := w.ask("acme/viewer", `{ __schema { queryType { name } types { name description fields { name description args { name type { name ofType { name ofType { name } } } } } } } }`, nil)
	if a.status != 200 || a.at("__schema", "queryType", "name") != "Query" || !strings.Contains(a.raw, "Somebody with an account at a tenant") {
		t.Errorf("%d %.300s", a.status, a.raw)
	}
}

// TestPages: walking through a connection meets every row once, whatever is
// added meanwhile.
func TestPages(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		want := map[string]bool{}
		for i := range 7 {
			want[w.newUser("acme", fmt.Sprintf("user%d@example.com", i))] = true
		}
		const q = `query($n: Int!, $a: String) { tenant(slug: "acme") { users(first: $n, after: $a) { edges { cursor node { userId identities { value } } } nodes { userId } pageInfo { hasNextPage endCursor } } } }`
		for _, size := range []int{1, 3, 7, 100} {
			seen, after := map[string]bool{}, any(nil)
			for page := 0; ; page++ {
				a := w.ask("acme/owner", q, map[string]any{"n": size, "a": after})
				edges, ok := a.at("tenant", "users", "edges").([]any)
				if !ok || len(edges) > size || page > 20 {
					t.Fatalf("%s", a.raw)
				}
				for i := range edges {
					id := a.at("tenant", "users", "edges", i, "node", "userId").(string)
					if seen[id] || id != a.at("tenant", "users", "nodes", i, "userId") {
						t.Errorf("page %d of %d: %s again, or nodes differ", page, size, id)
					}
					seen[id] = true
				}
				if page == 1 && size == 3 {
					want[w.newUser("acme", "late@example.com")] = true // it comes at the end
				}
				if a.at("tenant", "users", "pageInfo", "hasNextPage") != true {
					break
				}
				after = a.at("tenant", "users", "pageInfo", "endCursor")
			}
			if len(seen) != len(want) {
				t.Errorf("pages of %d: %d users of %d", size, len(seen), len(want))
			}
		}
		if a := w.ask("acme/owner", `{ tenant(slug: "acme") { flowRuns { edges { cursor } nodes { id } pageInfo { hasNextPage endCursor } } } }`, nil); a.at("tenant", "flowRuns", "pageInfo", "endCursor") != nil || len(a.at("tenant", "flowRuns", "nodes").([]any)) != 0 {
			t.Errorf("an empty page: %s", a.raw)
		}
	})
}

// TestListsDontReadTwice: the users of a page of sessions come in one read.
func TestListsDontReadTwice(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		a, b := w.newUser("acme", "a@example.com"), w.newUser("acme", "b@example.com")
		for i, user := range []string{a, b, a, b, a} {
			w.newSession("acme", user, fmt.Sprintf("device %d", i))
		}
		got := w.ask("acme/owner", `{ tenant(slug: "acme") { sessions { nodes { userId userAgent user { userId identities { value } } } } } }`, nil)
		if n := len(got.at("tenant", "sessions", "nodes").([]any)); n != 5 {
			t.Fatalf("%d sessions: %s", n, got.raw)
		}
		for i := range 5 {
			if got.at("tenant", "sessions", "nodes", i, "user", "userId") != got.at("tenant", "sessions", "nodes", i, "userId") {
				t.Errorf("session %d: %s", i, got.raw)
			}
		}
	})
}

// newSession signs a user in, as the engine would.
func (w *world) newSession(slug, user, agent string) string {
	w.t.Helper()
	t := w.tenants[slug]
	now := t.CreatedAt
	run := tenant.Run{
		TenantID: t.ID, ID: secret.NewPFID(t.Partition), Flow: tenant.FlowRef{Type: tenant.Login, Name: "default"}, ConfigVersion: 1,
		Status: tenant.RunFinished, Surface: "flowapi", SessionKind: tenant.CookieSession, UserID: user,
		FirstSeen: tenant.Seen{At: now, IP: "192.0.2.1", UserAgent: agent}, LastSeen: tenant.Seen{At: now, IP: "192.0.2.1", UserAgent: agent}, CreatedAt: now, ExpiresAt: now.AddDate(0, 0, 1), FinishedAt: now,
	}
	s := &tenant.Session{
		TenantID: t.ID, ID: secret.NewID(), TokenHash: secret.TokenHash(secret.NewToken("")), UserID: user, RunID: run.ID, AMR: []string{"pwd"},
		AuthenticatedAt: now, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.AddDate(0, 0, 14), IdleExpiresAt: now.AddDate(0, 0, 1), UserAgent: agent,
	}
	run.SessionID = s.ID
	must(w.t, w.store.Commit(w.t.Context(), &tenant.Commit{
		Run: run, New: true, Session: s,
		State: tenant.FlowState{TenantID: t.ID, TokenHash: secret.TokenHash(secret.NewToken("")), RunID: run.ID, UserID: user, Data: []byte("x"), CreatedAt: now},
	}))
	return s.ID
}
