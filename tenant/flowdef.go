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
	Verify          FlowType = "verification"
	Settings        FlowType = "settings"
)

// FlowTypes lists them, in the order they are shown.
var FlowTypes = []FlowType{Signup, Login, SignupLogin, Reauth, AccountRecovery, Promote, Verify, Settings}

// NeedsSession says whether a flow is about whoever is signed in, and nobody
// else.
func (t FlowType) NeedsSession() bool { return t == Reauth || t == Promote || t == Settings }

// SignsIn says whether the user is signed in at the end of such a flow.
func (t FlowType) SignsIn() bool { return t != AccountRecovery && t != Verify && t != Settings }

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
	Name  string `json:"name" jsonschema:"required,minLength=1,maxLength=64,pattern=^[A-Za-z0-9_.-]+$"`
	Steps []Step `json:"steps" jsonschema:"required,minItems=1,maxItems=50"`
}

// Step is one node of a flow's tree.
type Step struct {
	Name       string   `json:"name,omitempty" jsonschema:"maxLength=64"`
	Type       string   `json:"type" jsonschema:"required,maxLength=64"`
	TargetStep string   `json:"target_step,omitempty" jsonschema:"maxLength=64" jsonschema_description:"The name of the step whose claim this one is about."`
	Optional   bool     `json:"optional,omitempty" jsonschema_description:"Pass the step by when the user has nothing to take it with."`
	OneOf      []Branch `json:"one_of,omitempty" jsonschema:"maxItems=50" jsonschema_description:"The ways to take the step, in the order they are offered."`

	// Of a derived step: until the grace period ends it is passed by when the
	// user has nothing for it.
	Grace bool `json:"-"`

	EnrollmentAllowed     bool           `json:"enrollment_allowed,omitempty" jsonschema_description:"authenticate: a user without any of the methods sets one up."`
	UserProfile           []ProfileField `json:"user_profile,omitempty" jsonschema:"maxItems=50" jsonschema_description:"fill_user_profile: what is asked for; change_setting: what the setting profile offers."`
	EnumerateDestinations bool           `json:"enumerate_destinations,omitempty" jsonschema_description:"select_destination: offer all addresses of the user."`
	AllowedChannels       []Destination  `json:"allowed_channels,omitempty" jsonschema:"maxItems=10" jsonschema_description:"select_destination: instead of the tenant's."`
}

// Branch is one way to take a step. It names an identification, an
// authentication or a setting, one of them.
type Branch struct {
	Identification string `json:"identification,omitempty" jsonschema:"maxLength=64"`
	Authentication string `json:"authentication,omitempty" jsonschema:"maxLength=64"`
	Setting        string `json:"setting,omitempty" jsonschema:"maxLength=64" jsonschema_description:"change_setting: what may be changed."`
	TargetStep     string `json:"target_step,omitempty" jsonschema:"maxLength=64" jsonschema_description:"The name of the step whose claim this one is about."`
	SignupFlow     string `json:"signup_flow,omitempty" jsonschema:"maxLength=64" jsonschema_description:"In signup_login: where a new user goes on."`
	LoginFlow      string `json:"login_flow,omitempty" jsonschema:"maxLength=64" jsonschema_description:"In signup_login: where a known user goes on."`
	// A pointer, because absent means true.
	VerificationRequired *bool           `json:"verification_required,omitempty" jsonschema_description:"create_authenticator: whether an address has to be proved before it becomes one; true unless given."`
	BotProtection        *BotRequirement `json:"bot_protection,omitempty" jsonschema_description:"Whether the user has to show that they are no program before this branch is taken."`
	OnFailure            string          `json:"on_failure,omitempty" jsonschema:"enum=ignore,enum=error" jsonschema_description:"account_recovery: what an unknown login id does; as reveal_unknown_users says unless given."`
	AccountLinking       *BranchLinking  `json:"account_linking,omitempty" jsonschema_description:"In signup and promote: what a login id that is somebody's leads to, other than the rules of account_linking say."`
	Steps                []Step          `json:"steps,omitempty" jsonschema:"maxItems=50" jsonschema_description:"Taken after this branch, before the next step."`
}

// Method is the name of the method that the branch uses.
func (b *Branch) Method() string { return b.Identification + b.Authentication + b.Setting }
