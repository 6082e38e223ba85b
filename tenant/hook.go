package tenant

import (
	"encoding/json"
	"slices"
	"time"
)

// HookEventType names what a hook is called about.
type HookEventType string

// What hooks are asked about, before it happens.
const (
	HookPreInitialize    HookEventType = "authentication.pre_initialize"    // a flow is about to start
	HookPostIdentified   HookEventType = "authentication.post_identified"   // somebody said who they are, and proved nothing yet
	HookPreAuthenticated HookEventType = "authentication.pre_authenticated" // everything is proved, and a session is about to open
	HookPreCreate        HookEventType = "user.pre_create"
	HookProfilePreUpdate HookEventType = "user.profile.pre_update"
)

// What hooks are told of, once it has happened.
const (
	HookUserCreated          HookEventType = "user.created"
	HookUserAuthenticated    HookEventType = "user.authenticated"   // a session was opened
	HookUserReauthenticated  HookEventType = "user.reauthenticated" // the user of a session proved themselves again
	HookProfileUpdated       HookEventType = "user.profile.updated"
	HookUserDisabled         HookEventType = "user.disabled"
	HookUserEnabled          HookEventType = "user.enabled"
	HookUserDeleted          HookEventType = "user.deleted"
	HookUserPromoted         HookEventType = "user.anonymous.promoted"
	HookIdentityVerified     HookEventType = "identity.verified"
	HookAuthenticatorCreated HookEventType = "authenticator.created"
	HookAuthenticatorRemoved HookEventType = "authenticator.removed"
	HookSessionRevoked       HookEventType = "session.revoked"
	HookPasswordReset        HookEventType = "password.reset"   // by who had lost it
	HookPasswordChanged      HookEventType = "password.changed" // by who knew it, or by an admin
)

// The events, in the order of the documentation.
var (
	BlockingHookEvents = []HookEventType{HookPreInitialize, HookPostIdentified, HookPreCreate, HookProfilePreUpdate, HookPreAuthenticated}
	ToldHookEvents     = []HookEventType{
		HookUserCreated, HookUserAuthenticated, HookUserReauthenticated, HookProfileUpdated, HookUserDisabled, HookUserEnabled, HookUserDeleted,
		HookUserPromoted, HookIdentityVerified, HookAuthenticatorCreated, HookAuthenticatorRemoved, HookSessionRevoked, HookPasswordReset, HookPasswordChanged,
	}
)

// Blocking says whether hooks are asked about the event rather than told of it.
func (t HookEventType) Blocking() bool { return slices.Contains(BlockingHookEvents, t) }

// HookUser is a user as hooks see them. It holds nothing that proves anything.
type HookUser struct {
	ID         string          `json:"id"`
	State      UserState       `json:"state"`
	Anonymous  bool            `json:"anonymous"`
	Standard   json.RawMessage `json:"standard_attributes"`
	Custom     json.RawMessage `json:"custom_attributes"`
	Identities []HookIdentity  `json:"identities"`
	CreatedAt  time.Time       `json:"created_at,omitzero"` // absent of one who is about to be made
	UpdatedAt  time.Time       `json:"updated_at,omitzero"`
}

// HookIdentity is a login id as hooks see it.
type HookIdentity struct {
	Type     string `json:"type"`  // email, phone, username
	Value    string `json:"value"` // canonical
	Verified bool   `json:"verified"`
}

// HookAuthenticator is a credential as hooks see it.
type HookAuthenticator struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// NewHookUser shows a user to hooks.
func NewHookUser(u *User, identities []Identity) *HookUser {
	h := &HookUser{
		ID: u.ID, State: u.State, Anonymous: u.Anonymous, Standard: orObject(u.Attributes.Standard), Custom: orObject(u.Attributes.Custom),
		Identities: []HookIdentity{}, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	for i := range identities {
		h.Identities = append(h.Identities, NewHookIdentity(&identities[i]))
	}
	return h
}

// NewHookIdentity shows a login id to hooks.
func NewHookIdentity(i *Identity) HookIdentity {
	return HookIdentity{Type: i.Kind, Value: i.Value, Verified: !i.VerifiedAt.IsZero()}
}

func orObject(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}

// HookDeliveryStatus is where a delivery stands.
type HookDeliveryStatus string

// The statuses of a delivery.
const (
	HookQueued    HookDeliveryStatus = "queued"    // waits to be delivered, perhaps again
	HookDelivered HookDeliveryStatus = "delivered" // the endpoint took it
	HookFailed    HookDeliveryStatus = "failed"    // given up
)

// HookDelivery is one event on its way to one endpoint, and what became of it.
type HookDelivery struct {
	TenantID  string
	ID        string // UUIDv7
	EventID   string // UUIDv7; the same at every endpoint and when it is delivered anew
	Type      HookEventType
	Endpoint  string // its name
	Body      []byte // JSON, as it is sent
	Status    HookDeliveryStatus
	Attempts  int
	NextAt    time.Time // when to try
	ExpiresAt time.Time // from then on it isn't tried again
	CreatedAt time.Time

	// Of the last try; zero before it.
	TriedAt    time.Time
	Took       time.Duration
	StatusCode int    // of the answer; 0 when there was none
	Response   string // its beginning
	Error      string // why it didn't count; "" once delivered
}

// HookLane is the deliveries to one endpoint.
type HookLane struct {
	TenantID string
	Endpoint string
}
