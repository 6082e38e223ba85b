package flow

import "github.com/usher-id/usher/tenant"

// StepType is one kind of step.
type StepType interface {
	// In says whether the step may stand in a flow of this type.
	In(t tenant.FlowType) bool
	// Offer describes what to ask; nil when there is nothing to ask, and the
	// run goes on after the step.
	Offer(c *Cursor, s *tenant.Step) (*Action, error)
	// Understands says whether the step would read any key of what is left of
	// an input that an earlier step took.
	Understands(c *Cursor, s *tenant.Step, in *Answer) bool
	// Take reacts to an answer.
	Take(c *Cursor, s *tenant.Step, in *Answer) error
}

// Method is one way to take a branch: to identify, or to authenticate.
type Method interface {
	// For says whether the method may stand in a step of this type.
	For(stepType string) bool
	// Proves says whether taking the branch proves who the user is.
	Proves(stepType string) bool
	// Options are the ways open to this user now; none hides the branch.
	Options(c *Cursor, s *tenant.Step) ([]Option, error)
	// Take reacts to an answer that chose one of the Options.
	Take(c *Cursor, s *tenant.Step, in *Answer) (Verdict, error)
}

// Option is one entry of action.data.options.
type Option map[string]any

// Verdict is how a method answers an input it accepts.
type Verdict struct {
	Claim tenant.Claim // who the user says they are; identify decides what that means
	Shown string       // the claim as the user wrote it
	AMR   []string     // what was proved (RFC 8176)
}

// The names of the step types.
const (
	stepIdentify            = "identify"
	stepAuthenticate        = "authenticate"
	stepCreateAuthenticator = "create_authenticator"
)

// The names of the methods.
const (
	idEmail         = "email"
	idPhone         = "phone"
	idUsername      = "username"
	idOAuth         = "oauth"
	primaryPassword = "primary_password"
)

// stepTypes and methods are all there is. A new one is a file and a line here.
var (
	stepTypes map[string]StepType
	methods   map[string]Method
)

func init() { // the tables and what they name refer to each other
	stepTypes = map[string]StepType{
		stepIdentify:            identify{},
		stepAuthenticate:        authenticate{},
		stepCreateAuthenticator: createAuthenticator{},
	}
	methods = map[string]Method{
		idEmail:         loginID{idEmail},
		idPhone:         loginID{idPhone},
		idUsername:      loginID{idUsername},
		idOAuth:         oauth{},
		primaryPassword: password{primaryPassword},
	}
}

// StepTypes and Methods name what there is, for metrics and documentation.
func StepTypes() []string { return keys(stepTypes) }

// Methods names every identification and authentication.
func Methods() []string { return keys(methods) }
