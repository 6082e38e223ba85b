package storetest

import (
	"slices"
	"time"

	"github.com/usher-id/usher/tenant"
)

func testTenants(h *house) {
	a := h.tenant()
	h.step("read", func(h *house) {
		for name, read := range map[string]func() (*tenant.Tenant, error){
			"by first host":  func() (*tenant.Tenant, error) { return h.s.TenantByHost(h.ctx(), a.Hosts[0]) },
			"by second host": func() (*tenant.Tenant, error) { return h.s.TenantByHost(h.ctx(), a.Hosts[1]) },
			"by slug":        func() (*tenant.Tenant, error) { return h.s.TenantBySlug(h.ctx(), a.Slug) },
			"by id":          func() (*tenant.Tenant, error) { return h.s.TenantByID(h.ctx(), a.ID) },
		} {
			got, err := read()
			if err != nil {
				h.Fatal(name, err)
			}
			h.same(got, a)
		}
		for _, unknown := range []string{"nobody", "", "a\x00b", a.Hosts[0] + "\x00", "\xff"} {
			_, err := h.s.TenantByHost(h.ctx(), unknown)
			h.refused(err, tenant.ErrTenantNotFound)
			_, err = h.s.TenantBySlug(h.ctx(), unknown)
			h.refused(err, tenant.ErrTenantNotFound)
			_, err = h.s.TenantByID(h.ctx(), unknown)
			h.refused(err, tenant.ErrTenantNotFound)
		}
	})
	h.step("create", func(h *house) {
		for name, clash := range map[string]func(n *tenant.Tenant){
			"id":        func(n *tenant.Tenant) { n.ID = a.ID },
			"slug":      func(n *tenant.Tenant) { n.Slug = a.Slug },
			"host":      func(n *tenant.Tenant) { n.Hosts[1] = a.Hosts[0] },
			"partition": func(n *tenant.Tenant) { n.Partition = a.Partition },
		} {
			n := h.newTenant()
			clash(n)
			err := h.change(a.ID, func(tx tenant.Tx) error { return tx.CreateTenant(n) })
			h.refused(err, tenant.ErrAlreadyExists)
			if _, err := h.s.TenantByHost(h.ctx(), n.Hosts[0]); err == nil {
				h.Error(name, "half of the tenant is there")
			}
		}
	})
	h.step("update", func(h *house) {
		b, before := h.tenant(), time.Now()
		h.must(h.change(b.ID, func(tx tenant.Tx) error {
			t, err := tx.Tenant(b.Slug)
			if err != nil {
				return err
			}
			h.same(t, b)
			t.Name, t.State, t.SuspendReason = "New name", tenant.Suspended, "unpaid"
			t.Hosts = []string{"second." + b.Hosts[0], b.Hosts[0]}
			t.Version, t.DraftRevision, t.Key = 2, 7, []byte{9}
			b = t
			return tx.UpdateTenant(t)
		}))
		if b.Revision != 2 || b.ChangedAt.Before(before.Truncate(time.Millisecond)) {
			h.Errorf("revision %d, changed at %s", b.Revision, b.ChangedAt)
		}
		got, err := h.s.TenantByHost(h.ctx(), "second."+b.Hosts[1])
		h.must(err)
		h.same(got, b)
		_, err = h.s.TenantByHost(h.ctx(), "www."+b.Hosts[1])
		h.refused(err, tenant.ErrTenantNotFound)

		err = h.change(b.ID, func(tx tenant.Tx) error { b.Hosts = []string{a.Hosts[0]}; return tx.UpdateTenant(b) })
		h.refused(err, tenant.ErrAlreadyExists)
		err = h.change(a.ID, func(tx tenant.Tx) error { return tx.UpdateTenant(h.newTenant()) })
		h.refused(err, tenant.ErrTenantNotFound)
		err = h.change(a.ID, func(tx tenant.Tx) error { _, err := tx.Tenant("nobody"); return err })
		h.refused(err, tenant.ErrTenantNotFound)
	})
	h.step("delete", testDeleteTenant)
	h.step("list", testListTenants)
}

