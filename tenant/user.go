package tenant

import (
	"encoding/json"
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
	Kind  string `json:"kind"`  // email, phone, username
	Value string `json:"value"` // canonical
}

// Identity is a claim that belongs to a user. It is unique within the tenant by
// its canonical value.
type Identity struct {
	TenantID   string
	ID         string // UUIDv7
	UserID     string
	Claim             // canonical
	Shown      string // as the user wrote it
	VerifiedAt time.Time
	CreatedAt  time.Time
}

// Authenticator is a credential of a user.
type Authenticator struct {
	TenantID  string    `json:"-"`
	ID        string    `json:"id"` // UUIDv7
	UserID    string    `json:"-"`
	Type      string    `json:"type"`   // primary_password, secondary_totp, ...
	Secret    string    `json:"secret"` // a password hash in PHC or modular crypt form, or a sealed key
	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
}

// Account is a user with what proves them: all that a login reads, in one go.
type Account struct {
	User
	Authenticators []Authenticator
}

// UserRecord is a user with everything: what an import writes, an export
// reads and the admin sees.
type UserRecord struct {
	User
	Identities     []Identity
	Authenticators []Authenticator
	LastLoginAt    time.Time // of the newest session that is kept; zero when there is none
}
