package storetest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

func testRuns(h *house) {
	t := h.tenant()
	h.step("load", func(h *house) {
		c := h.newRun(t.ID)
		c.Run.FirstSeen.UserAgent, c.Run.LastSeen.UserAgent = "agent/1", "agent/1"
		h.must(h.s.Commit(h.ctx(), c))
		got, err := h.s.LoadState(h.ctx(), t.ID, c.State.TokenHash, h.at)
		h.must(err)
		h.same(got, &tenant.Loaded{Run: unseen(c.Run), State: c.State})

		u := h.user(t.ID, email(word()))
		n := h.next(c, tenant.RunPending)
		n.Run.UserID, n.State.UserID, n.Run.ExpiresAt = u.ID, u.ID, h.at.Add(30*time.Minute)
		n.Run.Flow.Name, n.Run.LastSeen = "other", tenant.Seen{At: h.at.Add(time.Minute), IP: "2001:db8::1", UserAgent: "agent/2"}
		n.State.Data = nil
		h.must(h.s.Commit(h.ctx(), n))
		got, err = h.s.LoadState(h.ctx(), t.ID, n.State.TokenHash, h.at)
		h.must(err)
		h.same(got, &tenant.Loaded{Run: unseen(n.Run), State: n.State, Account: &tenant.Account{User: u.User, Authenticators: u.Authenticators}})

		// Going back: the old state is as it was, the run isn't.
		got, err = h.s.LoadState(h.ctx(), t.ID, c.State.TokenHash, h.at)
		h.must(err)
		h.same(got, &tenant.Loaded{Run: unseen(n.Run), State: c.State})
		run, err := h.s.Run(h.ctx(), t.ID, n.Run.ID)
		h.must(err)
		h.same(run, &n.Run)
		_, err = h.s.Run(h.ctx(), t.ID, "nothing\x00")
		h.refused(err, tenant.ErrNotFound)
	})
	h.step("what a header may hold", func(h *house) {
		c := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), c))
		run, err := h.s.Run(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		h.same(run.FirstSeen.UserAgent, "agent/1 \uFFFD 'quoted'")
	})
	h.step("a user who is not there", func(h *house) {
		c := h.newRun(t.ID)
		c.State.UserID = id()
		h.must(h.s.Commit(h.ctx(), c))
		got, err := h.s.LoadState(h.ctx(), t.ID, c.State.TokenHash, h.at)
		h.must(err)
		h.same(got, &tenant.Loaded{Run: unseen(c.Run), State: c.State}, ignoreAgents)
	})
	h.step("expiry", func(h *house) {
		c := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), c))
		for at, want := range map[time.Time]*tenant.Error{
			c.Run.ExpiresAt.Add(-time.Millisecond): nil,
			c.Run.ExpiresAt:                        tenant.ErrFlowNotFound,
		} {
			if _, err := h.s.LoadState(h.ctx(), t.ID, c.State.TokenHash, at); want != nil || err != nil {
				h.refused(err, want)
			}
		}
		for _, unknown := range []string{"", "nothing", c.State.TokenHash + "\x00x"} {
			_, err := h.s.LoadState(h.ctx(), t.ID, unknown, h.at)
			h.refused(err, tenant.ErrFlowNotFound)
		}
		n := h.next(c, tenant.RunFinished)
		h.must(h.s.Commit(h.ctx(), n))
		got, err := h.s.LoadState(h.ctx(), t.ID, c.State.TokenHash, c.Run.ExpiresAt.Add(time.Minute))
		h.must(err)
		h.same(got.Run.Status, tenant.RunFinished)
	})
	h.step("sign-up", func(h *house) { testSignup(h, t) })
	h.step("finish once", func(h *house) {
		c := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), c))
		h.must(h.s.Commit(h.ctx(), h.next(c, tenant.RunFinished)))
		for _, status := range []tenant.RunStatus{tenant.RunPending, tenant.RunFinished} {
			n := h.next(c, status)
			h.refused(h.s.Commit(h.ctx(), n), tenant.ErrFlowConflict)
			_, err := h.s.LoadState(h.ctx(), t.ID, n.State.TokenHash, h.at)
			h.refused(err, tenant.ErrFlowNotFound)
		}
		stray := h.next(h.newRun(t.ID), tenant.RunPending)
		h.refused(h.s.Commit(h.ctx(), stray), tenant.ErrFlowNotFound)
		ghost := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), ghost))
		h.refused(h.s.Commit(h.ctx(), h.login(ghost, "nobody")), tenant.ErrUserNotFound)
	})
	h.step("rehash", func(h *house) { testRehash(h, t) })
	h.step("lost passkey", func(h *house) { testLostPasskey(h, t) })
	h.step("list", testListRuns)
}

