package storetest

import (
	"time"

	"github.com/usher-id/usher/tenant"
)

// testHeld is about runs that are known by their ids.
func testHeld(h *house) {
	t, other := h.tenant(), h.tenant()
	hold := func() *tenant.Commit {
		c := h.newRun(t.ID)
		c.Run.Head, c.Run.SurfaceData, c.Run.ReturnURL = c.State.TokenHash, "sealed", "https://app.example.com/done"
		h.must(h.s.Commit(h.ctx(), c))
		return c
	}
	h.step("stands on its newest state", func(h *house) {
		c := hold()
		got, err := h.s.LoadHead(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		h.same(got, &tenant.Loaded{Run: c.Run, State: c.State}, ignoreAgents)

		u := h.user(t.ID, email(word()))
		n := h.next(c, tenant.RunPending)
		n.Run.UserID, n.State.UserID, n.Run.Head = u.ID, u.ID, n.State.TokenHash
		h.must(h.s.Commit(h.ctx(), n))
		got, err = h.s.LoadHead(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		h.same(got, &tenant.Loaded{Run: n.Run, State: n.State, Account: &tenant.Account{User: u.User, Authenticators: u.Authenticators}}, ignoreAgents)
	})
	h.step("others aren't known by theirs", func(h *house) {
		c := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), c))
		for _, ask := range [][2]string{{t.ID, c.Run.ID}, {t.ID, id()}, {t.ID, "nothing\x00"}, {other.ID, hold().Run.ID}} {
			_, err := h.s.LoadHead(h.ctx(), ask[0], ask[1])
			h.refused(err, tenant.ErrFlowNotFound)
			h.refused(h.s.NoteRun(h.ctx(), ask[0], ask[1], "sealed", "x"), tenant.ErrFlowConflict)
		}
	})
	h.step("notes", func(h *house) {
		c := hold()
		h.must(h.s.NoteRun(h.ctx(), t.ID, c.Run.ID, "sealed", "other"))
		h.refused(h.s.NoteRun(h.ctx(), t.ID, c.Run.ID, "sealed", "late"), tenant.ErrFlowConflict)
		got, err := h.s.LoadHead(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		h.same(got.Run.SurfaceData, "other")
		h.same(got.State.TokenHash, c.State.TokenHash)
	})
	h.step("outlives its states", func(h *house) {
		c := hold()
		for range 100 {
			expired, err := h.s.Purge(h.ctx(), c.Run.ExpiresAt.Add(time.Hour), 1000)
			h.must(err)
			if len(expired) == 0 {
				break
			}
		}
		got, err := h.s.LoadHead(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		h.same(got.Run.Status, tenant.RunCancelled)
		h.same(got.State.TokenHash, "")
	})
}
