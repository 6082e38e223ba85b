package tenant

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// RunStatus is where a run stands.
type RunStatus string

// The statuses of a run (the seed document "Fetch authflow").
const (
	RunNew       RunStatus = "new"       // no input yet
	RunPending   RunStatus = "pending"   // an input was accepted
	RunFinished  RunStatus = "finished"  // its steps were passed
	RunComplete  RunStatus = "complete"  // what it made was used
	RunCancelled RunStatus = "cancelled" // it was given up, or expired
)

// Run is one walk through a flow: the record that outlives it.
type Run struct {
	TenantID      string
	ID            string // PFID
	Flow          FlowRef
	ConfigVersion int64 // pinned: the run goes on under it
	Status        RunStatus
	Surface       string // the door it came through
	SessionKind   SessionKind
	UserID        string // once known
	SessionID     string // once opened
	DeviceID      string
	Factors       []string // AMR so far
	FirstSeen     Seen
	LastSeen      Seen
	CreatedAt     time.Time
	ExpiresAt     time.Time
	FinishedAt    time.Time
	ReturnURL     string     // where the client goes when the run has ended; "" for nowhere
	Head          string     // of a run that is known by its id: the TokenHash of the state it stands on; "" for others
	SurfaceData   string     // what the door keeps with it, sealed
	Timeline      []RunEvent // of a run that was read by itself or in a list; bounded
}

// Walkable says whether the states of the run can be looked at and, unless it has
// ended, gone on with.
func (r *Run) Walkable(at time.Time) bool {
	switch r.Status {
	case RunFinished, RunComplete:
		return true
	case RunCancelled:
		return false
	}
	return at.Before(r.ExpiresAt)
}

// RunHash stands for a run in logs, as flow_id_hash: the first 64 bits of the
// SHA-256 of its id, in hexadecimal. Who has the id finds what was logged of the
// run, and who reads the log doesn't find the id.
func RunHash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// RunEvent is an input that a run took. What was refused stands in the audit
// log.
type RunEvent struct {
	At     time.Time
	Step   string // the type of the step, or one of the events below
	Method string // the identification, authentication or channel; "" when the step has none
}

// Events that are no step.
const (
	SentEvent      = "message" // a code was sent, by the channel that Method names
	CompletedEvent = "complete"
	CancelledEvent = "cancelled"
)

// SessionKind says how the client wants its session.
type SessionKind string

// The kinds of session delivery.
const (
	CookieSession SessionKind = "cookie"
	TokenSession  SessionKind = "token"
)

// Seen is when and from where something was seen.
type Seen struct {
	At        time.Time
	IP        string
	UserAgent string
}

// FlowState is one immutable state of a run, found by its token.
type FlowState struct {
	TenantID  string
	TokenHash string // base64url of SHA-256 of the state token
	RunID     string
	UserID    string // the user the state is about, so that one read brings their account
	Data      []byte // sealed
	CreatedAt time.Time
}

// Commit is everything that one move of a run changes, done in one short
// transaction or not at all. The zero value of a part means that the part
// doesn't change.
type Commit struct {
	Run   Run
	New   bool      // the run starts with this move
	State FlowState // always a new one

	Events []RunEvent // added to the run's timeline

	User           *User // to be made
	Identities     []Identity
	Authenticators []Authenticator
	Updates        []SecretUpdate
	Verified       []Claim         // claims of Run.UserID that are verified from now on
	Attributes     *UserAttributes // of Run.UserID, replaced
	Session        *Session
	Renewed        *Renewal
	Remove         []string // types of authenticators that Run.UserID loses
	RemovePasskeys []LostPasskey
	RevokeSessions bool // all of Run.UserID's end, but Run.SessionID
	Promotes       bool // Run.UserID is anonymous no longer; ErrFlowConflict when they weren't

	Codes    []Code         // sent with this move; the run's older ones of the same purpose end
	UseCodes []string       // ids; ErrOTPExpired when one has ended
	Messages []Message      // to be delivered
	Hooks    []HookDelivery // what the tenant's hooks are told of it
}

// SecretUpdate replaces the secret of an authenticator that holds Was. When it
// holds something else by now, a Must refuses the commit with
// ErrInvalidCredentials, and the rest is skipped.
type SecretUpdate struct {
	Authenticator Authenticator // with the new Secret and UpdatedAt
	Was           string
	Must          bool
}

// Finishes says whether the move ends the run.
func (c *Commit) Finishes() bool { return c.Run.Status == RunFinished }
