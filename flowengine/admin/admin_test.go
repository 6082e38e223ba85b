package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// bench is a service under test, with a clock that the test moves.
type bench struct {
	*admin.Service
	t   *testing.T
	ctx context.Context

	mu  sync.Mutex
	now time.Time
}

var ann = admin.Actor{Kind: tenant.ActorMember, ID: "ann", IP: "192.0.2.1", RequestID: "req-1"}

func newBench(t *testing.T, url string) *bench {
	t.Helper()
	b := &bench{Service: newService(t, url), t: t, ctx: t.Context(), now: time.Now().UTC().Truncate(time.Millisecond)}
	b.Now = b.clock
	return b
}

// newService is a service on a fresh database with tenants admin and acme.
func newService(t testing.TB, url string) *admin.Service {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, url, store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.Migrate(ctx))
	master, err := secret.OpenMaster(secret.NewMasterKey())
	must(t, err)
	hasher := secret.NewHasher(secret.HasherOptions{Workers: 2})
	t.Cleanup(hasher.Close)
	s := &admin.Service{Store: db, Master: master, Hasher: hasher, Now: time.Now, Limiter: limit.SQL(db)}
	_, made, err := s.EnsureAdminTenant(ctx, "admin.localhost")
	must(t, err)
	if !made {
		t.Fatal("tenant admin was there already")
	}
	_, err = s.CreateTenant(ctx, ann, admin.NewTenant{Slug: "acme", Hosts: []string{"acme.localhost"}})
	must(t, err)
	return s
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) wait(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bench) tenant(slug string) *tenant.Tenant {
	b.t.Helper()
	t, err := b.Store.TenantBySlug(b.ctx, slug)
	must(b.t, err)
	return t
}

func (b *bench) published(slug string) *tenant.Config {
	b.t.Helper()
	cfg, err := b.Published(b.ctx, b.tenant(slug))
	must(b.t, err)
	return cfg
}

// audit is the newest event of a tenant's log.
func (b *bench) audit(slug string) *tenant.AuditEvent {
	b.t.Helper()
	log, err := b.Store.AuditLog(b.ctx, b.tenant(slug).ID, tenant.AuditFilter{}, tenant.Page{Limit: 1})
	must(b.t, err)
	return log[0]
}

// auditCount is how many events a tenant's log has.
func (b *bench) auditCount(slug string) int64 {
	b.t.Helper()
	n, _, err := b.Store.AuditHead(b.ctx, b.tenant(slug).ID)
	must(b.t, err)
	return n
}

// intact checks the audit chains.
func (b *bench) intact() {
	b.t.Helper()
	for _, slug := range []string{"admin", "acme"} {
		report, err := b.VerifyAudit(b.ctx, slug)
		must(b.t, err)
		if report.Bad != nil {
			b.t.Errorf("audit log of %s: %+v", slug, report.Bad)
		}
	}
}

func (b *bench) user(slug, email, password string) *tenant.UserRecord {
	b.t.Helper()
	u, err := b.CreateUser(b.ctx, ann, slug, admin.NewUser{Identities: []admin.NewIdentity{{Kind: "email", Value: email}}, Password: password})
	must(b.t, err)
	return u
}

func (b *bench) edit(section, patch string, e admin.Edit) *admin.Edited {
	b.t.Helper()
	done, err := b.EditSection(b.ctx, ann, "acme", section, json.RawMessage(patch), e)
	must(b.t, err)
	return done
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, want *tenant.Error) *tenant.Error {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %s", err, want.Reason)
	}
	return tenant.AsError(err)
}

var volatile = []*regexp.Regexp{
	regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`),
	regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`),
}

// golden compares a value with a file, ids and times aside.
func golden(t *testing.T, file string, value any) {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	must(t, err)
	for i, re := range volatile {
		text = re.ReplaceAll(text, []byte([]string{"<id>", "<time>"}[i]))
	}
	got := string(text) + "\n"
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got\n%s", file, d)
	}
}

func errOf[T any](_ T, err error) error { return err }
