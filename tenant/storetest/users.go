package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

func testUsers(h *house) {
	t := h.tenant()
	h.step("read", func(h *house) {
		name := word()
		u := h.user(t.ID, email(name), tenant.Claim{Kind: "username", Value: name})
		account := &tenant.Account{User: u.User, Authenticators: u.Authenticators}
		for _, c := range []tenant.Claim{email(name), {Kind: "username", Value: name}} {
			got, err := h.s.AccountByClaim(h.ctx(), t.ID, c)
			h.must(err)
			account.Claim = c
			for _, i := range u.Identities {
				if i.Claim == c {
					account.ClaimVerified = i.VerifiedAt
				}
			}
			h.same(got, account)
		}
		account.Claim, account.ClaimVerified = tenant.Claim{}, time.Time{}
		got, err := h.s.Account(h.ctx(), t.ID, u.ID)
		h.must(err)
		h.same(got, account)
		record, err := h.s.User(h.ctx(), t.ID, u.ID)
		h.must(err)
		h.same(record, u)

		s := h.signedIn(u)
		u.LastLoginAt = s.CreatedAt
		record, err = h.s.User(h.ctx(), t.ID, u.ID)
		h.must(err)
		h.same(record, u)
		h.must(h.change(t.ID, func(tx tenant.Tx) error {
			record, err := tx.UserByClaim(t.ID, email(name))
			h.must(err)
			h.same(record, u)
			record, err = tx.User(t.ID, u.ID)
			h.same(record, u)
			_, missing := tx.User(t.ID, "nobody")
			h.refused(missing, tenant.ErrUserNotFound)
			return err
		}))
		for _, c := range []tenant.Claim{
			email("nobody"), {Kind: "username", Value: name + "@example.com"}, {Kind: "email", Value: name}, {Kind: "email", Value: ""},
			{Kind: "email", Value: name + "@example.com\x00"}, {Kind: "email", Value: "\xff"},
		} {
			_, err := h.s.AccountByClaim(h.ctx(), t.ID, c)
			h.refused(err, tenant.ErrUserNotFound)
			h.must(h.change(t.ID, func(tx tenant.Tx) error {
				_, err := tx.UserByClaim(t.ID, c)
				h.refused(err, tenant.ErrUserNotFound)
				return nil
			}))
		}
		for _, unknown := range []string{"nobody", "", u.ID + "\x00"} {
			_, err = h.s.Account(h.ctx(), t.ID, unknown)
			h.refused(err, tenant.ErrUserNotFound)
			_, err = h.s.User(h.ctx(), t.ID, unknown)
			h.refused(err, tenant.ErrUserNotFound)
		}
	})
	h.step("without credentials", func(h *house) {
		u := h.newUser(t.ID, email(word()))
		u.Authenticators, u.Attributes = nil, tenant.UserAttributes{}
		h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(u) }))
		got, err := h.s.AccountByClaim(h.ctx(), t.ID, u.Identities[0].Claim)
		h.must(err)
		h.same(got, &tenant.Account{User: u.User, Claim: u.Identities[0].Claim, ClaimVerified: u.Identities[0].VerifiedAt})
	})
	h.step("forms of a login id", func(h *house) {
		name := word()
		find := func(claim tenant.Claim, also ...string) *tenant.Account {
			got, err := h.s.AccountByClaim(h.ctx(), t.ID, claim, also...)
			if err != nil {
				h.refused(err, tenant.ErrUserNotFound)
				return &tenant.Account{}
			}
			return got
		}
		dots, plain := email("a.b."+name), email("ab"+name)
		u := h.newUser(t.ID, dots)
		u.Identities[0].Key = plain.Value
		h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(u) }))
		for _, c := range []struct {
			claim tenant.Claim
			also  []string
			found bool
		}{
			{dots, nil, true}, {dots, []string{plain.Value}, true}, {plain, nil, false}, {plain, []string{plain.Value}, true},
			{email("x" + name), []string{"y", plain.Value}, true}, {email("x" + name), []string{"y", dots.Value}, true},
			{email("x" + name), []string{"y", "z"}, false}, {tenant.Claim{Kind: "username", Value: plain.Value}, []string{plain.Value}, false},
		} {
			if got := find(c.claim, c.also...); (got.ID == u.ID) != c.found || c.found && (got.Claim != dots || len(got.Authenticators) != len(u.Authenticators)) {
				h.Errorf("%v %v finds %v", c.claim, c.also, got)
			}
		}
		record, err := h.s.User(h.ctx(), t.ID, u.ID)
		h.must(err)
		h.same(record, u)
		twin := h.newUser(t.ID, email("a.b"+name))
		twin.Identities[0].Key = plain.Value
		h.refused(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(twin) }), tenant.ErrDuplicatedIdentity)
		h.refused(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(h.newUser(t.ID, plain)) }), tenant.ErrDuplicatedIdentity)
		h.must(h.change(t.ID, func(tx tenant.Tx) error {
			owners, err := tx.Owners(t.ID, []tenant.Claim{plain})
			if owners[plain] != u.ID {
				h.Error(owners)
			}
			return err
		}))
		other := h.user(t.ID, email("x"+name)) // of two users the value decides, and then the order
		if got := find(email("x"+name), plain.Value); got.ID != other.ID {
			h.Error("a key came before a value")
		}
		if got := find(email("none"+name), plain.Value, "x"+name+"@example.com"); got.ID != u.ID {
			h.Error("the second form came before the first")
		}
		if got := find(email("none"+name), "x"+name+"@example.com", plain.Value); got.ID != other.ID || got.Claim != email("x"+name) {
			h.Error("the second form came before the first")
		}
	})
	h.step("create", func(h *house) {
		taken := email(word())
		first := h.user(t.ID, taken)
		second := h.newUser(t.ID, email(word()), taken)
		create := func(tx tenant.Tx) error { return tx.CreateUser(second) }
		h.refused(h.change(t.ID, create), tenant.ErrDuplicatedIdentity)
		if _, err := h.s.User(h.ctx(), t.ID, second.ID); err == nil {
			h.Error("half of the user is there")
		}
		if err := h.change(t.ID, func(tx tenant.Tx) error { create(tx); return nil }); err == nil { //nolint:errcheck // that is the test
			h.Error("a change went on after a statement had failed")
		}
		same := h.newUser(t.ID, email(word()))
		same.ID, same.Identities, same.Authenticators = first.ID, nil, nil
		h.refused(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(same) }), tenant.ErrAlreadyExists)
		h.refused(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(h.newUser("nobody")) }), tenant.ErrTenantNotFound)
		h.user(h.tenant().ID, taken) // another tenant's is another
	})
	h.step("many", func(h *house) {
		there := h.user(t.ID, email(word()))
		a, b := h.newUser(t.ID, email(word()), tenant.Claim{Kind: "phone", Value: word()}), h.newUser(t.ID)
		h.must(h.change(t.ID, func(tx tenant.Tx) error {
			h.must(tx.CreateUsers(nil))
			h.must(tx.CreateUsers([]*tenant.UserRecord{a, b}))
			username := tenant.Claim{Kind: "username", Value: a.Identities[0].Value} // the same value of another kind
			owners, err := tx.Owners(t.ID, []tenant.Claim{a.Identities[1].Claim, there.Identities[0].Claim, username, email("nobody"), {Kind: "email", Value: "\x00"}})
			if owners[a.Identities[1].Claim] != a.ID || owners[there.Identities[0].Claim] != there.ID || owners[username] != "" {
				h.Error(owners)
			}
			return err
		}))
		for _, u := range []*tenant.UserRecord{a, b} {
			got, err := h.s.User(h.ctx(), t.ID, u.ID)
			h.must(err)
			h.same(got, u)
		}
		again := []*tenant.UserRecord{h.newUser(t.ID), h.newUser(t.ID, there.Identities[0].Claim)}
		h.refused(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUsers(again) }), tenant.ErrDuplicatedIdentity)
		_, err := h.s.User(h.ctx(), t.ID, again[0].ID)
		h.refused(err, tenant.ErrUserNotFound)
		again[1].ID = b.ID
		h.refused(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUsers(again) }), tenant.ErrAlreadyExists)
	})
	h.step("update", func(h *house) { testUpdateUser(h, t) })
	h.step("search", func(h *house) { testSearchUsers(h) })
}

