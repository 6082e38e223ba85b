package tenant_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// registry is a store of tenants whose reads are counted, whose notifications can
// be lost, and which can be made to be away.
type registry struct {
	*store.Store
	reads atomic.Int64
	deaf  bool
	away  atomic.Bool
}

func (r *registry) TenantByHost(ctx context.Context, host string) (*tenant.Tenant, error) {
	r.reads.Add(1)
	if r.away.Load() {
		return nil, tenant.ErrUnavailable
	}
	return r.Store.TenantByHost(ctx, host)
}

func (r *registry) TenantByID(ctx context.Context, id string) (*tenant.Tenant, error) {
	if r.away.Load() {
		return nil, tenant.ErrUnavailable
	}
	return r.Store.TenantByID(ctx, id)
}

func (r *registry) ChangedSince(ctx context.Context, at time.Time) (map[string]int64, error) {
	if r.away.Load() {
		return nil, tenant.ErrUnavailable
	}
	return r.Store.ChangedSince(ctx, at)
}

func (r *registry) Watch(ctx context.Context, changed func(string)) error {
	if r.deaf {
		<-ctx.Done()
		return nil
	}
	return r.Store.Watch(ctx, changed)
}

func openRegistry(t testing.TB, url string) *registry {
	t.Helper()
	s, err := store.Open(context.Background(), url, store.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	check(t, s.Migrate(context.Background()))
	return &registry{Store: s}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *registry) change(t testing.TB, id string, fn func(tx tenant.Tx) error) {
	t.Helper()
	check(t, r.Change(context.Background(), func(tx tenant.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if id == "" {
			return nil
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: id, ID: secret.NewID(), At: time.Now(), Category: tenant.AuditAdmin, Action: "test", Outcome: "success",
			ActorKind: tenant.ActorCLI, Detail: json.RawMessage(`{}`),
		})
	}))
}

func (r *registry) add(t testing.TB, slug string, partition uint32, hosts ...string) *tenant.Tenant {
	t.Helper()
	x := &tenant.Tenant{
		ID: secret.NewID(), Slug: slug, Name: slug, State: tenant.Active, Hosts: hosts, Partition: partition, Version: 1,
		CreatedAt: time.Now(), ChangedAt: time.Now(),
	}
	r.change(t, x.ID, func(tx tenant.Tx) error { return tx.CreateTenant(x) })
	return x
}

// update changes a tenant as an admin would.
func (r *registry) update(t testing.TB, slug string, fn func(*tenant.Tenant)) {
	t.Helper()
	x, err := r.TenantBySlug(context.Background(), slug)
	check(t, err)
	r.change(t, x.ID, func(tx tenant.Tx) error {
		fresh, err := tx.Tenant(slug)
		if err != nil {
			return err
		}
		fn(fresh)
		fresh.ChangedAt = time.Now()
		return tx.UpdateTenant(fresh)
	})
}

func run(t testing.TB, d *tenant.Directory) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() { stop(); check(t, <-done) })
}

func eventually(t testing.TB, happens func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happens(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it doesn't happen")
		}
	}
}

func TestDirectoryFollowsChanges(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("deaf=%v", deaf), func(t *testing.T) {
			testenv.Databases(t, func(t *testing.T, url string) {
				t.Parallel() // the deaf ones wait for polls
				ctx := context.Background()
				r := openRegistry(t, url)
				r.deaf = deaf
				var changed atomic.Int64
				d := tenant.NewDirectory(r, tenant.DirectoryHooks{Changed: func(_ *tenant.Tenant, after time.Duration) {
					if after >= 0 && after < time.Minute {
						changed.Add(1)
					}
				}}, nil)
				run(t, d)
				x := r.add(t, "acme", 1, "acme.test", "www.acme.test")
				for _, host := range []string{"acme.test", "WWW.Acme.Test.:8443", "acme.test:80"} {
					got, err := d.ByHost(ctx, host)
					check(t, err)
					if got.ID != x.ID {
						t.Fatalf("%s is %+v", host, got)
					}
				}
				eventually(t, func() bool { // the notification of its making has come, too
					before := r.reads.Load()
					_, err := d.ByHost(ctx, "acme.test")
					return err == nil && r.reads.Load() == before
				})
				reads := r.reads.Load()
				bySlug, err := d.BySlug(ctx, "acme")
				check(t, err)
				byID, err := d.ByID(ctx, x.ID)
				check(t, err)
				if byHost, _ := d.ByHost(ctx, "www.acme.test"); byHost != bySlug || byHost != byID || r.reads.Load() != reads {
					t.Error("what is known is read again")
				}

				r.update(t, "acme", func(x *tenant.Tenant) {
					x.State, x.Hosts = tenant.Suspended, []string{"acme.test", "new.acme.test"}
				})
				eventually(t, func() bool { x, err := d.ByHost(ctx, "acme.test"); return err == nil && x.State == tenant.Suspended })
				if got, err := d.ByHost(ctx, "new.acme.test"); err != nil || got.State != tenant.Suspended {
					t.Errorf("the new host: %v %v", got, err)
				}
				if _, err := d.ByHost(ctx, "www.acme.test"); !errors.Is(err, tenant.ErrTenantNotFound) {
					t.Errorf("the old host: %v", err)
				}
				if changed.Load() != 1 {
					t.Errorf("%d changes were told of", changed.Load())
				}

				// A host moves to another tenant, which was nobody's before.
				if _, err := d.ByHost(ctx, "other.test"); !errors.Is(err, tenant.ErrTenantNotFound) {
					t.Errorf("an unknown host: %v", err)
				}
				r.update(t, "acme", func(x *tenant.Tenant) { x.Hosts = []string{"acme.test"} })
				y := r.add(t, "other", 2, "other.test", "new.acme.test")
				for _, host := range y.Hosts {
					eventually(t, func() bool { got, err := d.ByHost(ctx, host); return err == nil && got.ID == y.ID })
				}

				r.change(t, y.ID, func(tx tenant.Tx) error { return tx.DeleteTenant(x.ID) })
				// Each is looked for: a host that the directory has forgotten for another reason is asked for anew.
				eventually(t, func() bool { _, err := d.ByHost(ctx, "acme.test"); return errors.Is(err, tenant.ErrTenantNotFound) })
				eventually(t, func() bool { _, err := d.ByID(ctx, x.ID); return errors.Is(err, tenant.ErrTenantNotFound) })
				eventually(t, func() bool { _, err := d.BySlug(ctx, "acme"); return errors.Is(err, tenant.ErrTenantNotFound) })
			})
		})
	}
}