// Everything that is the tenant's goes with it, and nothing that isn't.
func testDeleteTenant(h *house) {
	keeper, gone := h.tenant(), h.tenant()
	since := time.Now().Add(-time.Second)
	claim := email(word())
	kept, lost := h.user(keeper.ID, claim), h.user(gone.ID, claim)
	keptSession, lostSession := h.signedIn(kept), h.signedIn(lost)
	grant := tenant.Grant{UserID: kept.ID, Role: tenant.Editor, Domain: gone.ID}
	h.must(h.change(keeper.ID, func(tx tenant.Tx) error { return tx.PutGrant(grant) }))

	h.must(h.change(keeper.ID, func(tx tenant.Tx) error { return tx.DeleteTenant(gone.ID) }))
	h.refused(h.change(keeper.ID, func(tx tenant.Tx) error { return tx.DeleteTenant(gone.ID) }), tenant.ErrTenantNotFound)

	_, err := h.s.TenantByHost(h.ctx(), gone.Hosts[0])
	h.refused(err, tenant.ErrTenantNotFound)
	_, err = h.s.AccountByClaim(h.ctx(), gone.ID, claim)
	h.refused(err, tenant.ErrUserNotFound)
	_, _, err = h.s.SessionByToken(h.ctx(), gone.ID, lostSession.TokenHash)
	h.refused(err, tenant.ErrNotFound)
	runs, err := h.s.Runs(h.ctx(), gone.ID, tenant.RunFilter{}, tenant.Page{Limit: 10})
	h.must(err)
	log, err := h.s.AuditLog(h.ctx(), gone.ID, tenant.AuditFilter{}, tenant.Page{Limit: 10})
	h.must(err)
	grants, err := h.s.GrantsOf(h.ctx(), kept.ID)
	h.must(err)
	if len(runs)+len(log)+len(grants) > 0 {
		h.Error("left behind:", runs, log, grants)
	}
	late := h.newRun(gone.ID) // by a node that hasn't heard of it yet
	late.Run.Head = late.State.TokenHash
	h.must(h.s.Commit(h.ctx(), late))
	_, err = h.s.Purge(h.ctx(), time.Now(), 1)
	h.must(err)
	_, err = h.s.LoadHead(h.ctx(), gone.ID, late.Run.ID)
	h.refused(err, tenant.ErrFlowNotFound)
	_, err = h.s.LoadState(h.ctx(), gone.ID, late.State.TokenHash, h.at)
	h.refused(err, tenant.ErrFlowNotFound)
	h.refused(h.s.RecordSignIn(h.ctx(), h.event(gone.ID)), tenant.ErrTenantNotFound)

	if _, err = h.s.AccountByClaim(h.ctx(), keeper.ID, claim); err != nil {
		h.Error("another tenant's user has gone too:", err)
	}
	if _, _, err = h.s.SessionByToken(h.ctx(), keeper.ID, keptSession.TokenHash); err != nil {
		h.Error("another tenant's session has gone too:", err)
	}
	changed, err := h.s.ChangedSince(h.ctx(), since)
	h.must(err)
	if r, ok := changed[gone.ID]; !ok || r != 0 {
		h.Error("the deleted tenant is not among the changed ones:", changed)
	}
	// The id may come again.
	again := h.newTenant()
	again.ID = gone.ID
	h.must(h.change(again.ID, func(tx tenant.Tx) error { return tx.CreateTenant(again) }))
	h.must(h.change(keeper.ID, func(tx tenant.Tx) error { return tx.DeleteTenant(again.ID) }))
}

