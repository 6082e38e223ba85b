package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// The refusals of the guard. They hold until somebody changes a setting: trying
// again is no use.
var (
	ErrPrivate  = errors.New("the address is not on the Internet: calls to loopback and private addresses need --allow-private-outbound")
	ErrPlain    = errors.New("the URL is not https")
	ErrTooLarge = errors.New("the answer is too large")
)

// Permanent says whether an error is the guard's.
func Permanent(err error) bool { return errors.Is(err, ErrPrivate) || errors.Is(err, ErrPlain) }

const (
	dialTimeout = 5 * time.Second
	// CallTimeout bounds a whole call, unless its context ends before.
	CallTimeout = 10 * time.Second
	maxHeader   = 64 << 10
)

// Guard decides which addresses may be called.
type Guard struct {
	// AllowPrivate lifts the guard: any address, and plain HTTP.
	AllowPrivate bool
}

// DialContext connects to an address, after it has looked at what the name
// resolves to.
func (g Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, ControlContext: g.control}
	return d.DialContext(ctx, network, address)
}

func (g Guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	if g.AllowPrivate {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil || !Public(to.Addr()) {
		return ErrPrivate
	}
	return nil
}

// notPublic are the networks that are not on the Internet, or lead to some that
// aren't (the registries of RFC 6890).
var notPublic = func() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}()

var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixTo = netip.MustParsePrefix("2002::/16")    // RFC 3056
	v4in6 = netip.MustParsePrefix("::/96")        // RFC 4291 section 2.5.5.1, long out of use
)

// Public says whether an address is on the Internet. One that holds an IPv4
// address is what that one is.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		b := a.As16()
		switch {
		case nat64.Contains(a), v4in6.Contains(a):
			return Public(netip.AddrFrom4([4]byte(b[12:16])))
		case sixTo.Contains(a):
			return Public(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// NewClient makes an HTTP client behind the guard. It follows no redirects, for
// nobody asked for a call of somewhere else, and gives up after [CallTimeout].
func (g Guard) NewClient() *http.Client {
	env := httpproxy.FromEnvironment()
	proxyOf := env.ProxyFunc()
	proxies := proxyAddresses(env)
	t := &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) { return proxyOf(r.URL) },
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if proxies[address] { // the operator's own
				return Guard{AllowPrivate: true}.DialContext(ctx, network, address)
			}
			return g.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: CallTimeout,
		MaxResponseHeaderBytes: maxHeader, MaxIdleConns: 256, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
	}
	return &http.Client{
		Transport: guarded{g, t}, Timeout: CallTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// proxyAddresses are host:port of the proxies in use.
func proxyAddresses(env *httpproxy.Config) map[string]bool {
	out := map[string]bool{}
	for _, p := range []string{env.HTTPProxy, env.HTTPSProxy} {
		if p == "" {
			continue
		}
		if !strings.Contains(p, "://") {
			p = "http://" + p
		}
		u, err := url.Parse(p)
		if err != nil {
			continue
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "socks5": "1080"}[u.Scheme]
		}
		if port == "" {
			port = "80"
		}
		out[net.JoinHostPort(u.Hostname(), port)] = true
	}
	return out
}

// guarded looks at the URL before anything is sent. What a name resolves to
// behind a proxy is the proxy's to judge.
type guarded struct {
	Guard
	next http.RoundTripper
}

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !g.AllowPrivate {
		host := r.URL.Hostname()
		if a, err := netip.ParseAddr(host); err == nil && !Public(a) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
			return nil, ErrPrivate
		}
		if r.URL.Scheme != "https" {
			return nil, ErrPlain
		}
	}
	return g.next.RoundTrip(r)
}

// Read reads a body of at most so many bytes, and closes it; ErrTooLarge.
func Read(body io.ReadCloser, limit int64) ([]byte, error) {
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = ErrTooLarge
	}
	return b, err
}

// Plainly strips the URL from an error of a call: it may hold a secret, and who
// reads the log knows what was called.
func Plainly(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return fmt.Errorf("no answer in time: %w", u.Err)
		}
		return u.Err
	}
	return err
}
