package storetest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

func testHooks(h *house) {
	h.step("kept and read", testHookRead)
	h.step("with what they tell of", testHookAtomic)
	h.step("claimed and settled", testHookClaims)
	h.step("claimed once", testHookRaces)
	h.step("lanes", testHookLanes)
	h.step("forgotten after 7 days", func(h *house) {
		t := h.tenant()
		d := h.told(t.ID, 1)[0]
		_, err := h.s.Purge(h.ctx(), d.CreatedAt.Add(6*24*time.Hour), 1000)
		h.must(err)
		h.same(len(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{})), 1)
		_, err = h.s.Purge(h.ctx(), d.CreatedAt.Add(8*24*time.Hour), 1000)
		h.must(err)
		h.same(len(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{})), 0)
	})
}

// newHookDelivery is a delivery that is due.
func (h *house) newHookDelivery(tenantID string) tenant.HookDelivery {
	return tenant.HookDelivery{
		TenantID: tenantID, ID: id(), EventID: id(), Type: tenant.HookUserCreated, Endpoint: "crm", Body: []byte(`{"name":"Zoë"}`),
		Status: tenant.HookQueued, NextAt: h.at, ExpiresAt: h.at.Add(24 * time.Hour), CreatedAt: h.at,
	}
}

// told puts some deliveries into the outbox: one half by a commit, the other by
// a change.
func (h *house) told(tenantID string, n int, change ...func(*tenant.HookDelivery)) []tenant.HookDelivery {
	h.Helper()
	out := make([]tenant.HookDelivery, n)
	for i := range out {
		out[i] = h.newHookDelivery(tenantID)
		for _, f := range change {
			f(&out[i])
		}
	}
	c := h.newRun(tenantID)
	c.Hooks = out[:n/2]
	h.must(h.s.Commit(h.ctx(), c))
	h.must(h.change(tenantID, func(tx tenant.Tx) error { return tx.TellHooks(out[n/2:]) }))
	return out
}

func (h *house) deliveriesOf(tenantID string, f tenant.HookDeliveryFilter) []*tenant.HookDelivery {
	h.Helper()
	list, err := h.s.HookDeliveries(h.ctx(), tenantID, f, tenant.Page{Limit: 100})
	h.must(err)
	return list
}

// claimHooks takes what is due, and what of it is one tenant's.
func (h *house) claimHooks(tenantID string, at time.Time, limit int, except ...tenant.HookLane) []*tenant.HookDelivery {
	h.Helper()
	all, err := h.s.ClaimHookDeliveries(h.ctx(), at, lease, limit, except)
	h.must(err)
	if len(all) > limit {
		h.Errorf("%d claimed, of at most %d", len(all), limit)
	}
	return slices.DeleteFunc(all, func(d *tenant.HookDelivery) bool { return d.TenantID != tenantID })
}

func testHookRead(h *house) {
	t := h.tenant()
	ds := h.told(t.ID, 3)
	other := h.told(t.ID, 1, func(d *tenant.HookDelivery) {
		d.Type, d.Endpoint, d.Status, d.EventID = tenant.HookUserDeleted, "audit", tenant.HookFailed, ds[0].EventID
	})[0]
	h.same(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{}), []*tenant.HookDelivery{&other, &ds[2], &ds[1], &ds[0]})
	h.same(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{Endpoint: "audit"}), []*tenant.HookDelivery{&other})
	h.same(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{Type: tenant.HookUserDeleted}), []*tenant.HookDelivery{&other})
	h.same(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{Status: tenant.HookFailed}), []*tenant.HookDelivery{&other})
	h.same(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{EventID: ds[0].EventID}), []*tenant.HookDelivery{&other, &ds[0]})
	page, err := h.s.HookDeliveries(h.ctx(), t.ID, tenant.HookDeliveryFilter{}, tenant.Page{After: ds[2].ID, Limit: 1})
	h.must(err)
	h.same(page, []*tenant.HookDelivery{&ds[1]})
	got, err := h.s.HookDelivery(h.ctx(), t.ID, ds[0].ID)
	h.must(err)
	h.same(got, &ds[0])
	for _, unknown := range []string{"", id(), "\x00"} {
		_, err = h.s.HookDelivery(h.ctx(), t.ID, unknown)
		h.refused(err, tenant.ErrNotFound)
	}
	h.refused(h.s.Change(h.ctx(), func(tx tenant.Tx) error {
		d := h.newHookDelivery(id())
		if err := tx.TellHooks([]tenant.HookDelivery{d}); err != nil {
			return err
		}
		return tx.Audit(h.event(t.ID))
	}), tenant.ErrTenantNotFound)
}

// testHookAtomic: nothing is told that hasn't happened.
func testHookAtomic(h *house) {
	t := h.tenant()
	taken := h.user(t.ID, email(word()))
	c := h.newRun(t.ID)
	c.User = &tenant.User{TenantID: t.ID, ID: id(), State: tenant.UserActive, CreatedAt: h.at, UpdatedAt: h.at}
	c.Identities = []tenant.Identity{{TenantID: t.ID, ID: id(), UserID: c.User.ID, Claim: taken.Identities[0].Claim, CreatedAt: h.at}}
	c.Hooks = []tenant.HookDelivery{h.newHookDelivery(t.ID)}
	h.refused(h.s.Commit(h.ctx(), c), tenant.ErrDuplicatedIdentity)
	nothing := errors.New("a change of mind")
	err := h.change(t.ID, func(tx tenant.Tx) error {
		h.must(tx.TellHooks([]tenant.HookDelivery{h.newHookDelivery(t.ID)}))
		return nothing
	})
	if !errors.Is(err, nothing) {
		h.Error(err)
	}
	h.same(len(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{})), 0)
}

