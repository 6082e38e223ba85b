package admin

import (
	"context"
	"time"

	"github.com/usher-id/usher/tenant"
)

// NewAPIKey is a key to be made.
type NewAPIKey struct {
	Name      string
	Role      tenant.Role
	ExpiresAt time.Time
}

// CreateAPIKey makes a key of a tenant and gives it away, this once. An
// operator's key belongs to tenant admin. ErrValidation.
func (s *Service) CreateAPIKey(ctx context.Context, a Actor, slug string, n NewAPIKey) (key string, k *tenant.APIKey, err error) {
	panic("unfinished")
}

// RevokeAPIKey ends a key. ErrNotFound.
func (s *Service) RevokeAPIKey(ctx context.Context, a Actor, slug, id string) (*tenant.APIKey, error) {
	panic("unfinished")
}

// SetMemberRole gives a user of the admin tenant a role in the tenant named by
// slug, in place of any other they had there. The role operator is given in
// tenant admin. ErrUserNotFound, ErrValidation, ErrLastWayIn when the last
// operator would be gone.
func (s *Service) SetMemberRole(ctx context.Context, a Actor, slug, userID string, role tenant.Role) error {
	panic("unfinished")
}

// RemoveMember takes away what a user of the admin tenant may do in the
// tenant named by slug. ErrNotFound, ErrLastWayIn.
func (s *Service) RemoveMember(ctx context.Context, a Actor, slug, userID string) error {
	panic("unfinished")
}