func testUpdateUser(h *house, t *tenant.Tenant) {
	u, other := h.user(t.ID, email(word())), h.user(t.ID, email(word()))
	do := func(fn func(tx tenant.Tx) error) error { return h.change(t.ID, fn) }
	is := func() {
		h.Helper()
		got, err := h.s.User(h.ctx(), t.ID, u.ID)
		h.must(err)
		h.same(got, u)
	}
	u.State, u.DisabledReason, u.UpdatedAt = tenant.UserDisabled, "fraud", h.at.Add(time.Minute)
	u.Access = tenant.Access{
		DisabledUntil: h.at.Add(time.Hour), DeactivatedAt: h.at.Add(2 * time.Hour), ValidFrom: h.at.Add(3 * time.Hour), ValidUntil: h.at.Add(4 * time.Hour),
		DeleteAt: h.at.Add(5 * time.Hour), AnonymizeAt: h.at.Add(6 * time.Hour), AnonymizedAt: h.at.Add(7 * time.Hour),
	}
	u.Attributes = tenant.UserAttributes{Custom: []byte(`{"x":"\u0000"}`)}
	h.must(do(func(tx tenant.Tx) error { return tx.UpdateUser(&u.User) }))
	is()
	account, err := h.s.Account(h.ctx(), t.ID, u.ID)
	h.must(err)
	h.same(account.User, u.User)
	session := h.signedIn(u)
	_, user, err := h.s.SessionByToken(h.ctx(), t.ID, session.TokenHash)
	h.must(err)
	h.same(*user, u.User)
	u.LastLoginAt = session.CreatedAt
	for _, c := range []struct {
		after time.Duration
		want  []tenant.DueUser
	}{
		{5*time.Hour - time.Millisecond, nil},
		{5 * time.Hour, []tenant.DueUser{{TenantID: t.ID, UserID: u.ID, Delete: true}}},
		{6 * time.Hour, []tenant.DueUser{{TenantID: t.ID, UserID: u.ID, Delete: true}, {TenantID: t.ID, UserID: u.ID}}},
	} {
		due, err := h.s.UsersDue(h.ctx(), h.at.Add(c.after), 1000)
		h.must(err)
		h.same(slices.DeleteFunc(due, func(d tenant.DueUser) bool { return d.TenantID != t.ID }), c.want)
	}
	u.Access = tenant.Access{}
	h.must(do(func(tx tenant.Tx) error { return tx.UpdateUser(&u.User) }))
	is()

	phone := tenant.Identity{TenantID: t.ID, ID: id(), UserID: u.ID, Claim: tenant.Claim{Kind: "phone", Value: "+447400" + word()}, Shown: "07400", CreatedAt: h.at}
	h.must(do(func(tx tenant.Tx) error { return tx.AddIdentity(&phone) }))
	u.Identities = append(u.Identities, phone)
	slices.SortFunc(u.Identities, func(a, b tenant.Identity) int { return strings.Compare(a.ID, b.ID) })
	is()
	phone.ID, phone.UserID = id(), other.ID
	h.refused(do(func(tx tenant.Tx) error { return tx.AddIdentity(&phone) }), tenant.ErrDuplicatedIdentity)
	phone.Value, phone.UserID = "+1", "nobody"
	h.refused(do(func(tx tenant.Tx) error { return tx.AddIdentity(&phone) }), tenant.ErrUserNotFound)
	gone := u.Identities[0].ID
	h.must(do(func(tx tenant.Tx) error { return tx.RemoveIdentity(t.ID, gone) }))
	h.refused(do(func(tx tenant.Tx) error { return tx.RemoveIdentity(t.ID, gone) }), tenant.ErrNotFound)
	u.Identities = u.Identities[1:]
	is()

	a := u.Authenticators[0]
	a.Secret, a.UpdatedAt = "$2a$new", h.at.Add(time.Hour)
	h.must(do(func(tx tenant.Tx) error { return tx.PutAuthenticator(&a) }))
	u.Authenticators[0] = a
	is()
	stolen := a
	stolen.UserID = other.ID
	h.refused(do(func(tx tenant.Tx) error { return tx.PutAuthenticator(&stolen) }), tenant.ErrUserNotFound)
	stolen.ID, stolen.UserID = id(), "nobody"
	h.refused(do(func(tx tenant.Tx) error { return tx.PutAuthenticator(&stolen) }), tenant.ErrUserNotFound)
	h.must(do(func(tx tenant.Tx) error { return tx.RemoveAuthenticator(t.ID, a.ID) }))
	h.refused(do(func(tx tenant.Tx) error { return tx.RemoveAuthenticator(t.ID, a.ID) }), tenant.ErrNotFound)
	u.Authenticators = u.Authenticators[1:]
	is()

	s := h.signedIn(u)
	h.must(do(func(tx tenant.Tx) error { return tx.DeleteUser(t.ID, u.ID) }))
	h.refused(do(func(tx tenant.Tx) error { return tx.DeleteUser(t.ID, u.ID) }), tenant.ErrUserNotFound)
	h.refused(do(func(tx tenant.Tx) error { return tx.UpdateUser(&u.User) }), tenant.ErrUserNotFound)
	_, _, err = h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
	h.refused(err, tenant.ErrNotFound)
	_, err = h.s.AccountByClaim(h.ctx(), t.ID, u.Identities[0].Claim)
	h.refused(err, tenant.ErrUserNotFound)
}

