package tenant

import (
	"encoding/json"
	"strings"
	"time"
)

// UserState says whether a user may sign in.
type UserState string

// The states of a user.
const (
	UserActive   UserState = "active"
	UserDisabled UserState = "disabled"
)

// User is somebody with an account at a tenant.
type User struct {
	TenantID       string
	ID             string // UUIDv7
	State          UserState
	DisabledReason string         // for people; empty unless disabled
	Anonymous      bool           // has nothing but a session, until promoted
	Access                        // when they may enter, beside State
	Attributes     UserAttributes // what is known about them
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// UserAttributes are the standard claims of OpenID Connect Core section 5.1 and
// the tenant's own, each a JSON object.
type UserAttributes struct {
	Standard json.RawMessage `json:"standard,omitempty"`
	Custom   json.RawMessage `json:"custom,omitempty"`
}

// Claim is a value that a user says is theirs.
type Claim struct {
	Kind  string `json:"kind"`  // email, phone, username; ldap, passkey
	Value string `json:"value"` // canonical
}

// Identity is a claim that belongs to a user. It is unique within the tenant by
// its value, and by its key.
type Identity struct {
	TenantID   string
	ID         string // UUIDv7
	UserID     string
	Claim             // canonical; of an address, what is written to
	Key        string // equal for claims that the tenant takes for the same (LoginIDs); the value when ""
	Shown      string // as the user wrote it
	VerifiedAt time.Time
	CreatedAt  time.Time
}

// Authenticator is a credential of a user.
type Authenticator struct {
	TenantID   string    `json:"-"`
	ID         string    `json:"id"` // UUIDv7
	UserID     string    `json:"-"`
	Type       string    `json:"type"`                  // primary_password, secondary_totp, ...
	Secret     string    `json:"secret"`                // a password hash in PHC or modular crypt form, a sealed key, the hash of a token, or an address
	MustChange bool      `json:"must_change,omitempty"` // of a password: an admin wants it changed at the next login
	CreatedAt  time.Time `json:"-"`
	UpdatedAt  time.Time `json:"-"`
}

// Account is a user with what proves them: all that a login reads, in one go.
type Account struct {
	User
	Authenticators []Authenticator
	Claim          Claim     // that the user was found by, as it is kept; zero when found by id
	ClaimVerified  time.Time // when that was verified; zero when it wasn't
}

// UserRecord is a user with everything: what an import writes, an export
// reads and the admin sees.
type UserRecord struct {
	User
	Identities     []Identity
	Authenticators []Authenticator
	LastLoginAt    time.Time // of the newest session that is kept; zero when there is none
}

// standardAttributes are the claims of OpenID Connect Core section 5.1 that a
// user may fill in, by pointer.
var standardAttributes = map[string]bool{
	"/name": true, "/given_name": true, "/family_name": true, "/middle_name": true, "/nickname": true, "/profile": true,
	"/picture": true, "/website": true, "/gender": true, "/birthdate": true, "/zoneinfo": true, "/locale": true, "/address": true,
}

// CheckAttribute says which rule an attribute breaks: "" for none. Standard
// attributes are strings (the address an object), a tenant's own begin with /x_
// and hold any JSON value.
func CheckAttribute(pointer string, value json.RawMessage) string {
	var v any
	if len(value) > 4096 || json.Unmarshal(value, &v) != nil {
		return "type"
	}
	switch _, isText := v.(string); {
	case strings.HasPrefix(pointer, "/x_"):
		return ""
	case !standardAttributes[pointer]:
		return "enum"
	case pointer == "/address":
		if _, ok := v.(map[string]any); !ok {
			return "type"
		}
	case !isText:
		return "type"
	}
	return ""
}
