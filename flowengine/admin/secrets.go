package admin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// NamedSecret is a value to be sealed, under one of the names of ADMIN_API.md.
// Along with an edit an empty value forgets the one that is kept.
type NamedSecret struct{ Name, Value string }

// maxSecret is the longest secret in bytes; a private key fits.
const maxSecret = 16 << 10

var secretLength = fmt.Sprintf("a secret has 1 to %d bytes", maxSecret)

// secretNames are the names of all secrets that a configuration can use.
func secretNames(cfg *tenant.Config) []string {
	var names []string
	for i := range cfg.OAuthProviders {
		names = append(names, tenant.OAuthSecretName(cfg.OAuthProviders[i].Alias))
	}
	names = append(names, tenant.BotSecretName)
	names = append(names, cfg.LDAP.SecretNames()...)
	names = append(names, cfg.Hooks.SecretNames()...)
	return append(names, tenant.MessagingSecrets()...)
}

// sealedSecret is a secret ready to be kept, or to be forgotten.
type sealedSecret struct {
	tenant.Secret
	sealed []byte // nil to forget it
}

type sealedSecrets []sealedSecret

func (ss sealedSecrets) names() []string {
	var out []string
	for _, n := range ss {
		out = append(out, n.Name)
	}
	return out
}

func (ss sealedSecrets) put(c *change, s *Service) error {
	if len(ss) == 0 {
		return nil
	}
	c.detail["secrets"] = ss.names()
	for _, n := range ss {
		if n.sealed == nil {
			if err := c.DeleteSecret(c.t.ID, n.Name); err != nil {
				return err
			}
			continue
		}
		n.UpdatedAt = s.now()
		if err := c.PutSecret(c.t.ID, n.Secret, n.sealed); err != nil {
			return err
		}
	}
	return nil
}

// sealSecrets checks names and seals those values that are new. ErrValidation for
// a name that the configuration has no use for, and for a value that is too long.
func (s *Service) sealSecrets(ctx context.Context, t *tenant.Tenant, cfg *tenant.Config, in []NamedSecret) (sealedSecrets, error) {
	names := secretNames(cfg)
	var out sealedSecrets
	for i, n := range in {
		at := fmt.Sprintf("/secrets/%d", i)
		switch {
		case !slices.Contains(names, n.Name):
			return nil, tenant.Invalidf(at+"/name", "unknown", "the configuration uses %s", strings.Join(names, ", "))
		case len(n.Value) > maxSecret:
			return nil, tenant.Invalidf(at+"/value", "length", "%s", secretLength)
		}
		same, err := s.sameSecret(ctx, t, n)
		if err != nil {
			return nil, err
		}
		if same {
			continue
		}
		sealed := sealedSecret{Secret: tenant.Secret{Name: n.Name, LastFour: lastFour(n.Value)}}
		if n.Value != "" {
			if sealed.sealed, err = s.Master.Seal(t, tenant.SecretTable, n.Name, []byte(n.Value)); err != nil {
				return nil, err
			}
		}
		out = append(out, sealed)
	}
	return out, nil
}

// sameSecret says whether a value is kept already, or none is and none is given.
func (s *Service) sameSecret(ctx context.Context, t *tenant.Tenant, n NamedSecret) (bool, error) {
	sealed, err := s.Store.OpenSecret(ctx, t.ID, n.Name)
	if errors.Is(err, tenant.ErrNotFound) {
		return n.Value == "", nil
	}
	if err != nil {
		return false, err
	}
	old, err := s.Master.Open(t, tenant.SecretTable, n.Name, sealed)
	return err == nil && subtle.ConstantTimeCompare(old, []byte(n.Value)) == 1, nil
}

// lastFour are the characters that tell secrets apart; of a short one none are
// shown, for they would be too much of it.
func lastFour(value string) string {
	if len(value) < 16 {
		return ""
	}
	return strings.ToValidUTF8(value[len(value)-4:], "")
}

// strayed lists the secrets that a configuration would send somewhere else than
// those that were given for: what is in force, and the draft, which went through
// here too. Who may edit a configuration can't read its secrets, and couldn't
// keep them from being sent to a server of their own otherwise. A secret that is
// given along is meant for what the configuration says.
func (s *Service) strayed(ctx context.Context, st *standing, cfg *tenant.Config, given []NamedSecret) ([]tenant.Problem, error) {
	var out []tenant.Problem
	var kept []tenant.Secret
	for _, name := range secretNames(cfg) {
		to, pointer := cfg.SecretGoesTo(name)
		if to == "" || slices.ContainsFunc(given, func(g NamedSecret) bool { return g.Name == name }) {
			continue
		}
		now, _ := st.published.SecretGoesTo(name)
		then, _ := st.cfg.SecretGoesTo(name)
		if to == now || to == then {
			continue
		}
		if kept == nil { // hardly any edit comes here
			var err error
			if kept, err = s.Store.Secrets(ctx, st.t.ID); err != nil {
				return nil, err
			}
		}
		if slices.ContainsFunc(kept, func(k tenant.Secret) bool { return k.Name == name }) {
			out = append(out, tenant.Problem{Pointer: pointer, Reason: "SecretGoesElsewhere", Message: fmt.Sprintf(
				"the secret %s was not given for %s: give it anew along with this (secrets), or an empty one first, which forgets it", name, to)})
		}
	}
	return out, nil
}
