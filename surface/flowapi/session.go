package flowapi

import (
	"encoding/json"
	"time"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

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
	token, _ := q.SessionToken()
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
	ID  *string `json:"id"`
	All bool    `json:"all"`
}

func (a *api) revoke(q *surface.Request, in *revokeIn) (*struct{}, error) {
	token, cookie := q.SessionToken()
	if cookie {
		if err := q.CheckOrigin(); err != nil {
			return nil, err
		}
	}
	id := ""
	switch {
	case in.ID == nil:
	case in.All:
		return nil, tenant.Invalidf("/all", "exclusive", "send id or all, not both")
	case *in.ID == "": // more likely a mistake than a wish to sign out
		return nil, tenant.Invalidf("/id", "minLength", "id names a session; leave it out to end the one that asks")
	default:
		id = *in.ID
	}
	s, _, err := a.engine.CheckSession(q.Context(), q.Tenant, token)
	if err != nil {
		return nil, err
	}
	done, err := a.engine.RevokeSession(q.Context(), q.Tenant, q.Client(Name), s, flowengine.Revocation{ID: id, All: in.All})
	if err != nil {
		return nil, err
	}
	if done.Own && cookie {
		q.Keep(surface.SessionCookie, "", -time.Second)
	}
	return &struct{}{}, nil
}
