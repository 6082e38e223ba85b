package tenant

import "time"

// Role is what a member or a key may do (graph/policy.csv says what that is).
type Role string

// The roles. Operator is the platform's; the others are a tenant's.
const (
	Operator Role = "operator"
	Owner    Role = "owner"
	Admin    Role = "admin"
	Editor   Role = "editor"
	Support  Role = "support"
	Viewer   Role = "viewer"
)

// PlatformDomain is the domain of an operator's grant; a tenant's id is the
// domain of any other.
const PlatformDomain = "platform"

// APIKey lets a program call the admin API. Its secret is shown once; the store
// has its SHA-256.
type APIKey struct {
	TenantID   string // the tenant it is scoped to; the admin tenant's for an operator's key
	ID         string // UUIDv7
	Name       string
	Hash       string // base64url of SHA-256 of the whole key
	LastFour   string
	Role       Role
	CreatedAt  time.Time
	CreatedBy  string // who, as the audit log names them
	ExpiresAt  time.Time
	LastUsedAt time.Time
	RevokedAt  time.Time
}

// Grant gives a user of the admin tenant a role in a domain.
type Grant struct {
	UserID string
	Role   Role
	Domain string // a tenant's id, or PlatformDomain
}
