package selfservice

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// kratosCookie is the session cookie that apps of this dialect, and the proxies
// in front of them, look for. It holds what our own holds.
const kratosCookie = "ory_kratos_session"

// session is the token that a request presents, and whether a cookie brought it.
// Our own cookie goes first: over HTTPS no other host of the domain can have set it.
func (c *call) session() (token string, cookie bool) {
	if t := c.Header.Get("X-Session-Token"); t != "" {
		return t, false
	}
	if t, cookie := c.SessionToken(); t != "" {
		return t, cookie
	}
	k, err := c.Cookie(kratosCookie)
	if err != nil {
		return "", false
	}
	return k.Value, k.Value != ""
}

// keepSession has the browser keep its session, also where this dialect looks
// for it.
func (c *call) keepSession(s *flowengine.NewSession) {
	c.cookie(kratosCookie, s.Token, s.ExpiresAt.Sub(s.CreatedAt))
}

// forgetSession takes it back.
func (c *call) forgetSession() {
	c.cookie(kratosCookie, "", -time.Second)
	c.Keep(surface.SessionCookie, "", -time.Second)
}

// cookie has the browser keep a cookie whose name is this dialect's.
func (c *call) cookie(name, value string, age time.Duration) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure unless plain HTTP was let in, in development
		Name: name, Value: value, Path: "/", MaxAge: int(age / time.Second), Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// signedOut refuses whoever is signed in.
func (c *call) signedOut(returnTo string) error {
	err := c.signedIn()
	switch {
	case err == nil:
		return errAlreadySignedIn(c.after(returnTo))
	case errors.Is(err, tenant.ErrUnauthenticated):
		return nil
	}
	return err
}

// signedIn refuses whoever isn't.
func (c *call) signedIn() error {
	token, _ := c.session()
	_, _, err := c.engine.CheckSession(c.Context(), c.Tenant, token)
	if errors.Is(err, tenant.ErrUnauthenticated) && c.page {
		p := *problemOf(err)
		p.redirect = c.root + "/self-service/login/browser"
		return &p
	}
	return err
}

// session is a session as clients see it.
type session struct {
	ID                    string          `json:"id"`
	Active                bool            `json:"active"`
	ExpiresAt             time.Time       `json:"expires_at"`
	AuthenticatedAt       time.Time       `json:"authenticated_at"`
	AssuranceLevel        string          `json:"authenticator_assurance_level"`
	AuthenticationMethods []authenticated `json:"authentication_methods"`
	IssuedAt              time.Time       `json:"issued_at"`
	Identity              *identity       `json:"identity,omitempty"`
	Devices               []device        `json:"devices"`
}

type authenticated struct {
	Method      string    `json:"method"`
	AAL         string    `json:"aal"`
	CompletedAt time.Time `json:"completed_at"`
}

type device struct {
	ID        string `json:"id"`
	IPAddress string `json:"ip_address"`
	UserAgent string `json:"user_agent"`
	Location  string `json:"location"`
}

// identity is a user as clients see them.
type identity struct {
	ID                  string          `json:"id"`
	SchemaID            string          `json:"schema_id"`
	SchemaURL           string          `json:"schema_url"`
	State               string          `json:"state"`
	Traits              map[string]any  `json:"traits"`
	VerifiableAddresses []address       `json:"verifiable_addresses"`
	RecoveryAddresses   []address       `json:"recovery_addresses"`
	MetadataPublic      json.RawMessage `json:"metadata_public"`
	CreatedAt           time.Time       `json:"created_at"`
	UpdatedAt           time.Time       `json:"updated_at"`
}

