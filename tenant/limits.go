package tenant

// Limits bounds how often things may be tried.
type Limits struct {
	SignupPerIP              Rate `json:"signup_per_ip" jsonschema_description:"Sign-ups, by address."`
	IdentifyPerIP            Rate `json:"identify_per_ip" jsonschema_description:"Login ids told, by address."`
	PasswordPerIP            Rate `json:"password_per_ip" jsonschema_description:"Passwords tried, by address."`
	PasswordPerUserPerIP     Rate `json:"password_per_user_per_ip" jsonschema_description:"Passwords tried for one user, by address."`
	TOTPPerIP                Rate `json:"totp_per_ip" jsonschema_description:"Codes of authenticator apps tried, by address."`
	TOTPPerUserPerIP         Rate `json:"totp_per_user_per_ip" jsonschema_description:"Codes of authenticator apps tried for one user, by address."`
	OTPPerIP                 Rate `json:"otp_per_ip" jsonschema_description:"One-time codes tried, by address."`
	OTPPerUserPerIP          Rate `json:"otp_per_user_per_ip" jsonschema_description:"One-time codes tried for one user, by address."`
	RecoveryCodePerIP        Rate `json:"recovery_code_per_ip" jsonschema_description:"Recovery codes tried, by address."`
	RecoveryCodePerUserPerIP Rate `json:"recovery_code_per_user_per_ip" jsonschema_description:"Recovery codes tried for one user, by address."`
	SignupAnonymousPerIP     Rate `json:"signup_anonymous_per_ip" jsonschema_description:"Sign-ups of anonymous users, by address."`
	PasskeyPerIP             Rate `json:"passkey_per_ip" jsonschema_description:"Passkeys tried, by address."`
	BotProtectionPerIP       Rate `json:"bot_protection_per_ip" jsonschema_description:"Responses of bot protection that were refused, by address."`
	SendEmailPerTarget       Rate `json:"send_email_per_target" jsonschema_description:"E-mail to one address, beside the cooldown of otp."`
	SendEmailPerIP           Rate `json:"send_email_per_ip" jsonschema_description:"E-mail asked for, by address of the client."`
	SendEmailPerTenant       Rate `json:"send_email_per_tenant" jsonschema_description:"E-mail of the whole tenant."`
	SendSMSPerTarget         Rate `json:"send_sms_per_target" jsonschema_description:"Text and WhatsApp messages to one number, beside the cooldown of otp."`
	SendSMSPerIP             Rate `json:"send_sms_per_ip" jsonschema_description:"Text and WhatsApp messages asked for, by address of the client."`
	SendSMSPerTenant         Rate `json:"send_sms_per_tenant" jsonschema_description:"Text and WhatsApp messages of the whole tenant: what a pumping fraud costs at most."`
}

// Rate allows Burst tries in Period seconds. A burst of 0 means no limit.
type Rate struct {
	Burst         int `json:"burst" jsonschema:"minimum=0,maximum=1000000" jsonschema_description:"How many tries; 0 for no limit."`
	PeriodSeconds int `json:"period_seconds" jsonschema:"minimum=1,maximum=86400" jsonschema_description:"In how many seconds."`
}

// DefaultLimits are those of a new tenant: they meet OWASP ASVS 5 level 2.
func DefaultLimits() Limits {
	return Limits{
		SignupPerIP:              Rate{10, 60},
		IdentifyPerIP:            Rate{60, 60},
		PasswordPerIP:            Rate{60, 60},
		PasswordPerUserPerIP:     Rate{10, 60},
		TOTPPerIP:                Rate{60, 60},
		TOTPPerUserPerIP:         Rate{10, 60},
		OTPPerIP:                 Rate{60, 60},
		OTPPerUserPerIP:          Rate{10, 60},
		RecoveryCodePerIP:        Rate{60, 60},
		RecoveryCodePerUserPerIP: Rate{10, 60},
		SignupAnonymousPerIP:     Rate{10, 60},
		PasskeyPerIP:             Rate{60, 60},
		BotProtectionPerIP:       Rate{60, 60},
		SendEmailPerTarget:       Rate{10, 3600},
		SendEmailPerIP:           Rate{60, 600},
		SendEmailPerTenant:       Rate{20_000, 3600},
		SendSMSPerTarget:         Rate{10, 3600},
		SendSMSPerIP:             Rate{30, 600},
		SendSMSPerTenant:         Rate{2_000, 3600},
	}
}
