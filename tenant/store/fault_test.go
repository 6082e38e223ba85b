package store_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// wire is a TCP proxy that can be cut and mended.
type wire struct {
	t      *testing.T
	target string
	addr   string

	mu    sync.Mutex
	ln    net.Listener
	conns []net.Conn
}

func newWire(t *testing.T, target string) *wire {
	w := &wire{t: t, target: target, addr: "127.0.0.1:0"}
	w.mend()
	t.Cleanup(w.cut)
	return w
}

func (w *wire) mend() {
	ln, err := net.Listen("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ln, w.addr = ln, ln.Addr().String()
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", w.target)
			if err != nil {
				in.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			go pour(in, out)
			go pour(out, in)
		}
	}()
}

func pour(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ln.Close()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// eventually waits for what comes after a fault. The bound is generous: a
// developer's machine may be busy.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still not:", what)
		}
	}
}

// The database goes away and comes back: refusals meanwhile, no restart after,
// and whoever watches looks again at everything.
func TestDatabaseGone(t *testing.T) {
	server, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, server.Host)
	server.Host = w.addr
	s := open(t, server.String(), store.Options{})
	ctx := t.Context()

	var mu sync.Mutex
	looks := 0
	watching, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Watch(watching, func(id string) {
			mu.Lock()
			defer mu.Unlock()
			if id == "" {
				looks++
			}
		})
	}()
	looked := func() int { mu.Lock(); defer mu.Unlock(); return looks }
	eventually(t, "watching", func() bool { return looked() == 1 })

	w.cut()
	for name, call := range map[string]func() error{
		"ping":    func() error { return s.Ping(ctx) },
		"read":    func() error { _, err := s.Account(ctx, "t", "u"); return err },
		"session": func() error { _, _, err := s.SessionByToken(ctx, "t", "x"); return err },
		"list":    func() error { _, err := s.Users(ctx, "t", tenant.UserFilter{}, tenant.Page{Limit: 1}); return err },
		"commit":  func() error { return s.Commit(ctx, &tenant.Commit{New: true}) },
		"change":  func() error { return s.Change(ctx, func(tenant.Tx) error { return nil }) },
		"seal":    func() error { _, err := s.SealAudit(ctx, 1); return err },
		"purge":   func() error { _, err := s.Purge(ctx, time.Now(), 1); return err },
	} {
		err := call()
		if !errors.Is(err, tenant.ErrUnavailable) || tenant.AsError(err).RetryAfter() == 0 {
			t.Errorf("%s without a database: %v", name, err)
		}
	}
	w.mend()
	eventually(t, "back", func() bool { return s.Ping(ctx) == nil })
	eventually(t, "looking again", func() bool { return looked() >= 2 })
	if _, err := s.Account(ctx, "t", "u"); !errors.Is(err, tenant.ErrUserNotFound) {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A database that accepts and then says nothing is unavailable in time.
func TestDatabaseSilent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s, err := store.Open(t.Context(), "postgres://u@"+ln.Addr().String()+"/x?sslmode=disable", store.Options{Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Account(t.Context(), "t", "u"); !errors.Is(err, tenant.ErrUnavailable) {
		t.Error(err)
	}
	if err := s.Commit(t.Context(), &tenant.Commit{New: true}); !errors.Is(err, tenant.ErrUnavailable) {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, address := range []string{"", "sqlite:", "sqlite::memory:", "mysql://x", dir, "sqlite:" + dir} {
		if s, err := store.Open(t.Context(), address, store.Options{}); err == nil {
			s.Close()
			t.Errorf("opened %q", address)
		}
	}
	path := filepath.Join(dir, "new", "a b?c=d#%41.db")
	s := open(t, "sqlite:"+path, store.Options{})
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal"} {
		f, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if f.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o", file, f.Mode().Perm())
		}
	}
}

// Writers of one SQLite file wait for each other, in this process and beside it.
func TestTwoProcesses(t *testing.T) {
	address := testenv.SQLite(t)
	a, b := open(t, address, store.Options{}), open(t, address, store.Options{})
	if err := a.Change(t.Context(), func(tx tenant.Tx) error {
		if err := tx.CreateTenant(&tenant.Tenant{ID: "t", Slug: "t", State: tenant.Active}); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{TenantID: "t", ID: "e", Category: tenant.AuditAdmin})
	}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, s := range []*store.Store{a, b, a, b} {
		wg.Go(func() {
			for k := range 25 {
				id := string(rune('a'+i)) + string(rune('a'+k))
				run := tenant.Run{TenantID: "t", ID: id, Status: tenant.RunFinished}
				if i < 2 {
					run.Status = tenant.RunNew
				}
				if err := s.Commit(t.Context(), &tenant.Commit{New: true, Run: run, State: tenant.FlowState{TenantID: "t", TokenHash: id, RunID: id}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	runs, err := b.Runs(t.Context(), "t", tenant.RunFilter{}, tenant.Page{Limit: 1000})
	if err != nil || len(runs) != 100 {
		t.Error(len(runs), err)
	}
}

// A statement that takes too long is given up with its connection, and the next
// one has another.
func TestLate(t *testing.T) {
	s, err := store.Open(t.Context(), testenv.Postgres(t), store.Options{Timeout: 300 * time.Millisecond, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	one := func(text string) (n int, err error) {
		err = s.Hot(t.Context(), text, func(scan func(...any) error) error { return scan(&n) })
		return n, err
	}
	for range 3 {
		start := time.Now()
		if _, err := one("SELECT 1 FROM pg_sleep(5)"); !errors.Is(err, tenant.ErrUnavailable) || time.Since(start) > 3*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if n, err := one("SELECT 7"); n != 7 || err != nil {
			t.Error(n, err)
		}
		if _, err := one("SELECT 1/0"); err == nil || errors.Is(err, tenant.ErrUnavailable) {
			t.Error(err)
		}
	}
	if busy, _ := s.Connections(); busy != 0 {
		t.Errorf("%d connections are kept", busy)
	}
}
