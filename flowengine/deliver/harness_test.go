package deliver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// post is an outbox on a real database, with workers to be started.
type post struct {
	*testing.T
	store  *store.Store
	master *secret.Master
	o      deliver.Options
	ahead  atomic.Int64 // of the clock, in nanoseconds

	mu      sync.Mutex
	configs map[string]*tenant.Config // by tenant
	tenants map[string]*tenant.Tenant
	log     bytes.Buffer
	tries   []deliver.Sent
	secrets []string // that no log may hold
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{T: t, configs: map[string]*tenant.Config{}, tenants: map[string]*tenant.Tenant{}}
	var err error
	p.store, err = store.Open(t.Context(), testenv.SQLite(t), store.Options{})
	p.must(err)
	t.Cleanup(func() { _ = p.store.Close() })
	p.must(p.store.Migrate(t.Context()))
	p.master, err = secret.OpenMaster(secret.NewMasterKey())
	p.must(err)
	p.o = deliver.Options{
		Store: p.store, Master: p.master, Limiter: limit.SQL(p.store), Log: slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:       p.now,
		Tenant:    func(_ context.Context, id string) (*tenant.Tenant, error) { return p.tenants[id], nil },
		Config:    func(_ context.Context, t *tenant.Tenant) (*tenant.Config, error) { return p.configs[t.ID], nil },
		PublicURL: func(host, path string) string { return "https://" + host + path },
		Guard:     outbound.Guard{AllowPrivate: true},
		Sent:      func(s deliver.Sent) { p.locked(func() { p.tries = append(p.tries, s) }) },
		Poll:      5 * time.Millisecond,
		Delay:     func(int) time.Duration { return 20 * time.Millisecond },
	}
	t.Cleanup(p.keepsSecrets)
	return p
}

func (p *post) locked(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// Write takes what is logged.
func (p *post) Write(b []byte) (n int, err error) {
	p.locked(func() { n, err = p.log.Write(b) })
	return n, err
}

func (p *post) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *post) now() time.Time {
	return time.UnixMilli(time.Now().Add(time.Duration(p.ahead.Load())).UnixMilli()).UTC()
}

// keepsSecrets: nothing that a message brings and no credential is in the log,
// nor in the errors that admins see.
func (p *post) keepsSecrets() {
	text := p.log.String()
	for id := range p.tenants {
		list, err := p.store.Messages(context.Background(), id, tenant.MessageFilter{}, tenant.Page{Limit: 1000})
		if err != nil {
			p.Error(err)
		}
		for _, m := range list {
			text += m.Error
		}
	}
	for _, s := range p.secrets {
		if strings.Contains(text, s) {
			p.Errorf("a secret is in the log or in an error: %s\n%s", s, text)
		}
	}
}

// tenant makes one with a configuration.
func (p *post) tenant(name string, change func(*tenant.Messaging)) *tenant.Tenant {
	p.Helper()
	key, err := p.master.NewTenantKey()
	p.must(err)
	t := &tenant.Tenant{
		ID: secret.NewID(), Slug: name, Name: "The " + name + " app", State: tenant.Active, Hosts: []string{name + ".example"},
		Partition: uint32(len(p.tenants) + 1), Key: key, Version: 1, CreatedAt: p.now(),
	}
	cfg := tenant.DefaultConfig()
	if change != nil {
		change(&cfg.Messaging)
	}
	if problems := append(tenant.CheckConfig(cfg), deliver.Check(cfg)...); len(problems) > 0 {
		p.Fatal(problems)
	}
	doc, hash := document.Encode(cfg)
	p.change(t.ID, func(tx tenant.Tx) error {
		if err := tx.CreateTenant(t); err != nil {
			return err
		}
		return tx.CreateVersion(&tenant.Version{TenantID: t.ID, Number: 1, Document: doc, Hash: hash, CreatedAt: p.now()})
	})
	p.locked(func() { p.tenants[t.ID], p.configs[t.ID] = t, cfg })
	return t
}

