package admin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// NewAPIKey is a key to be made.
type NewAPIKey struct {
	Name      string
	Role      tenant.Role
	ExpiresAt time.Time // zero for 90 days from now
}

// How long keys live.
const (
	usualKey = 90 * 24 * time.Hour
	maxKey   = 366 * 24 * time.Hour
)

// CreateAPIKey makes a key of a tenant and gives it away, this once. An
// operator's key belongs to tenant admin, and no other one does. ErrValidation.
func (s *Service) CreateAPIKey(ctx context.Context, a Actor, slug string, n NewAPIKey) (key string, k *tenant.APIKey, err error) {
	now := s.now()
	if n.ExpiresAt.IsZero() {
		n.ExpiresAt = now.Add(usualKey)
	}
	if err := firstOf(checkWords("/name", n.Name, maxName), checkRole(slug, n.Role)); err != nil {
		return "", nil, err
	}
	if !n.ExpiresAt.After(now) || n.ExpiresAt.After(now.Add(maxKey)) {
		return "", nil, tenant.Invalidf("/expires_at", "range", "a key expires within %d days", maxKey/(24*time.Hour))
	}
	key = secret.NewToken("usher_" + slug + "_")
	k, err = s.keepKey(ctx, a, slug, key, n)
	if err != nil {
		return "", nil, err
	}
	return key, k, nil
}

func (s *Service) keepKey(ctx context.Context, a Actor, slug, key string, n NewAPIKey) (*tenant.APIKey, error) {
	k := &tenant.APIKey{
		ID: secret.NewID(), Name: n.Name, Hash: secret.TokenHash(key), LastFour: lastFour(key), Role: n.Role,
		CreatedAt: s.now(), CreatedBy: a.String(), ExpiresAt: n.ExpiresAt.UTC().Truncate(time.Millisecond),
	}
	_, err := s.change(ctx, a, slug, "api_key.create", func(c *change) error {
		k.TenantID = c.t.ID
		c.detail = keyDetail(k)
		return c.CreateAPIKey(k)
	})
	return k, err
}

func keyDetail(k *tenant.APIKey) detail {
	return detail{"key": k.ID, "name": k.Name, "role": k.Role, "last_four": k.LastFour, "expires_at": k.ExpiresAt}
}

var roles = []tenant.Role{tenant.Operator, tenant.Owner, tenant.Admin, tenant.Editor, tenant.Support, tenant.Viewer}

// checkRole refuses a role that means nothing in a tenant: tenant admin belongs
// to operators alone, so any other one there could do nothing, anywhere.
func checkRole(slug string, role tenant.Role) error {
	switch {
	case !slices.Contains(roles, role):
		return tenant.Invalidf("/role", "enum", "there is no role %q", role)
	case role == tenant.Operator && slug != tenant.AdminSlug:
		return tenant.Invalidf("/role", "operator", "the role operator is given in tenant admin")
	case role != tenant.Operator && slug == tenant.AdminSlug:
		return tenant.Invalidf("/role", "operator", "tenant admin knows no role but operator: give the role %s in the tenant that it is for", role)
	}
	return nil
}

// RevokeAPIKey ends a key. ErrNotFound.
func (s *Service) RevokeAPIKey(ctx context.Context, a Actor, slug, id string) (*tenant.APIKey, error) {
	var k *tenant.APIKey
	_, err := s.change(ctx, a, slug, "api_key.revoke", func(c *change) (err error) {
		if k, err = c.RevokeAPIKey(c.t.ID, id, s.now()); err == nil {
			c.detail = keyDetail(k)
		}
		return err
	})
	return k, err
}

// SetMemberRole gives a user of the admin tenant a role in the tenant named by
// slug, in place of any other they had there. The role operator is given in
// tenant admin, and no other one there. ErrUserNotFound, ErrValidation.
func (s *Service) SetMemberRole(ctx context.Context, a Actor, slug, userID string, role tenant.Role) error {
	if err := checkRole(slug, role); err != nil {
		return err
	}
	return s.setGrant(ctx, a, slug, userID, "member.set_role", role)
}

// RemoveMember takes away what a user of the admin tenant may do in the
// tenant named by slug. ErrNotFound, ErrLastWayIn.
func (s *Service) RemoveMember(ctx context.Context, a Actor, slug, userID string) error {
	return s.setGrant(ctx, a, slug, userID, "member.remove", "")
}

// setGrant leaves a user with one role in a tenant, or with none.
func (s *Service) setGrant(ctx context.Context, a Actor, slug, userID, action string, role tenant.Role) error {
	platform, err := s.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if err != nil {
		return err
	}
	if _, err := s.Store.User(ctx, platform.ID, userID); err != nil && role != "" {
		return err
	}
	all, err := s.Store.GrantsOf(ctx, userID)
	if err != nil {
		return err
	}
	make := func(guard func(*change) error) error {
		_, err := s.change(ctx, a, slug, action, func(c *change) error {
			had := slices.DeleteFunc(slices.Clone(all), func(g tenant.Grant) bool { return !isOf(g, c.t) })
			if role == "" && len(had) == 0 {
				return tenant.ErrNotFound.Says("this user has no role here")
			}
			if len(had) == 1 && had[0].Role == role {
				return errUnchanged
			}
			c.userID, c.platform = userID, true
			c.detail = detail{"role": role, "before": roleNames(had)}
			for _, g := range had {
				if err := c.DeleteGrant(g); err != nil {
					return err
				}
			}
			if role != "" {
				if err := c.PutGrant(tenant.Grant{UserID: userID, Role: role, Domain: domain(c.t, role)}); err != nil {
					return err
				}
			}
			return guard(c)
		})
		return err
	}
	if role == tenant.Operator {
		return make(func(*change) error { return nil })
	}
	return s.sparingOperator(ctx, slug, userID, make)
}

func domain(t *tenant.Tenant, role tenant.Role) string {
	if role == tenant.Operator {
		return tenant.PlatformDomain
	}
	return t.ID
}

// isOf says whether a grant is one of a tenant's: of tenant admin also the
// platform's.
func isOf(g tenant.Grant, t *tenant.Tenant) bool {
	return g.Domain == t.ID || t.Slug == tenant.AdminSlug && g.Domain == tenant.PlatformDomain
}

func roleNames(gs []tenant.Grant) []tenant.Role {
	out := []tenant.Role{}
	for _, g := range gs {
		out = append(out, g.Role)
	}
	return out
}

// sparingOperator makes a change that takes something from a user. When the
// user is an operator and there is no other one, guard refuses it with
// ErrLastWayIn; and it lets no two such changes pass at once.
func (s *Service) sparingOperator(ctx context.Context, slug, userID string, do func(guard func(*change) error) error) error {
	if slug != tenant.AdminSlug {
		return do(func(*change) error { return nil })
	}
	return again(func() error {
		platform, err := s.Store.TenantBySlug(ctx, tenant.AdminSlug)
		if err != nil {
			return err
		}
		operators, err := s.operators(ctx, platform)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(operators, func(u *tenant.UserRecord) bool { return u.ID == userID })
		if i < 0 {
			return do(func(*change) error { return nil })
		}
		return do(func(c *change) error {
			if len(operators) == 1 {
				return tenant.ErrLastWayIn.Says("this is the last operator")
			}
			if c.t.Revision != platform.Revision {
				return errMoved
			}
			return c.UpdateTenant(c.t) // so that the next one reads the operators anew
		})
	})
}

// errors that mean that there is no such row
func missing(err error) bool {
	return errors.Is(err, tenant.ErrNotFound) || errors.Is(err, tenant.ErrUserNotFound)
}
