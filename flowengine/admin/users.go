package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
	"github.com/usher-id/usher/tenant/secret"
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

// primaryPassword is the type of a user's password.
const primaryPassword = "primary_password"

// maxIdentities bounds the login ids of one user.
const maxIdentities = 20

// CreateUser makes a user. ErrValidation, ErrPasswordPolicy,
// ErrDuplicatedIdentity, ErrUnavailable when too many hashes wait,
// ErrHookDisallowed, ErrHookUnavailable.
func (s *Service) CreateUser(ctx context.Context, a Actor, slug string, n NewUser) (*tenant.UserRecord, error) {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	cfg, err := s.Published(ctx, t)
	if err != nil {
		return nil, err
	}
	now := s.now()
	u := &tenant.UserRecord{User: tenant.User{TenantID: t.ID, ID: secret.NewID(), State: tenant.UserActive, CreatedAt: now, UpdatedAt: now}}
	if u.Identities, err = newIdentities(&cfg.LoginIDs, u, n.Identities, now); err != nil {
		return nil, err
	}
	if u.Attributes.Standard, err = mergeAttributes("/standard", nil, n.Standard); err != nil {
		return nil, err
	}
	if u.Attributes.Custom, err = mergeAttributes("/custom", nil, n.Custom); err != nil {
		return nil, err
	}
	if n.Password != "" {
		hash, err := s.hash(ctx, t, n.Password)
		if err != nil {
			return nil, err
		}
		u.Authenticators = []tenant.Authenticator{newAuthenticator(&u.User, primaryPassword, hash, now)}
	}
	set, err := s.ask(ctx, a, t, cfg, tenant.HookPreCreate, u, nil)
	if err != nil {
		return nil, err
	}
	if u.Attributes, err = flow.FillProfile(u.Attributes, set); err != nil {
		return nil, err
	}
	_, err = s.change(ctx, a, slug, "user.create", func(c *change) error {
		c.userID = u.ID
		c.detail = detail{"identities": kinds(u.Identities), "password": n.Password != ""}
		c.tellMade(u)
		return c.CreateUser(u)
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// hash checks and hashes a new password, before any transaction begins.
func (s *Service) hash(ctx context.Context, t *tenant.Tenant, password string) (string, error) {
	cfg, err := s.Published(ctx, t)
	if err != nil {
		return "", err
	}
	if err := flow.CheckPassword(&cfg.PasswordPolicy, "/password", password); err != nil {
		return "", err
	}
	return s.Hasher.Hash(ctx, cfg.Authenticators.Password, password)
}

func newIdentities(rules *tenant.LoginIDs, u *tenant.UserRecord, in []NewIdentity, now time.Time) ([]tenant.Identity, error) {
	if len(in) == 0 {
		return nil, tenant.Invalidf("/identities", "required", "a user needs a login id")
	}
	if len(in) > maxIdentities {
		return nil, tenant.Invalidf("/identities", "max_items", "a user has at most %d login ids", maxIdentities)
	}
	var out []tenant.Identity
	for i, n := range in {
		id, err := newIdentity(rules, u.TenantID, u.ID, n, fmt.Sprintf("/identities/%d/value", i), now)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(other tenant.Identity) bool { return other.Claim == id.Claim }) {
			return nil, tenant.Invalidf(fmt.Sprintf("/identities/%d", i), "duplicate", "this login id stands here twice")
		}
		out = append(out, *id)
	}
	return out, nil
}

// newIdentity makes an identity of what an admin wrote; the refusal points at
// the place given.
func newIdentity(rules *tenant.LoginIDs, tenantID, userID string, n NewIdentity, pointer string, now time.Time) (*tenant.Identity, error) {
	claim, err := normalize(rules, n.Kind, n.Value)
	if err == nil {
		err = flow.CheckNewClaim(rules, claim)
	}
	if err != nil {
		refusal := tenant.AsError(err)
		causes, _ := refusal.Info["causes"].([]tenant.Cause)
		causes = slices.Clone(causes)
		for i := range causes {
			causes[i].Location = pointer
		}
		return nil, refusal.WithCauses(causes...)
	}
	id := &tenant.Identity{TenantID: tenantID, ID: secret.NewID(), UserID: userID, Claim: claim, Key: flow.UniqueKey(rules, claim), Shown: n.Value, CreatedAt: now}
	if id.Key == id.Value {
		id.Key = "" // as the store answers it
	}
	if n.Verified {
		id.VerifiedAt = now
	}
	return id, nil
}

// normalize is flow.NormalizeClaim with words for what isn't a login id at all.
func normalize(rules *tenant.LoginIDs, kind, raw string) (tenant.Claim, error) {
	if kind != "email" && kind != "phone" && kind != "username" && kind != tenant.LDAPKind {
		return tenant.Claim{}, tenant.Invalidf("/kind", "enum", "there is no login id of kind %q", kind)
	}
	return flow.NormalizeClaim(rules, kind, raw)
}

func newAuthenticator(u *tenant.User, typ, kept string, now time.Time) tenant.Authenticator {
	return tenant.Authenticator{TenantID: u.TenantID, ID: secret.NewID(), UserID: u.ID, Type: typ, Secret: kept, CreatedAt: now, UpdatedAt: now}
}

func kinds(ids []tenant.Identity) []string {
	var out []string
	for i := range ids {
		out = append(out, ids[i].Kind)
	}
	return out
}

// UserChange is what is to change of a user: JSON merge patches (RFC 7396) of
// the attributes; nil leaves them.
type UserChange struct {
	Standard json.RawMessage
	Custom   json.RawMessage
}

// apply changes the user, and says where: pointers that begin with /standard or
// /custom.
func (in UserChange) apply(u *tenant.UserRecord) (changed []string, err error) {
	for _, part := range []struct {
		at    string
		value *json.RawMessage
		patch json.RawMessage
	}{{"/standard", &u.Attributes.Standard, in.Standard}, {"/custom", &u.Attributes.Custom, in.Custom}} {
		if part.patch == nil {
			continue
		}
		merged, err := mergeAttributes(part.at, *part.value, part.patch)
		if err != nil {
			return nil, err
		}
		for _, d := range document.DiffValues(*part.value, merged) {
			changed = append(changed, part.at+d.Pointer)
		}
		*part.value = merged
	}
	return changed, nil
}

// UpdateUser changes attributes. ErrValidation, ErrUserNotFound,
// ErrHookDisallowed, ErrHookUnavailable. The audit log says which ones changed
// and keeps no values: it outlives the user.
func (s *Service) UpdateUser(ctx context.Context, a Actor, slug, userID string, in UserChange) (*tenant.UserRecord, error) {
	in, err := s.askUpdate(ctx, a, slug, userID, in)
	if err != nil {
		return nil, err
	}
	return s.changeUser(ctx, a, slug, userID, "user.update", func(c *change, u *tenant.UserRecord) error {
		pointers, err := in.apply(u)
		if err != nil {
			return err
		}
		if len(pointers) == 0 {
			return errUnchanged
		}
		c.detail = detail{"changed": pointers}
		c.tell(tenant.HookProfileUpdated, u, map[string]any{"changed": attributesOf(pointers)})
		return c.UpdateUser(&u.User)
	})
}

// maxAttributes bounds one JSON object of attributes, in bytes.
const maxAttributes = 64 << 10

// mergeAttributes merges a patch into a JSON object of attributes; nil stands
// for an empty one.
func mergeAttributes(pointer string, old, patch json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(patch)) == 0 {
		return old, nil
	}
	if len(patch) > maxAttributes {
		return nil, tenant.ErrTooLarge.Says("%s: at most %d bytes of attributes", pointer, maxAttributes)
	}
	merged, err := document.MergeObject(old, patch)
	if err != nil {
		return nil, tenant.Invalidf(pointer, "type", "attributes are a JSON object: %v", err)
	}
	if len(merged) > maxAttributes {
		return nil, tenant.ErrTooLarge.Says("%s: at most %d bytes of attributes", pointer, maxAttributes)
	}
	return merged, nil
}

// changeUser makes one audited change of a user and answers with the user as
// they are afterwards.
func (s *Service) changeUser(ctx context.Context, a Actor, slug, userID, action string, fn func(*change, *tenant.UserRecord) error) (*tenant.UserRecord, error) {
	var u *tenant.UserRecord
	_, err := s.change(ctx, a, slug, action, func(c *change) (err error) {
		c.userID = userID
		if u, err = c.User(c.t.ID, userID); err != nil {
			return err
		}
		u.UpdatedAt = s.now()
		return fn(c, u)
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// DeleteUser forgets a user. ErrUserNotFound, ErrLastWayIn for the last operator.
func (s *Service) DeleteUser(ctx context.Context, a Actor, slug, userID string) error {
	return s.sparingOperator(ctx, slug, userID, func(guard func(*change) error) error {
		_, err := s.changeUser(ctx, a, slug, userID, "user.delete", func(c *change, u *tenant.UserRecord) error {
			c.detail = detail{"identities": kinds(u.Identities)}
			c.tell(tenant.HookUserDeleted, u, nil)
			return firstOf(c.DeleteUser(c.t.ID, userID), guard(c))
		})
		return err
	})
}

// RevokeSessions ends sessions and says how many lived.
func (s *Service) RevokeSessions(ctx context.Context, a Actor, slug string, which tenant.SessionSelector) (int, error) {
	ended := 0
	_, err := s.change(ctx, a, slug, "session.revoke", func(c *change) (err error) {
		c.userID = which.UserID
		if ended, err = c.RevokeSessions(c.t.ID, which, s.now()); err != nil {
			return err
		}
		if ended == 0 {
			return errUnchanged
		}
		c.detail = detail{"sessions": ended}
		if which.ID != "" {
			c.detail["session"] = which.ID
		}
		u, err := s.userOfSession(ctx, c.t, which)
		if u != nil {
			c.tellRevoked(u, which.ID, ended)
		}
		return err
	})
	return ended, err
}