func (p *post) change(tenantID string, f func(tenant.Tx) error) {
	p.Helper()
	p.must(p.store.Change(p.Context(), func(tx tenant.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: tenantID, ID: secret.NewID(), At: p.now(), Category: tenant.AuditSystem, Action: "test", Outcome: "success",
			ActorKind: tenant.ActorSystem, Detail: json.RawMessage("{}"),
		})
	}))
}

// secret keeps a credential of a tenant.
func (p *post) secret(t *tenant.Tenant, name, value string) {
	p.Helper()
	sealed, err := p.master.Seal(t, tenant.SecretTable, name, []byte(value))
	p.must(err)
	p.change(t.ID, func(tx tenant.Tx) error { return tx.PutSecret(t.ID, tenant.Secret{Name: name}, sealed) })
	p.secrets = append(p.secrets, value)
}

// parcel is what send is asked for.
type parcel struct {
	channel, to, plain, accept string
	form                       tenant.CodeForm
	decoy                      bool
	status                     tenant.MessageStatus
	commit                     *tenant.Commit // the move before, for another code of its run
}

// send puts a code and its message into the outbox, as a move of a run does.
func (p *post) send(t *tenant.Tenant, c parcel) (*tenant.Message, *tenant.Commit) {
	p.Helper()
	now := p.now()
	if c.form == "" {
		c.form = tenant.CodeForm6
	}
	if c.status == "" {
		c.status = tenant.MessageQueued
	}
	commit := &tenant.Commit{New: true}
	commit.Run = tenant.Run{
		TenantID: t.ID, ID: secret.NewPFID(t.Partition), Flow: tenant.FlowRef{Type: tenant.Login, Name: "default"}, Status: tenant.RunNew,
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if c.commit != nil {
		commit.New, commit.Run = false, c.commit.Run
	}
	commit.State = tenant.FlowState{TenantID: t.ID, TokenHash: secret.NewToken(""), RunID: commit.Run.ID, CreatedAt: now}
	kind := "phone"
	if c.channel == "email" {
		kind = "email"
	}
	code := tenant.Code{
		TenantID: t.ID, ID: secret.NewID(), RunID: commit.Run.ID, Purpose: tenant.PurposeAuthenticate, Form: c.form, Channel: c.channel,
		Target: tenant.Claim{Kind: kind, Value: c.to}, MaxAttempts: 5, CreatedAt: now, ExpiresAt: now.Add(5 * time.Minute), Delivery: c.status,
	}
	m, err := deliver.Compose(p.master, t, p.configs[t.ID], &code, c.plain, c.accept, secret.NewID(), c.decoy)
	p.must(err)
	commit.Codes, commit.Messages = []tenant.Code{code}, []tenant.Message{*m}
	p.must(p.store.Commit(p.Context(), commit))
	p.secrets = append(p.secrets, c.plain)
	return m, commit
}

// worker starts one, which is stopped after the test or by the function given.
func (p *post) worker() (*deliver.Worker, func()) {
	p.Helper()
	w := deliver.New(p.o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			p.Error(err)
		}
	}()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	p.Cleanup(stop)
	return w, stop
}

// message reads one as it stands.
func (p *post) message(m *tenant.Message) *tenant.Message {
	p.Helper()
	got, err := p.store.MessageOfCode(p.Context(), m.TenantID, m.CodeID)
	p.must(err)
	return got
}

// await waits until a message has a status.
func (p *post) await(m *tenant.Message, want tenant.MessageStatus) *tenant.Message {
	p.Helper()
	var got *tenant.Message
	p.until("message "+m.ID+" is "+string(want), func() bool {
		got = p.message(m)
		return got.Status == want
	})
	return got
}

// until waits for something that happens soon, or else fails.
func (p *post) until(what string, happened func() bool) {
	p.Helper()
	for end := time.Now().Add(20 * time.Second); !happened(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("it never came about that %s\n%s", what, p.log.String())
		}
	}
}
