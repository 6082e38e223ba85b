package admin

import (
	"context"

	"github.com/usher-id/usher/tenant"
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
	Published      *tenant.Version  // nil for a dry run, and when nothing changed
	SecretsChanged []string         // names
	Untranslated   []tenant.Problem // what a foreign document holds that Usher can't express
}

// Apply makes a whole document the configuration in force: draft, check,
// publish, in one go. A dry run answers the same, problems included, and
// changes nothing. ErrConfigInvalid with the problems, ErrLastWayIn,
// ErrVersionConflict.
func (s *Service) Apply(ctx context.Context, a Actor, slug string, in Application) (*Applied, error) {
	panic("unfinished")
}

// SetSecret seals a value of the configuration under its name; an empty value
// forgets it. ErrValidation for an unknown name.
func (s *Service) SetSecret(ctx context.Context, a Actor, slug string, n NamedSecret) error {
	panic("unfinished")
}
