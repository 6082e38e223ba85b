package flowapi_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/testenv"
	"github.com/usher-id/usher/testenv/housetest"
)

// What bad input gets: a reason, and where it stands. Nothing of it moves a run.
func TestBadInput(t *testing.T) {
	const start, input, states = "/authentication_flows", "/authentication_flows/states/input", "/authentication_flows/states"
	token := "authflowstate_" + strings.Repeat("A", 32)
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", seedTenant)
		h.User(x, "correct horse", "email:a@example.com")
		live := h.begin(x, "login", nil).asks("identify").token()
		proof := h.begin(x, "login", obj{"input": identify("a@example.com")}).asks("authenticate").token()
		with := func(token, in string) string { return `{"state_token":"` + token + `","input":` + in + `}` }
		for _, c := range []struct {
			name, path, body string
			status           int
			reason           string
			location, kind   string // of the first cause, if there is one
		}{
			{"nothing", start, ``, 400, "ValidationFailed", "", "syntax"},
			{"half", start, `{"type":"login"`, 400, "ValidationFailed", "", "syntax"},
			{"two", start, `{"type":"login"}{}`, 400, "ValidationFailed", "", "syntax"},
			{"not UTF-8", start, "{\"type\":\"log\xffin\"}", 400, "ValidationFailed", "", "encoding"},
			{"an array", start, `[]`, 400, "ValidationFailed", "", "type"},
			{"no type", start, `{}`, 400, "ValidationFailed", "/type", "required"},
			{"a number for a type", start, `{"type":1}`, 400, "ValidationFailed", "/type", "type"},
			{"a number for a name", start, `{"type":"login","name":{}}`, 400, "ValidationFailed", "/name", "type"},
			{"a number for a query", start, `{"type":"login","url_query":3}`, 400, "ValidationFailed", "/url_query", "type"},
			{"another session", start, `{"type":"login","session":"none"}`, 400, "ValidationFailed", "/session", "enum"},
			{"an input that is a list", start, `{"type":"login","input":[]}`, 400, "ValidationFailed", "/input", "type"},
			{"an input that is null", start, `{"type":"login","input":null}`, 400, "ValidationFailed", "/input", "type"},
			{"a batch that is an object", start, `{"type":"login","batch_input":{}}`, 400, "ValidationFailed", "/batch_input", "type"},
			{"a batch of strings", start, `{"type":"login","batch_input":[{},"x"]}`, 400, "ValidationFailed", "/batch_input/1", "type"},
			{"both", start, `{"type":"login","input":{},"batch_input":[{}]}`, 400, "ValidationFailed", "/batch_input", "exclusive"},
			{"a long batch", start, `{"type":"login","batch_input":[` + strings.Repeat(`{},`, 32) + `{}]}`, 400, "ValidationFailed", "/batch_input", "maxItems"},
			{"deep", start, `{"type":"login","input":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000) + `}`, 400, "ValidationFailed", "", "depth"},
			{"large", start, `{"type":"login","name":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "RequestTooLarge", "", ""},
			{"10 MB", start, `{"type":"login","name":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "RequestTooLarge", "", ""},
			{"no such type", start, `{"type":"sign_up"}`, 404, "AuthenticationFlowFlowNotFound", "", ""},
			{"no such name", start, `{"type":"login","name":"other"}`, 404, "AuthenticationFlowFlowNotFound", "", ""},

			{"no token", input, `{"input":{}}`, 400, "ValidationFailed", "/state_token", "required"},
			{"no input", input, `{"state_token":"` + token + `"}`, 400, "ValidationFailed", "/input", "required"},
			{"an empty batch", input, `{"state_token":"` + token + `","batch_input":[]}`, 400, "ValidationFailed", "/input", "required"},
			{"a made-up token", input, with(token, `{}`), 404, "AuthenticationFlowNotFound", "", ""},
			{"a short token", input, with("authflowstate_", `{}`), 404, "AuthenticationFlowNotFound", "", ""},
			{"a token in lower case", input, with(strings.ToLower(live), `{}`), 404, "AuthenticationFlowNotFound", "", ""},
			{"SQL", input, with(`' OR 1=1 --`, `{}`), 404, "AuthenticationFlowNotFound", "", ""},
			{"a number for a token", states, `{"state_token":7}`, 400, "ValidationFailed", "/state_token", "type"},
			{"no token to ask with", states, `{}`, 400, "ValidationFailed", "/state_token", "required"},
			{"a made-up token to ask with", states, `{"state_token":"` + token + `"}`, 404, "AuthenticationFlowNotFound", "", ""},

			{"an empty input", input, with(live, `{}`), 400, "ValidationFailed", "/identification", "required"},
			{"not offered", input, with(live, `{"identification":"username","login_id":"a"}`), 400, "ValidationFailed", "/identification", "enum"},
			{"not a string", input, with(live, `{"identification":["email"]}`), 400, "ValidationFailed", "/identification", "type"},
			{"out of range", input, with(live, `{"identification":"email","index":99,"login_id":"a@example.com"}`), 400, "ValidationFailed", "/index", "range"},
			{"below the range", input, with(live, `{"identification":"email","index":-1,"login_id":"a@example.com"}`), 400, "ValidationFailed", "/index", "range"},
			{"no login id", input, with(live, `{"identification":"email"}`), 400, "ValidationFailed", "/login_id", "required"},
			{"no address", input, with(live, `{"identification":"email","login_id":"a b"}`), 400, "ValidationFailed", "/login_id", "format"},
			{"no phone number", input, with(live, `{"identification":"phone","login_id":"0123"}`), 400, "ValidationFailed", "/login_id", "format"},
			{"another provider", input, with(live, `{"identification":"oauth","alias":"nobody"}`), 404, "OAuthProviderNotFound", "", ""},
			{"a provider without secret", input, with(live, `{"identification":"oauth","alias":"google"}`), 400, "OAuthProviderMissingCredentials", "", ""},
			{"a number for a password", input, with(proof, `{"authentication":"primary_password","password":1}`), 400, "ValidationFailed", "/password", "type"},
			{"a long password", input, with(proof, `{"authentication":"primary_password","password":"`+strings.Repeat("x", 60000)+`"}`), 401, "InvalidCredentials", "", ""},
			{"NUL", input, with(live, `{"identification":"email","login_id":"a\u0000@example.com"}`), 400, "ValidationFailed", "/login_id", "format"},
		} {
			h.Sub(c.name, func(*testing.T) {
				a := h.do(request{host: "acme.test", path: c.path, body: c.body}).refuses(c.status, c.reason)
				if c.kind != "" {
					a.because(c.location, c.kind)
				}
				if (strings.Contains(c.body, live) || strings.Contains(c.body, proof)) && a.token() == "" {
					t.Errorf("the run stands unmoved, and isn't shown: %s", a.raw)
				}
			})
		}
		h.post(x, live, identify("a@example.com"), authenticate("correct horse")).asks("finished")
	})
}

