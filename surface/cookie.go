package surface

import (
	"net/http"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// The cookies that doors of one host share. Over HTTPS they carry the prefix
// that ties them to this host (RFC 6265bis section 4.1.3.2); plain HTTP, in
// development, can't.
const (
	SessionCookie = "usher_session"
	DeviceCookie  = "usher_device"       // identifies the browser and proves nothing
	TrustCookie   = "usher_device_token" // lets the device pass second factors

	// DeviceAge is how long the cookies of a device live: as long as browsers
	// keep one.
	DeviceAge = 400 * 24 * time.Hour

	hostPrefix   = "__Host-"
	deviceLength = 32
)

// CookieName is what a cookie is called over HTTPS, and over plain HTTP.
func CookieName(name string, secure bool) string {
	if secure {
		return hostPrefix + name
	}
	return name
}

// Kept is the value of one of our cookies; "" when there is none.
func (q *Request) Kept(name string) string {
	c, err := q.Cookie(CookieName(name, q.Secure))
	if err != nil {
		return ""
	}
	return c.Value
}

// Keep has the browser keep a value; a negative age forgets it, and with none it
// goes when the browser ends.
func (q *Request) Keep(name, value string, age time.Duration) {
	q.SetCookie(&http.Cookie{ //nolint:gosec // Secure unless plain HTTP was let in, in development
		Name: CookieName(name, q.Secure), Value: value, Path: "/", MaxAge: int(age / time.Second),
		Secure: q.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// KeepSession has the browser keep what a move of a run has opened: the session,
// unless the client wants its token, and that the device is trusted.
func (q *Request) KeepSession(a *flowengine.Answer) {
	if a.DeviceToken != "" {
		q.Keep(TrustCookie, a.DeviceToken, DeviceAge)
	}
	if s := a.Session; s != nil && a.Kind == tenant.CookieSession {
		q.Keep(SessionCookie, s.Token, s.ExpiresAt.Sub(s.CreatedAt))
	}
}

// Device is the browser's long-lived id, made when it has none. It proves
// nothing; it lets records say that two runs came from one browser.
func (q *Request) Device() string {
	if id := q.Kept(DeviceCookie); len(id) == deviceLength {
		return id
	}
	id := secret.NewToken("")
	q.Keep(DeviceCookie, id, DeviceAge)
	return id
}

// Client is who sent the request, in the engine's terms; door is the name of the
// door.
func (q *Request) Client(door string) flowengine.Client {
	token, _ := q.SessionToken()
	return flowengine.Client{
		IP: q.IP, UserAgent: q.UserAgent(), RequestID: q.ID, SessionToken: token, DeviceToken: q.Kept(TrustCookie),
		Language: q.Header.Get("Accept-Language"), Surface: door, About: q.About,
	}
}

// SessionToken is what a request presents, and whether a cookie brought it. An
// Authorization header (RFC 6750 section 2.1) goes before the cookie.
func (q *Request) SessionToken() (token string, cookie bool) {
	if scheme, t, ok := strings.Cut(q.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return t, false
	}
	token = q.Kept(SessionCookie)
	return token, token != ""
}
