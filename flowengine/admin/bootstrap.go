package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// EnsureAdminTenant makes tenant admin, with public sign-up off, unless it is
// there; made says whether it did. A host that it doesn't have yet is added.
func (s *Service) EnsureAdminTenant(ctx context.Context, host string) (t *tenant.Tenant, made bool, err error) {
	t, err = s.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if errors.Is(err, tenant.ErrTenantNotFound) {
		cfg := tenant.DefaultConfig()
		cfg.Accounts.PublicSignup = false
		t, err = s.CreateTenant(ctx, System, NewTenant{Slug: tenant.AdminSlug, Name: "Usher", Hosts: []string{host}, Config: cfg})
		if !errors.Is(err, tenant.ErrAlreadyExists) {
			return t, err == nil, err
		}
		t, err = s.Store.TenantBySlug(ctx, tenant.AdminSlug) // another node was faster
	}
	if err != nil || slices.Contains(t.Hosts, host) {
		return t, false, err
	}
	t, err = s.UpdateTenant(ctx, System, tenant.AdminSlug, TenantChange{Hosts: append([]string{host}, t.Hosts...)})
	return t, false, err
}

// MinBootstrapKey is the shortest bootstrap key, in bytes. Every start checks it,
// so a longer one would keep deployments from starting that run today.
const MinBootstrapKey = 20

// bootstrapKeyLife is long: the key belongs to the deployment, which can't
// exchange it by itself. It can be revoked at any time.
const bootstrapKeyLife = 10 * 366 * 24 * time.Hour

// EnsureBootstrapKey makes key an operator's, on a fresh database: one where
// no key was ever made in tenant admin. ErrValidation for a key that is short
// or a placeholder.
func (s *Service) EnsureBootstrapKey(ctx context.Context, key string) (made bool, err error) {
	if err := checkBootstrapKey(key); err != nil {
		return false, err
	}
	t, err := s.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if err != nil {
		return false, err
	}
	keys, err := s.Store.APIKeys(ctx, t.ID, tenant.Page{Limit: 1})
	if err != nil || len(keys) > 0 {
		return false, err
	}
	n := NewAPIKey{Name: "bootstrap", Role: tenant.Operator, ExpiresAt: s.now().Add(bootstrapKeyLife)}
	if _, err = s.keepKey(ctx, System, tenant.AdminSlug, key, n); errors.Is(err, tenant.ErrAlreadyExists) {
		return false, nil // another node was faster
	}
	return err == nil, err
}

// checkBootstrapKey refuses what people write where a secret belongs.
func checkBootstrapKey(key string) error {
	if len(key) < MinBootstrapKey || len(key) > 512 || !utf8.ValidString(key) || strings.ContainsAny(key, " \t\r\n") {
		return tenant.Invalidf("/key", "length", "the bootstrap key has %d to 512 characters and no spaces", MinBootstrapKey)
	}
	folded := strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(key))
	for _, word := range []string{"changeme", "changeit", "replaceme", "placeholder", "example", "yourkey", "yoursecret", "yourapikey", "insertkey", "bootstrapkey", "password", "xxxxxx", "0123456789", "abcdefghij"} {
		if strings.Contains(folded, word) {
			return tenant.Invalidf("/key", "placeholder", "the bootstrap key is a placeholder; make one with: openssl rand -hex 32")
		}
	}
	distinct := map[rune]bool{}
	for _, r := range key {
		distinct[r] = true
	}
	if len(distinct) < 8 {
		return tenant.Invalidf("/key", "placeholder", "the bootstrap key repeats itself; make one with: openssl rand -hex 32")
	}
	return nil
}

// Bootstrapped is what the first operator needs. Both strings are shown once.
type Bootstrapped struct {
	User       *tenant.UserRecord
	SetupToken string // for CompleteSetup; good for 24 hours
	Key        string // an operator's API key, good for 90 days
}

const setupLife = 24 * time.Hour

// A setup token is kept as a secret of tenant admin: under its hash, sealed,
// with whose it is and until when.
const setupPrefix = "setup."

type setup struct {
	UserID  string    `json:"user_id"`
	Expires time.Time `json:"expires"`
}

