package flow

import (
	"encoding/json"

	"github.com/usher-id/usher/tenant"
)

// State is a run of a flow: where it is and what it has learnt. It marshals to
// JSON and back without loss, and no two states share any of it. It holds
// hashes of new passwords and new recovery codes, so it is sealed before it is
// kept.
type State struct {
	Ref     tenant.FlowRef          `json:"ref"`               // the flow being walked; another one after a signup_login has switched
	At      []int                   `json:"at"`                // step, branch, step, branch, ..., step
	Branch  int                     `json:"branch,omitempty"`  // the branch Pending belongs to
	Pending json.RawMessage         `json:"pending,omitempty"` // a method's half-finished conversation
	Passkey *Ceremony               `json:"passkey,omitempty"` // that the step has begun
	Linking *Linking                `json:"linking,omitempty"` // with whom the sign-up is in conflict
	TOTP    string                  `json:"totp,omitempty"`    // the key that the step offers to set up
	User    string                  `json:"user,omitempty"`    // known once identified; of a signup, the id the user will have
	Decoy   bool                    `json:"decoy,omitempty"`   // identified as somebody who doesn't exist, and isn't told
	Claim   tenant.Claim            `json:"claim,omitzero"`    // what the user identified with last
	Known   bool                    `json:"known,omitempty"`   // and was known to be theirs before
	Marks   map[string]tenant.Claim `json:"marks,omitempty"`   // what each named step established
	Proved  []tenant.Claim          `json:"proved,omitempty"`  // addresses that were shown to be the user's in this run
	Draft   Draft                   `json:"draft,omitzero"`    // what to make when the flow ends
	AMR     []string                `json:"amr,omitempty"`     // what was proved (RFC 8176)
	Change  string                  `json:"change,omitempty"`  // why the password has to change, if it has to
	Device  bool                    `json:"device,omitempty"`  // remember this device when the flow ends

	Selected  string `json:"selected,omitempty"`   // the session that the user goes on with
	Renews    bool   `json:"renews,omitempty"`     // and has proved themselves again
	EndOthers bool   `json:"end_others,omitempty"` // end the user's other sessions when the flow ends

	Done bool `json:"done,omitempty"`
}

// Draft is what a run will write if it ends well.
type Draft struct {
	NewUser        bool                       `json:"new_user,omitempty"` // State.User is to be made
	Identities     []NewIdentity              `json:"identities,omitempty"`
	Authenticators []NewCredential            `json:"authenticators,omitempty"`
	NewPassword    string                     `json:"new_password,omitempty"`    // a hash, to replace the one the user has
	Profile        map[string]json.RawMessage `json:"profile,omitempty"`         // attributes by pointer
	Remove         []string                   `json:"remove,omitempty"`          // types of authenticators that the user loses
	RemovePasskeys []string                   `json:"remove_passkeys,omitempty"` // by credential id
}

// Empty says that the run makes nothing.
func (d *Draft) Empty() bool {
	return !d.NewUser && len(d.Identities) == 0 && !d.credentials() && len(d.Profile) == 0
}

// credentials says whether the run changes what proves the user.
func (d *Draft) credentials() bool {
	return len(d.Authenticators) > 0 || d.NewPassword != "" || len(d.Remove) > 0 || len(d.RemovePasskeys) > 0
}

// NewIdentity is a claim that becomes the user's.
type NewIdentity struct {
	tenant.Claim
	Key   string `json:"key"`   // what it is unique by
	Shown string `json:"shown"` // as the user wrote it
}

// NewCredential is an authenticator that becomes the user's.
type NewCredential struct {
	ID     string `json:"id"` // UUIDv7; sealed secrets are bound to it
	Type   string `json:"type"`
	Secret string `json:"secret"`        // a hash, a sealed key, or an address
	Was    string `json:"was,omitempty"` // what the user's authenticator with this id holds, when it is replaced
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
	Called   bool          // whether somebody outside was asked on the way: a hook, a directory, a provider
	Reason   tenant.Reason // of the refusal; "" when it was accepted
}
