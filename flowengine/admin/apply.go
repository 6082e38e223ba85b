package admin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/authgear"
	"github.com/usher-id/usher/tenant/document"
)

// Format names the dialect of a document.
type Format string

// The formats of configurations and of user imports.
const (
	FormatUsher    Format = "USHER"
	FormatAuthgear Format = "AUTHGEAR"
)

// Application is a whole configuration to be put in force.
type Application struct {
	Format          Format // "" is USHER
	Document        []byte // JSON or YAML
	Secrets         []NamedSecret
	DryRun          bool
	ExpectedVersion *int64
	Message         string
	Force           string
}

// NamedSecret is a value to be sealed, under one of the names of ADMIN_API.md.
type NamedSecret struct{ Name, Value string }

// Applied is what came of an application.
type Applied struct {
	Plan                            // what it does, or would do
	Published      *tenant.Version  // nil for a dry run, and when the configuration stays as it is
	SecretsChanged []string         // names
	Untranslated   []tenant.Problem // what a foreign document holds that Usher can't express
}

// translate reads a configuration in one of the formats.
func translate(f Format, doc []byte) (cfg *tenant.Config, untranslated, problems []tenant.Problem, err error) {
	switch f {
	case "", FormatUsher:
		cfg, problems = document.Decode(doc)
		return cfg, nil, problems, nil
	case FormatAuthgear:
		cfg, untranslated, problems = authgear.Translate(doc, func(cfg *tenant.Config) []tenant.Problem { return Check(cfg) })
		return cfg, untranslated, problems, nil
	}
	return nil, nil, nil, tenant.Invalidf("/format", "format", "there is no format %q; send USHER or AUTHGEAR", f)
}

// Apply makes a whole document the configuration in force. What it leaves out
// takes the default; a draft stays. A dry run answers the same, problems
// included, and changes nothing. ErrConfigInvalid with the problems,
// ErrLastWayIn, ErrVersionConflict, ErrValidation for a secret of an unknown
// name.
func (s *Service) Apply(ctx context.Context, a Actor, slug string, in Application) (*Applied, error) {
	cfg, untranslated, problems, err := translate(in.Format, in.Document)
	if err != nil {
		return nil, err
	}
	st, err := s.standing(ctx, slug)
	if err != nil {
		return nil, err
	}
	done := &Applied{Plan: Plan{Tenant: st.t, Base: st.t.Version, Problems: problems}, Untranslated: untranslated}
	if len(problems) > 0 {
		if in.DryRun {
			return done, nil
		}
		return nil, tenant.Problems(problems)
	}
	if in.Format == FormatAuthgear {
		in.Secrets = done.usedSecrets(cfg, in.Secrets)
	}
	secrets, err := s.sealSecrets(ctx, st.t, cfg, in.Secrets)
	if err != nil {
		return nil, err
	}
	done.SecretsChanged = secrets.names()
	plan, err := s.plan(ctx, st, cfg, in.Secrets)
	if err != nil {
		return nil, err
	}
	done.Plan = *plan
	if in.DryRun {
		return done, nil
	}
	r := revision{
		action: "config.apply", expected: in.ExpectedVersion, publish: true, keepDraft: true, message: in.Message, force: in.Force,
		want:  func(*standing) (*tenant.Config, error) { return cfg, nil },
		facts: detail{"format": withFormat(in.Format)},
	}
	if len(secrets) > 0 {
		r.extra = func(c *change) error { return secrets.put(c, s) }
	}
	edited, err := s.revise(ctx, a, slug, r)
	if err != nil {
		return nil, err
	}
	done.Tenant, done.Published = edited.Tenant, edited.Published
	return done, nil
}

// SetSecret seals a value of the configuration under its name; an empty value
// forgets it. ErrValidation for an unknown name, ErrNotFound when there is
// nothing to forget.
func (s *Service) SetSecret(ctx context.Context, a Actor, slug string, n NamedSecret) error {
	st, err := s.standing(ctx, slug)
	if err != nil {
		return err
	}
	action, keep := "secret.set", func(c *change) error {
		c.detail = detail{"secrets": []string{n.Name}}
		return c.DeleteSecret(c.t.ID, n.Name)
	}
	if n.Value == "" {
		action = "secret.delete"
	} else {
		known := *st.cfg // a provider may be in the draft alone, or in force alone
		known.OAuthProviders = append(slices.Clip(known.OAuthProviders), st.published.OAuthProviders...)
		known.LDAP.Servers = append(slices.Clip(known.LDAP.Servers), st.published.LDAP.Servers...)
		known.Hooks.Endpoints = append(slices.Clip(known.Hooks.Endpoints), st.published.Hooks.Endpoints...)
		sealed, err := s.sealSecrets(ctx, st.t, &known, []NamedSecret{n})
		if err != nil || len(sealed) == 0 {
			return err
		}
		keep = func(c *change) error {
			c.detail = detail{}
			return sealed.put(c, s)
		}
	}
	_, err = s.change(ctx, a, slug, action, keep)
	return err
}

// sealedSecret is a secret ready to be kept.
type sealedSecret struct {
	tenant.Secret
	sealed []byte
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
	c.detail["secrets"] = ss.names()
	for _, n := range ss {
		n.UpdatedAt = s.now()
		if err := c.PutSecret(c.t.ID, n.Secret, n.sealed); err != nil {
			return err
		}
	}
	return nil
}

// maxSecret is the longest secret in bytes; a private key fits.
const maxSecret = 16 << 10

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

// usedSecrets leaves out, and lists, the secrets of what wasn't translated.
func (done *Applied) usedSecrets(cfg *tenant.Config, in []NamedSecret) []NamedSecret {
	var used []NamedSecret
	for i, n := range in {
		if slices.Contains(secretNames(cfg), n.Name) {
			used = append(used, n)
			continue
		}
		done.Untranslated = append(done.Untranslated, tenant.Problem{
			Pointer: fmt.Sprintf("/secrets/%d/name", i), Reason: "UnusedSecret", Message: "what came of the document uses no such secret, so it is not kept",
		})
	}
	return used
}

// sealSecrets checks names and seals those values that are new.
func (s *Service) sealSecrets(ctx context.Context, t *tenant.Tenant, cfg *tenant.Config, in []NamedSecret) (sealedSecrets, error) {
	names := secretNames(cfg)
	var out sealedSecrets
	for i, n := range in {
		at := fmt.Sprintf("/secrets/%d", i)
		switch {
		case !slices.Contains(names, n.Name):
			words := "the configuration uses no secrets"
			if len(names) > 0 {
				words = "the configuration uses " + strings.Join(names, ", ")
			}
			return nil, tenant.Invalidf(at+"/name", "unknown", "%s", words)
		case n.Value == "" || len(n.Value) > maxSecret:
			return nil, tenant.Invalidf(at+"/value", "length", "a secret has 1 to %d bytes", maxSecret)
		}
		same, err := s.sameSecret(ctx, t, n)
		if err != nil {
			return nil, err
		}
		if same {
			continue
		}
		sealed, err := s.Master.Seal(t, tenant.SecretTable, n.Name, []byte(n.Value))
		if err != nil {
			return nil, err
		}
		out = append(out, sealedSecret{tenant.Secret{Name: n.Name, LastFour: lastFour(n.Value)}, sealed})
	}
	return out, nil
}

func (s *Service) sameSecret(ctx context.Context, t *tenant.Tenant, n NamedSecret) (bool, error) {
	sealed, err := s.Store.OpenSecret(ctx, t.ID, n.Name)
	if errors.Is(err, tenant.ErrNotFound) {
		return false, nil
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
