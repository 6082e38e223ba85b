package flowapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// The cookies. Over HTTPS they carry the prefix that ties them to this host
// (RFC 6265bis section 4.1.3.2); plain HTTP, in development, can't.
const (
	hostPrefix    = "__Host-"
	sessionCookie = "usher_session"
	deviceCookie  = "usher_device"       // identifies the browser and proves nothing
	trustCookie   = "usher_device_token" // lets the device pass second factors

	deviceLength = 32
	deviceAge    = 400 * 24 * time.Hour // as long as browsers keep one
)

func cookieName(q *surface.Request, name string) string {
	if q.Secure {
		return hostPrefix + name
	}
	return name
}

func setCookie(q *surface.Request, name, value string, age time.Duration) {
	q.SetCookie(&http.Cookie{ //nolint:gosec // Secure unless plain HTTP was let in, in development
		Name: cookieName(q, name), Value: value, Path: "/", MaxAge: int(age / time.Second),
		Secure: q.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func setSession(q *surface.Request, s *flowengine.NewSession) {
	setCookie(q, sessionCookie, s.Token, s.ExpiresAt.Sub(s.CreatedAt))
}

// device is the browser's long-lived id, made when it has none. It proves
// nothing; it lets records say that two runs came from one browser.
func device(q *surface.Request) string {
	if c, err := q.Cookie(cookieName(q, deviceCookie)); err == nil && len(c.Value) == deviceLength {
		return c.Value
	}
	id := secret.NewToken("")
	setCookie(q, deviceCookie, id, deviceAge)
	return id
}

// clientOf is who sent a request, in the engine's terms.
func clientOf(q *surface.Request) flowengine.Client {
	token, _ := sessionToken(q)
	c := flowengine.Client{
		IP: q.IP, UserAgent: q.UserAgent(), RequestID: q.ID, SessionToken: token, Surface: Name, Language: q.Header.Get("Accept-Language"),
	}
	if trust, err := q.Cookie(cookieName(q, trustCookie)); err == nil {
		c.DeviceToken = trust.Value
	}
	return c
}

// sessionToken is what a request presents, and whether a cookie brought it. An
// Authorization header (RFC 6750 section 2.1) goes before the cookie.
func sessionToken(q *surface.Request) (token string, cookie bool) {
	if scheme, t, ok := strings.Cut(q.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return t, false
	}
	if c, err := q.Cookie(cookieName(q, sessionCookie)); err == nil {
		return c.Value, true
	}
	return "", false
}

// sessionOut is the answer to GET /api/v1/session.
type sessionOut struct {
	Session struct {
		ID              string    `json:"id"`
		UserID          string    `json:"user_id"`
		AuthenticatedAt time.Time `json:"authenticated_at"`
		AMR             []string  `json:"amr"` // RFC 8176
		ACR             string    `json:"acr"`
		ExpiresAt       time.Time `json:"expires_at"`
		IdleExpiresAt   time.Time `json:"idle_expires_at"`
	} `json:"session"`
	User struct {
		ID               string          `json:"id"`
		Anonymous        bool            `json:"anonymous"` // has nothing but this session
		CreatedAt        time.Time       `json:"created_at"`
		UpdatedAt        time.Time       `json:"updated_at"`
		Attributes       json.RawMessage `json:"attributes,omitempty"` // standard claims of OpenID Connect
		CustomAttributes json.RawMessage `json:"custom_attributes,omitempty"`
	} `json:"user"`
}

func (a *api) session(q *surface.Request) (any, error) {
	token, _ := sessionToken(q)
	s, u, err := a.engine.CheckSession(q.Context(), q.Tenant, token)
	if err != nil {
		return nil, err
	}
	var o sessionOut
	o.Session.ID, o.Session.UserID, o.Session.AuthenticatedAt = s.ID, s.UserID, s.AuthenticatedAt
	o.Session.AMR, o.Session.ACR, o.Session.ExpiresAt, o.Session.IdleExpiresAt = s.AMR, s.ACR(), s.ExpiresAt, s.IdleExpiresAt
	o.User.Anonymous = u.Anonymous
	o.User.ID, o.User.CreatedAt, o.User.UpdatedAt = u.ID, u.CreatedAt, u.UpdatedAt
	o.User.Attributes, o.User.CustomAttributes = u.Attributes.Standard, u.Attributes.Custom
	return o, nil
}

// revokeIn is the body of POST /api/v1/session/revoke: one session of the user,
// all of them, or, when it names none, the one that asks.
type revokeIn struct {
	ID  string `json:"id"`
	All bool   `json:"all"`
}

func (a *api) revoke(q *surface.Request, in *revokeIn) (*struct{}, error) {
	token, cookie := sessionToken(q)
	if cookie {
		if err := q.CheckOrigin(); err != nil {
			return nil, err
		}
	}
	if in.ID != "" && in.All {
		return nil, tenant.Invalidf("/all", "exclusive", "send id or all, not both")
	}
	s, _, err := a.engine.CheckSession(q.Context(), q.Tenant, token)
	if err != nil {
		return nil, err
	}
	own, err := a.engine.RevokeSession(q.Context(), q.Tenant, clientOf(q), s, flowengine.Revocation{ID: in.ID, All: in.All})
	if err != nil {
		return nil, err
	}
	if own && cookie {
		setCookie(q, sessionCookie, "", -time.Second)
	}
	return &struct{}{}, nil
}
