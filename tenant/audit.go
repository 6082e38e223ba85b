package tenant

import (
	"encoding/json"
	"time"
)

// AuditEvent is one row of a tenant's audit log. Rows are chained: the hash of
// each covers its content and the hash of the one before it.
type AuditEvent struct {
	TenantID  string
	ID        string // UUIDv7
	Seq       int64  // place in the chain, from 1; 0 until sealed
	At        time.Time
	Category  AuditCategory
	Action    string // what was done, such as config.publish
	Outcome   string // success, or the reason of the refusal
	ActorKind ActorKind
	ActorID   string
	IP        string
	RequestID string
	RunID     string
	UserID    string          // whom it was done to
	Detail    json.RawMessage // what exactly; secrets redacted
	PrevHash  string          // hex
	Hash      string          // hex
}

// AuditCategory sorts events.
type AuditCategory string

// The categories.
const (
	AuditSignIn AuditCategory = "sign_in"
	AuditAdmin  AuditCategory = "admin"
	AuditSystem AuditCategory = "system"
)

// ActorKind says who did it.
type ActorKind string

// The kinds of actor.
const (
	ActorUser   ActorKind = "user"    // an end user
	ActorMember ActorKind = "member"  // a signed-in admin
	ActorKey    ActorKind = "api_key" //
	ActorCLI    ActorKind = "cli"     // the command line on the server
	ActorSystem ActorKind = "system"
	ActorNobody ActorKind = "anonymous"
)
