package admin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/testenv"
)

// What a key must be to let a program in at a tenant's own host.
func TestAdmit(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		b.May = func(role tenant.Role, to admin.Permission) bool {
			return role == tenant.Operator || role == tenant.Owner || role == tenant.Viewer && to == admin.ReadRuns
		}
		_, err := b.CreateTenant(b.ctx, ann, admin.NewTenant{Slug: "other", Hosts: []string{"other.localhost"}})
		must(t, err)
		key := func(slug string, role tenant.Role) (string, *tenant.APIKey) {
			key, k, err := b.CreateAPIKey(b.ctx, ann, slug, admin.NewAPIKey{Name: "k", Role: role})
			must(t, err)
			return key, k
		}
		owner, ownerKey := key("acme", tenant.Owner)
		viewer, viewerKey := key("acme", tenant.Viewer)
		others, _ := key("other", tenant.Owner)
		operator, operatorKey := key("admin", tenant.Operator)
		admins := uselessKey(b)
		admit := func(slug, authorization string, to admin.Permission) (admin.Actor, error) {
			return b.Admit(b.ctx, b.tenant(slug), admin.Program{Authorization: authorization, IP: "192.0.2.1", RequestID: "req-1"}, to)
		}
		for _, c := range []struct {
			what, slug, authorization string
			to                        admin.Permission
			want                      *tenant.Error
		}{
			{"no header", "acme", "", admin.ReadRuns, tenant.ErrUnauthenticated},
			{"another scheme", "acme", "Basic eDp5", admin.ReadRuns, tenant.ErrUnauthenticated},
			{"an empty key", "acme", "Bearer ", admin.ReadRuns, tenant.ErrUnauthenticated},
			{"unknown", "acme", "Bearer " + secret.NewToken("usher_acme_"), admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"of no tenant", "acme", "Bearer " + secret.NewToken("usher_missing_"), admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"no key at all", "acme", "Bearer x", admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"cut", "acme", "Bearer " + owner[:20], admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"another tenant's", "acme", "Bearer " + others, admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"another's under this name", "acme", "Bearer " + strings.Replace(others, "other", "acme", 1), admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"of tenant admin, and no operator's", "acme", "Bearer " + admins, admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"the same at tenant admin", "admin", "Bearer " + admins, admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"a tenant's at tenant admin", "admin", "Bearer " + owner, admin.ReadRuns, tenant.ErrInvalidCredentials},
			{"too weak", "acme", "Bearer " + viewer, admin.WriteRuns, tenant.ErrForbidden},
		} {
			if _, err := admit(c.slug, c.authorization, c.to); !tenant.AsError(err).Is(c.want) {
				t.Errorf("%s: %v, want %s", c.what, err, c.want.Reason)
			}
		}
		for _, c := range []struct {
			slug, authorization string
			to                  admin.Permission
			by                  *tenant.APIKey
		}{
			{"acme", "Bearer " + owner, admin.WriteConfig, ownerKey},
			{"acme", "bearer  " + viewer, admin.ReadRuns, viewerKey},
			{"acme", "Bearer " + operator, admin.WriteRuns, operatorKey},
			{"admin", "Bearer " + operator, admin.ReadConfig, operatorKey},
		} {
			by, err := admit(c.slug, c.authorization, c.to)
			must(t, err)
			if want := (admin.Actor{Kind: tenant.ActorKey, ID: c.by.ID, IP: "192.0.2.1", RequestID: "req-1"}); by != want {
				t.Errorf("%+v, want %+v", by, want)
			}
		}
		lastUsed(b, viewer, viewerKey)

		// A suspended tenant's doors are closed to all but operators.
		_, err = b.SuspendTenant(b.ctx, ann, "acme", "unpaid")
		must(t, err)
		refused(t, errOf(admit("acme", "Bearer "+owner, admin.ReadRuns)), tenant.ErrTenantSuspended)
		must(t, errOf(admit("acme", "Bearer "+operator, admin.ReadRuns)))
		_, err = b.ResumeTenant(b.ctx, ann, "acme")
		must(t, err)

		// Keys end.
		_, err = b.RevokeAPIKey(b.ctx, ann, "acme", ownerKey.ID)
		must(t, err)
		refused(t, errOf(admit("acme", "Bearer "+owner, admin.ReadRuns)), tenant.ErrInvalidCredentials)
		b.wait(91 * 24 * time.Hour)
		refused(t, errOf(admit("acme", "Bearer "+viewer, admin.ReadRuns)), tenant.ErrInvalidCredentials)
	})
}

// uselessKey is one that can't be made any more: of tenant admin, with a role of
// tenants.
func uselessKey(b *bench) string {
	key, t := secret.NewToken("usher_admin_"), b.tenant("admin")
	must(b.t, b.Store.Change(b.ctx, func(tx tenant.Tx) error {
		e := &tenant.AuditEvent{TenantID: t.ID, ID: secret.NewID(), At: b.clock(), Category: tenant.AuditSystem, Action: "test", Outcome: "success"}
		return errors.Join(tx.Audit(e), tx.CreateAPIKey(&tenant.APIKey{
			TenantID: t.ID, ID: secret.NewID(), Name: "old", Hash: secret.TokenHash(key), Role: tenant.Owner, CreatedAt: b.clock(),
		}))
	}))
	return key
}

// lastUsed waits until a key's last use is kept.
func lastUsed(b *bench, key string, k *tenant.APIKey) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got, err := b.Store.APIKeyByHash(b.ctx, k.TenantID, secret.TokenHash(key))
		must(b.t, err)
		if got.LastUsedAt.Equal(b.clock()) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("last used %s", got.LastUsedAt)
		}
	}
}