func testSearchUsers(h *house) {
	t := h.tenant()
	all := ids(5)
	for i, shown := range []string{"Anna@Example.com", "anna.b@example.com", "Ann%@example.com", "Bob@example.com", "ann'; --@example.com"} {
		u := h.newUser(t.ID, tenant.Claim{Kind: "email", Value: strings.ToLower(shown)}, tenant.Claim{Kind: "phone", Value: "+4474000000" + string(rune('0'+i))})
		u.ID = all[i]
		u.Authenticators = nil
		for k := range u.Identities {
			u.Identities[k].UserID = u.ID
		}
		u.Identities[0].Shown, u.Identities[1].Shown = shown, "07400 "+string(rune('0'+i))
		if i == 1 {
			u.State = tenant.UserDisabled
		}
		h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(u) }))
	}
	find := func(f tenant.UserFilter, p tenant.Page) (out []string) {
		us, err := h.s.Users(h.ctx(), t.ID, f, p)
		h.must(err)
		for _, u := range us {
			out = append(out, u.ID)
			if len(u.Identities) != 2 {
				h.Error("without the identities:", u)
			}
		}
		return out
	}
	anns := []string{all[0], all[1], all[2], all[4]}
	for _, c := range []struct {
		name   string
		filter tenant.UserFilter
		page   tenant.Page
		want   []string
	}{
		{"all", tenant.UserFilter{}, tenant.Page{Limit: 10}, all},
		{"a page", tenant.UserFilter{}, tenant.Page{After: all[1], Limit: 2}, all[2:4]},
		{"disabled", tenant.UserFilter{State: tenant.UserDisabled}, tenant.Page{Limit: 10}, all[1:2]},
		{"a beginning", tenant.UserFilter{Search: "ann"}, tenant.Page{Limit: 10}, anns},
		{"in other case", tenant.UserFilter{Search: "ANN"}, tenant.Page{Limit: 10}, anns},
		{"and a page", tenant.UserFilter{Search: "Ann"}, tenant.Page{After: all[0], Limit: 2}, all[1:3]},
		{"and a state", tenant.UserFilter{Search: "ann", State: tenant.UserActive}, tenant.Page{Limit: 10}, []string{all[0], all[2], all[4]}},
		{"wild cards are letters", tenant.UserFilter{Search: "ann%"}, tenant.Page{Limit: 10}, all[2:3]},
		{"as are quotes", tenant.UserFilter{Search: "ann';"}, tenant.Page{Limit: 10}, all[4:5]},
		{"canonical phone", tenant.UserFilter{Search: "+4474000000"}, tenant.Page{Limit: 10}, all},
		{"phone as written", tenant.UserFilter{Search: "07400 3"}, tenant.Page{Limit: 10}, all[3:4]},
		{"an id", tenant.UserFilter{Search: all[3]}, tenant.Page{Limit: 10}, all[3:4]},
		{"some ids", tenant.UserFilter{IDs: []string{all[3], "nobody", all[0]}}, tenant.Page{Limit: 10}, []string{all[0], all[3]}},
		{"of no ids", tenant.UserFilter{IDs: []string{}}, tenant.Page{Limit: 10}, nil},
		{"not the middle", tenant.UserFilter{Search: "example"}, tenant.Page{Limit: 10}, nil},
		{"what can't be", tenant.UserFilter{Search: "\x00zz"}, tenant.Page{Limit: 10}, nil},
	} {
		if got := find(c.filter, c.page); !slices.Equal(got, c.want) {
			h.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func testWaysIn(h *house) {
	t := h.tenant()
	add := func(password bool, kinds ...string) *tenant.UserRecord {
		var claims []tenant.Claim
		for _, k := range kinds {
			claims = append(claims, tenant.Claim{Kind: k, Value: word()})
		}
		u := h.newUser(t.ID, claims...)
		if !password {
			u.Authenticators = nil
		}
		h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(u) }))
		return u
	}
	add(true, "email", "username")
	add(true, "username")
	add(false, "email")
	add(true)
	off := add(false)
	off.State = tenant.UserDisabled
	h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.UpdateUser(&off.User) }))

	password := []string{"primary_password"}
	way := func(kind string, authenticators ...string) tenant.WayIn {
		return tenant.WayIn{Kind: kind, Authenticators: authenticators}
	}
	for _, c := range []struct {
		with, without []tenant.WayIn
		want          int
	}{
		{nil, nil, 4},
		{nil, []tenant.WayIn{way("email")}, 2},
		{nil, []tenant.WayIn{way("email", password...)}, 3},
		{nil, []tenant.WayIn{way("email", password...), way("username", password...)}, 2},
		{[]tenant.WayIn{way("username", password...)}, []tenant.WayIn{way("email", password...)}, 1},
		{[]tenant.WayIn{way("email")}, []tenant.WayIn{way("email", password...)}, 1},
		{[]tenant.WayIn{}, nil, 0},
	} {
		n, err := h.s.CountUsersWithout(h.ctx(), t.ID, c.with, c.without)
		h.must(err)
		if n != c.want {
			h.Errorf("with %v without %v: %d, want %d", c.with, c.without, n, c.want)
		}
	}
}
