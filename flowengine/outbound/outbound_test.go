package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.34": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true, "2002:808:808::1": true,
		"127.0.0.1": false, "127.255.255.254": false, "10.1.2.3": false, "172.31.0.1": false, "172.32.0.1": true, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "198.19.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "fec0::1": false, "ff02::1": false, "2001:db8::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "2002:a00:1::1": false, "::127.0.0.1": false, "2001:0:1::": false,
	} {
		if got := Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is not a public one")
	}
}

func get(t *testing.T, c *http.Client, u string) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return "", err
	}
	b, err := Read(resp.Body, 100)
	return string(b), err
}

func TestGuard(t *testing.T) {
	reached := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached++
		_, _ = io.WriteString(w, "hello")
	}))
	defer server.Close()
	plain := httptest.NewServer(server.Config.Handler)
	defer plain.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, u := range []string{
		server.URL, "https://localhost:" + port, "https://a.localhost:" + port, "https://[::1]:" + port, "https://[::ffff:127.0.0.1]:" + port,
		"https://0.0.0.0:" + port, "https://ip6-localhost.example.localhost:" + port,
	} {
		if _, err := get(t, Guard{}.NewClient(), u); !errors.Is(err, ErrPrivate) || !Permanent(err) {
			t.Errorf("%s: %v", u, err)
		}
	}
	if _, err := get(t, Guard{}.NewClient(), "http://example.com/"); !errors.Is(err, ErrPlain) {
		t.Errorf("plain HTTP: %v", err)
	}
	if reached != 0 {
		t.Errorf("%d calls got through", reached)
	}
	// A name that no look at the URL gives away: what it resolves to counts.
	if _, err := (Guard{}).DialContext(t.Context(), "tcp", "localhost:"+port); !errors.Is(err, ErrPrivate) {
		t.Errorf("a name that resolves to loopback: %v", err)
	}
	if body, err := get(t, Guard{AllowPrivate: true}.NewClient(), plain.URL); err != nil || body != "hello" {
		t.Errorf("with the guard lifted: %q, %v", body, err)
	}
}

func TestBounds(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/large", http.StatusFound) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 101)) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	defer server.Close()
	c := Guard{AllowPrivate: true}.NewClient()
	if _, err := get(t, c, server.URL+"/large"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large body: %v", err)
	}
	if body, err := get(t, c, server.URL+"/away"); err != nil || strings.Contains(body, "xxx") {
		t.Errorf("a redirect was followed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/hang?token=hush", nil)
	time.AfterFunc(20*time.Millisecond, cancel)
	resp, err := c.Do(r)
	if err == nil {
		resp.Body.Close()
		t.Fatal("a hanging server answered")
	}
	if said := Plainly(err).Error(); strings.Contains(said, "hush") {
		t.Errorf("the URL is in the error: %s", said)
	}
}

// TestProxy: through the operator's proxy, which may well be at a private
// address, calls go out; but not to what is private by its very name.
func TestProxy(t *testing.T) {
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer proxy.Close()
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "")
	c := Guard{}.NewClient()
	if _, err := get(t, c, "https://example.com/x"); err == nil {
		t.Error("the proxy said no, and yet there is an answer")
	}
	if _, err := get(t, c, "https://169.254.169.254/latest"); !errors.Is(err, ErrPrivate) {
		t.Errorf("a private address behind the proxy: %v", err)
	}
	if len(asked) != 1 || asked[0] != "CONNECT example.com:443" {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

func TestSignature(t *testing.T) {
	key, body, now := []byte("a key"), []byte(`{"a":1}`), time.Unix(1_700_000_000, 0)
	h := http.Header{}
	Sign(h, key, body, now)
	// openssl: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'a key'
	const want = "t=1700000000,v1=85a348998c6c8644706e36f7b616e18dbf737188e3718bcaa5f2f776217e805f"
	if got := h.Get(SignatureHeader); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := Verify(h, key, body, now.Add(ReplayWindow)); err != nil {
		t.Error(err)
	}
	both := http.Header{}
	SignWith(both, body, now, Key{"new", []byte("b key")}, Key{"old", key})
	if err := errors.Join(Verify(both, key, body, now), Verify(both, []byte("b key"), body, now)); err != nil {
		t.Error(err)
	}
	if got, want := both.Get(SignatureHeader), ",kid=old,v1=85a348998c6c8644706e36f7b616e18dbf737188e3718bcaa5f2f776217e805f"; !strings.HasPrefix(got, "t=1700000000,kid=new,v1=") || !strings.HasSuffix(got, want) {
		t.Error(got)
	}
	other := http.Header{}
	Sign(other, key, body, now.Add(time.Second))
	forged := http.Header{SignatureHeader: {strings.Replace(h.Get(SignatureHeader), "t=1700000000", "t=1700000001", 1)}}
	for name, err := range map[string]error{
		"another key":  Verify(h, []byte("b key"), body, now),
		"neither key":  Verify(both, []byte("c key"), body, now),
		"another body": Verify(h, key, []byte(`{"a":2}`), now),
		"too late":     Verify(h, key, body, now.Add(ReplayWindow+time.Second)),
		"too early":    Verify(h, key, body, now.Add(-ReplayWindow-time.Second)),
		"another time": Verify(forged, key, body, now),
		"no signature": Verify(http.Header{}, key, body, now),
		"half of one":  Verify(http.Header{SignatureHeader: {"t=1700000000"}}, key, body, now),
	} {
		if !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
