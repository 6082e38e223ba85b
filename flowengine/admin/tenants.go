package admin

import (
	"context"

	"github.com/usher-id/usher/tenant"
)

// NewTenant is a tenant to be made.
type NewTenant struct {
	Slug     string
	Name     string   // the slug when empty
	Hosts    []string // the first is the primary one
	Template string   // slug of the tenant whose published configuration is copied; "" for the defaults
}

// CreateTenant makes a tenant with a data key and version 1 of its
// configuration. ErrValidation, ErrAlreadyExists for the slug or a host,
// ErrTenantNotFound for the template.
func (s *Service) CreateTenant(ctx context.Context, a Actor, n NewTenant) (*tenant.Tenant, error) {
	panic("unfinished")
}

// TenantChange is what is to change of a tenant; nil leaves it.
type TenantChange struct {
	Name  *string
	Hosts []string // all of them; the first is the primary one
}

// UpdateTenant changes name and hosts. ErrValidation, ErrAlreadyExists for a host.
func (s *Service) UpdateTenant(ctx context.Context, a Actor, slug string, c TenantChange) (*tenant.Tenant, error) {
	panic("unfinished")
}

// SuspendTenant stops a tenant's doors. The admin tenant can't be suspended.
func (s *Service) SuspendTenant(ctx context.Context, a Actor, slug, reason string) (*tenant.Tenant, error) {
	panic("unfinished")
}

// ResumeTenant opens them again.
func (s *Service) ResumeTenant(ctx context.Context, a Actor, slug string) (*tenant.Tenant, error) {
	panic("unfinished")
}

// DeleteTenant forgets a tenant and everything that is its. confirm is the
// slug again. The admin tenant can't be deleted.
func (s *Service) DeleteTenant(ctx context.Context, a Actor, slug, confirm string) error {
	panic("unfinished")
}
