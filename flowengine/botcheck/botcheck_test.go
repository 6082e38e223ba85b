package botcheck_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine/botcheck"
	"github.com/usher-id/usher/flowengine/botcheck/bottest"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// checker makes a checker behind a guard, and a tenant whose secret key it knows.
func checker(t *testing.T, guard outbound.Guard) (*botcheck.Checker, *prometheus.Registry, *tenant.Tenant) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(t.Context(), testenv.SQLite(t), store.Options{})
	must(err)
	t.Cleanup(func() { _ = db.Close() })
	must(db.Migrate(t.Context()))
	master, err := secret.OpenMaster(secret.NewMasterKey())
	must(err)
	key, err := master.NewTenantKey()
	must(err)
	x := &tenant.Tenant{ID: secret.NewID(), Slug: "acme", Name: "acme", State: tenant.Active, Hosts: []string{"acme.test"}, Partition: 1, Key: key, Version: 1, CreatedAt: time.Now(), ChangedAt: time.Now()}
	sealed, err := master.Seal(x, tenant.SecretTable, tenant.BotSecretName, []byte("secret key"))
	must(err)
	must(db.Change(t.Context(), func(tx tenant.Tx) error {
		return errors.Join(tx.CreateTenant(x), tx.PutSecret(x.ID, tenant.Secret{Name: tenant.BotSecretName}, sealed), tx.Audit(&tenant.AuditEvent{
			TenantID: x.ID, ID: secret.NewID(), At: time.Now(), Category: tenant.AuditAdmin, Action: "test", Outcome: "success", ActorKind: tenant.ActorCLI, Detail: []byte(`{}`),
		}))
	}))
	r := prometheus.NewRegistry()
	return botcheck.New(botcheck.Options{
		Secrets: db, Master: master, Guard: guard, Metrics: botcheck.NewMetrics(r), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}), r, x
}

func settings(p *bottest.Provider) *tenant.BotProtection {
	return &tenant.BotProtection{Enabled: true, Provider: tenant.BotProvider{Type: "cloudflare", SiteKey: "site"}, VerifyURL: p.URL}
}

// Every series is there from the start.
func TestMetrics(t *testing.T) {
	_, r, _ := checker(t, outbound.Guard{})
	families, err := r.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != len(tenant.BotProviders)*4 {
		t.Errorf("%v, %v", families, err)
	}
}

// A tenant's settings reach nothing on this machine unless they may.
func TestGuard(t *testing.T) {
	p := bottest.New(t, "cloudflare", "secret key", "site")
	c, _, x := checker(t, outbound.Guard{})
	if err := c.Check(t.Context(), x, settings(p), netip.MustParseAddr("192.0.2.1"), p.Solve("x")); !errors.Is(err, tenant.ErrBotProtectionUnavailable) || len(p.Calls()) != 0 {
		t.Error(err, len(p.Calls()), "calls")
	}
}

// Of a crowd with one response exactly one is let in; a provider that hangs is
// asked by so many at once and no more.
func TestCrowd(t *testing.T) {
	p := bottest.New(t, "cloudflare", "secret key", "site")
	c, _, x := checker(t, outbound.Guard{AllowPrivate: true})
	crowd := func(ctx context.Context, n int, response string) (in int) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range n {
			wg.Go(func() {
				if c.Check(ctx, x, settings(p), netip.MustParseAddr("2001:db8::1"), response) == nil {
					mu.Lock()
					in++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return in
	}
	if in := crowd(t.Context(), 20, p.Solve("x")); in != 1 {
		t.Error(in, "were let in with one response")
	}
	before := len(p.Calls())
	p.Fails(bottest.Hangs)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if in := crowd(ctx, 200, "x"); in != 0 || len(p.Calls())-before > 64 {
		t.Error(in, "were let in,", len(p.Calls())-before, "asked")
	}
	p.Fails(bottest.None)
	if in := crowd(t.Context(), 1, p.Solve("x")); in != 1 {
		t.Error("nobody is let in any more")
	}
}
