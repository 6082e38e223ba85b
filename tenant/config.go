package tenant

// Config is a tenant's whole configuration: one typed document, published in
// immutable versions. Its JSON form is the USHER document (SETTLED.md), whose
// pointers name the places that problems are about; docs/config.schema.json is
// generated from these types.
//
// A document says only what differs from [DefaultConfig]: decode into a copy of
// that. Durations are whole seconds.
type Config struct {
	Identifications Identifications `json:"identifications" jsonschema_description:"How users may say who they are."`
	LoginIDs        LoginIDs        `json:"login_ids" jsonschema_description:"Which login ids are taken, and which of them are the same."`
	Authenticators  Authenticators  `json:"authenticators" jsonschema_description:"With what users may prove it."`
	PasswordPolicy  PasswordPolicy  `json:"password_policy" jsonschema_description:"What a new password must meet."`
	OAuthProviders  []OAuthProvider `json:"oauth_providers" jsonschema:"maxItems=50" jsonschema_description:"OAuth 2.0 and OpenID providers that users may come from. Their client secrets are kept apart, sealed."`
	OTP             OTP             `json:"otp" jsonschema_description:"How one-time codes and links are made."`
	Verification    Verification    `json:"verification" jsonschema_description:"Which addresses a new user has to verify, and how long the verification flows take."`
	LDAP            LDAP            `json:"ldap" jsonschema_description:"Directories at which users may prove themselves. Whom they are searched as is kept apart, sealed."`
	Recovery        Recovery        `json:"recovery" jsonschema_description:"How users who lost their password get in again."`
	Accounts        Accounts        `json:"accounts" jsonschema_description:"Who may have an account and what strangers may learn."`
	AccountLinking  AccountLinking  `json:"account_linking" jsonschema_description:"What happens when somebody signs up as who is somebody's already."`
	Flows           Flows           `json:"flows" jsonschema_description:"The tenant's own flows and how long a run may take."`
	Sessions        Sessions        `json:"sessions" jsonschema_description:"How long users stay signed in."`
	Limits          Limits          `json:"limits" jsonschema_description:"How often things may be tried. Where a credential is checked only failures count."`
	Lockout         Lockout         `json:"lockout" jsonschema_description:"When a user is locked out after failed tries, and for how long."`
	BotProtection   BotProtection   `json:"bot_protection" jsonschema_description:"Where users have to show that they are no program."`
	Passkeys        Passkeys        `json:"passkeys" jsonschema_description:"For whom passkeys are made and how they are checked."`
	Messaging       Messaging       `json:"messaging" jsonschema_description:"How messages reach users and what they say."`
	TestMode        TestMode        `json:"test_mode" jsonschema_description:"Fixed codes and suppressed messages, for trying things out. Never for real users."`
	Hooks           Hooks           `json:"hooks" jsonschema_description:"Services of the tenant that are asked before something happens, and told when it has."`
	Web             Web             `json:"web" jsonschema_description:"Which browsers' origins may call the APIs, and where browsers may be sent back to."`
	SelfService     SelfService     `json:"self_service" jsonschema_description:"The pages that show the flows of the self-service API."`
}

// Identifications says how users may say who they are, in the order shown.
type Identifications struct {
	Enabled []string `json:"enabled" jsonschema:"enum=email,enum=phone,enum=username,enum=oauth,enum=ldap,enum=passkey,enum=anonymous,enum=select_account,uniqueItems=true" jsonschema_description:"The ways to identify, in the order they are offered."`
}

// Authenticators says with what users may prove it.
type Authenticators struct {
	Primary       []string      `json:"primary" jsonschema:"enum=primary_password,enum=primary_oob_otp_email,enum=primary_oob_otp_sms,enum=primary_passkey,uniqueItems=true" jsonschema_description:"The first factors, in the order they are offered."`
	Secondary     []string      `json:"secondary" jsonschema:"enum=secondary_password,enum=secondary_oob_otp_email,enum=secondary_oob_otp_sms,enum=secondary_totp,uniqueItems=true" jsonschema_description:"The second factors, in the order they are offered."`
	SecondaryMode SecondaryMode `json:"secondary_mode" jsonschema:"enum=disabled,enum=if_exists,enum=required" jsonschema_description:"When a second factor is asked for."`
	// A string, so that none is the empty one.
	SecondaryGraceUntil string `json:"secondary_grace_until" jsonschema:"maxLength=40" jsonschema_description:"With secondary_mode required: until this time (RFC 3339) users without a second factor get in as with if_exists; empty for no grace."`

	DeviceToken   DeviceTokens    `json:"device_token" jsonschema_description:"Whether devices may be remembered."`
	RecoveryCodes RecoveryCodes   `json:"recovery_codes" jsonschema_description:"Codes that replace a lost second factor."`
	Password      PasswordHashing `json:"password" jsonschema_description:"How new passwords are hashed."`
}

