package tenant

import "time"

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
}

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

	User           *User // to be made, with the identities and authenticators below
	Identities     []Identity
	Authenticators []Authenticator
	Rehash         *Authenticator // its Secret hashed anew, all else as it was read; ignored when the row has changed or gone
	Session        *Session
}

// Finishes says whether the move ends the run.
func (c *Commit) Finishes() bool { return c.Run.Status == RunFinished }
