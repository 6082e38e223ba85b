package admin

import (
	"context"
	"fmt"
	"slices"

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

// Applied is what came of an application.
type Applied struct {
	Plan                            // what it does, or would do
	Published      *tenant.Version  // nil for a dry run, and when the configuration stays as it is
	SecretsChanged []string         // names
	Untranslated   []tenant.Problem // what a foreign document holds that Usher can't express
}

// translate reads a configuration in one of the formats.
func translate(f Format, doc []byte, hosts []string) (cfg *tenant.Config, untranslated, problems []tenant.Problem, err error) {
	switch f {
	case "", FormatUsher:
		cfg, problems = document.Check(doc, func(cfg *tenant.Config) []tenant.Problem { return Check(cfg, hosts...) })
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
	st, err := s.standing(ctx, slug)
	if err != nil {
		return nil, err
	}
	cfg, untranslated, problems, err := translate(in.Format, in.Document, st.t.Hosts)
	if err != nil {
		return nil, err
	}
	done := &Applied{Plan: Plan{Tenant: st.t, Base: st.t.Version, Problems: problems}, Untranslated: untranslated}
	if len(problems) > 0 && !in.DryRun {
		return nil, tenant.Problems(problems)
	}
	if cfg == nil {
		return done, nil
	}
	if in.Format == FormatAuthgear {
		in.Secrets = done.usedSecrets(cfg, in.Secrets)
	}
	for i, n := range in.Secrets {
		if n.Value == "" { // more likely a variable that isn't set than a wish to forget
			return nil, tenant.Invalidf(fmt.Sprintf("/secrets/%d/value", i), "length", "%s", secretLength)
		}
	}
	plan, err := s.plan(ctx, st, cfg, in.Secrets)
	if err != nil {
		return nil, err
	}
	done.Plan = *plan
	if in.DryRun {
		secrets, err := s.sealSecrets(ctx, st.t, cfg, in.Secrets)
		if err != nil {
			return nil, err
		}
		done.SecretsChanged = secrets.names()
		return done, nil
	}
	r := revision{
		action: "config.apply", expected: in.ExpectedVersion, publish: true, keepDraft: true, message: in.Message, force: in.Force,
		want:    func(*standing) (*tenant.Config, error) { return cfg, nil },
		facts:   detail{"format": withFormat(in.Format)},
		secrets: in.Secrets,
	}
	edited, err := s.revise(ctx, a, slug, r)
	if err != nil {
		return nil, err
	}
	done.Tenant, done.Published, done.SecretsChanged = edited.Tenant, edited.Published, edited.Secrets
	return done, nil
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
