package tenant

import (
	"regexp"
	"slices"
)

// The channels that messages go by.
const (
	EmailChannel    = "email"
	SMSChannel      = "sms"
	WhatsAppChannel = "whatsapp"
)

// Channels lists them.
var Channels = []string{EmailChannel, SMSChannel, WhatsAppChannel}

// Messaging says how messages reach users and what they say. Credentials are
// kept apart, sealed, under the names that [MessagingSecrets] lists.
type Messaging struct {
	Email     EmailSender       `json:"email" jsonschema_description:"How e-mail is sent."`
	SMS       PhoneSender       `json:"sms" jsonschema_description:"How text messages are sent."`
	WhatsApp  PhoneSender       `json:"whatsapp" jsonschema_description:"How WhatsApp messages are sent."`
	Language  string            `json:"language" jsonschema:"pattern=^[A-Za-z]{2\\,3}(-[A-Za-z0-9]{2\\,8})*$" jsonschema_description:"The language (BCP 47) of messages to users whose own can't be served."`
	LinkURL   string            `json:"link_url" jsonschema:"maxLength=2048" jsonschema_description:"The tenant's own page that links lead to, instead of the built-in one; code and purpose are added to its query."`
	Templates []MessageTemplate `json:"templates" jsonschema:"maxItems=200" jsonschema_description:"What messages say instead of the built-in words."`
}

// EmailSender says how e-mail is sent.
type EmailSender struct {
	Provider string     `json:"provider" jsonschema:"enum=platform,enum=smtp" jsonschema_description:"platform: by the server that the operator has set up; smtp: by the tenant's own."`
	From     string     `json:"from" jsonschema:"maxLength=320" jsonschema_description:"The sender, such as Acme <no-reply@acme.example>; with platform the operator's unless given."`
	ReplyTo  string     `json:"reply_to" jsonschema:"maxLength=320" jsonschema_description:"Where answers go; empty for the sender."`
	SMTP     SMTPServer `json:"smtp" jsonschema_description:"The tenant's own server. Its password is the secret smtp.password."`
	DKIM     DKIM       `json:"dkim" jsonschema_description:"Sign e-mail (RFC 6376) with the private key in the secret smtp.dkim_private_key."`
}

// SMTPServer is a mail submission server (RFC 6409).
type SMTPServer struct {
	Host     string `json:"host" jsonschema:"maxLength=253"`
	Port     int    `json:"port" jsonschema:"minimum=1,maximum=65535" jsonschema_description:"Usually 587 with starttls and 465 with tls."`
	Security string `json:"security" jsonschema:"enum=starttls,enum=tls,enum=none" jsonschema_description:"starttls (RFC 3207) is insisted on; none sends in the clear, and never a password except to this machine."`
	Username string `json:"username" jsonschema:"maxLength=320" jsonschema_description:"Empty for a server that asks for none."`
}

// DKIM says whose signature e-mail carries.
type DKIM struct {
	Domain   string `json:"domain" jsonschema:"maxLength=253" jsonschema_description:"The signing domain; empty for no signature."`
	Selector string `json:"selector" jsonschema:"maxLength=63" jsonschema_description:"The name under _domainkey that the public key is published at."`
}

// PhoneSender says how messages reach phones by one channel.
type PhoneSender struct {
	Provider string        `json:"provider" jsonschema:"enum=none,enum=webhook,enum=twilio" jsonschema_description:"none: messages can't be sent; webhook: a signed call of the tenant's own service; twilio: Twilio's API."`
	Webhook  MessageHook   `json:"webhook" jsonschema_description:"The tenant's own service. The secret <channel>.webhook.signing_key signs the calls."`
	Twilio   TwilioAccount `json:"twilio" jsonschema_description:"An account at Twilio. Its token is the secret <channel>.twilio.auth_token."`
}

// MessageHook is a service that takes messages by HTTP.
type MessageHook struct {
	URL string `json:"url" jsonschema:"maxLength=2048" jsonschema_description:"Where to POST messages."`
}

// TwilioAccount says on whose account and in whose name Twilio sends.
type TwilioAccount struct {
	AccountSID          string `json:"account_sid" jsonschema:"pattern=^(AC[0-9a-fA-F]{32})?$" jsonschema_description:"The account."`
	APIKeySID           string `json:"api_key_sid" jsonschema:"pattern=^(SK[0-9a-fA-F]{32})?$" jsonschema_description:"The API key that the secret belongs to; empty when the secret is the account's own token."`
	From                string `json:"from" jsonschema:"maxLength=64" jsonschema_description:"The sender: a number in E.164 form, or a sender id."`
	MessagingServiceSID string `json:"messaging_service_sid" jsonschema:"pattern=^(MG[0-9a-fA-F]{32})?$" jsonschema_description:"The messaging service that picks the sender, instead of from."`
	ContentSID          string `json:"content_sid" jsonschema:"pattern=^(HX[0-9a-fA-F]{32})?$" jsonschema_description:"The approved content template, whose variable 1 is the code or link; WhatsApp takes nothing else outside of a conversation."`
	BaseURL             string `json:"base_url" jsonschema:"maxLength=2048" jsonschema_description:"Instead of https://api.twilio.com."`
}

