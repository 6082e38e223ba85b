package tenant

import "fmt"

// BotProtection says where users have to show that they are no program, by the
// widget of a provider. The provider's secret key is kept apart, sealed, under
// the name [BotSecretName].
type BotProtection struct {
	Enabled      bool            `json:"enabled" jsonschema_description:"Whether anything is asked for. Off, no flow asks, whatever its branches say: the switch for a day on which the provider is down."`
	Provider     BotProvider     `json:"provider" jsonschema_description:"Whose widget is shown. Its secret key is the secret bot_protection.secret_key."`
	VerifyURL    string          `json:"verify_url" jsonschema:"maxLength=2048" jsonschema_description:"Where responses are checked; empty for the provider's own siteverify."`
	Hostnames    []string        `json:"hostnames" jsonschema:"maxItems=50,uniqueItems=true" jsonschema_description:"Hosts that the widget may have been shown on; empty for wherever the provider lets the site key be used."`
	Requirements BotRequirements `json:"requirements" jsonschema_description:"Where the derived flows ask for it. A branch of a flow of the tenant's own says so itself."`
}

// BotProvider is whose widget is shown.
type BotProvider struct {
	Type    string `json:"type" jsonschema:"enum=cloudflare,enum=recaptchav2,enum=hcaptcha" jsonschema_description:"Cloudflare Turnstile, reCAPTCHA v2 or hCaptcha."`
	SiteKey string `json:"site_key" jsonschema:"maxLength=256" jsonschema_description:"The public key that the widget is shown with."`
}

// BotProviders are the types of providers.
var BotProviders = []string{"cloudflare", "recaptchav2", "hcaptcha"}

// BotRequirements says where the derived flows ask for it.
type BotRequirements struct {
	SignupOrLogin   BotRequirement `json:"signup_or_login" jsonschema_description:"Where users say who they are to sign up or log in: by a login id, by LDAP, or anonymously."`
	AccountRecovery BotRequirement `json:"account_recovery" jsonschema_description:"Where users say who they are to recover an account."`
	Password        BotRequirement `json:"password" jsonschema_description:"Where users log in with a password."`
	OOBOTPEmail     BotRequirement `json:"oob_otp_email" jsonschema_description:"Before a code is sent by e-mail."`
	OOBOTPSMS       BotRequirement `json:"oob_otp_sms" jsonschema_description:"Before a code is sent to a phone."`
}

// BotRequirement says whether it is asked for.
type BotRequirement struct {
	Mode BotMode `json:"mode" jsonschema:"required,enum=never,enum=always" jsonschema_description:"Whether it is asked for."`
}

// BotMode says when it is asked for.
type BotMode string

// The modes.
const (
	BotNever  BotMode = "never"
	BotAlways BotMode = "always"
)

// Always says that it is asked for; of none it isn't.
func (r *BotRequirement) Always() bool { return r != nil && r.Mode == BotAlways }

// BotSecretName is the name that the provider's secret key is kept under.
const BotSecretName = "bot_protection.secret_key"

// DefaultBotProtection is off.
func DefaultBotProtection() BotProtection {
	never := BotRequirement{BotNever}
	return BotProtection{
		Provider: BotProvider{Type: "cloudflare"}, Hostnames: []string{},
		Requirements: BotRequirements{never, never, never, never, never},
	}
}

// checkBotProtection finds what is missing to ask for it. Branches that ask are
// flow.Compile's.
func checkBotProtection(b *BotProtection, add addProblem) {
	if b.Enabled && b.Provider.SiteKey == "" {
		add("/bot_protection/provider/site_key", "Required", "the widget is shown with the provider's site key")
	}
	if b.VerifyURL != "" && !isEndpoint(b.VerifyURL) {
		add("/bot_protection/verify_url", "WrongForm", "a URL is https://host/path, without user and fragment")
	}
	for i, host := range b.Hostnames {
		if host == "" || NormalizeHost(host) != host {
			add(fmt.Sprintf("/bot_protection/hostnames/%d", i), "WrongForm", "a hostname is in lower case, without scheme and port")
		}
	}
}
