package storetest

import (
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// pfid is a run's id as runs really have it.
func pfid(random byte) string {
	return tenant.PFID{At: time.Now().UnixMilli(), Partition: 1, Random: [10]byte{random, 2, 3, 4, 5, 6, 7, 8, 9, random}}.String()
}

func testExplained(h *house) {
	t, other := h.tenant(), h.tenant()
	event := func(step, method string) tenant.RunEvent {
		return tenant.RunEvent{At: h.at, Step: step, Method: method}
	}
	begin := func(tenantID string, random byte, events ...tenant.RunEvent) *tenant.Commit {
		c := h.newRun(tenantID)
		c.Run.ID = pfid(random)
		c.State.RunID, c.Events = c.Run.ID, events
		h.must(h.s.Commit(h.ctx(), c))
		return c
	}
	c := begin(t.ID, 7, event("identify", "email"), event("verify", ""))
	n := h.next(c, tenant.RunPending)
	n.Events = []tenant.RunEvent{event("authenticate", "primary_password")}
	h.must(h.s.Commit(h.ctx(), n))
	want := []tenant.RunEvent{event("identify", "email"), event("verify", ""), event("authenticate", "primary_password")}

	h.step("by support code", func(h *house) {
		begin(t.ID, 8)
		begin(other.ID, 7) // the same end of the id
		code := tenant.SupportCode(c.Run.ID)
		for _, written := range []string{code, strings.ToLower(code), " " + strings.ReplaceAll(code, "-", "") + " "} {
			runs, err := h.s.Runs(h.ctx(), t.ID, tenant.RunFilter{SupportCode: written}, tenant.Page{Limit: 10})
			h.must(err)
			if len(runs) != 1 || runs[0].ID != c.Run.ID {
				h.Fatalf("%q finds %d runs", written, len(runs))
			}
			h.same(runs[0].Timeline, want)
		}
		for _, wrong := range []string{"AAAA-AAAA", "nonsense", "", "\x00"} {
			if wrong == "" {
				continue // no filter
			}
			runs, err := h.s.Runs(h.ctx(), t.ID, tenant.RunFilter{SupportCode: wrong}, tenant.Page{Limit: 10})
			h.must(err)
			if len(runs) != 0 {
				h.Errorf("%q finds %d runs", wrong, len(runs))
			}
		}
		run, err := h.s.Run(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		h.same(run.Timeline, want)
	})
	h.step("refusals", func(h *house) {
		for _, runID := range []string{c.Run.ID, pfid(9), ""} {
			e := h.event(t.ID)
			e.Category, e.RunID = tenant.AuditSignIn, runID
			h.must(h.s.RecordSignIn(h.ctx(), e))
		}
		e := h.event(other.ID)
		e.Category, e.RunID = tenant.AuditSignIn, c.Run.ID
		h.must(h.s.RecordSignIn(h.ctx(), e))
		for code, want := range map[string]int{tenant.SupportCode(c.Run.ID): 1, "nonsense": 0, "AAAA-AAAA": 0} {
			log, err := h.s.AuditLog(h.ctx(), t.ID, tenant.AuditFilter{SupportCode: code}, tenant.Page{Limit: 10})
			h.must(err)
			if len(log) != want {
				h.Errorf("%q finds %d events, want %d", code, len(log), want)
			}
		}
	})
	h.step("bounded", func(h *house) {
		c := begin(t.ID, 10)
		long := event("authenticate", strings.Repeat("m", 1000))
		for range 20 {
			n := h.next(c, tenant.RunPending)
			n.Events = []tenant.RunEvent{long}
			h.must(h.s.Commit(h.ctx(), n))
		}
		run, err := h.s.Run(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		if n := len(run.Timeline); n < 5 || n > 10 {
			h.Errorf("of 20 events of a kilobyte, %d are kept", n)
		}
	})
}

// testAnonymous is about users who are promoted.
func testAnonymous(h *house) {
	t := h.tenant()
	u := h.newUser(t.ID)
	u.Anonymous, u.Authenticators = true, nil
	h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateUser(u) }))
	s := h.signedIn(u)

	account, err := h.s.Account(h.ctx(), t.ID, u.ID)
	h.must(err)
	_, user, err := h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
	h.must(err)
	record, err := h.s.User(h.ctx(), t.ID, u.ID)
	h.must(err)
	if !account.Anonymous || !user.Anonymous || !record.Anonymous {
		h.Error("the user isn't anonymous everywhere")
	}

	first := h.newRun(t.ID)
	h.must(h.s.Commit(h.ctx(), first))
	promote := func() *tenant.Commit {
		c := h.login(first, u.ID)
		c.Promotes, c.RevokeSessions = true, true
		c.Identities = []tenant.Identity{{TenantID: t.ID, ID: id(), UserID: u.ID, Claim: email(word()), Shown: "x", CreatedAt: h.at}}
		return c
	}
	c := promote()
	h.must(h.s.Commit(h.ctx(), c))
	if account, err = h.s.Account(h.ctx(), t.ID, u.ID); err != nil || account.Anonymous {
		h.Errorf("promoted, and anonymous still (%v)", err)
	}
	live, err := h.s.Sessions(h.ctx(), t.ID, tenant.SessionFilter{UserID: u.ID, LiveAt: h.at}, tenant.Page{Limit: 10})
	h.must(err)
	if len(live) != 1 || live[0].ID != c.Session.ID {
		h.Errorf("%d sessions live, want the new one alone", len(live))
	}

	// Once is enough, and a session that a run goes on with is spared.
	again := h.newRun(t.ID)
	h.must(h.s.Commit(h.ctx(), again))
	n := h.next(again, tenant.RunFinished)
	n.Run.UserID, n.State.UserID, n.Promotes = u.ID, u.ID, true
	h.refused(h.s.Commit(h.ctx(), n), tenant.ErrFlowConflict)
	elsewhere := h.signedIn(&tenant.UserRecord{User: account.User})
	n.Promotes, n.RevokeSessions, n.Run.SessionID = false, true, c.Session.ID
	h.must(h.s.Commit(h.ctx(), n))
	live, err = h.s.Sessions(h.ctx(), t.ID, tenant.SessionFilter{UserID: u.ID, LiveAt: h.at}, tenant.Page{Limit: 10})
	h.must(err)
	if len(live) != 1 || live[0].ID != c.Session.ID {
		h.Errorf("%d sessions live, want the one that is spared and not %s", len(live), elsewhere.ID)
	}
}
