package bottest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Fault is how a provider fails.
type Fault string

// The faults.
const (
	None     Fault = ""
	Hangs    Fault = "hangs"    // until the caller gives up
	Breaks   Fault = "breaks"   // in the middle of the answer
	Errs     Fault = "errs"     // with a 500
	HTML     Fault = "html"     // a page instead of an answer, with a 200
	Nonsense Fault = "nonsense" // JSON that says neither yes nor no
	Redirect Fault = "redirect" // to itself
	Huge     Fault = "huge"     // more than anybody should read
)

// Call is a call that a provider took.
type Call struct{ Response, RemoteIP, SiteKey string }

// Provider is a provider with one site. It fails the test for a call that isn't
// what its documents ask for.
type Provider struct {
	*httptest.Server
	Asked           func() // called with every call, before it is answered; nil for nothing
	t               testing.TB
	kind            string
	secret, siteKey string

	mu     sync.Mutex
	fault  Fault
	issued map[string]string // responses that may be checked once: the host that the widget was shown on
	calls  []Call
	next   int
	closed chan struct{}
}

// New starts a provider (cloudflare, recaptchav2, hcaptcha); it stops with the
// test.
func New(t testing.TB, kind, secret, siteKey string) *Provider {
	p := &Provider{t: t, kind: kind, secret: secret, siteKey: siteKey, issued: map[string]string{}, closed: make(chan struct{})}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(func() { close(p.closed); p.Close() })
	return p
}

// Solve is a response that the widget gives to somebody who has solved it on a
// host.
func (p *Provider) Solve(host string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	response := fmt.Sprintf("response-%d", p.next)
	p.issued[response] = host
	return response
}

// Fails has the provider fail from now on.
func (p *Provider) Fails(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Calls are those taken so far.
func (p *Provider) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Call(nil), p.calls...)
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
		p.t.Errorf("a call with %s %s of %s", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		p.t.Error(err)
	}
	c := Call{r.PostForm.Get("response"), r.PostForm.Get("remoteip"), r.PostForm.Get("sitekey")}
	if _, err := netip.ParseAddr(c.RemoteIP); err != nil {
		p.t.Errorf("remoteip %q", c.RemoteIP)
	}
	p.mu.Lock()
	p.calls = append(p.calls, c)
	fault := p.fault
	p.mu.Unlock()
	if p.Asked != nil {
		p.Asked()
	}
	if fault != None {
		p.fail(w, r, fault)
		return
	}
	status, answer := p.verify(r.PostForm.Get("secret"), c)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *Provider) fail(w http.ResponseWriter, r *http.Request, fault Fault) {
	switch fault {
	case Hangs:
		select {
		case <-r.Context().Done():
		case <-p.closed:
		case <-time.After(time.Minute):
		}
	case Breaks:
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"success": true`))
	case Errs:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"success": true}`))
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>success: true</html>"))
	case Nonsense:
		_, _ = w.Write([]byte(`{"success": "true", "hostname": 7}`))
	case Redirect:
		http.Redirect(w, r, p.URL, http.StatusTemporaryRedirect)
	case Huge:
		_, _ = w.Write([]byte(`{"success": true, "x": "`))
		for range 200 {
			_, _ = w.Write(make([]byte, 1<<10))
		}
		_, _ = w.Write([]byte(`"}`))
	}
}

// verify is what siteverify says. Each response is good for one check.
func (p *Provider) verify(secret string, c Call) (status int, answer map[string]any) {
	no := func(code string) (int, map[string]any) {
		status := http.StatusOK
		if p.kind == "cloudflare" && secret != p.secret {
			status = http.StatusBadRequest
		}
		return status, map[string]any{"success": false, "error-codes": []string{code}}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	host, known := p.issued[c.Response]
	spent := map[string]string{"cloudflare": "timeout-or-duplicate", "recaptchav2": "timeout-or-duplicate", "hcaptcha": "invalid-or-already-seen-response"}
	switch {
	case secret == "":
		return no("missing-input-secret")
	case secret != p.secret:
		return no("invalid-input-secret")
	case p.kind == "hcaptcha" && c.SiteKey != p.siteKey:
		return no("sitekey-secret-mismatch")
	case c.Response == "":
		return no("missing-input-response")
	case !known:
		return no("invalid-input-response")
	case host == "":
		return no(spent[p.kind])
	}
	p.issued[c.Response] = "" // spent
	return http.StatusOK, map[string]any{"success": true, "challenge_ts": time.Now().UTC().Format(time.RFC3339), "hostname": host, "error-codes": []string{}}
}
