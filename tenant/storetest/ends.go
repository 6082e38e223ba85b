package storetest

import (
	"time"

	"github.com/usher-id/usher/tenant"
)

// testEnds is about what becomes of runs beside their own moves.
func testEnds(h *house) {
	t := h.tenant()
	run := func(id string) *tenant.Run {
		h.Helper()
		r, err := h.s.Run(h.ctx(), t.ID, id)
		h.must(err)
		return r
	}
	used := h.at.Add(time.Second)
	h.step("a session's first use", func(h *house) {
		s := h.signedIn(h.user(t.ID, email(word())))
		is := func(unused bool, status tenant.RunStatus) {
			h.Helper()
			got, _, err := h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
			h.must(err)
			h.same(got.Unused, unused)
			h.same(run(s.RunID).Status, status)
		}
		is(true, tenant.RunFinished)
		h.must(h.s.CompleteRun(h.ctx(), t.ID, s.RunID, used))
		is(false, tenant.RunComplete)
		h.must(h.s.CompleteRun(h.ctx(), t.ID, s.RunID, used.Add(time.Hour))) // once
		h.same(run(s.RunID).Timeline, []tenant.RunEvent{{At: used, Step: tenant.CompletedEvent}})
		h.refused(h.change(t.ID, func(tx tenant.Tx) error { _, err := tx.CancelRun(t.ID, s.RunID, used); return err }), tenant.ErrFlowFinished)
		is(false, tenant.RunComplete)
	})
	h.step("a touched session asks no more", func(h *house) {
		s := h.signedIn(h.user(t.ID, email(word())))
		h.must(h.s.TouchSession(h.ctx(), t.ID, s.ID, used, used.Add(time.Hour)))
		got, _, err := h.s.SessionByToken(h.ctx(), t.ID, s.TokenHash)
		h.must(err)
		h.same(got.Unused, false)
	})
	h.step("only what is finished completes", func(h *house) {
		c := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), c))
		for _, id := range []string{c.Run.ID, id(), "nothing\x00"} {
			h.must(h.s.CompleteRun(h.ctx(), t.ID, id, used))
		}
		h.same(run(c.Run.ID).Status, tenant.RunNew)
	})
	h.step("cancelled", func(h *house) {
		first := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), first))
		second := h.next(first, tenant.RunPending)
		h.must(h.s.Commit(h.ctx(), second))
		cancel := func(id string) (r *tenant.Run, err error) {
			err = h.change(t.ID, func(tx tenant.Tx) error { r, err = tx.CancelRun(t.ID, id, used); return err })
			return r, err
		}
		got, err := cancel(first.Run.ID)
		h.must(err)
		want := second.Run
		want.Status, want.Timeline = tenant.RunCancelled, []tenant.RunEvent{{At: used, Step: tenant.CancelledEvent}}
		h.same(got, &want, ignoreAgents)
		h.same(run(first.Run.ID), &want, ignoreAgents)
		for _, c := range []*tenant.Commit{first, second} { // its tokens are dead at once
			_, err := h.s.LoadState(h.ctx(), t.ID, c.State.TokenHash, h.at)
			h.refused(err, tenant.ErrFlowNotFound)
		}
		h.refused(h.s.Commit(h.ctx(), h.next(second, tenant.RunFinished)), tenant.ErrFlowNotFound)
		_, err = cancel(first.Run.ID)
		h.refused(err, tenant.ErrFlowFinished)
		for _, unknown := range []string{"", id(), "nothing\x00"} {
			_, err = cancel(unknown)
			h.refused(err, tenant.ErrNotFound)
		}
	})
	h.step("a change that fails cancels nothing", func(h *house) {
		c := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), c))
		h.refused(h.change(t.ID, func(tx tenant.Tx) error {
			if _, err := tx.CancelRun(t.ID, c.Run.ID, used); err != nil {
				return err
			}
			return tenant.ErrVersionConflict
		}), tenant.ErrVersionConflict)
		h.same(run(c.Run.ID).Status, tenant.RunNew)
	})
}
