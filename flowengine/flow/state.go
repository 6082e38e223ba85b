package flow

import (
	"encoding/json"
	"time"

	"github.com/usher-id/usher/tenant"
)

// State is a run of a flow: where it is and what it has learnt. It marshals to
// JSON and back without loss, and no two states share any of it. It holds
// hashes of new passwords, so it is sealed before it is kept.
type State struct {
	Ref     tenant.FlowRef          `json:"ref"`               // the flow being walked; another one after a signup_login has switched
	At      []int                   `json:"at"`                // step, branch, step, branch, ..., step
	Branch  int                     `json:"branch,omitempty"`  // the branch Pending belongs to
	Pending json.RawMessage         `json:"pending,omitempty"` // a method's half-finished conversation
	User    string                  `json:"user,omitempty"`    // known once identified; of a signup, the id the user will have
	Decoy   bool                    `json:"decoy,omitempty"`   // identified as somebody who doesn't exist, and isn't told
	Claim   tenant.Claim            `json:"claim,omitzero"`    // what the user identified with last
	Marks   map[string]tenant.Claim `json:"marks,omitempty"`   // what each named step established
	Draft   Draft                   `json:"draft,omitzero"`    // what to make when the flow ends
	AMR     []string                `json:"amr,omitempty"`     // what was proved (RFC 8176)
	Done    bool                    `json:"done,omitempty"`
}

// Draft is what a run will write if it ends well.
type Draft struct {
	NewUser        bool            `json:"new_user,omitempty"` // State.User is to be made
	Identities     []NewIdentity   `json:"identities,omitempty"`
	Authenticators []NewCredential `json:"authenticators,omitempty"`
}

// Empty says that the run makes nothing.
func (d *Draft) Empty() bool {
	return !d.NewUser && len(d.Identities) == 0 && len(d.Authenticators) == 0
}

// NewIdentity is a claim that becomes the user's.
type NewIdentity struct {
	tenant.Claim
	Shown    string `json:"shown"` // as the user wrote it
	Verified bool   `json:"verified,omitempty"`
}

// NewCredential is an authenticator that becomes the user's.
type NewCredential struct {
	Type   string `json:"type"`
	Secret string `json:"secret"` // a hash, or a sealed key
}

// Input is one answer of the client: a JSON object, still raw.
type Input = json.RawMessage

// Action is what the client should do next (FLOW_API.md section 4).
type Action struct {
	Type           string         `json:"type"`
	Identification string         `json:"identification,omitempty"`
	Authentication string         `json:"authentication,omitempty"`
	Data           map[string]any `json:"data"`
}

// Finished is the type of the action that ends every flow.
const Finished = "finished"

// Limit names a kind of try that is counted. Which buckets it fills, and how
// large they are, is the tenant's configuration.
type Limit string

// The limits.
const (
	LimitSignup   Limit = "signup"
	LimitIdentify Limit = "identify"
	LimitPassword Limit = "password"
)

// World is what a run may look at. It is made for one request, and none of its
// verbs changes anything, but one: Allow counts the asking. A guess is paid for
// before it is looked at, and stays paid for when the input is refused or the
// client goes back to an old state, so the count can be no part of State and no
// Effect.
type World interface {
	Now() time.Time
	NewID() string // UUIDv7

	// Allow pays for a try about a user ("" when there is none);
	// tenant.ErrRateLimited once a bucket is empty.
	Allow(limit Limit, user string) error

	// AccountByClaim finds whose a canonical claim is; nil when nobody's.
	AccountByClaim(claim tenant.Claim) (*tenant.Account, error)
	// Account reads a user by id; nil when there is none any more.
	Account(user string) (*tenant.Account, error)

	// Hash hashes a new password as the tenant's configuration says;
	// tenant.ErrUnavailable when too many wait.
	Hash(password string) (string, error)
	// Matches compares a password with a hash in constant time; stale says
	// that the hash is not of the kind the tenant uses now. With the hash ""
	// it takes as long as a real comparison and answers false.
	Matches(hash, password string) (ok, stale bool, err error)

	// ProviderReady says whether an OAuth provider has its credentials.
	ProviderReady(alias string) bool
}

// Effect is something the caller must do with the new State, in one
// transaction.
type Effect interface{ effect() }

// The effects a run can ask for.
type (
	// Create writes the draft.
	Create struct {
		User string
		Draft
	}
	// Rehash replaces the secret of an authenticator that was just proved.
	Rehash struct {
		Authenticator tenant.Authenticator // with the new Secret
	}
	// Open opens a session for the user.
	Open struct {
		User string
		AMR  []string
	}
)

func (Create) effect() {}
func (Rehash) effect() {}
func (Open) effect()   {}

// Result is one move: the new state, what to ask next, and what to do about it.
type Result struct {
	State   State
	Action  Action
	Effects []Effect
	Trace   []Trace // what happened on the way, one for each input taken or refused
}

// Trace says, for metrics and the timeline of a run, what became of one input.
// It holds no secret.
type Trace struct {
	StepType string        // of the step that took the input
	Method   string        // the method that took it; "" when none did
	Hashed   bool          // whether a password was hashed on the way
	Reason   tenant.Reason // of the refusal; "" when it was accepted
}
