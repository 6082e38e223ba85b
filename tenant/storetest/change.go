package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

func testChange(h *house) {
	t := h.tenant()
	h.step("all or nothing", func(h *house) {
		boom := errors.New("boom")
		u := h.newUser(t.ID, email(word()))
		err := h.s.Change(h.ctx(), func(tx tenant.Tx) error {
			h.must(tx.CreateUser(u))
			h.must(tx.Audit(h.event(t.ID)))
			got, err := tx.User(t.ID, u.ID) // it sees its own writes
			h.must(err)
			h.same(got, u)
			return boom
		})
		if !errors.Is(err, boom) {
			h.Error("not what fn returned:", err)
		}
		_, err = h.s.User(h.ctx(), t.ID, u.ID)
		h.refused(err, tenant.ErrUserNotFound)
		h.same(len(h.chainOf(t.ID)), 1)
	})
	h.step("audited or nothing", func(h *house) {
		u := h.newUser(t.ID, email(word()))
		err := h.s.Change(h.ctx(), func(tx tenant.Tx) error { return tx.CreateUser(u) })
		if err == nil || errors.As(err, new(*tenant.Error)) {
			h.Error("want an internal error:", err)
		}
		_, err = h.s.User(h.ctx(), t.ID, u.ID)
		h.refused(err, tenant.ErrUserNotFound)
	})
	h.step("a panic", func(h *house) {
		func() {
			defer func() { recover() }()                   //nolint:errcheck // it is ours
			h.s.Change(h.ctx(), func(tx tenant.Tx) error { //nolint:errcheck // it doesn't return
				h.must(tx.CreateUser(h.newUser(t.ID)))
				panic("boom")
			})
		}()
		h.user(t.ID) // nothing is left locked
	})
	h.step("a context that has ended", func(h *house) {
		ctx, cancel := context.WithCancel(h.ctx())
		cancel()
		h.refused(h.s.Change(ctx, func(tenant.Tx) error { h.Error("it ran"); return nil }), tenant.ErrUnavailable)
		h.refused(h.s.Commit(ctx, h.newRun(t.ID)), tenant.ErrUnavailable)
		h.refused(h.s.Ping(ctx), tenant.ErrUnavailable)
		h.must(h.s.Ping(h.ctx()))
	})
}

func testWatch(h *house) {
	var mu sync.Mutex
	heard := map[string]int{}
	news := make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(h.ctx())
	ended := make(chan error, 2)
	for range 2 { // each hears everything
		go func() {
			ended <- h.s.Watch(ctx, func(tenantID string) {
				mu.Lock()
				heard[tenantID]++
				mu.Unlock()
				news <- struct{}{}
			})
		}()
	}
	expect := func(what, tenantID string) {
		h.Helper()
		for end := time.After(20 * time.Second); ; {
			mu.Lock()
			n := heard[tenantID]
			mu.Unlock()
			if n >= 2 {
				break
			}
			select {
			case <-news:
			case <-end:
				h.Fatalf("%s: nothing heard of %q", what, tenantID)
			}
		}
		time.Sleep(5 * time.Millisecond) // what comes twice comes now
		mu.Lock()
		clear(heard)
		mu.Unlock()
	}
	expect("the beginning", "")
	t := h.newTenant()
	grant := tenant.Grant{UserID: id(), Role: tenant.Editor, Domain: t.ID}
	key := &tenant.APIKey{TenantID: t.ID, ID: id(), Hash: word(), Role: tenant.Editor}
	for _, c := range []struct {
		what string
		fn   func(tx tenant.Tx) error
	}{
		{"create", func(tx tenant.Tx) error { return tx.CreateTenant(t) }},
		{"update", func(tx tenant.Tx) error { return tx.UpdateTenant(t) }},
		{"draft", func(tx tenant.Tx) error { return tx.PutDraft(&tenant.Draft{TenantID: t.ID}) }},
		{"no draft", func(tx tenant.Tx) error { return tx.DeleteDraft(t.ID) }},
		{"version", func(tx tenant.Tx) error { return tx.CreateVersion(&tenant.Version{TenantID: t.ID, Number: 1}) }},
		{"secret", func(tx tenant.Tx) error { return tx.PutSecret(t.ID, tenant.Secret{Name: "x"}, nil) }},
		{"no secret", func(tx tenant.Tx) error { return tx.DeleteSecret(t.ID, "x") }},
		{"key", func(tx tenant.Tx) error { return tx.CreateAPIKey(key) }},
		{"no key", func(tx tenant.Tx) error { _, err := tx.RevokeAPIKey(t.ID, key.ID, h.at); return err }},
		{"grant", func(tx tenant.Tx) error { return tx.PutGrant(grant) }},
		{"no grant", func(tx tenant.Tx) error { return tx.DeleteGrant(grant) }},
	} {
		h.must(h.change(t.ID, c.fn))
		expect(c.what, t.ID)
	}
	other := h.tenant()
	expect("another", other.ID)
	boom := errors.New("boom")
	if err := h.change(t.ID, func(tx tenant.Tx) error { h.must(tx.UpdateTenant(t)); return boom }); !errors.Is(err, boom) {
		h.Error(err)
	}
	h.must(h.change(other.ID, func(tx tenant.Tx) error { return tx.DeleteTenant(t.ID) }))
	expect("delete", t.ID)
	cancel()
	for range 2 {
		h.must(<-ended)
	}
}