// PasswordHashing says how new passwords are hashed. Hashes of another kind go
// on working and are replaced on the next good login.
type PasswordHashing struct {
	Algorithm  string `json:"algorithm" jsonschema:"enum=argon2id,enum=bcrypt" jsonschema_description:"argon2id with m=19 MiB, t=2, p=1 (OWASP), or bcrypt."`
	BcryptCost int    `json:"bcrypt_cost" jsonschema:"minimum=10,maximum=14" jsonschema_description:"The cost of bcrypt; unused with argon2id."`
}

// Accounts says who may have an account and what strangers may learn.
type Accounts struct {
	PublicSignup       bool `json:"public_signup" jsonschema_description:"Whether anybody may sign up. Without it only admins make users."`
	RevealUnknownUsers bool `json:"reveal_unknown_users" jsonschema_description:"Answer UserNotFound for an unknown login id instead of going on as if there were one, and offer a user only what they have."`
}

// Flows holds the tenant's own flow definitions and how long a run may take.
type Flows struct {
	LifetimeSeconds    int `json:"lifetime_seconds" jsonschema:"minimum=60,maximum=86400" jsonschema_description:"A run ends this long after its last input."`
	MaxLifetimeSeconds int `json:"max_lifetime_seconds" jsonschema:"minimum=60,maximum=86400" jsonschema_description:"A run ends this long after its start, whatever comes in."`

	SignupFlows          []Flow `json:"signup_flows,omitempty" jsonschema:"maxItems=50" jsonschema_description:"How users sign up. A flow named default replaces the derived one."`
	LoginFlows           []Flow `json:"login_flows,omitempty" jsonschema:"maxItems=50" jsonschema_description:"How users log in. A flow named default replaces the derived one."`
	SignupLoginFlows     []Flow `json:"signup_login_flows,omitempty" jsonschema:"maxItems=50" jsonschema_description:"How users sign up or log in, whichever fits who they say they are. A flow named default replaces the derived one."`
	ReauthFlows          []Flow `json:"reauth_flows,omitempty" jsonschema:"maxItems=50" jsonschema_description:"How signed-in users prove themselves again. A flow named default replaces the derived one."`
	AccountRecoveryFlows []Flow `json:"account_recovery_flows,omitempty" jsonschema:"maxItems=50" jsonschema_description:"How users who lost a password get in again. A flow named default replaces the derived one."`
	PromoteFlows         []Flow `json:"promote_flows,omitempty" jsonschema:"maxItems=50" jsonschema_description:"How anonymous users become full ones. A flow named default replaces the derived one."`
	VerificationFlows    []Flow `json:"verification_flows,omitempty" jsonschema:"maxItems=50" jsonschema_description:"How anybody verifies an address of an account, without signing in. A flow named default replaces the derived one."`
	SettingsFlows        []Flow `json:"settings_flows,omitempty" jsonschema:"maxItems=50" jsonschema_description:"How signed-in users change what is theirs. A flow named default replaces the derived one."`

	Presentation []FlowPresentation `json:"presentation,omitempty" jsonschema:"maxItems=300" jsonschema_description:"How pages show single flows, derived ones too."`
}

// Of lists the tenant's own flows of one type.
func (f *Flows) Of(t FlowType) []Flow {
	if list := f.List(t); list != nil {
		return *list
	}
	return nil
}

// List is where the tenant's own flows of one type stand; nil for an unknown
// type.
func (f *Flows) List(t FlowType) *[]Flow {
	switch t {
	case Signup:
		return &f.SignupFlows
	case Login:
		return &f.LoginFlows
	case SignupLogin:
		return &f.SignupLoginFlows
	case Reauth:
		return &f.ReauthFlows
	case AccountRecovery:
		return &f.AccountRecoveryFlows
	case Promote:
		return &f.PromoteFlows
	case Verify:
		return &f.VerificationFlows
	case Settings:
		return &f.SettingsFlows
	}
	return nil
}

