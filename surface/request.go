package surface

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Request is one request as a handler sees it.
type Request struct {
	*http.Request
	Tenant *tenant.Tenant // whose host it came to
	ID     string         // the request id, for logs, the audit log and the answer
	IP     netip.Addr     // of the client, as far as trusted proxies tell
	Secure bool           // came over HTTPS, here or at a trusted proxy
	run    string         // the id of the run that it is about, for the log; "" for none
	listed bool           // its Origin is one that the tenant lists
	answer http.ResponseWriter
}

// Headers that every answer carries. Nothing here is a page, so nothing may be
// framed, sniffed or loaded from it.
var always = map[string]string{
	"Cache-Control":           "no-store",
	"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	"Referrer-Policy":         "no-referrer",
	"X-Content-Type-Options":  "nosniff",
}

// open finds out who sent a request and begins the answer.
func (d *Door) open(w http.ResponseWriter, r *http.Request) *Request {
	q := &Request{Request: r, ID: r.Header.Get("X-Request-Id"), answer: w}
	if !saneID(q.ID) {
		q.ID = secret.NewID()
	}
	peer := peerOf(r)
	trusted := d.trusts(peer)
	q.IP = peer
	if trusted {
		q.IP = d.client(peer, r.Header.Values("X-Forwarded-For"))
	}
	q.Secure = r.TLS != nil || trusted && r.Header.Get("X-Forwarded-Proto") == "https"
	h := w.Header()
	for k, v := range always {
		h.Set(k, v)
	}
	h.Set("X-Request-Id", q.ID)
	if q.Secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return q
}

// About notes the run that the request turned out to be about.
func (q *Request) About(runID string) { q.run = runID }

// SetCookie adds a cookie to the answer.
func (q *Request) SetCookie(c *http.Cookie) { http.SetCookie(q.answer, c) }

// Say adds a header to the answer.
func (q *Request) Say(name, value string) { q.answer.Header().Set(name, value) }

// CheckOrigin refuses a request that carries a cookie and was sent by a page of
// another origin: the Origin header must be this host or one the tenant lists;
// where there is none, Sec-Fetch-Site must not say otherwise.
func (q *Request) CheckOrigin() error {
	if origin := q.Header.Get("Origin"); origin != "" {
		if q.listed || q.sameOrigin(origin) {
			return nil
		}
		return tenant.ErrOrigin
	}
	switch q.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none": // no browser, this origin, or the user
		return nil
	}
	return tenant.ErrOrigin
}

// sameOrigin says whether an origin is the host the request came to.
func (q *Request) sameOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(u.Host, q.Host) {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && !q.Secure
}

// saneID says whether a request id from outside may go into our logs.
func saneID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// traceID is that of a traceparent header; "" for none. (W3C Trace Context,
// section 3.2: version, trace, parent and flags in lower-case hexadecimal.)
func traceID(parent string) string {
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' || parent[52] != '-' || parent[:2] == "ff" ||
		parent[:2] == "00" && len(parent) > 55 || len(parent) > 55 && parent[55] != '-' {
		return ""
	}
	id := parent[3:35]
	if strings.Trim(id, "0") == "" || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return id
}

// peerOf is the address at the other end of the connection.
func peerOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	return ap.Addr().Unmap().WithZone("")
}

func (d *Door) trusts(a netip.Addr) bool {
	for _, p := range d.options.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// client is the last address in X-Forwarded-For that isn't a trusted proxy's:
// what stands before it could be anybody's claim. When anything on the way to it
// can't be read, it is the peer.
func (d *Door) client(peer netip.Addr, forwarded []string) netip.Addr {
	chain := strings.Split(strings.Join(forwarded, ","), ",")
	client := peer
	for i := len(chain) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(chain[i]))
		if err != nil {
			return peer
		}
		client = a.Unmap().WithZone("")
		if !d.trusts(client) {
			break
		}
	}
	return client
}