func TestWhatHTTPForbids(t *testing.T) {
	h := build(t, testenv.SQLite(t))
	x := h.Tenant("acme", func(c *tenant.Config) { c.Web.AllowedOrigins = []string{"https://app.example.com"} })
	flows := request{host: "acme.test", path: "/authentication_flows", body: obj{"type": "login"}}
	change := func(f func(*request)) request {
		r := flows
		r.headers = map[string]string{}
		f(&r)
		return r
	}
	for _, c := range []struct {
		name   string
		r      request
		status int
		reason string
	}{
		{"plain HTTP", change(func(r *request) { r.plain = true }), 403, "HTTPSRequired"},
		{"an unknown host", change(func(r *request) { r.host = "nobody.test" }), 404, "TenantNotFound"},
		{"no host at all", change(func(r *request) { r.host = "-_-" }), 404, "TenantNotFound"},
		{"a form", change(func(r *request) { r.headers["Content-Type"] = "application/x-www-form-urlencoded" }), 415, "UnsupportedMediaType"},
		{"no type", change(func(r *request) { r.headers["Content-Type"] = "" }), 415, "UnsupportedMediaType"},
		{"another charset", change(func(r *request) { r.headers["Content-Type"] = "application/json; charset=latin1" }), 415, "UnsupportedMediaType"},
		{"another method", change(func(r *request) { r.method = "GET" }), 405, "MethodNotAllowed"},
		{"another path", change(func(r *request) { r.path = "/elsewhere" }), 404, "RouteNotFound"},
		{"a revocation as a form", change(func(r *request) {
			r.path, r.headers["Content-Type"] = "/session/revoke", "text/plain"
		}), 415, "UnsupportedMediaType"},
	} {
		h.Sub(c.name, func(t *testing.T) {
			a := h.do(c.r).refuses(c.status, c.reason)
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers: %v", a.header)
			}
			if c.status == 405 && a.header.Get("Allow") != "POST" {
				t.Errorf("Allow: %v", a.header["Allow"])
			}
		})
	}
	h.do(change(func(r *request) { r.headers["Content-Type"] = "Application/JSON; charset=UTF-8" })).asks("identify")

	// CORS: the origins that the tenant lists, and no others.
	preflight := func(origin string) answer {
		return h.do(change(func(r *request) {
			r.method, r.body, r.headers["Origin"], r.headers["Access-Control-Request-Method"] = "OPTIONS", nil, origin, "POST"
		}))
	}
	if a := preflight("https://app.example.com"); a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || a.header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("the listed origin: %d %v", a.status, a.header)
	}
	if a := preflight("https://evil.example").refuses(403, "OriginNotAllowed"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin: %v", a.header)
	}
	a := h.do(change(func(r *request) { r.headers["Origin"] = "https://app.example.com" })).asks("identify")
	if a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "X-Request-Id") {
		t.Errorf("the answer to the listed origin: %v", a.header)
	}

	// A request id that fits is kept, any other is replaced.
	for id, kept := range map[string]bool{"0194-abc_DEF.9": true, "short": false, "with space in it": false, strings.Repeat("x", 65): false, `"quoted-quoted"`: false} {
		a := h.do(change(func(r *request) { r.headers["X-Request-Id"] = id }))
		if got := a.header.Get("X-Request-Id"); (got == id) != kept || len(got) < 8 {
			t.Errorf("X-Request-Id %q became %q", id, got)
		}
	}

	h.Change(x, func(tx tenant.Tx) error {
		fresh, err := tx.Tenant("acme")
		if err != nil {
			return err
		}
		fresh.State, fresh.ChangedAt = tenant.Suspended, h.Now()
		return tx.UpdateTenant(fresh)
	})
	h.Eventually(func() bool { return h.do(flows).status == 403 })
	h.do(flows).refuses(403, "TenantSuspended")
	h.do(request{method: "GET", host: "acme.test", path: "/session"}).refuses(403, "TenantSuspended")
	if strings.Contains(h.Log.String(), "ERROR") {
		t.Errorf("the log calls it our fault:\n%s", h.Log)
	}
}

