package flow

import (
	"encoding/json"

	"github.com/usher-id/usher/tenant"
)

// StepType is one kind of step.
type StepType interface {
	// In says whether the step may stand in a flow of this type.
	In(t tenant.FlowType) bool
	// Offer describes what to ask; nil when there is nothing to ask, and the
	// run goes on after the step. What a step does on being reached, such as
	// sending a code where there is nothing to choose, it does here, and keeps
	// in Cursor.Pending that it has: a state is shown more than once.
	Offer(c *Cursor, s *tenant.Step) (*Action, error)
	// Understands says whether the step would read any key of what is left of
	// an input that an earlier step took.
	Understands(c *Cursor, s *tenant.Step, in *Answer) bool
	// Take reacts to an answer.
	Take(c *Cursor, s *tenant.Step, in *Answer) error
}

// Method is one way to take a branch: to identify, to authenticate, or to change
// a setting. A method
// that needs more than one answer holds a conversation: it answers the first
// with a Verdict that has Pending, is then asked for a Prompt, and gets the
// next answers by Resume.
type Method interface {
	// For says whether the method may stand in a step of this type.
	For(stepType string) bool
	// Proves says whether taking the branch proves who the user is.
	Proves(stepType string) bool
	// Options are the ways open to this user now; none hides the branch.
	Options(c *Cursor, s *tenant.Step, b *tenant.Branch) ([]Option, error)
	// Take reacts to an answer that chose one of the Options.
	Take(c *Cursor, s *tenant.Step, b *tenant.Branch, o Option, in *Answer) (Verdict, error)

	Keys() []string // that Resume reads
	Prompt(c *Cursor, s *tenant.Step) (map[string]any, error)
	Resume(c *Cursor, s *tenant.Step, b *tenant.Branch, in *Answer) (Verdict, error)
}

// Option is one entry of action.data.options.
type Option struct {
	Show  map[string]any
	To    tenant.Claim // the address it stands for, if any
	Decoy bool         // which is nobody's
}

// MarshalJSON shows what the client may see.
func (o Option) MarshalJSON() ([]byte, error) { return marshal(o.Show) }

// Verdict is how a method answers an input it accepts.
type Verdict struct {
	Claim   tenant.Claim               // who the user says they are, or what was set up
	Shown   string                     // the claim as the user wrote it
	User    string                     // whom the method knows it to be, without a claim
	Also    []string                   // what the claim may be kept as, besides its value
	AMR     []string                   // what was proved (RFC 8176)
	Profile map[string]json.RawMessage // attributes of a new user, by pointer
	Pending any                        // when set, the conversation goes on, and this is remembered
}

// oneShot is part of a method that needs one answer.
type oneShot struct{}

func (oneShot) Keys() []string                                       { return nil }
func (oneShot) Prompt(*Cursor, *tenant.Step) (map[string]any, error) { return nil, tenant.ErrInternal }
func (oneShot) Resume(*Cursor, *tenant.Step, *tenant.Branch, *Answer) (Verdict, error) {
	return Verdict{}, tenant.ErrInternal
}

// The names of the step types.
const (
	stepIdentify            = "identify"
	stepAuthenticate        = "authenticate"
	stepCreateAuthenticator = "create_authenticator"
	stepVerify              = "verify"
	stepViewRecoveryCode    = "view_recovery_code"
	stepChangePassword      = "change_password"
	stepSelectDestination   = "select_destination"
	stepVerifyRecoveryCode  = "verify_account_recovery_code"
	stepResetPassword       = "reset_password"
	stepFillUserProfile     = "fill_user_profile"
	stepCheckAccountStatus  = "check_account_status"
	stepPromptCreatePasskey = "prompt_create_passkey"

	stepTerminateOtherSessions = "terminate_other_sessions"
	stepChangeSetting          = "change_setting"
)

