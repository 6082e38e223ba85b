package setup

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
)

func TestPage(t *testing.T) {
	policy := tenant.ErrPasswordPolicy.WithCauses(
		tenant.Cause{Location: "/password", Kind: "minimum_length", Details: map[string]any{"required": 8, "actual": 3}},
		tenant.Cause{Location: "/password", Kind: "breached_check"},
	)
	good := url.Values{"token": {"tok<en"}, "password": {"a fine long one"}, "again": {"a fine long one"}}
	for name, c := range map[string]struct {
		method, target string
		form           url.Values
		result         error
		code           int
		called         bool
		has, hasNot    []string
	}{
		"form":           {method: "GET", target: "/setup?token=tok%3Cen", code: 200, has: []string{`value="tok&lt;en"`, `type="password"`}},
		"no token":       {method: "GET", target: "/setup", code: 404, hasNot: []string{"<form"}},
		"done":           {method: "POST", target: "/setup", form: good, code: 200, called: true, has: []string{"password is set"}, hasNot: []string{"<form"}},
		"weak":           {method: "POST", target: "/setup", form: good, result: policy, code: 400, called: true, has: []string{"at least 8 characters", "tried first", "<form"}},
		"used link":      {method: "POST", target: "/setup", form: good, result: tenant.ErrInvalidCredentials, code: 404, called: true, has: []string{"used or has expired"}, hasNot: []string{"<form"}},
		"busy":           {method: "POST", target: "/setup", form: good, result: tenant.ErrUnavailable.With("retry_after_seconds", 2), code: 503, called: true, has: []string{"busy", "<form"}},
		"our fault":      {method: "POST", target: "/setup", form: good, result: errors.New("disk on fire"), code: 500, called: true, hasNot: []string{"disk"}},
		"differ":         {method: "POST", target: "/setup", form: url.Values{"token": {"t"}, "password": {"a"}, "again": {"b"}}, code: 400, has: []string{"differ", "<form"}},
		"empty":          {method: "POST", target: "/setup", form: url.Values{"token": {"t"}}, code: 400, has: []string{"Type a password"}},
		"token in query": {method: "POST", target: "/setup?token=query&password=aaaaaaaa&again=aaaaaaaa", form: url.Values{}, code: 400, hasNot: []string{"query"}},
		"huge":           {method: "POST", target: "/setup", form: url.Values{"password": {strings.Repeat("x", MaxBody)}}, code: 400, has: []string{"could not be read"}},
		"other method":   {method: "PUT", target: "/setup", code: 405},
	} {
		t.Run(name, func(t *testing.T) {
			called := false
			h := Handler(func(_ *http.Request, token, password string) error {
				called = true
				if token != "tok<en" || password != "a fine long one" {
					t.Errorf("got %q %q", token, password)
				}
				return c.result
			}, slog.New(slog.DiscardHandler))
			r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.form.Encode()))
			if c.method == http.MethodPost {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.code || called != c.called {
				t.Fatalf("%d, called %v: %s", w.Code, called, w.Body)
			}
			for _, s := range c.has {
				if !strings.Contains(w.Body.String(), s) {
					t.Errorf("no %q in %s", s, w.Body)
				}
			}
			for _, s := range c.hasNot {
				if strings.Contains(w.Body.String(), s) {
					t.Errorf("%q in %s", s, w.Body)
				}
			}
			if c.code == http.StatusMethodNotAllowed {
				return
			}
			for header, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s: %q", header, got)
				}
			}
			if !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
				t.Errorf("policy %q", w.Header().Get("Content-Security-Policy"))
			}
		})
	}
}

// The style sheet in the page must be exactly what the policy's hash is of.
func TestStyleIsAdmitted(t *testing.T) {
	w := httptest.NewRecorder()
	draw(w, 200, form("t"))
	if !strings.Contains(w.Body.String(), "<style>"+pageCSS+"</style>") {
		t.Errorf("the style sheet was changed on its way: %s", w.Body)
	}
}