// Sessions says how long users stay signed in.
type Sessions struct {
	LifetimeSeconds    int `json:"lifetime_seconds" jsonschema:"minimum=60,maximum=31536000" jsonschema_description:"A session ends this long after the login."`
	IdleTimeoutSeconds int `json:"idle_timeout_seconds" jsonschema:"minimum=60,maximum=31536000" jsonschema_description:"A session ends this long after it was last used."`

	PrivilegedSeconds         int  `json:"privileged_seconds" jsonschema:"minimum=30,maximum=31536000" jsonschema_description:"In a settings flow credentials can be changed this long after the user has proved themselves; then a reauth flow is needed."`
	EndOthersOnPasswordChange bool `json:"end_others_on_password_change" jsonschema_description:"Whether a password changed or a passkey removed in a settings flow ends the user's other sessions."`
}

// Web says which browsers' origins may call the APIs, and where browsers may be
// sent back to.
type Web struct {
	AllowedOrigins []string `json:"allowed_origins" jsonschema:"maxItems=100,uniqueItems=true" jsonschema_description:"Origins (RFC 6454) that CORS admits, such as https://app.example.com."`
	ReturnURLs     []string `json:"return_urls" jsonschema:"maxItems=100,uniqueItems=true" jsonschema_description:"Where a browser may ask to be sent after a flow: a URL such as https://app.example.com/welcome, and everything below its path."`
}

// DefaultConfig is what a new tenant starts with: e-mail and password, with
// limits that meet OWASP ASVS 5 level 2. Each call makes a fresh value.
func DefaultConfig() *Config {
	return &Config{
		Identifications: Identifications{Enabled: []string{"email"}},
		LoginIDs:        DefaultLoginIDs(),
		Authenticators: Authenticators{
			Primary:       []string{"primary_password"},
			Secondary:     []string{"secondary_totp"},
			SecondaryMode: SecondaryIfExists,
			DeviceToken:   DeviceTokens{Enabled: true, LifetimeDays: 30},
			RecoveryCodes: RecoveryCodes{Enabled: true, Count: 16},
			Password:      PasswordHashing{Algorithm: "argon2id", BcryptCost: 10},
		},
		PasswordPolicy: PasswordPolicy{MinimumLength: 8, BreachedCheck: true},
		OTP: OTP{
			Email:               OTPDelivery{Form: CodeForm6, Channels: []string{"email"}},
			Phone:               OTPDelivery{Form: CodeForm6, Channels: []string{"sms"}},
			CodeLifetimeSeconds: 5 * 60, LinkLifetimeSeconds: 20 * 60, ResendCooldownSeconds: 60, MaxAttempts: 5,
		},
		Verification: Verification{FlowLifetimeSeconds: 60 * 60, CodeLifetimeSeconds: 60 * 60},
		Recovery: Recovery{
			Enabled: true, RevokeSessions: true,
			Email: []Destination{{Channel: "email", OTPForm: CodeForm6}},
			Phone: []Destination{{Channel: "sms", OTPForm: CodeForm6}},
		},
		OAuthProviders: []OAuthProvider{},
		AccountLinking: AccountLinking{OAuth: []OAuthLinking{}, LoginID: []LoginIDLinking{}},
		LDAP:           LDAP{Servers: []LDAPServer{}},
		Accounts:       Accounts{PublicSignup: true},
		Flows:          Flows{LifetimeSeconds: 20 * 60, MaxLifetimeSeconds: 60 * 60},
		Sessions:       Sessions{LifetimeSeconds: 14 * 24 * 3600, IdleTimeoutSeconds: 24 * 3600, PrivilegedSeconds: 15 * 60, EndOthersOnPasswordChange: true},
		Limits:         DefaultLimits(),
		Lockout:        DefaultLockout(),
		BotProtection:  DefaultBotProtection(),
		Passkeys:       Passkeys{UserVerification: VerificationRequired, ExtraOrigins: []string{}},
		Messaging: Messaging{
			Email:     EmailSender{Provider: "platform", SMTP: SMTPServer{Port: 587, Security: "starttls"}},
			SMS:       PhoneSender{Provider: "none"},
			WhatsApp:  PhoneSender{Provider: "none"},
			Language:  "en",
			Templates: []MessageTemplate{},
		},
		TestMode: TestMode{FixedCodes: []FixedCode{}, Suppressed: []Suppression{}},
		Hooks:    Hooks{Endpoints: []HookEndpoint{}}, Web: Web{AllowedOrigins: []string{}, ReturnURLs: []string{}},
		SelfService: SelfService{VerifyAfterRegistration: true},
	}
}
