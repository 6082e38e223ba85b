package admin

import (
	"context"
	"slices"

	"github.com/usher-id/usher/tenant"
)

// missing lists the names of the secrets that what a configuration has switched
// on can't work without, and that are neither kept nor given.
func (s *Service) missing(ctx context.Context, t *tenant.Tenant, cfg *tenant.Config, given []NamedSecret) ([]string, error) {
	kept, err := s.Store.Secrets(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(kept, func(k tenant.Secret) bool { return k.Name == name }) ||
			slices.ContainsFunc(given, func(g NamedSecret) bool { return g.Name == name })
	}
	var names []string
	for i := range cfg.OAuthProviders {
		names = append(names, tenant.OAuthSecretName(cfg.OAuthProviders[i].Alias))
	}
	if cfg.BotProtection.Enabled {
		names = append(names, tenant.BotSecretName)
	}
	for i := range cfg.LDAP.Servers {
		if l := &cfg.LDAP.Servers[i]; has(l.DNSecretName()) { // else it is searched anonymously
			names = append(names, l.PasswordSecretName())
		}
	}
	names = append(names, messagingSecrets(&cfg.Messaging)...)
	return slices.DeleteFunc(names, has), nil
}

// messagingSecrets are what the gateways need.
func messagingSecrets(m *tenant.Messaging) []string {
	var names []string
	if m.Email.Provider == "smtp" && m.Email.SMTP.Username != "" {
		names = append(names, tenant.SMTPPasswordSecret)
	}
	if m.Email.DKIM.Domain != "" {
		names = append(names, tenant.DKIMKeySecret)
	}
	for _, channel := range []string{tenant.SMSChannel, tenant.WhatsAppChannel} {
		if p := m.Phone(channel).Provider; p == "webhook" || p == "twilio" {
			names = append(names, tenant.PhoneSecretName(channel, p))
		}
	}
	return names
}
