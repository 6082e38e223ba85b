package tenant

// FlowType says what a flow is for (FLOW_API.md section 3).
type FlowType string

// The flow types.
const (
	Signup          FlowType = "signup"
	Login           FlowType = "login"
	SignupLogin     FlowType = "signup_login"
	Reauth          FlowType = "reauth"
	AccountRecovery FlowType = "account_recovery"
	Promote         FlowType = "promote"
)

// FlowTypes lists them, in the order they are shown.
var FlowTypes = []FlowType{Signup, Login, SignupLogin, Reauth, AccountRecovery, Promote}

// DefaultFlow is the name of the flow that is derived from the tenant's
// settings unless the tenant defines it.
const DefaultFlow = "default"

// FlowRef names one flow of a tenant.
type FlowRef struct {
	Type FlowType `json:"type"`
	Name string   `json:"name"`
}

// Flow is one flow as a tenant defines it.
type Flow struct {
	Name  string `json:"name" jsonschema:"minLength=1,maxLength=64,pattern=^[A-Za-z0-9_.-]+$"`
	Steps []Step `json:"steps" jsonschema:"minItems=1"`
}

// Step is one node of a flow's tree.
type Step struct {
	Name       string   `json:"name,omitempty"`
	Type       string   `json:"type"`
	TargetStep string   `json:"target_step,omitempty"` // the step whose claim this one is about
	Optional   bool     `json:"optional,omitempty"`
	OneOf      []Branch `json:"one_of,omitempty"`

	EnrollmentAllowed     bool           `json:"enrollment_allowed,omitempty"`     // authenticate: a user without any of the methods sets one up
	UserProfile           []ProfileField `json:"user_profile,omitempty"`           // fill_user_profile: what is asked for
	EnumerateDestinations bool           `json:"enumerate_destinations,omitempty"` // select_destination: offer all addresses of the user
	AllowedChannels       []Destination  `json:"allowed_channels,omitempty"`       // select_destination: instead of the tenant's
}

// Branch is one way to take a step. It names an identification or an
// authentication, never both.
type Branch struct {
	Identification string `json:"identification,omitempty"`
	Authentication string `json:"authentication,omitempty"`
	TargetStep     string `json:"target_step,omitempty"`
	SignupFlow     string `json:"signup_flow,omitempty"` // in signup_login: where a new user goes on
	LoginFlow      string `json:"login_flow,omitempty"`  // in signup_login: where a known user goes on
	// VerificationRequired says whether an address has to be proved before it
	// becomes an authenticator; absent means yes.
	VerificationRequired *bool  `json:"verification_required,omitempty"`
	OnFailure            string `json:"on_failure,omitempty" jsonschema:"enum=ignore,enum=error"` // account_recovery: what an unknown login id does
	Steps                []Step `json:"steps,omitempty"`                                          // taken after this branch, before the next step
}

// Method is the name of the method that the branch uses.
func (b *Branch) Method() string { return b.Identification + b.Authentication }