func testHookClaims(h *house) {
	t := h.tenant()
	ds := h.told(t.ID, 2)
	h.told(t.ID, 1, func(d *tenant.HookDelivery) { d.Status = tenant.HookDelivered })
	h.same(len(h.claimHooks(t.ID, h.at.Add(-time.Millisecond), 1000)), 0) // not due yet
	got := h.claimHooks(t.ID, h.at, 1000)
	for i := range ds {
		ds[i].Attempts, ds[i].NextAt = 1, h.at.Add(lease)
	}
	h.same(got, []*tenant.HookDelivery{&ds[0], &ds[1]})
	h.same(len(h.claimHooks(t.ID, h.at.Add(lease-time.Millisecond), 1000)), 0) // somebody has them

	// One is settled; the one that claimed the other has died.
	done := *got[0]
	done.Status, done.TriedAt, done.Took, done.StatusCode, done.Response = tenant.HookDelivered, h.at.Add(time.Second), 120*time.Millisecond, 200, "ok\n"+strings.Repeat("é", 9)
	h.must(h.s.SettleHookDelivery(h.ctx(), &done))
	again := h.claimHooks(t.ID, h.at.Add(lease), 1000)
	ds[1].Attempts, ds[1].NextAt = 2, h.at.Add(2*lease)
	h.same(again, []*tenant.HookDelivery{&ds[1]})

	// Who is late with a failure has no say; with a success, it is one.
	late := *got[1]
	late.NextAt, late.Error = h.at, "too late"
	h.must(h.s.SettleHookDelivery(h.ctx(), &late))
	h.same(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{Status: tenant.HookQueued}), []*tenant.HookDelivery{&ds[1]})
	later := *again[0]
	later.NextAt, later.Error, later.TriedAt = h.at.Add(10*time.Minute), "it is away", h.at.Add(lease)
	h.must(h.s.SettleHookDelivery(h.ctx(), &later))
	h.same(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{Status: tenant.HookQueued}), []*tenant.HookDelivery{&later})
	undone := done
	undone.Status, undone.Error = tenant.HookFailed, "too late"
	h.must(h.s.SettleHookDelivery(h.ctx(), &undone))
	h.same(h.deliveriesOf(t.ID, tenant.HookDeliveryFilter{EventID: done.EventID}), []*tenant.HookDelivery{&done})

	before, oldest, err := h.s.CountHookDeliveries(h.ctx())
	h.must(err)
	if oldest.IsZero() || oldest.After(h.at) {
		h.Error("the oldest is of", oldest)
	}
	late.Status, late.Error, late.NextAt = tenant.HookDelivered, "", later.NextAt
	h.must(h.s.SettleHookDelivery(h.ctx(), &late))
	after, _, err := h.s.CountHookDeliveries(h.ctx())
	h.must(err)
	h.same(before-after, 1)
	h.same(len(h.claimHooks(t.ID, h.at.Add(time.Hour), 1000)), 0)
}

// testHookRaces: of many workers one gets each delivery.
func testHookRaces(h *house) {
	t := h.tenant()
	h.told(t.ID, 60)
	var mu sync.Mutex
	times := map[string]int{}
	h.race(nil, func(int) error {
		for {
			ds, err := h.s.ClaimHookDeliveries(h.ctx(), h.at, lease, 7, nil)
			if err != nil || len(ds) == 0 {
				return err
			}
			mu.Lock()
			for _, d := range ds {
				if d.TenantID == t.ID {
					times[d.ID]++
				}
			}
			mu.Unlock()
		}
	})
	// Whoever found a row locked by another went on without it: what is left
	// over is found by the next look.
	for _, d := range h.claimHooks(t.ID, h.at, 1000) {
		times[d.ID]++
	}
	h.same(len(times), 60)
	for id, n := range times {
		if n != 1 {
			h.Errorf("delivery %s was claimed %d times", id, n)
		}
	}
}

// testHookLanes: an endpoint that hangs keeps nobody else waiting.
func testHookLanes(h *house) {
	a, b := h.tenant(), h.tenant()
	slow := func(d *tenant.HookDelivery) { d.Endpoint = "slow" }
	h.told(a.ID, 5, slow)
	h.told(a.ID, 1)
	h.told(b.ID, 1, slow)
	got, err := h.s.ClaimHookDeliveries(h.ctx(), h.at, lease, 1000, []tenant.HookLane{{TenantID: a.ID, Endpoint: "slow"}})
	h.must(err)
	var lanes []tenant.HookLane
	for _, d := range got {
		if d.TenantID == a.ID || d.TenantID == b.ID {
			lanes = append(lanes, tenant.HookLane{TenantID: d.TenantID, Endpoint: d.Endpoint})
		}
	}
	h.same(lanes, []tenant.HookLane{{TenantID: a.ID, Endpoint: "crm"}, {TenantID: b.ID, Endpoint: "slow"}})
	h.same(len(h.claimHooks(a.ID, h.at, 1000)), 5)
}