// The names of the methods.
const (
	idEmail    = "email"
	idPhone    = "phone"
	idUsername = "username"
	idOAuth    = "oauth"
	idPasskey  = tenant.PasskeyKind
	idLDAP     = tenant.LDAPKind

	idAnonymous     = "anonymous"
	idSelectAccount = "select_account"

	primaryPassword   = "primary_password"
	primaryOOBEmail   = "primary_oob_otp_email"
	primaryOOBSMS     = "primary_oob_otp_sms"
	primaryPasskey    = tenant.PasskeyAuthenticator
	secondaryPassword = "secondary_password"
	secondaryOOBEmail = "secondary_oob_otp_email"
	secondaryOOBSMS   = "secondary_oob_otp_sms"
	secondaryTOTP     = "secondary_totp"
	recoveryCodeName  = "recovery_code"
	deviceTokenName   = "device_token"

	settingPassword      = "password"
	settingProfile       = "profile"
	settingTOTP          = "totp"
	settingRecoveryCodes = "recovery_codes"
	settingPasskeys      = "passkeys"
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
		stepVerify:              verify{},
		stepViewRecoveryCode:    viewRecoveryCode{},
		"recovery_code":         viewRecoveryCode{},
		stepChangePassword:      changePassword{},
		stepSelectDestination:   selectDestination{},
		stepVerifyRecoveryCode:  verifyRecoveryCode{},
		stepResetPassword:       resetPassword{},
		stepFillUserProfile:     fillUserProfile{},
		"user_profile":          fillUserProfile{},
		stepCheckAccountStatus:  checkAccountStatus{},
		stepPromptCreatePasskey: promptCreatePasskey{},

		stepTerminateOtherSessions: terminateOtherSessions{},
		stepChangeSetting:          changeSetting{},
	}
	methods = map[string]Method{
		idEmail:           loginID{kind: idEmail},
		idPhone:           loginID{kind: idPhone},
		idUsername:        loginID{kind: idUsername},
		idOAuth:           oauth{},
		idPasskey:         usernameless{},
		idLDAP:            ldap{},
		idAnonymous:       anonymous{},
		idSelectAccount:   selectAccount{},
		primaryPassword:   password{name: primaryPassword, amr: []string{"pwd"}},
		primaryOOBEmail:   oob{name: primaryOOBEmail, kind: idEmail, amr: []string{"otp"}},
		primaryOOBSMS:     oob{name: primaryOOBSMS, kind: idPhone, amr: []string{"otp", "sms"}},
		primaryPasskey:    passkey{},
		secondaryPassword: password{name: secondaryPassword, amr: []string{"pwd", "mfa"}},
		secondaryOOBEmail: oob{name: secondaryOOBEmail, kind: idEmail, amr: []string{"otp", "mfa"}},
		secondaryOOBSMS:   oob{name: secondaryOOBSMS, kind: idPhone, amr: []string{"otp", "sms", "mfa"}},
		secondaryTOTP:     totp{},
		recoveryCodeName:  recoveryCode{},
		deviceTokenName:   deviceToken{},

		settingPassword:      setPassword{},
		settingProfile:       setProfile{},
		settingTOTP:          setTOTP{},
		settingRecoveryCodes: setRecoveryCodes{},
		settingPasskeys:      setPasskeys{},
	}
}

// confined methods stand in flows of these types alone.
var confined = map[string][]tenant.FlowType{
	idAnonymous:     {tenant.Signup},
	idLDAP:          {tenant.Signup, tenant.Login, tenant.SignupLogin, tenant.Promote}, // the password isn't ours to reset
	idPasskey:       {tenant.Login, tenant.SignupLogin, tenant.AccountRecovery},        // whoever signs up has none
	idSelectAccount: {tenant.Login},
}

// secondary says whether a method is a second factor.
func secondary(method string) bool {
	switch method {
	case secondaryPassword, secondaryOOBEmail, secondaryOOBSMS, secondaryTOTP:
		return true
	}
	return false
}

// StepTypes names what there is, for metrics and documentation.
func StepTypes() []string { return keys(stepTypes) }

// Methods names every identification, authentication and setting.
func Methods() []string { return keys(methods) }
