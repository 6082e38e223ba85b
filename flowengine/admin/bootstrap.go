package admin

import (
	"context"

	"github.com/usher-id/usher/tenant"
)

// EnsureAdminTenant makes tenant admin, with public sign-up off, unless it is
// there; made says whether it did. A host that it doesn't have yet is added.
func (s *Service) EnsureAdminTenant(ctx context.Context, host string) (t *tenant.Tenant, made bool, err error) {
	panic("unfinished")
}

// EnsureBootstrapKey makes key an operator's, on a fresh database: one where
// no key was ever made in tenant admin. ErrValidation for a key that is short
// or a placeholder.
func (s *Service) EnsureBootstrapKey(ctx context.Context, key string) (made bool, err error) {
	panic("unfinished")
}

// Bootstrapped is what the first operator needs. Both strings are shown once.
type Bootstrapped struct {
	User       *tenant.UserRecord
	SetupToken string // for CompleteSetup; good for 24 hours
	Key        string // an operator's API key, good for 90 days
}

// Bootstrap makes an operator of tenant admin who has yet to choose a
// password. Called again for the same address it makes a new token and key.
func (s *Service) Bootstrap(ctx context.Context, a Actor, email string) (*Bootstrapped, error) {
	panic("unfinished")
}

// CompleteSetup sets the operator's password. A token works once.
// ErrInvalidCredentials for a token that is unknown, used or expired;
// ErrPasswordPolicy.
func (s *Service) CompleteSetup(ctx context.Context, a Actor, token, password string) (*tenant.UserRecord, error) {
	panic("unfinished")
}