// MessageTemplate is what messages of one purpose, channel and language say. Its
// parts are Go templates with the variables .AppName, .Code, .Link, .Minutes and
// .Recipient and the words if, else, end, eq, ne, and, or, not: of .Code and
// .Link the one that wasn't sent is empty.
type MessageTemplate struct {
	Purpose  CodePurpose `json:"purpose" jsonschema:"required,enum=verification,enum=authentication,enum=recovery"`
	Channel  string      `json:"channel" jsonschema:"required,enum=email,enum=sms,enum=whatsapp"`
	Language string      `json:"language" jsonschema:"required,pattern=^[A-Za-z]{2\\,3}(-[A-Za-z0-9]{2\\,8})*$" jsonschema_description:"BCP 47."`
	Subject  string      `json:"subject,omitempty" jsonschema:"maxLength=500" jsonschema_description:"Of e-mail."`
	Text     string      `json:"text" jsonschema:"required,minLength=1,maxLength=20000" jsonschema_description:"Plain text."`
	HTML     string      `json:"html,omitempty" jsonschema:"maxLength=100000" jsonschema_description:"Of e-mail; without it the message is plain text alone."`
}

// Phone is how messages reach phones by a channel.
func (m *Messaging) Phone(channel string) *PhoneSender {
	if channel == WhatsAppChannel {
		return &m.WhatsApp
	}
	return &m.SMS
}

// The names of the secrets of messaging.
const (
	SMTPPasswordSecret = "smtp.password"
	DKIMKeySecret      = "smtp.dkim_private_key" //nolint:gosec // the name of a secret
)

// PhoneSecretName is the name that a provider's credential for a channel is
// kept under; "" for a provider that needs none.
func PhoneSecretName(channel, provider string) string {
	switch provider {
	case "webhook":
		return channel + ".webhook.signing_key"
	case "twilio":
		return channel + ".twilio.auth_token"
	}
	return ""
}

// MessagingSecrets lists the names of all secrets that messaging can use, so
// that a credential may be put in place before the provider is chosen.
func MessagingSecrets() []string {
	names := []string{SMTPPasswordSecret, DKIMKeySecret}
	for _, channel := range []string{SMSChannel, WhatsAppChannel} {
		names = append(names, PhoneSecretName(channel, "webhook"), PhoneSecretName(channel, "twilio"))
	}
	return names
}

// TestMode lets a tenant be tried without messages: fixed codes for targets that
// match, and no sending to others that do. It lets whoever knows the codes in as
// these users, so it is off unless switched on.
type TestMode struct {
	Enabled    bool          `json:"enabled" jsonschema_description:"Whether any of it applies."`
	FixedCodes []FixedCode   `json:"fixed_codes" jsonschema:"maxItems=100" jsonschema_description:"Codes that aren't random; the first match counts."`
	Suppressed []Suppression `json:"suppressed" jsonschema:"maxItems=100" jsonschema_description:"Whom nothing is sent to."`
}

// FixedCode is the code of every target that matches.
type FixedCode struct {
	Pattern string `json:"pattern" jsonschema:"required,minLength=1,maxLength=500" jsonschema_description:"A regular expression (RE2) that is found in the address or number; anchor it with ^ and $."`
	Code    string `json:"code" jsonschema:"required,pattern=^[0-9]{4\\,10}$" jsonschema_description:"The code; usually of six digits, as others are."`
}

// Suppression keeps messages from being sent to the targets that match.
type Suppression struct {
	Pattern  string   `json:"pattern" jsonschema:"required,minLength=1,maxLength=500" jsonschema_description:"A regular expression (RE2) that is found in the address or number; anchor it with ^ and $."`
	Channels []string `json:"channels" jsonschema:"required,minItems=1,enum=email,enum=sms,enum=whatsapp,uniqueItems=true" jsonschema_description:"By which channels."`
}

// CodeFor is the fixed code of a target, if it has one.
func (m *TestMode) CodeFor(target string) (code string, fixed bool) {
	if !m.Enabled {
		return "", false
	}
	for _, f := range m.FixedCodes {
		if found(f.Pattern, target) {
			return f.Code, true
		}
	}
	return "", false
}

// Suppresses says whether nothing is sent to a target by a channel.
func (m *TestMode) Suppresses(channel, target string) bool {
	if !m.Enabled {
		return false
	}
	for _, s := range m.Suppressed {
		if slices.Contains(s.Channels, channel) && found(s.Pattern, target) {
			return true
		}
	}
	return false
}

func found(pattern, in string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(in)
}
