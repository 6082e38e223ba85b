package admin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Permission is something that a role may do or not: an action on an object, as
// graph/policy.csv names them.
type Permission struct{ Object, Action string }

// What programs ask for at a tenant's own host.
var (
	ReadConfig  = Permission{"config", "read"}
	WriteConfig = Permission{"config", "write"}
	ReadRuns    = Permission{"flow_run", "read"}
	WriteRuns   = Permission{"flow_run", "write"}
	ReadAudit   = Permission{"audit", "read"}
)

// Program is a request that an API key is to let in.
type Program struct {
	Authorization string // the header (RFC 6750 section 2.1)
	IP            string
	RequestID     string
}

// Admit lets a program in at a tenant's own host, by one of the tenant's keys
// or an operator's, and answers with who it is. ErrUnauthenticated when it
// presents no key, ErrInvalidCredentials for a key that doesn't hold here,
// ErrTenantSuspended, ErrForbidden when the key's role may not do it.
func (s *Service) Admit(ctx context.Context, t *tenant.Tenant, p Program, to Permission) (Actor, error) {
	scheme, key, _ := strings.Cut(p.Authorization, " ")
	key = strings.TrimSpace(key)
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		return Actor{}, tenant.ErrUnauthenticated.Says("send an API key: Authorization: Bearer usher_...")
	}
	k, err := s.keyAt(ctx, t, key)
	switch {
	case err != nil:
		return Actor{}, err
	case t.State == tenant.Suspended && k.Role != tenant.Operator:
		return Actor{}, tenant.ErrTenantSuspended
	case !s.May(k.Role, to):
		return Actor{}, tenant.ErrForbidden.Says("you may not %s this: it needs %s:%s", to.Action, to.Object, to.Action)
	}
	return Actor{Kind: tenant.ActorKey, ID: k.ID, IP: p.IP, RequestID: p.RequestID}, nil
}

// errKey says the same of every key that doesn't hold.
var errKey = tenant.ErrInvalidCredentials.Says("there is no such API key here, or it has ended")

// Key finds the API key that a program presents, whichever tenant's it is.
// ErrInvalidCredentials for one that is unknown or has ended.
func (s *Service) Key(ctx context.Context, key string) (*tenant.APIKey, error) {
	t, err := s.Store.TenantBySlug(ctx, keySlug(key))
	if errors.Is(err, tenant.ErrTenantNotFound) {
		return nil, errKey
	}
	if err != nil {
		return nil, err
	}
	return s.keyOf(ctx, t.ID, key)
}

// keyAt is [Service.Key] at one tenant, where its own keys hold and operators'.
// The tenant admin belongs to operators alone.
func (s *Service) keyAt(ctx context.Context, t *tenant.Tenant, key string) (*tenant.APIKey, error) {
	switch keySlug(key) {
	case tenant.AdminSlug:
		k, err := s.Key(ctx, key)
		if err == nil && k.Role != tenant.Operator {
			return nil, errKey
		}
		return k, err
	case t.Slug:
		return s.keyOf(ctx, t.ID, key)
	}
	return nil, errKey
}

// touchEvery is how exact the last use of a key is.
const touchEvery = time.Minute

func (s *Service) keyOf(ctx context.Context, tenantID, key string) (*tenant.APIKey, error) {
	k, err := s.Store.APIKeyByHash(ctx, tenantID, secret.TokenHash(key))
	if errors.Is(err, tenant.ErrNotFound) {
		return nil, errKey
	}
	if err != nil {
		return nil, err
	}
	now := s.now()
	if !k.RevokedAt.IsZero() || !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return nil, errKey
	}
	if now.Sub(k.LastUsedAt) >= touchEvery {
		s.touch(k, now)
	}
	return k, nil
}

// keySlug reads the tenant out of usher_<slug>_<32 characters>. Any other form
// is an operator's own choice, kept in tenant admin.
func keySlug(key string) string {
	const random = 32
	if rest, ok := strings.CutPrefix(key, "usher_"); ok && len(rest) > random+1 && rest[len(rest)-random-1] == '_' {
		return rest[:len(rest)-random-1]
	}
	return tenant.AdminSlug
}

// touch keeps when a key was used, beside the request: nobody waits for it.
func (s *Service) touch(k *tenant.APIKey, now time.Time) {
	if _, busy := s.touching.LoadOrStore(k.ID, true); busy {
		return
	}
	go func() {
		defer s.touching.Delete(k.ID)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Store.TouchAPIKey(ctx, k.TenantID, k.ID, now); err != nil && s.Log != nil {
			s.Log.Warn("the last use of an API key was not kept", "key", k.ID, "error", err)
		}
	}()
}