func testListTenants(h *house) {
	before, err := h.s.CountTenants(h.ctx())
	h.must(err)
	mark := word()
	var slugs []string
	for i := range 5 {
		t := h.newTenant()
		t.Slug = mark + "-" + string(rune('a'+i))
		t.Name = "Größe " + t.Slug
		t.Hosts = []string{t.Slug + ".hosts.test"}
		if i == 2 {
			t.State = tenant.Suspended
		}
		slugs = append(slugs, t.Slug)
		h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateTenant(t) }))
	}
	for _, c := range []struct {
		search string
		state  tenant.State
		page   tenant.Page
		want   []string
	}{
		{mark, "", tenant.Page{Limit: 10}, slugs},
		{mark, "", tenant.Page{Limit: 2}, slugs[:2]},
		{mark, "", tenant.Page{After: slugs[1], Limit: 2}, slugs[2:4]},
		{mark, "", tenant.Page{After: slugs[4], Limit: 2}, nil},
		{mark, tenant.Suspended, tenant.Page{Limit: 10}, slugs[2:3]},
		{mark, tenant.Active, tenant.Page{After: slugs[1], Limit: 10}, slugs[3:]},
		{slugs[3], "", tenant.Page{Limit: 10}, slugs[3:4]},
		{slugs[3] + ".hosts", "", tenant.Page{Limit: 10}, slugs[3:4]},
		{"Größe " + mark, "", tenant.Page{Limit: 10}, slugs},
		{"gRÖße " + mark, "", tenant.Page{Limit: 10}, nil}, // only ASCII letters fold
		{"gröSSe " + mark, "", tenant.Page{Limit: 10}, nil},
		{"grö", tenant.Suspended, tenant.Page{Limit: 1}, slugs[2:3]},
		{"%", "", tenant.Page{Limit: 10}, nil},
		{"'; --", "", tenant.Page{Limit: 10}, nil},
	} {
		got, err := h.s.Tenants(h.ctx(), c.search, c.state, c.page)
		h.must(err)
		if found := slugsOf(got); !slices.Equal(found, c.want) {
			h.Errorf("%q %q %+v: got %v, want %v", c.search, c.state, c.page, found, c.want)
		}
		for _, t := range got {
			if len(t.Hosts) != 1 {
				h.Error("without its hosts:", t.Slug, t.Hosts)
			}
		}
	}
	after, err := h.s.CountTenants(h.ctx())
	h.must(err)
	if after[tenant.Active]-before[tenant.Active] != 4 || after[tenant.Suspended]-before[tenant.Suspended] != 1 {
		h.Error(before, after)
	}
}

func slugsOf(ts []*tenant.Tenant) []string {
	var out []string
	for _, t := range ts {
		out = append(out, t.Slug)
	}
	return out
}

