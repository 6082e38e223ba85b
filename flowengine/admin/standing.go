package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// Published reads the configuration in force.
func (s *Service) Published(ctx context.Context, t *tenant.Tenant) (*tenant.Config, error) {
	return s.version(ctx, t, t.Version)
}

func (s *Service) version(ctx context.Context, t *tenant.Tenant, number int64) (*tenant.Config, error) {
	v, err := s.Store.Version(ctx, t.ID, number)
	if err != nil {
		return nil, err
	}
	return load(v.Document)
}

func load(doc []byte) (*tenant.Config, error) {
	cfg, err := document.Load(doc)
	if err != nil {
		return nil, fmt.Errorf("admin: a kept configuration can't be read: %w", err)
	}
	return cfg, nil
}

// Draft reads the draft; nil, nil, nil when there is none.
func (s *Service) Draft(ctx context.Context, t *tenant.Tenant) (*tenant.Config, *tenant.Draft, error) {
	d, err := s.Store.Draft(ctx, t.ID)
	if errors.Is(err, tenant.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	cfg, err := load(d.Document)
	return cfg, d, err
}

// Version reads the configuration of one version; 0 is the draft, or what is
// in force when there is none. ErrNotFound.
func (s *Service) Version(ctx context.Context, t *tenant.Tenant, number int64) (*tenant.Config, error) {
	if number != 0 {
		return s.version(ctx, t, number)
	}
	st, err := s.standing(ctx, t.Slug)
	if err != nil {
		return nil, err
	}
	return st.cfg, nil
}

// Diff says what differs between two versions (0 is the draft). ErrNotFound.
func (s *Service) Diff(ctx context.Context, t *tenant.Tenant, from, to int64) ([]document.Change, error) {
	a, err := s.Version(ctx, t, from)
	if err != nil {
		return nil, err
	}
	b, err := s.Version(ctx, t, to)
	if err != nil {
		return nil, err
	}
	return document.Diff(a, b), nil
}

// standing is a tenant's configuration as it stands.
type standing struct {
	t         *tenant.Tenant
	published *tenant.Config
	draft     *tenant.Draft  // nil when there is none
	cfg       *tenant.Config // the draft, or what is in force when there is none
}

// standing reads the configuration. What was read is held against the locked
// tenant before anything is written, so the reads need no transaction.
func (s *Service) standing(ctx context.Context, slug string) (*standing, error) {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	st := &standing{t: t}
	if st.published, err = s.Published(ctx, t); err != nil {
		return nil, err
	}
	if st.cfg, st.draft, err = s.Draft(ctx, t); err != nil {
		return nil, err
	}
	if st.draft == nil {
		st.cfg = st.published
	}
	return st, nil
}

// stillHolds refuses to go on with what was read before somebody else's change.
func (st *standing) stillHolds(t *tenant.Tenant) error {
	if t.ID != st.t.ID || t.Version != st.t.Version || t.DraftRevision != st.t.DraftRevision {
		return errMoved
	}
	return nil
}
