package tenant

import (
	"fmt"
	"strings"
)

// SecretGoesTo says to which server a secret of the configuration is sent, and
// by a pointer what says so; "" for one that isn't sent, such as a key to sign
// with, and for one that the configuration has no use for. Two places are the
// same when they are equal.
func (c *Config) SecretGoesTo(name string) (place, pointer string) {
	if name == BotSecretName {
		b := &c.BotProtection
		if b.VerifyURL != "" {
			return b.VerifyURL, "/bot_protection/verify_url"
		}
		return b.Provider.Type, "/bot_protection/provider/type"
	}
	if smtp := &c.Messaging.Email.SMTP; name == SMTPPasswordSecret && smtp.Host != "" {
		return fmt.Sprintf("%s:%d", strings.ToLower(smtp.Host), smtp.Port), "/messaging/email/smtp/host"
	}
	for _, channel := range []string{SMSChannel, WhatsAppChannel} {
		if name != PhoneSecretName(channel, "twilio") {
			continue
		}
		if at := c.Messaging.Phone(channel).Twilio.BaseURL; at != "" {
			return at, "/messaging/" + channel + "/twilio/base_url"
		}
		return "Twilio", "/messaging/" + channel + "/twilio/base_url"
	}
	for i := range c.LDAP.Servers {
		if l := &c.LDAP.Servers[i]; name == l.DNSecretName() || name == l.PasswordSecretName() {
			return l.URL, fmt.Sprintf("/ldap/servers/%d/url", i)
		}
	}
	for i := range c.OAuthProviders {
		if p := &c.OAuthProviders[i]; name == OAuthSecretName(p.Alias) {
			return p.Type, fmt.Sprintf("/oauth_providers/%d/type", i)
		}
	}
	return "", ""
}
