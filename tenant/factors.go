package tenant

import "time"

// SecondaryMode says when a second factor is asked for.
type SecondaryMode string

// The modes.
const (
	SecondaryDisabled SecondaryMode = "disabled"
	SecondaryIfExists SecondaryMode = "if_exists"
	SecondaryRequired SecondaryMode = "required"
)

// Grace is the end of the grace period; zero without one.
func (a *Authenticators) Grace() time.Time {
	end, _ := time.Parse(time.RFC3339, a.SecondaryGraceUntil) // CheckConfig has looked at it
	return end
}

// DeviceTokens says whether a device may be remembered, so that no second
// factor is asked for on it.
type DeviceTokens struct {
	Enabled      bool `json:"enabled" jsonschema_description:"Whether users may ask not to be asked again on a device."`
	LifetimeDays int  `json:"lifetime_days" jsonschema:"minimum=1,maximum=365" jsonschema_description:"For how long."`
}

// RecoveryCodes says whether users get codes that replace a lost second factor.
type RecoveryCodes struct {
	Enabled bool `json:"enabled" jsonschema_description:"Whether users who set up a second factor get recovery codes."`
	Count   int  `json:"count" jsonschema:"minimum=1,maximum=32" jsonschema_description:"How many; each works once."`
}

// OTP says how one-time codes and links are made and for how long they work.
type OTP struct {
	Email                 OTPDelivery `json:"email" jsonschema_description:"Codes by e-mail."`
	Phone                 OTPDelivery `json:"phone" jsonschema_description:"Codes by phone."`
	CodeLifetimeSeconds   int         `json:"code_lifetime_seconds" jsonschema:"minimum=30,maximum=3600" jsonschema_description:"How long a code works."`
	LinkLifetimeSeconds   int         `json:"link_lifetime_seconds" jsonschema:"minimum=60,maximum=86400" jsonschema_description:"How long a link works."`
	ResendCooldownSeconds int         `json:"resend_cooldown_seconds" jsonschema:"minimum=1,maximum=3600" jsonschema_description:"How long to wait before another message to the same target."`
	MaxAttempts           int         `json:"max_attempts" jsonschema:"minimum=1,maximum=20" jsonschema_description:"After so many wrong tries a code is dead."`
}

// OTPDelivery says in which form and by which channels codes reach a kind of
// address.
type OTPDelivery struct {
	Form     CodeForm `json:"form" jsonschema:"enum=code,enum=link" jsonschema_description:"A code to type, or a link to follow."`
	Channels []string `json:"channels" jsonschema:"enum=email,enum=sms,enum=whatsapp,uniqueItems=true" jsonschema_description:"The ways to deliver it, in the order they are offered."`
}

// Of is how codes reach an address of a kind (email or phone).
func (o *OTP) Of(kind string) *OTPDelivery {
	if kind == "email" {
		return &o.Email
	}
	return &o.Phone
}

// Lifetime is how long a code of a form works.
func (o *OTP) Lifetime(form CodeForm) time.Duration {
	if form == LinkForm {
		return time.Duration(o.LinkLifetimeSeconds) * time.Second
	}
	return time.Duration(o.CodeLifetimeSeconds) * time.Second
}

// Verification says which claims of a new user have to be verified, and how
// long it may take in a flow of its own.
type Verification struct {
	Email VerifyClaim `json:"email"`
	Phone VerifyClaim `json:"phone"`

	FlowLifetimeSeconds int `json:"flow_lifetime_seconds" jsonschema:"minimum=60,maximum=86400" jsonschema_description:"A run of a verification flow ends this long after its start."`
	CodeLifetimeSeconds int `json:"code_lifetime_seconds" jsonschema:"minimum=30,maximum=86400" jsonschema_description:"How long a code or a link of a verification flow works."`
}

// VerifyClaim says whether the claims of a kind are verified at sign-up.
type VerifyClaim struct {
	Required bool `json:"required" jsonschema_description:"Whether a new user has to verify it before the sign-up ends."`
}

// Recovery says how users who lost their password get in again.
type Recovery struct {
	Enabled        bool          `json:"enabled" jsonschema_description:"Whether there is a default account_recovery flow."`
	Email          []Destination `json:"email" jsonschema_description:"How recovery codes reach an e-mail address."`
	Phone          []Destination `json:"phone" jsonschema_description:"How recovery codes reach a phone."`
	RevokeSessions bool          `json:"revoke_sessions" jsonschema_description:"Whether a reset password ends all sessions of the user."`
}

// Destination is a channel and a form that a recovery code may take.
type Destination struct {
	Channel string   `json:"channel" jsonschema:"required,enum=email,enum=sms,enum=whatsapp"`
	OTPForm CodeForm `json:"otp_form" jsonschema:"required,enum=code,enum=link"`
}

// ProfileField is an attribute that a fill_user_profile step asks for.
type ProfileField struct {
	Pointer  string `json:"pointer" jsonschema:"required,minLength=1"` // RFC 6901, such as /given_name or /x_plan
	Required bool   `json:"required,omitempty"`
}

// CodeForm is the form a one-time code takes.
type CodeForm string

// The forms.
const (
	CodeForm6  CodeForm = "code" // six digits to type
	LinkForm   CodeForm = "link" // 32 characters in a link to follow
	CodeDigits          = 6
	LinkChars           = 32
)

// Code is a one-time code or link that was sent. The secret itself is known to
// the message alone.
type Code struct {
	TenantID    string
	ID          string // UUIDv7
	RunID       string
	Purpose     CodePurpose
	Form        CodeForm
	Channel     string
	Target      Claim
	Sealed      []byte // the SHA-256 of the ID and the secret, sealed: six digits have no other protection
	LinkHash    string // of a link: base64url of SHA-256 of the secret, by which it is found; "" of a code
	StateHash   string // names the state that waits for it, for links opened elsewhere
	MaxAttempts int
	Attempts    int
	CreatedAt   time.Time
	ExpiresAt   time.Time
	ApprovedAt  time.Time     // a link was followed and approved
	EndedAt     time.Time     // used, or replaced by a newer one
	Delivery    MessageStatus // of the message that carries it; "" when there is none. Not kept with the code
}

// Exhausted says that every try was used up.
func (c *Code) Exhausted() bool { return c.Attempts >= c.MaxAttempts }

// CodePurpose says what a code proves.
type CodePurpose string

// The purposes.
const (
	PurposeVerify       CodePurpose = "verification"
	PurposeAuthenticate CodePurpose = "authentication"
	PurposeRecover      CodePurpose = "recovery"
)