// A whole sign-up is one move or none.
func testSignup(h *house, t *tenant.Tenant) {
	c := h.newRun(t.ID)
	h.must(h.s.Commit(h.ctx(), c))
	name := word()
	u := h.newUser(t.ID, email(name), tenant.Claim{Kind: "username", Value: name})
	n := h.login(c, u.ID)
	n.User, n.Identities, n.Authenticators = &u.User, u.Identities, u.Authenticators
	h.must(h.s.Commit(h.ctx(), n))
	u.LastLoginAt = n.Session.CreatedAt
	got, err := h.s.User(h.ctx(), t.ID, u.ID)
	h.must(err)
	h.same(got, u)
	session, user, err := h.s.SessionByToken(h.ctx(), t.ID, n.Session.TokenHash)
	h.must(err)
	unused := *n.Session
	unused.Unused = true
	h.same(session, &unused)
	h.same(user, &u.User)
	run, err := h.s.Run(h.ctx(), t.ID, n.Run.ID)
	h.must(err)
	h.same(run, &n.Run, ignoreAgents)

	// The same again, in one request, by somebody else.
	again := h.newRun(t.ID)
	v := h.newUser(t.ID, email(word()), email(name))
	n = h.login(again, v.ID)
	n.New, n.User, n.Identities, n.Authenticators = true, &v.User, v.Identities, v.Authenticators
	h.refused(h.s.Commit(h.ctx(), n), tenant.ErrDuplicatedIdentity)
	if _, err := h.s.User(h.ctx(), t.ID, v.ID); err == nil {
		h.Error("half of the user is there")
	}
	if _, err := h.s.Run(h.ctx(), t.ID, n.Run.ID); err == nil {
		h.Error("the run is there")
	}

	// More for a user who is there.
	first := h.newRun(t.ID)
	more := h.next(first, tenant.RunFinished)
	phone := tenant.Identity{TenantID: t.ID, ID: id(), UserID: u.ID, Claim: tenant.Claim{Kind: "phone", Value: word()}, CreatedAt: h.at}
	more.New, more.Identities = true, []tenant.Identity{phone}
	h.must(h.s.Commit(h.ctx(), more))
	got, err = h.s.User(h.ctx(), t.ID, u.ID)
	h.must(err)
	if len(got.Identities) != 3 {
		h.Error(got.Identities)
	}
}

func testRehash(h *house, t *tenant.Tenant) {
	u := h.user(t.ID, email(word()))
	stale := u.Authenticators[0]
	move := func(a tenant.Authenticator, secret string) {
		h.Helper()
		c := h.newRun(t.ID)
		c.Updates = []tenant.SecretUpdate{{Authenticator: a, Was: a.Secret}}
		c.Updates[0].Authenticator.Secret = secret
		h.must(h.s.Commit(h.ctx(), c))
	}
	is := func(want string) {
		h.Helper()
		got, err := h.s.Account(h.ctx(), t.ID, u.ID)
		h.must(err)
		if secret := got.Authenticators[0].Secret; secret != want {
			h.Errorf("the secret is %s, want %s", secret, want)
		}
	}
	move(stale, "$fresh")
	is("$fresh")
	changed := stale
	changed.Secret, changed.UpdatedAt = "$changed", h.at.Add(time.Hour)
	h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.PutAuthenticator(&changed) }))
	move(stale, "$of the old password")
	is("$changed")
	stale.ID = id()
	move(stale, "$gone")
	is("$changed")
}

// A passkey goes with the claim that it was found by, and nobody else's does.
func testLostPasskey(h *house, t *tenant.Tenant) {
	key := tenant.Claim{Kind: tenant.PasskeyKind, Value: word()}
	u, v := h.user(t.ID, email(word()), key), h.user(t.ID, email(word()))
	lose := func(p tenant.LostPasskey) *tenant.UserRecord {
		c := h.newRun(t.ID)
		c.Run.UserID, c.RemovePasskeys = u.ID, []tenant.LostPasskey{p}
		h.must(h.s.Commit(h.ctx(), c))
		got, err := h.s.User(h.ctx(), t.ID, u.ID)
		h.must(err)
		return got
	}
	if got := lose(tenant.LostPasskey{ID: v.Identities[0].Value, AuthenticatorID: v.Authenticators[0].ID}); len(got.Identities) != 2 || len(got.Authenticators) != 2 {
		h.Error(got)
	}
	if got := lose(tenant.LostPasskey{ID: key.Value, AuthenticatorID: u.Authenticators[0].ID}); len(got.Identities) != 1 || got.Identities[0].Claim == key || len(got.Authenticators) != 1 {
		h.Error(got)
	}
	if got, err := h.s.User(h.ctx(), t.ID, v.ID); err != nil || len(got.Identities) != 1 || len(got.Authenticators) != 2 {
		h.Error(got, err)
	}
}