// Bootstrap makes an operator of tenant admin who has yet to choose a
// password. Called again for the same address it makes a new token, which ends
// the one before, and a new key.
func (s *Service) Bootstrap(ctx context.Context, a Actor, email string) (*Bootstrapped, error) {
	t, err := s.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if err != nil {
		return nil, err
	}
	u, err := s.operator(ctx, a, t, email)
	if err != nil {
		return nil, err
	}
	old, err := s.setupsOf(ctx, t, u.ID)
	if err != nil {
		return nil, err
	}
	token := secret.NewToken("usher_setup_")
	name := setupPrefix + secret.TokenHash(token)
	text, err := json.Marshal(setup{UserID: u.ID, Expires: s.now().Add(setupLife)})
	if err != nil {
		return nil, err
	}
	sealed, err := s.Master.Seal(t, tenant.SecretTable, name, text)
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, a, tenant.AdminSlug, "member.bootstrap", func(c *change) error {
		c.userID = u.ID
		c.detail = detail{"role": tenant.Operator, "setup_hours": int(setupLife.Hours())}
		for _, name := range old {
			if err := c.DeleteSecret(c.t.ID, name); err != nil && !missing(err) {
				return err
			}
		}
		if err := c.PutGrant(tenant.Grant{UserID: u.ID, Role: tenant.Operator, Domain: tenant.PlatformDomain}); err != nil {
			return err
		}
		return c.PutSecret(c.t.ID, tenant.Secret{Name: name, UpdatedAt: s.now()}, sealed)
	})
	if err != nil {
		return nil, err
	}
	key, _, err := s.CreateAPIKey(ctx, a, tenant.AdminSlug, NewAPIKey{Name: "bootstrap of " + email, Role: tenant.Operator})
	return &Bootstrapped{User: u, SetupToken: token, Key: key}, err
}

// operator finds or makes the user of an address.
func (s *Service) operator(ctx context.Context, a Actor, t *tenant.Tenant, email string) (*tenant.UserRecord, error) {
	rules, err := s.loginIDs(ctx, tenant.AdminSlug)
	if err != nil {
		return nil, err
	}
	claim, err := flow.NormalizeClaim(rules, "email", email)
	if err != nil {
		return nil, tenant.Invalidf("/email", "format", "this is no e-mail address")
	}
	account, err := s.Store.AccountByClaim(ctx, t.ID, claim)
	if errors.Is(err, tenant.ErrUserNotFound) {
		return s.CreateUser(ctx, a, tenant.AdminSlug, NewUser{Identities: []NewIdentity{{Kind: "email", Value: email}}})
	}
	if err != nil {
		return nil, err
	}
	return s.Store.User(ctx, t.ID, account.ID)
}

// setupsOf names the setups of a user and those that have expired.
func (s *Service) setupsOf(ctx context.Context, t *tenant.Tenant, userID string) ([]string, error) {
	all, err := s.Store.Secrets(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, kept := range all {
		if !strings.HasPrefix(kept.Name, setupPrefix) {
			continue
		}
		found, err := s.openSetup(ctx, t, kept.Name)
		if err != nil && !missing(err) {
			return nil, err
		}
		if err == nil && (found.UserID == userID || !s.now().Before(found.Expires)) {
			out = append(out, kept.Name)
		}
	}
	return out, nil
}

func (s *Service) openSetup(ctx context.Context, t *tenant.Tenant, name string) (*setup, error) {
	text, err := s.Master.Kept(ctx, s.Store, t, name)
	if err != nil {
		return nil, err
	}
	found := &setup{}
	return found, json.Unmarshal(text, found)
}

// CompleteSetup sets the operator's password and ends their sessions. A token
// works once. ErrInvalidCredentials for a token that is unknown, used or
// expired; ErrPasswordPolicy, which leaves the token good.
func (s *Service) CompleteSetup(ctx context.Context, a Actor, token, password string) (*tenant.UserRecord, error) {
	t, err := s.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if err != nil {
		return nil, err
	}
	name := setupPrefix + secret.TokenHash(token)
	found, err := s.openSetup(ctx, t, name)
	if missing(err) || err == nil && !s.now().Before(found.Expires) {
		return nil, tenant.ErrInvalidCredentials.Says("this link is not good any more")
	}
	if err != nil {
		return nil, err
	}
	hash, err := s.hash(ctx, t, password)
	if err != nil {
		return nil, err
	}
	a.ID = found.UserID
	u, err := s.changeUser(ctx, a, tenant.AdminSlug, found.UserID, "member.complete_setup", func(c *change, u *tenant.UserRecord) error {
		if err := c.DeleteSecret(c.t.ID, name); err != nil {
			return err // ErrNotFound: somebody else used it first
		}
		now := s.now()
		password := newAuthenticator(&u.User, primaryPassword, hash, now)
		if i := slices.IndexFunc(u.Authenticators, func(au tenant.Authenticator) bool { return au.Type == primaryPassword }); i >= 0 {
			password = u.Authenticators[i]
			password.Secret, password.UpdatedAt = hash, now
			u.Authenticators[i] = password
		} else {
			u.Authenticators = append(u.Authenticators, password)
		}
		ended, err := c.RevokeSessions(c.t.ID, tenant.SessionSelector{UserID: u.ID}, now)
		c.detail = detail{"sessions": ended}
		return firstOf(err, c.PutAuthenticator(&password), c.UpdateUser(&u.User))
	})
	if missing(err) {
		return nil, tenant.ErrInvalidCredentials.Says("this link is not good any more")
	}
	return u, err
}
