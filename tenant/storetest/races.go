package storetest

import (
	"errors"
	"sync"

	"github.com/usher-id/usher/tenant"
)

const racers = 12

// race runs the same thing many times at once and counts the outcomes: how
// often it worked, and how often it was refused as expected.
func (h *house) race(loses *tenant.Error, run func(i int) error) (won, lost int) {
	h.Helper()
	errs := make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = run(i)
		})
	}
	close(start)
	wg.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case loses != nil && errors.Is(err, loses):
			lost++
		default:
			h.Error(err)
		}
	}
	return won, lost
}

func testRaces(h *house) {
	t := h.tenant()
	one := func(h *house, won, lost int) {
		h.Helper()
		if won != 1 || lost != racers-1 {
			h.Errorf("%d won and %d lost, of %d", won, lost, racers)
		}
	}
	h.step("finishes of one run", func(h *house) {
		u := h.user(t.ID, email(word()))
		c := h.newRun(t.ID)
		h.must(h.s.Commit(h.ctx(), c))
		won, lost := h.race(tenant.ErrFlowConflict, func(int) error { return h.s.Commit(h.ctx(), h.login(c, u.ID)) })
		one(h, won, lost)
		sessions, err := h.s.Sessions(h.ctx(), t.ID, tenant.SessionFilter{UserID: u.ID}, tenant.Page{Limit: 100})
		h.must(err)
		h.same(len(sessions), 1)
		run, err := h.s.Run(h.ctx(), t.ID, c.Run.ID)
		h.must(err)
		h.same(run.SessionID, sessions[0].ID)
	})
	h.step("sign-ups for one e-mail", func(h *house) {
		claim := email(word())
		before, err := h.s.Users(h.ctx(), t.ID, tenant.UserFilter{}, tenant.Page{Limit: 1000})
		h.must(err)
		won, lost := h.race(tenant.ErrDuplicatedIdentity, func(int) error {
			u := h.newUser(t.ID, email(word()), claim)
			c := h.login(h.newRun(t.ID), u.ID)
			c.New, c.User, c.Identities, c.Authenticators = true, &u.User, u.Identities, u.Authenticators
			return h.s.Commit(h.ctx(), c)
		})
		one(h, won, lost)
		after, err := h.s.Users(h.ctx(), t.ID, tenant.UserFilter{}, tenant.Page{Limit: 1000})
		h.must(err)
		h.same(len(after), len(before)+1)
	})
	h.step("publishes", func(h *house) {
		won, lost := h.race(tenant.ErrVersionConflict, func(int) error {
			return h.change(t.ID, func(tx tenant.Tx) error {
				return tx.CreateVersion(&tenant.Version{TenantID: t.ID, Number: 1, Document: []byte(`{}`)})
			})
		})
		one(h, won, lost)
	})
	h.step("publishes that wait for each other", func(h *house) {
		t := h.tenant()
		won, _ := h.race(nil, func(int) error {
			return h.change(t.ID, func(tx tenant.Tx) error {
				t, err := tx.Tenant(t.Slug)
				if err != nil {
					return err
				}
				t.Version++
				if err := tx.CreateVersion(&tenant.Version{TenantID: t.ID, Number: t.Version, Document: []byte(`{}`)}); err != nil {
					return err
				}
				return tx.UpdateTenant(t)
			})
		})
		h.same(won, racers)
		got, err := h.s.TenantByID(h.ctx(), t.ID)
		h.must(err)
		h.same([]int64{got.Version, got.Revision}, []int64{1 + racers, 1 + racers})
	})
	h.step("new tenants of one slug", func(h *house) {
		slug := word()
		won, lost := h.race(tenant.ErrAlreadyExists, func(int) error {
			n := h.newTenant()
			n.Slug = slug
			return h.change(n.ID, func(tx tenant.Tx) error { return tx.CreateTenant(n) })
		})
		one(h, won, lost)
	})
	h.step("two chains in either order", func(h *house) {
		a, b := h.tenant(), h.tenant()
		won, _ := h.race(nil, func(i int) error {
			events := []*tenant.AuditEvent{h.event(a.ID), h.event(b.ID)}
			return h.s.Change(h.ctx(), func(tx tenant.Tx) error {
				return errors.Join(tx.Audit(events[i%2]), tx.Audit(events[1-i%2]))
			})
		})
		h.same(won, racers)
		h.same(len(h.chainOf(a.ID)), 1+racers)
		h.same(len(h.chainOf(b.ID)), 1+racers)
	})
	h.step("chain", testRacingChain)
}

// testRacingChain changes, signs in, is refused and seals at once.
func testRacingChain(h *house) {
	t := h.tenant()
	u := h.user(t.ID, email(word()))
	won, _ := h.race(nil, func(i int) error {
		for range 4 {
			var err error
			switch i % 4 {
			case 0:
				err = h.change(t.ID, func(tenant.Tx) error { return nil })
			case 1:
				c := h.login(h.newRun(t.ID), u.ID)
				c.New = true
				err = h.s.Commit(h.ctx(), c)
			case 2:
				err = h.s.RecordSignIn(h.ctx(), h.refusal(t.ID))
			case 3:
				_, err = h.s.SealAudit(h.ctx(), 5)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	h.same(won, racers)
	for {
		n, err := h.s.SealAudit(h.ctx(), 5)
		h.must(err)
		if n == 0 {
			break
		}
	}
	h.same(len(h.chainOf(t.ID)), 2+racers/4*4*3)
}
