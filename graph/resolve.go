package graph

import (
	"context"
	"errors"
	"fmt"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// What several resolvers have in common.

// value is what a pointer points to; the zero value for nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// some is the address of a string; nil for the empty one.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func wide(p *int) *int64 {
	if p == nil {
		return nil
	}
	v := int64(*p)
	return &v
}

// found makes a node of what the store answers. Whatever there isn't is the same
// NotFound.
func found[T any](v *T, err error) (Node, error) {
	if err == nil {
		return v, nil
	}
	if tenant.AsError(err).Kind == tenant.NotFound {
		return nil, tenant.ErrNotFound
	}
	return nil, err
}

// read reads a published configuration.
func read(v *tenant.Version) (*tenant.Config, error) {
	cfg, problems := document.Decode(v.Document)
	if cfg == nil {
		return nil, fmt.Errorf("version %d of tenant %s: %v", v.Number, v.TenantID, problems)
	}
	return cfg, nil
}

// problems lists what is wrong with a document, or with the draft.
func (r *Resolver) problems(ctx context.Context, t *tenant.Tenant, doc *string) ([]tenant.Problem, error) {
	if doc != nil {
		_, problems := document.Check([]byte(*doc), func(cfg *tenant.Config) []tenant.Problem { return admin.Check(cfg, t.Hosts...) })
		return problems, nil
	}
	cfg, err := r.admin.Version(ctx, t, 0)
	if err != nil {
		return nil, err
	}
	return admin.Check(cfg, t.Hosts...), nil
}

// localUserID reads what a caller names a user of a tenant by: a global id, or
// the id that flows and exports use. A global id of another tenant finds nobody.
func (r *Resolver) localUserID(ctx context.Context, slug, s string) (string, error) {
	g, ok := parseGlobalID(s)
	if !ok {
		return s, nil
	}
	t, err := r.store.TenantBySlug(ctx, slug)
	if err != nil {
		return "", err
	}
	if g.Type != "User" || g.TenantID != t.ID {
		return "", tenant.ErrUserNotFound
	}
	return g.ID, nil
}

// changeUser does something to a user of a tenant.
func (r *Resolver) changeUser(ctx context.Context, slug, user string, change func(a admin.Actor, id string) (*tenant.UserRecord, error)) (*tenant.UserRecord, []UserError, error) {
	var u *tenant.UserRecord
	id, err := r.localUserID(ctx, slug, user)
	if err == nil {
		u, err = change(callOf(ctx).actor(), id)
	}
	refusals, err := userErrors(ctx, err)
	return u, refusals, err
}

// tryPassword checks a password against the policy in force.
func (r *Resolver) tryPassword(ctx context.Context, slug, password string) error {
	t, err := r.store.TenantBySlug(ctx, slug)
	if err != nil {
		return err
	}
	cfg, err := r.admin.Published(ctx, t)
	if err != nil {
		return err
	}
	return flow.CheckPassword(&cfg.PasswordPolicy, "/password", password)
}

// members lists who has a role at a tenant; at tenant admin, who has one in the
// platform.
func (r *Resolver) members(ctx context.Context, t *tenant.Tenant) ([]Member, error) {
	domain := t.ID
	if t.Slug == tenant.AdminSlug {
		domain = tenant.PlatformDomain
	}
	grants, err := r.store.GrantsIn(ctx, domain)
	out := make([]Member, 0, len(grants))
	for _, g := range grants {
		out = append(out, Member{g, t.ID})
	}
	return out, err
}

// member finds one of them.
func (r *Resolver) member(ctx context.Context, slug, userID string) (*Member, error) {
	t, err := r.store.TenantBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	all, err := r.members(ctx, t)
	for i := range all {
		if all[i].UserID == userID {
			return &all[i], nil
		}
	}
	return nil, err
}

// viewer says who is calling.
func (r *Resolver) viewer(ctx context.Context) (*Viewer, error) {
	c := callOf(ctx)
	v := &Viewer{Kind: c.kind, ID: c.id, Name: c.name, Grants: []ViewerGrant{}}
	if c.kind == tenant.ActorMember {
		adminID, err := r.adminTenantID(ctx)
		if err != nil {
			return nil, err
		}
		u, err := c.user(ctx, adminID, c.id)
		if err != nil {
			return nil, err
		}
		if u != nil && len(u.Identities) > 0 {
			v.Name = u.Identities[0].Shown
		}
	}
	for _, g := range c.grants {
		vg := ViewerGrant{Role: g.Role, Permissions: r.policy.permissions(g.Role)}
		if g.Domain != tenant.PlatformDomain {
			t, err := r.store.TenantByID(ctx, g.Domain)
			if errors.Is(err, tenant.ErrTenantNotFound) {
				continue // it was deleted meanwhile
			}
			if err != nil {
				return nil, err
			}
			vg.Tenant = &t.Slug
		}
		v.Grants = append(v.Grants, vg)
	}
	return v, nil
}
