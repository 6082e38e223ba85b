package storetest

import (
	"time"

	"github.com/usher-id/usher/tenant"
)

func testAdmins(h *house) {
	t := h.tenant()
	h.step("keys", func(h *house) { testKeys(h, t) })
	h.step("grants", func(h *house) { testGrants(h, t) })
}

func testKeys(h *house, t *tenant.Tenant) {
	var keys []*tenant.APIKey
	for range 3 {
		k := &tenant.APIKey{
			TenantID: t.ID, ID: id(), Name: "ci", Hash: word(), LastFour: "wxyz", Role: tenant.Editor, CreatedAt: h.at,
			CreatedBy: "member", ExpiresAt: h.at.Add(time.Hour),
		}
		h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateAPIKey(k) }))
		keys = append(keys, k)
	}
	k := keys[0]
	is := func() {
		h.Helper()
		got, err := h.s.APIKeyByHash(h.ctx(), t.ID, k.Hash)
		h.must(err)
		h.same(got, k)
	}
	is()
	_, err := h.s.APIKeyByHash(h.ctx(), t.ID, "nothing")
	h.refused(err, tenant.ErrNotFound)
	twin := *k
	twin.ID = id()
	h.refused(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateAPIKey(&twin) }), tenant.ErrAlreadyExists)

	h.must(h.s.TouchAPIKey(h.ctx(), t.ID, k.ID, h.at.Add(time.Minute)))
	h.must(h.s.TouchAPIKey(h.ctx(), t.ID, k.ID, h.at)) // late
	k.LastUsedAt = h.at.Add(time.Minute)
	is()
	for _, at := range []time.Time{h.at.Add(2 * time.Minute), h.at.Add(3 * time.Minute)} { // the first revocation counts
		k.RevokedAt = h.at.Add(2 * time.Minute)
		h.must(h.change(t.ID, func(tx tenant.Tx) error {
			got, err := tx.RevokeAPIKey(t.ID, k.ID, at)
			h.same(got, k)
			return err
		}))
		is()
	}
	h.refused(h.change(t.ID, func(tx tenant.Tx) error { _, err := tx.RevokeAPIKey(t.ID, id(), h.at); return err }), tenant.ErrNotFound)

	page, err := h.s.APIKeys(h.ctx(), t.ID, tenant.Page{Limit: 2})
	h.must(err)
	h.same(page, []*tenant.APIKey{keys[2], keys[1]})
	page, err = h.s.APIKeys(h.ctx(), t.ID, tenant.Page{After: keys[1].ID, Limit: 2})
	h.must(err)
	h.same(page, []*tenant.APIKey{keys[0]})
}

func testGrants(h *house, t *tenant.Tenant) {
	admin := h.newTenant()
	admin.Slug = tenant.AdminSlug
	h.must(h.change(admin.ID, func(tx tenant.Tx) error { return tx.CreateTenant(admin) }))
	u := h.user(admin.ID, email(word()))
	put := func(g tenant.Grant) { h.must(h.change(admin.ID, func(tx tenant.Tx) error { return tx.PutGrant(g) })) }
	of := func(user string, want ...tenant.Grant) {
		h.Helper()
		got, err := h.s.GrantsOf(h.ctx(), user)
		h.must(err)
		h.same(got, want)
	}
	operator := tenant.Grant{UserID: u.ID, Role: tenant.Operator, Domain: tenant.PlatformDomain}
	viewer := tenant.Grant{UserID: u.ID, Role: tenant.Viewer, Domain: t.ID}
	owner := tenant.Grant{UserID: u.ID, Role: tenant.Owner, Domain: t.ID}
	put(operator)
	put(viewer)
	of(u.ID, viewer, operator)
	put(owner) // one role in a domain
	of(u.ID, owner, operator)
	got, err := h.s.GrantsIn(h.ctx(), t.ID)
	h.must(err)
	h.same(got, []tenant.Grant{owner})
	drop := func(g tenant.Grant) error {
		return h.change(admin.ID, func(tx tenant.Tx) error { return tx.DeleteGrant(g) })
	}
	h.refused(drop(viewer), tenant.ErrNotFound)
	h.must(drop(owner))
	h.refused(drop(owner), tenant.ErrNotFound)
	of(u.ID, operator)

	// Only the admin tenant's own user takes grants along: another tenant can
	// import a user of any id.
	twin := h.newUser(t.ID)
	twin.ID, twin.Authenticators = u.ID, nil
	h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(twin) }))
	h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.DeleteUser(t.ID, u.ID) }))
	of(u.ID, operator)
	h.must(h.change(admin.ID, func(tx tenant.Tx) error { return tx.DeleteUser(admin.ID, u.ID) }))
	of(u.ID)
}