// Without the database, what is known is served; what isn't can't be said to be
// nobody's. When it is back, what changed meanwhile is found.
func TestDirectoryWithoutDatabase(t *testing.T) {
	ctx := context.Background()
	r := openRegistry(t, testenv.SQLite(t))
	d := tenant.NewDirectory(r, tenant.DirectoryHooks{}, nil)
	run(t, d)
	r.add(t, "acme", 1, "acme.test")
	r.add(t, "cold", 2, "cold.test")
	eventually(t, func() bool { // a load that a notification came in between isn't kept
		before := r.reads.Load()
		_, err := d.ByHost(ctx, "acme.test")
		return err == nil && r.reads.Load() == before
	})
	r.away.Store(true)
	r.update(t, "acme", func(x *tenant.Tenant) { x.Name = "Acme" })
	time.Sleep(20 * time.Millisecond) // the notification comes, and can't be followed
	if x, err := d.ByHost(ctx, "acme.test"); err != nil || x.Name != "acme" {
		t.Errorf("known: %v %v", x, err)
	}
	if _, err := d.ByHost(ctx, "cold.test"); !errors.Is(err, tenant.ErrUnavailable) {
		t.Errorf("not known: %v", err)
	}
	r.away.Store(false)
	_, err := d.ByHost(ctx, "cold.test")
	check(t, err)
	eventually(t, func() bool { x, err := d.ByHost(ctx, "acme.test"); return err == nil && x.Name == "Acme" })
}

// Made-up hosts are asked for once each, only so many are remembered, and one
// name that everybody asks for at once is read once.
func TestDirectoryBoundsTheUnknown(t *testing.T) {
	ctx := context.Background()
	r := openRegistry(t, testenv.SQLite(t))
	var clock atomic.Int64
	var outcomes sync.Map
	d := tenant.NewDirectory(r, tenant.DirectoryHooks{Lookup: func(o tenant.LookupOutcome) {
		n, _ := outcomes.LoadOrStore(o, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
	}}, func() time.Time { return time.Unix(1_700_000_000+clock.Load(), 0) })
	ask := func(host string) {
		if _, err := d.ByHost(ctx, host); !errors.Is(err, tenant.ErrTenantNotFound) {
			t.Fatalf("%s: %v", host, err)
		}
	}
	ask("nobody.test")
	ask("nobody.test")
	ask("NOBODY.test:1")
	if n := r.reads.Load(); n != 1 {
		t.Errorf("%d reads for one host", n)
	}
	for _, host := range []string{"", "-", "a b", "[::1", "_x.test", "x..test"} {
		ask(host)
	}
	if n := r.reads.Load(); n != 1 {
		t.Errorf("%d reads for what is no host", n)
	}
	clock.Add(4)
	ask("nobody.test")
	if n := r.reads.Load(); n != 2 {
		t.Errorf("%d reads after its time", n)
	}
	for i := range 10_000 {
		ask(fmt.Sprintf("h%d.test", i))
	}
	if n := d.Unknown(); n > 4096 {
		t.Errorf("%d unknown hosts are remembered", n)
	}

	r.add(t, "acme", 1, "acme.test")
	before := r.reads.Load()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := d.ByHost(ctx, "acme.test"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := r.reads.Load() - before; n != 1 {
		t.Errorf("%d reads for fifty who ask at once", n)
	}
	hits, _ := outcomes.Load(tenant.LookupHit)
	misses, _ := outcomes.Load(tenant.LookupMiss)
	var sum int64
	for _, n := range []any{hits, misses} {
		if n != nil {
			sum += n.(*atomic.Int64).Load()
		}
	}
	if sum != 50 {
		t.Errorf("hits and misses: %d", sum)
	}
}

func BenchmarkDirectoryByHost(b *testing.B) {
	r := openRegistry(b, testenv.SQLite(b))
	d := tenant.NewDirectory(r, tenant.DirectoryHooks{}, nil)
	r.add(b, "acme", 1, "acme.test")
	ctx := context.Background()
	for _, host := range []string{"acme.test", "acme.test:8080", "ACME.test"} {
		b.Run(host, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.ByHost(ctx, host); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
