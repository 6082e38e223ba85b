package surface

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

func TestClientBehindProxies(t *testing.T) {
	d := NewDoor("flowapi", nil, Options{TrustedProxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
	}})
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		proto      string
		ip         string
		secure     bool
	}{
		{"no proxy", "192.0.2.1:5", nil, "", "192.0.2.1", false},
		{"a stranger claims", "192.0.2.1:5", []string{"198.51.100.7"}, "https", "192.0.2.1", false},
		{"a proxy tells", "10.1.1.1:5", []string{"198.51.100.7"}, "https", "198.51.100.7", true},
		{"a proxy tells of plain HTTP", "10.1.1.1:5", []string{"198.51.100.7"}, "http", "198.51.100.7", false},
		{"the client claims to be another", "10.1.1.1:5", []string{"203.0.113.9, 198.51.100.7"}, "https", "198.51.100.7", true},
		{"two proxies", "10.1.1.1:5", []string{"203.0.113.9, 198.51.100.7,10.2.2.2"}, "", "198.51.100.7", false},
		{"two headers", "10.1.1.1:5", []string{"203.0.113.9", "198.51.100.7", "10.2.2.2"}, "", "198.51.100.7", false},
		{"proxies alone", "10.1.1.1:5", []string{"10.3.3.3, 10.2.2.2"}, "", "10.3.3.3", false},
		{"malformed", "10.1.1.1:5", []string{"198.51.100.7, unknown"}, "https", "10.1.1.1", true},
		{"malformed before what counts", "10.1.1.1:5", []string{"<script>, 198.51.100.7"}, "", "198.51.100.7", false},
		{"empty", "10.1.1.1:5", []string{""}, "", "10.1.1.1", false},
		{"none", "10.1.1.1:5", nil, "", "10.1.1.1", false},
		{"IPv6", "[fd00::1]:5", []string{"2001:db8::1"}, "", "2001:db8::1", false},
		{"IPv4 in IPv6", "[::ffff:10.1.1.1]:5", []string{"::ffff:198.51.100.7"}, "", "198.51.100.7", false},
		{"a zone", "[fe80::1%eth0]:5", nil, "", "fe80::1", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.forwarded
		r.Header.Set("X-Forwarded-Proto", c.proto)
		if q := d.open(httptest.NewRecorder(), r); q.IP.String() != c.ip || q.Secure != c.secure {
			t.Errorf("%s: %v %v, want %s %v", c.name, q.IP, q.Secure, c.ip, c.secure)
		}
	}
}

func TestDepth(t *testing.T) {
	for body, want := range map[string]int{
		``: 0, `1`: 0, `{}`: 1, `[[]]`: 2, `{"a":[{}]}`: 3, `"[[["`: 0, `{"[\"[{":"\\"}`: 1, `[`: 1, `]]]`: 0, strings.Repeat("[", 9): 9,
	} {
		if got := depth([]byte(body)); got != want {
			t.Errorf("%s nests %d deep, want %d", body, got, want)
		}
	}
}

// FuzzDecode: whatever comes in is read or refused as the client's fault.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":"b","c":[{"d":1}]}`, `{"a":1}`, `{"c":{}}`, `[`, `null`, "\xff", `{"c":[1]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		q := &Request{Request: r, answer: httptest.NewRecorder()}
		err := q.Decode(new(struct {
			A string `json:"a"`
			C []struct {
				D int `json:"d"`
			} `json:"c"`
		}))
		if err == nil {
			return
		}
		if e := tenant.AsError(err); e.Kind != tenant.Invalid && e.Kind != tenant.TooLarge {
			t.Errorf("%q: %v", body, err)
		}
	})
}

// A panic is counted, logged with the request's id, and answered like any other
// fault of ours; a fault of ours never shows its cause.
func TestFaultsAreHidden(t *testing.T) {
	ctx := context.Background()
	s, err := store.Open(ctx, testenv.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	x := &tenant.Tenant{ID: secret.NewID(), Slug: "acme", Name: "acme", State: tenant.Active, Hosts: []string{"acme.test"}, Version: 1, CreatedAt: time.Now(), ChangedAt: time.Now()}
	if err := s.Change(ctx, func(tx tenant.Tx) error {
		if err := tx.CreateTenant(x); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{TenantID: x.ID, ID: secret.NewID(), At: time.Now(), Category: tenant.AuditAdmin, Action: "test", Outcome: "success", ActorKind: tenant.ActorCLI})
	}); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	var log bytes.Buffer
	d := NewDoor("flowapi", func(e *tenant.Error, id string, _ any) (int, any) {
		return Status(e), map[string]any{"reason": e.Reason, "message": e.Message, "id": id}
	}, Options{
		Tenants: tenant.NewDirectory(s, tenant.DirectoryHooks{}, nil), Dev: true,
		Log: slog.New(slog.NewJSONHandler(&log, nil)), Metrics: NewMetrics(reg),
	})
	r := chi.NewRouter()
	d.Mount(r)
	r.Get("/panic", d.Handle(func(*Request) (any, error) { panic("the secret") }))
	r.Get("/fault", d.Handle(func(*Request) (any, error) { return nil, context.DeadlineExceeded }))
	for i, path := range []string{"/panic", "/fault"} {
		log.Reset()
		q := httptest.NewRequestWithContext(ctx, "GET", path, nil)
		q.Host = "acme.test"
		q.Header.Set("X-Request-Id", "the-request")
		w := httptest.NewRecorder()
		r.ServeHTTP(w, q)
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "deadline") || !strings.Contains(w.Body.String(), "the-request") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if l := log.String(); !strings.Contains(l, "the-request") || !strings.Contains(l, []string{"the secret", "deadline"}[i]) || !strings.Contains(l, "ERROR") {
			t.Errorf("%s: the log says %s", path, l)
		}
	}
	families := gather(t, reg)
	if p := families["usher_http_panics_total"]; len(p) != len(Surfaces) || p["flowapi"] != 1 || p["graphql"] != 0 {
		t.Errorf("panics: %v", p)
	}
	// Routes are labels by pattern, never by path.
	for _, path := range []string{"/a", "/b", "/c"} {
		w := httptest.NewRecorder()
		q := httptest.NewRequestWithContext(ctx, "BREW", path, nil)
		q.Host = "acme.test"
		r.ServeHTTP(w, q)
		if w.Code != 404 && w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if n := gather(t, reg)["usher_http_requests_total"]; len(n) != 3 || n["500 GET /fault flowapi"] != 1 || n["404 OTHER unmatched flowapi"]+n["405 OTHER unmatched flowapi"] != 3 {
		t.Errorf("requests: %v", n)
	}
}

// gather reads counters by name and the values of their labels.
func gather(t *testing.T, reg *prometheus.Registry) map[string]map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]float64{}
	for _, f := range families {
		all[f.GetName()] = map[string]float64{}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			all[f.GetName()][strings.Join(values, " ")] = m.GetCounter().GetValue()
		}
	}
	return all
}

func TestTraceID(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for parent, want := range map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01":                      id,
		"cc-" + id + "-00f067aa0ba902b7-01-what comes next":      id, // a version to come
		"00-" + id + "-00f067aa0ba902b7-01-more":                 "",
		"ff-" + id + "-00f067aa0ba902b7-01":                      "",
		"00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01":     "",
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01": "",
		"00-" + id: "",
		"":         "",
	} {
		if got := traceID(parent); got != want {
			t.Errorf("%q: %q, want %q", parent, got, want)
		}
	}
}
