package admin

import (
	"context"
	"encoding/json"

	"github.com/usher-id/usher/tenant"
)

// NewUser is a user to be made.
type NewUser struct {
	Identities []NewIdentity
	Password   string          // "" for none
	Standard   json.RawMessage // standard claims, a JSON object; nil for none
	Custom     json.RawMessage // the tenant's own attributes, a JSON object; nil for none
}

// NewIdentity is a login id as the admin writes it.
type NewIdentity struct {
	Kind     string // email, phone, username
	Value    string
	Verified bool
}

// CreateUser makes a user. ErrValidation, ErrPasswordPolicy,
// ErrDuplicatedIdentity, ErrUnavailable when too many hashes wait.
func (s *Service) CreateUser(ctx context.Context, a Actor, slug string, n NewUser) (*tenant.UserRecord, error) {
	panic("unfinished")
}

// UserChange is what is to change of a user: JSON merge patches (RFC 7396) of
// the attributes; nil leaves them.
type UserChange struct {
	Standard json.RawMessage
	Custom   json.RawMessage
}

// UpdateUser changes attributes. ErrValidation, ErrUserNotFound.
func (s *Service) UpdateUser(ctx context.Context, a Actor, slug, userID string, c UserChange) (*tenant.UserRecord, error) {
	panic("unfinished")
}

// SetUserDisabled locks a user out, ending all sessions, or lets them in
// again. ErrUserNotFound, ErrLastWayIn for the last operator.
func (s *Service) SetUserDisabled(ctx context.Context, a Actor, slug, userID string, disabled bool, reason string) (*tenant.UserRecord, error) {
	panic("unfinished")
}

// DeleteUser forgets a user. ErrUserNotFound, ErrLastWayIn for the last operator.
func (s *Service) DeleteUser(ctx context.Context, a Actor, slug, userID string) error {
	panic("unfinished")
}

// RevokeSessions ends sessions and says how many lived.
func (s *Service) RevokeSessions(ctx context.Context, a Actor, slug string, which tenant.SessionSelector) (int, error) {
	panic("unfinished")
}