func testListRuns(h *house) {
	t := h.tenant()
	all := ids(5)
	for i, run := range all {
		c := h.newRun(t.ID)
		c.Run.ID, c.State.RunID = run, run
		if i%2 == 1 {
			c.Run.Flow.Type, c.Run.UserID = tenant.Signup, "somebody"
		}
		h.must(h.s.Commit(h.ctx(), c))
		if i == 3 {
			h.must(h.s.Commit(h.ctx(), h.next(c, tenant.RunFinished)))
		}
	}
	for _, c := range []struct {
		filter tenant.RunFilter
		page   tenant.Page
		want   string
	}{
		{tenant.RunFilter{}, tenant.Page{Limit: 10}, "4 3 2 1 0"},
		{tenant.RunFilter{}, tenant.Page{Limit: 2}, "4 3"},
		{tenant.RunFilter{}, tenant.Page{After: all[3], Limit: 2}, "2 1"},
		{tenant.RunFilter{Type: tenant.Signup}, tenant.Page{Limit: 10}, "3 1"},
		{tenant.RunFilter{UserID: "somebody"}, tenant.Page{Limit: 1}, "3"},
		{tenant.RunFilter{UserID: "somebody"}, tenant.Page{After: all[3], Limit: 1}, "1"},
		{tenant.RunFilter{UserID: "nobody"}, tenant.Page{Limit: 1}, ""},
		{tenant.RunFilter{Status: tenant.RunFinished}, tenant.Page{Limit: 10}, "3"},
		{tenant.RunFilter{Status: tenant.RunNew, Type: tenant.Login}, tenant.Page{Limit: 10}, "4 2 0"},
	} {
		runs, err := h.s.Runs(h.ctx(), t.ID, c.filter, c.page)
		h.must(err)
		var got []string
		for _, r := range runs {
			got = append(got, strconv.Itoa(slices.Index(all, r.ID)))
		}
		if strings.Join(got, " ") != c.want {
			h.Errorf("%+v %+v: got %v, want %s", c.filter, c.page, got, c.want)
		}
	}
}

func testPurge(h *house) {
	t := h.tenant()
	start := func(expires time.Time) *tenant.Commit {
		c := h.newRun(t.ID)
		c.Run.ExpiresAt = expires
		h.must(h.s.Commit(h.ctx(), c))
		return c
	}
	soon, late := h.at.Add(time.Minute), h.at.Add(time.Hour)
	given, moved, done, going := start(soon), start(soon), start(soon), start(late)
	h.must(h.s.Commit(h.ctx(), h.next(moved, tenant.RunPending)))
	end := h.next(done, tenant.RunFinished)
	h.must(h.s.Commit(h.ctx(), end))

	u := h.user(t.ID, email(word()))
	s := h.signedIn(u) // its run expires after 20 minutes

	expired, err := h.s.Purge(h.ctx(), soon.Add(-time.Millisecond), 100)
	h.must(err)
	h.same(len(expired), 0)
	var ids []string
	for range 3 { // one at a time
		expired, err := h.s.Purge(h.ctx(), soon, 1)
		h.must(err)
		if len(expired) > 1 {
			h.Error("more than asked for:", len(expired))
		}
		for _, r := range expired {
			h.same(r.Status, tenant.RunCancelled)
			h.same(r.TenantID, t.ID)
			ids = append(ids, r.ID)
		}
	}
	want := []string{given.Run.ID, moved.Run.ID}
	slices.Sort(ids)
	slices.Sort(want)
	h.same(ids, want)
	expired, err = h.s.Purge(h.ctx(), soon, 100)
	h.must(err)
	h.same(len(expired), 0)

	for _, c := range []*tenant.Commit{given, moved, done, end} {
		_, err := h.s.LoadState(h.ctx(), t.ID, c.State.TokenHash, h.at)
		h.refused(err, tenant.ErrFlowNotFound)
	}
	h.refused(h.s.Commit(h.ctx(), h.next(given, tenant.RunPending)), tenant.ErrFlowNotFound)
	for c, want := range map[*tenant.Commit]tenant.RunStatus{given: tenant.RunCancelled, done: tenant.RunFinished, going: tenant.RunNew} {
		run, err := h.s.Run(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		h.same(run.Status, want)
	}
	_, err = h.s.LoadState(h.ctx(), t.ID, going.State.TokenHash, h.at)
	h.must(err)

	// A session is kept for the record after its end, and then isn't.
	_, err = h.s.Purge(h.ctx(), s.ExpiresAt.Add(time.Hour), 100)
	h.must(err)
	_, _, err = h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
	h.must(err)
	_, err = h.s.Purge(h.ctx(), s.ExpiresAt.Add(366*24*time.Hour), 100)
	h.must(err)
	_, _, err = h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
	h.refused(err, tenant.ErrNotFound)
}