func testConfiguration(h *house) {
	t := h.tenant()
	v := &tenant.Version{
		TenantID: t.ID, Number: 1, Document: []byte(`{"web":{"é":"\u0000"}}`), Hash: "h1", Message: "first", Author: "key", CreatedAt: h.at,
	}
	put := func(v *tenant.Version) error {
		return h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateVersion(v) })
	}
	revision := func() int64 {
		got, err := h.s.TenantByID(h.ctx(), t.ID)
		h.must(err)
		return got.Revision
	}
	h.step("versions", func(h *house) {
		h.must(put(v))
		got, err := h.s.Version(h.ctx(), t.ID, 1)
		h.must(err)
		h.same(got, v)
		h.refused(put(v), tenant.ErrVersionConflict)
		stray := *v
		stray.TenantID = "nobody"
		h.refused(put(&stray), tenant.ErrTenantNotFound)
		_, err = h.s.Version(h.ctx(), t.ID, 2)
		h.refused(err, tenant.ErrNotFound)
		for n := int64(2); n <= 12; n++ {
			w := *v
			w.Number = n
			h.must(put(&w))
		}
		if r := revision(); r != 13 {
			h.Error("each version raises the revision; it is", r)
		}
		for _, c := range []struct {
			page tenant.Page
			want []int64
		}{
			{tenant.Page{Limit: 3}, []int64{12, 11, 10}},
			{tenant.Page{After: "10", Limit: 2}, []int64{9, 8}},
			{tenant.Page{After: "1", Limit: 2}, nil},
			{tenant.Page{After: "x", Limit: 2}, nil},
		} {
			page, err := h.s.Versions(h.ctx(), t.ID, c.page)
			h.must(err)
			var got []int64
			for _, v := range page {
				got = append(got, v.Number)
			}
			if !slices.Equal(got, c.want) {
				h.Errorf("%+v: %v, want %v", c.page, got, c.want)
			}
		}
		h.must(h.change(t.ID, func(tx tenant.Tx) error {
			got, err := tx.Version(t.ID, 12)
			if err == nil && got.Number != 12 {
				h.Error(got)
			}
			_, missing := tx.Version(t.ID, 99)
			h.refused(missing, tenant.ErrNotFound)
			return err
		}))
	})
	h.step("draft", func(h *house) {
		_, err := h.s.Draft(h.ctx(), t.ID)
		h.refused(err, tenant.ErrNotFound)
		before := revision()
		for _, doc := range []string{`{"a":1}`, `{"a":2}`} {
			d := &tenant.Draft{TenantID: t.ID, Base: 12, Document: []byte(doc), Author: "key", UpdatedAt: h.at}
			h.must(h.change(t.ID, func(tx tenant.Tx) error {
				if err := tx.PutDraft(d); err != nil {
					return err
				}
				got, err := tx.Draft(t.ID)
				h.same(got, d)
				return err
			}))
			got, err := h.s.Draft(h.ctx(), t.ID)
			h.must(err)
			h.same(got, d)
		}
		h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.DeleteDraft(t.ID) }))
		h.must(h.change(t.ID, func(tx tenant.Tx) error {
			_, err := tx.Draft(t.ID)
			h.refused(err, tenant.ErrNotFound)
			return nil
		}))
		if r := revision(); r != before+3 {
			h.Errorf("three edits of the draft; revision %d to %d", before, r)
		}
	})
	h.step("secrets", func(h *house) { testSecrets(h, t) })
	h.step("changed", func(h *house) {
		// The clock of the change is the node's own.
		since := time.Now()
		time.Sleep(2 * time.Millisecond)
		h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.PutSecret(t.ID, tenant.Secret{Name: "x"}, nil) }))
		changed, err := h.s.ChangedSince(h.ctx(), since)
		h.must(err)
		h.same(changed, map[string]int64{t.ID: revision()})
		newest, err := h.s.NewestChange(h.ctx())
		h.must(err)
		if newest.Before(since.Truncate(time.Millisecond)) {
			h.Errorf("the newest change is of %s; the last one was made after %s", newest, since)
		}
		changed, err = h.s.ChangedSince(h.ctx(), time.Now().Add(time.Second))
		h.must(err)
		h.same(changed, map[string]int64{})
	})
}

func testSecrets(h *house, t *tenant.Tenant) {
	for _, s := range []struct{ name, value string }{{"oauth.b.client_secret", "b"}, {"oauth.a.client_secret", "old"}, {"oauth.a.client_secret", "new\x00\xff"}} {
		h.must(h.change(t.ID, func(tx tenant.Tx) error {
			return tx.PutSecret(t.ID, tenant.Secret{Name: s.name, LastFour: "..cd", UpdatedAt: h.at}, []byte(s.value))
		}))
	}
	list, err := h.s.Secrets(h.ctx(), t.ID)
	h.must(err)
	h.same(list, []tenant.Secret{
		{Name: "oauth.a.client_secret", LastFour: "..cd", UpdatedAt: h.at},
		{Name: "oauth.b.client_secret", LastFour: "..cd", UpdatedAt: h.at},
	})
	got, err := h.s.OpenSecret(h.ctx(), t.ID, "oauth.a.client_secret")
	h.must(err)
	h.same(string(got), "new\x00\xff")
	_, err = h.s.OpenSecret(h.ctx(), t.ID, "oauth.c.client_secret")
	h.refused(err, tenant.ErrNotFound)
	remove := func() error {
		return h.change(t.ID, func(tx tenant.Tx) error { return tx.DeleteSecret(t.ID, "oauth.a.client_secret") })
	}
	h.must(remove())
	h.refused(remove(), tenant.ErrNotFound)
	_, err = h.s.OpenSecret(h.ctx(), t.ID, "oauth.a.client_secret")
	h.refused(err, tenant.ErrNotFound)
}
