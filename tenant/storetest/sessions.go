package storetest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

func testSessions(h *house) {
	t := h.tenant()
	h.step("read", func(h *house) {
		u := h.user(t.ID, email(word()))
		s := h.signedIn(u)
		byID, err := h.s.Session(h.ctx(), t.ID, s.ID)
		h.must(err)
		h.same(byID, s)
		got, user, err := h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
		h.must(err)
		s.Unused = true
		h.same(got, s)
		h.same(user, &u.User)
		for _, unknown := range []string{"", "nothing", s.TokenHash + "\x00x"} {
			_, _, err = h.s.SessionByToken(h.ctx(), t.ID, unknown)
			h.refused(err, tenant.ErrNotFound)
			_, err = h.s.Session(h.ctx(), t.ID, unknown)
			h.refused(err, tenant.ErrNotFound)
		}
	})
	h.step("touch", func(h *house) {
		s := h.signedIn(h.user(t.ID, email(word())))
		seen := h.at.Add(time.Minute)
		h.must(h.s.TouchSession(h.ctx(), t.ID, s.ID, seen, seen.Add(time.Hour)))
		h.must(h.s.TouchSession(h.ctx(), t.ID, s.ID, h.at, h.at)) // late: of two, the later counts
		s.LastSeenAt, s.IdleExpiresAt = seen, seen.Add(time.Hour)
		got, _, err := h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
		h.must(err)
		h.same(got, s)
	})
	h.step("revoke", func(h *house) {
		u, other := h.user(t.ID, email(word())), h.user(t.ID, email(word()))
		var mine []*tenant.Session
		for range 4 {
			mine = append(mine, h.signedIn(u))
		}
		theirs := h.signedIn(other)
		h.must(h.s.TouchSession(h.ctx(), t.ID, mine[3].ID, h.at.Add(time.Second), h.at.Add(2*time.Second))) // idle soon
		at := h.at.Add(time.Minute)
		for _, c := range []struct {
			which tenant.SessionSelector
			want  int
		}{
			{tenant.SessionSelector{}, 0},
			{tenant.SessionSelector{Except: mine[0].ID}, 0},
			{tenant.SessionSelector{ID: mine[0].ID, UserID: other.ID}, 0},
			{tenant.SessionSelector{ID: mine[0].ID, Except: mine[0].ID}, 0},
			{tenant.SessionSelector{ID: mine[0].ID}, 1},
			{tenant.SessionSelector{ID: mine[0].ID}, 0},
			{tenant.SessionSelector{UserID: u.ID, Except: mine[1].ID}, 1},
			{tenant.SessionSelector{UserID: u.ID}, 1},
			{tenant.SessionSelector{UserID: u.ID}, 0},
		} {
			n := -1
			h.must(h.change(t.ID, func(tx tenant.Tx) (err error) {
				n, err = tx.RevokeSessions(t.ID, c.which, at)
				return err
			}))
			if n != c.want {
				h.Errorf("%+v: %d, want %d", c.which, n, c.want)
			}
		}
		for i, s := range append(mine, theirs) {
			got, _, err := h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
			h.must(err)
			if want := i < 3; got.RevokedAt.Equal(at) != want {
				h.Errorf("session %d: revoked at %s", i, got.RevokedAt)
			}
		}
		h.must(h.s.TouchSession(h.ctx(), t.ID, mine[0].ID, at, at.Add(time.Hour)))
		got, _, err := h.s.SessionByToken(h.ctx(), t.ID, mine[0].TokenHash)
		h.must(err)
		h.same(got.LastSeenAt, h.at) // a revoked session isn't moved
	})
	h.step("list", func(h *house) {
		t := h.tenant()
		u, other := h.user(t.ID, email(word())), h.user(t.ID, email(word()))
		all := ids(5)
		for i, session := range all {
			first := h.newRun(t.ID)
			n := h.login(first, u.ID)
			n.New, n.Session.ID = true, session
			if i == 2 {
				n.Session.UserID = other.ID
			}
			if i == 3 {
				n.Session.IdleExpiresAt = h.at
			}
			h.must(h.s.Commit(h.ctx(), n))
		}
		for _, c := range []struct {
			filter tenant.SessionFilter
			page   tenant.Page
			want   string
		}{
			{tenant.SessionFilter{}, tenant.Page{Limit: 10}, "4 3 2 1 0"},
			{tenant.SessionFilter{}, tenant.Page{After: all[4], Limit: 2}, "3 2"},
			{tenant.SessionFilter{UserID: u.ID}, tenant.Page{Limit: 10}, "4 3 1 0"},
			{tenant.SessionFilter{UserID: u.ID}, tenant.Page{After: all[3], Limit: 1}, "1"},
			{tenant.SessionFilter{UserID: u.ID, LiveAt: h.at}, tenant.Page{Limit: 10}, "4 1 0"},
			{tenant.SessionFilter{LiveAt: h.at.Add(24 * time.Hour)}, tenant.Page{Limit: 10}, ""},
		} {
			page, err := h.s.Sessions(h.ctx(), t.ID, c.filter, c.page)
			h.must(err)
			var got []string
			for _, s := range page {
				got = append(got, strconv.Itoa(slices.Index(all, s.ID)))
			}
			if strings.Join(got, " ") != c.want {
				h.Errorf("%+v %+v: got %v, want %s", c.filter, c.page, got, c.want)
			}
		}
	})
}
