package hook

import (
	"context"
	"encoding/json"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Trial is what came of trying an endpoint out.
type Trial struct {
	Body       []byte // as it was sent
	StatusCode int    // of the answer; 0 when there was none
	Took       time.Duration
	Response   string // its beginning
	Error      string // why it wouldn't count; "" when it would
	Allowed    *bool  // what a blocking endpoint says; nil when it says nothing
}

// Try calls an endpoint about something that never happened, with a made-up user
// and "test": true in the envelope, whether it is switched on or not.
func (h *Hooks) Try(ctx context.Context, t *tenant.Tenant, e *tenant.HookEndpoint, event tenant.HookEventType, c Context) (*Trial, error) {
	l := letter{id: secret.NewID(), typ: event}
	user := sampleUser(event, h.o.Now().UTC().Truncate(time.Millisecond))
	env := Envelope{ID: l.id, Type: event, At: h.o.Now().UTC().Truncate(time.Millisecond), Tenant: t.Slug, Test: true, Payload: sample(event, user), Context: c}
	var err error
	if l.body, err = json.Marshal(env); err != nil {
		return nil, err
	}
	a := h.call(ctx, t, e, l)
	out := &Trial{Body: l.body, StatusCode: a.status, Took: a.took, Response: clip(a.body)}
	err = a.failure()
	if err == nil && event.Blocking() {
		var r reply
		if r, _, err = readReply(&a, &Question{Type: event, User: user}); err == nil {
			out.Allowed = r.Allowed
		}
	}
	if err != nil {
		out.Error = line(err.Error(), 300)
	}
	return out, nil
}

const sampleID = "01900000-0000-7000-8000-000000000001"

func sampleUser(event tenant.HookEventType, now time.Time) *tenant.HookUser {
	u := &tenant.HookUser{
		ID: sampleID, State: tenant.UserActive,
		Standard: json.RawMessage(`{"given_name":"Sam","locale":"en"}`), Custom: json.RawMessage(`{}`),
		Identities: []tenant.HookIdentity{{Type: "email", Value: "sam@example.com", Verified: true}},
	}
	switch event {
	case tenant.HookPreInitialize:
		return nil
	case tenant.HookPreCreate:
		return u
	case tenant.HookUserDisabled:
		u.State = tenant.UserDisabled
	}
	u.CreatedAt, u.UpdatedAt = now, now
	return u
}

// sample is what is said of an event, made up.
func sample(event tenant.HookEventType, u *tenant.HookUser) map[string]any {
	facts := map[string]any{"user": u}
	if event.Blocking() {
		facts["flow"] = tenant.FlowRef{Type: tenant.Login, Name: tenant.DefaultFlow}
		facts["amr"] = []string{"pwd"}
	}
	session := map[string]any{"id": sampleID, "amr": []string{"pwd"}}
	switch event {
	case tenant.HookUserAuthenticated, tenant.HookUserReauthenticated:
		facts["session"] = session
	case tenant.HookIdentityVerified:
		facts["identity"] = u.Identities[0]
	case tenant.HookAuthenticatorCreated, tenant.HookAuthenticatorRemoved:
		facts["authenticator"] = tenant.HookAuthenticator{ID: sampleID, Type: "secondary_totp"}
	case tenant.HookSessionRevoked:
		facts["session_id"], facts["all"] = sampleID, false
	}
	return facts
}