// When too many wait for their password to be hashed, the rest is told to come
// back, and their runs stand where they stood.
func TestFullHashQueueSheds(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		hold := make(chan struct{})
		var once sync.Once
		release := func() { once.Do(func() { close(hold) }) }
		busy := make(chan struct{}, 100)
		h := build(t, url, func(s *housetest.Options) {
			count := s.Hasher
			s.Hasher = secret.HasherOptions{Workers: 1, Queue: 1, OnShed: count.OnShed, OnHash: func(string, string, time.Duration, time.Duration) {
				busy <- struct{}{}
				<-hold
			}}
		})
		defer release()
		x := h.Tenant("acme")
		h.User(x, "correct horse", "email:a@example.com")
		state := h.begin(x, "login", obj{"input": identify("a@example.com")}).asks("authenticate").token()
		results := make(chan answer, 8)
		for range cap(results) {
			go func() { results <- h.post(x, state, authenticate("wrong")) }()
		}
		<-busy // one is being hashed and one waits; all others are turned away
		for range cap(results) - 2 {
			a := <-results
			a.refuses(503, "ServiceUnavailable")
			if a.header.Get("Retry-After") == "" || a.token() != state {
				t.Errorf("%v %s", a.header, a.raw)
			}
		}
		release()
		for range 2 {
			(<-results).refuses(401, "InvalidCredentials")
		}
		if n := h.Metric("usher_password_hash_shed_total"); n != 6 {
			t.Errorf("%v were shed", n)
		}
	})
}

// Without its database the server says so and when to come back, and is there
// again when the database is, by itself.
func TestDatabaseGoesAndComesBack(t *testing.T) {
	real, err := url.Parse(testenv.Postgres(t))
	must(t, err)
	wire := newWire(t, real.Host)
	through := *real
	through.Host = wire.address
	h := build(t, through.String())
	x := h.Tenant("acme")
	h.User(x, "correct horse", "email:a@example.com")
	state := h.begin(x, "login", nil).asks("identify").token()
	session := h.signIn(x, "a@example.com", "correct horse")

	wire.cut()
	for _, a := range []answer{
		h.begin(x, "login", nil),
		h.post(x, state, identify("a@example.com")),
		h.login(x, "a@example.com", "correct horse", nil),
		h.do(request{method: "GET", host: "acme.test", path: "/session", headers: map[string]string{"Authorization": "Bearer " + session}}),
		h.do(request{host: "nobody.test", path: "/authentication_flows", body: obj{"type": "login"}}), // nobody knows whose it is
	} {
		a.refuses(503, "ServiceUnavailable")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("when to come back: %v", a.header)
		}
	}
	wire.mend(t)
	h.Eventually(func() bool {
		return h.post(x, state, identify("a@example.com"), authenticate("correct horse")).status == 200
	})
	h.session(x, session, 200)
}

// A closed SQLite is as gone as it can be.
func TestClosedDatabaseIsNoPanic(t *testing.T) {
	h := build(t, testenv.SQLite(t))
	x := h.Tenant("acme")
	h.begin(x, "login", nil).asks("identify")
	must(t, h.Store.Close())
	if a := h.begin(x, "login", nil); a.status < 500 || strings.Contains(a.raw, "sql") {
		t.Errorf("%d %s", a.status, a.raw)
	}
}

// wire is a connection to the database that can be cut.
type wire struct {
	to, address string
	mu          sync.Mutex
	listener    net.Listener
	open        []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	w := &wire{to: to, address: "127.0.0.1:0"}
	w.mend(t)
	t.Cleanup(w.cut)
	return w
}

func (w *wire) mend(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", w.address)
	must(t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listener, w.address = l, l.Addr().String()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", w.to)
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			w.open = append(w.open, near, far)
			w.mu.Unlock()
			go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
		}
	}()
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.listener.Close()
	for _, c := range w.open {
		_ = c.Close()
	}
	w.open = nil
}