type address struct {
	ID         string     `json:"id"`
	Value      string     `json:"value"`
	Verified   *bool      `json:"verified,omitempty"` // of those that can be
	Via        string     `json:"via"`
	Status     string     `json:"status,omitempty"`
	VerifiedAt *time.Time `json:"verified_at,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// sessionOf reads the user of a session and draws both.
func (c *call) sessionOf(s *tenant.Session) (*session, *tenant.UserRecord, error) {
	u, err := c.engine.Profile(c.Context(), c.Tenant, s.UserID)
	if err != nil {
		return nil, nil, err
	}
	out := drawSession(s)
	out.Identity = c.identity(u)
	return out, u, nil
}

func drawSession(s *tenant.Session) *session {
	return &session{
		ID: s.ID, Active: true, ExpiresAt: s.ExpiresAt, AuthenticatedAt: s.AuthenticatedAt, IssuedAt: s.CreatedAt,
		AssuranceLevel: aalOf(s), AuthenticationMethods: methodsOf(s), Devices: []device{{ID: s.ID, IPAddress: s.IP, UserAgent: s.UserAgent}},
	}
}

func aalOf(s *tenant.Session) string {
	if slices.Contains(s.AMR, "mfa") {
		return aal2
	}
	return aal1
}

// methodsOf tells from what was proved (RFC 8176) by which methods. A passkey
// that has verified its user is both factors.
func methodsOf(s *tenant.Session) []authenticated {
	has := func(m string) bool { return slices.Contains(s.AMR, m) }
	out := []authenticated{}
	add := func(method, aal string) { out = append(out, authenticated{method, aal, s.AuthenticatedAt}) }
	passkey := has("hwk") || has("swk")
	if has("pwd") {
		add(methodPassword, aal1)
	}
	if passkey {
		add("passkey", aalOf(s))
	}
	switch {
	case has("otp") && !has("mfa"):
		add(methodCode, aal1)
	case has("otp") && has("sms"):
		add(methodCode, aal2)
	case has("otp"):
		add(methodTOTP, aal2)
	case has("mfa") && !passkey:
		add(methodLookup, aal2)
	}
	return out
}

func (c *call) identity(u *tenant.UserRecord) *identity {
	out := &identity{
		ID: u.ID, SchemaID: "default", SchemaURL: c.base + "/schemas/default", State: "active", Traits: map[string]any{},
		VerifiableAddresses: []address{}, RecoveryAddresses: []address{}, MetadataPublic: json.RawMessage("null"), CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	if u.State != tenant.UserActive {
		out.State = "inactive"
	}
	for _, part := range []json.RawMessage{u.Attributes.Standard, u.Attributes.Custom} {
		var known map[string]any
		if json.Unmarshal(part, &known) == nil {
			for name, v := range known {
				out.Traits[name] = v
			}
		}
	}
	for i := range u.Identities {
		id := &u.Identities[i]
		if traitInputs[id.Kind].typ == "" {
			continue
		}
		if _, twice := out.Traits[id.Kind]; !twice {
			out.Traits[id.Kind] = id.Value
		}
		via := map[string]string{"email": "email", "phone": "sms"}[id.Kind]
		if via == "" {
			continue
		}
		a := address{ID: id.ID, Value: id.Value, Via: via, CreatedAt: id.CreatedAt, UpdatedAt: id.CreatedAt}
		out.RecoveryAddresses = append(out.RecoveryAddresses, a)
		verified := !id.VerifiedAt.IsZero()
		a.Verified, a.Status = &verified, "pending"
		if verified {
			a.Status, a.VerifiedAt = "completed", &id.VerifiedAt
		}
		out.VerifiableAddresses = append(out.VerifiableAddresses, a)
	}
	return out
}

// whoami says who is signed in.
func (a *api) whoami(c *call) (any, error) {
	token, _ := c.session()
	s, _, err := c.engine.CheckSession(c.Context(), c.Tenant, token)
	if err != nil {
		return nil, err
	}
	out, _, err := c.sessionOf(s)
	if err != nil {
		return nil, err
	}
	c.Say("X-Kratos-Authenticated-Identity-Id", s.UserID)
	return out, nil
}

// own is the session that asks, for what changes something.
func (c *call) own() (*tenant.Session, error) {
	token, cookie := c.session()
	if cookie {
		if err := c.CheckOrigin(); err != nil {
			return nil, err
		}
	}
	s, _, err := c.engine.CheckSession(c.Context(), c.Tenant, token)
	return s, err
}

// sessions lists the user's other sessions.
func (a *api) sessions(c *call) (any, error) {
	token, _ := c.session()
	s, _, err := c.engine.CheckSession(c.Context(), c.Tenant, token)
	if err != nil {
		return nil, err
	}
	all, err := c.engine.Sessions(c.Context(), c.Tenant, s.UserID)
	if err != nil {
		return nil, err
	}
	out := []*session{}
	for _, other := range all {
		if other.ID != s.ID {
			out = append(out, drawSession(other))
		}
	}
	return out, nil
}

// endOthers ends all sessions of the user but the one that asks.
func (a *api) endOthers(c *call) (any, error) {
	s, err := c.own()
	if err != nil {
		return nil, err
	}
	done, err := c.engine.RevokeSession(c.Context(), c.Tenant, c.client(), s, flowengine.Revocation{Others: true})
	if err != nil && !errors.Is(err, tenant.ErrNotFound) {
		return nil, err
	}
	return map[string]int{"count": done.Sessions}, nil
}

// endOne ends one of the user's other sessions.
func (a *api) endOne(c *call) (any, error) {
	s, err := c.own()
	if err != nil {
		return nil, err
	}
	id := strings.ToLower(chi.URLParam(c.Request.Request, "id"))
	if id == s.ID {
		return nil, tenant.Invalidf("/id", "own", "this is the session that asks: log out instead")
	}
	_, err = c.engine.RevokeSession(c.Context(), c.Tenant, c.client(), s, flowengine.Revocation{ID: id})
	return nil, err
}
