package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/usher-id/usher/tenant"
)

func testAudit(h *house) {
	h.step("chain", testChain)
	h.step("log", testAuditLog)
	h.step("tampering", testTampering)
	h.step("bounds", func(h *house) {
		a, b := h.tenant(), h.tenant()
		for range 3 {
			h.must(h.s.RecordSignIn(h.ctx(), h.refusal(a.ID)))
			h.must(h.s.RecordSignIn(h.ctx(), h.refusal(b.ID)))
		}
		for _, want := range []int{4, 2, 0} {
			n, err := h.s.SealAudit(h.ctx(), 4)
			h.must(err)
			h.same(n, want)
		}
	})
}

// refusal is a sign-in event that isn't the end of a run.
func (h *house) refusal(tenantID string) *tenant.AuditEvent {
	e := h.event(tenantID)
	e.Category, e.Action, e.Outcome, e.ActorKind = tenant.AuditSignIn, "flow.login", "InvalidCredentials", tenant.ActorNobody
	e.IP = "192.0.2.1\x00\xff" // what a proxy may say
	return e
}

func (h *house) chainOf(tenantID string) []*tenant.AuditEvent {
	h.Helper()
	events, err := h.s.AuditChain(h.ctx(), tenantID, 1, 1000)
	h.must(err)
	n, err := tenant.VerifyAudit(h.ctx(), h.s, tenantID)
	h.must(err)
	h.same(n, int64(len(events)))
	return events
}

func testChain(h *house) {
	seq, hash, err := h.s.AuditHead(h.ctx(), "nobody")
	h.must(err)
	h.same([]any{seq, hash}, []any{int64(0), ""})
	t := h.tenant() // event 1
	u := h.user(t.ID, email(word()))
	s := h.signedIn(u)
	e := h.refusal(t.ID)
	h.must(h.s.RecordSignIn(h.ctx(), e))
	both := []*tenant.AuditEvent{h.event(t.ID), h.refusal(t.ID), h.event(t.ID)}
	h.must(h.s.Change(h.ctx(), func(tx tenant.Tx) error {
		for _, e := range both {
			h.must(tx.Audit(e))
		}
		return nil
	}))
	if both[0].Seq != 3 || both[2].Seq != 4 || both[1].Seq != 0 || both[2].PrevHash != both[0].Hash {
		h.Errorf("%+v %+v %+v", both[0], both[1], both[2])
	}
	if got := h.chainOf(t.ID); len(got) != 4 {
		h.Fatal("chained:", len(got))
	}
	n, err := h.s.SealAudit(h.ctx(), 100)
	h.must(err)
	h.same(n, 3) // the run and two refusals
	n, err = h.s.SealAudit(h.ctx(), 100)
	h.must(err)
	h.same(n, 0)
	chain := h.chainOf(t.ID)
	h.same(len(chain), 7)
	h.same(chain[2], both[0])
	var kept, run *tenant.AuditEvent
	for _, c := range chain[4:] {
		switch c.ID {
		case e.ID:
			kept = c
		case both[1].ID:
		default:
			run = c
		}
	}
	if kept == nil || run == nil {
		h.Fatalf("%+v", chain)
	}
	e.Seq, e.PrevHash, e.Hash = kept.Seq, kept.PrevHash, kept.Hash
	h.same(kept, e)
	h.same(e.IP, "192.0.2.1\uFFFD")
	want := &tenant.AuditEvent{
		TenantID: t.ID, ID: run.ID, Seq: run.Seq, At: h.at.Add(time.Second), Category: tenant.AuditSignIn, Action: "flow.login", Outcome: "success",
		ActorKind: tenant.ActorUser, ActorID: u.ID, IP: "192.0.2.7", RunID: s.RunID, UserID: u.ID, PrevHash: run.PrevHash, Hash: run.Hash,
		Detail: []byte(`{"flow":"default","surface":"flowapi","session":"` + s.ID + `","factors":["pwd"]}`),
	}
	h.same(run, want)
	seq, hash, err = h.s.AuditHead(h.ctx(), t.ID)
	h.must(err)
	h.same([]any{seq, hash}, []any{int64(7), chain[6].Hash})
	page, err := h.s.AuditChain(h.ctx(), t.ID, 3, 2)
	h.must(err)
	h.same(page, chain[2:4])
	page, err = h.s.AuditChain(h.ctx(), t.ID, 0, 2) // there is no place 0
	h.must(err)
	h.same(page, chain[:2])
}

func testAuditLog(h *house) {
	t := h.tenant()
	var want []string // newest first
	add := func(e *tenant.AuditEvent, record func(*tenant.AuditEvent) error) *tenant.AuditEvent {
		h.must(record(e))
		want = append([]string{e.ID}, want...)
		return e
	}
	admin := func(e *tenant.AuditEvent) error {
		return h.s.Change(h.ctx(), func(tx tenant.Tx) error { return tx.Audit(e) })
	}
	signIn := func(e *tenant.AuditEvent) error { return h.s.RecordSignIn(h.ctx(), e) }
	made := h.chainOf(t.ID)[0]
	want = []string{made.ID}
	publish := h.event(t.ID)
	publish.Action, publish.At, publish.RequestID = "config.publish", h.at.Add(time.Hour), "another"
	add(publish, admin)
	about := h.refusal(t.ID)
	about.UserID = "somebody"
	add(about, signIn)
	unsealed := add(h.refusal(t.ID), signIn)

	list := func(f tenant.AuditFilter, p tenant.Page) (out []string) {
		h.Helper()
		events, err := h.s.AuditLog(h.ctx(), t.ID, f, p)
		h.must(err)
		for _, e := range events {
			out = append(out, e.ID)
		}
		return out
	}
	for range 2 { // before and after sealing
		for _, c := range []struct {
			filter tenant.AuditFilter
			want   []string
		}{
			{tenant.AuditFilter{}, want},
			{tenant.AuditFilter{Category: tenant.AuditSignIn}, want[:2]},
			{tenant.AuditFilter{Category: tenant.AuditAdmin}, want[2:]},
			{tenant.AuditFilter{Action: "config.publish"}, want[2:3]},
			{tenant.AuditFilter{RequestID: "another"}, want[2:3]},
			{tenant.AuditFilter{UserID: "somebody"}, want[1:2]},
			{tenant.AuditFilter{Since: h.at.Add(time.Minute)}, want[2:3]},
			{tenant.AuditFilter{Until: h.at.Add(time.Minute), Category: tenant.AuditAdmin}, want[3:]},
		} {
			if got := list(c.filter, tenant.Page{Limit: 10}); !slices.Equal(got, c.want) {
				h.Errorf("%+v: got %v, want %v", c.filter, got, c.want)
			}
		}
		for i := range want {
			if got := list(tenant.AuditFilter{}, tenant.Page{After: want[i], Limit: 2}); !slices.Equal(got, want[i+1:min(i+3, len(want))]) {
				h.Errorf("after %d: got %v of %v", i, got, want)
			}
		}
		_, err := h.s.SealAudit(h.ctx(), 100)
		h.must(err)
	}
	// A page whose key was sealed since it was listed goes on where it was.
	later := add(h.refusal(t.ID), signIn)
	if got := list(tenant.AuditFilter{}, tenant.Page{Limit: 1}); got[0] != later.ID {
		h.Error("the unsealed are not first:", got)
	}
	_, err := h.s.SealAudit(h.ctx(), 100)
	h.must(err)
	if got := list(tenant.AuditFilter{}, tenant.Page{After: later.ID, Limit: 1}); got[0] != unsealed.ID {
		h.Error(got, unsealed.ID)
	}
}

// tampered is an audit log as somebody with access to the database left it.
type tampered struct {
	tenant.AuditStore
	chain []*tenant.AuditEvent
	head  *tenant.AuditEvent
}

func (s *tampered) AuditHead(context.Context, string) (int64, string, error) {
	return s.head.Seq, s.head.Hash, nil
}

func (s *tampered) AuditChain(_ context.Context, _ string, from int64, limit int) (out []*tenant.AuditEvent, err error) {
	for _, e := range s.chain {
		if e.Seq >= from && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func testTampering(h *house) {
	t := h.tenant()
	for range 4 {
		h.must(h.change(t.ID, func(tenant.Tx) error { return nil }))
	}
	for name, c := range map[string]struct {
		tamper func(chain []*tenant.AuditEvent) []*tenant.AuditEvent
		broken int64 // 0: none
	}{
		"nothing": {func(c []*tenant.AuditEvent) []*tenant.AuditEvent { return c }, 0},
		"content": {func(c []*tenant.AuditEvent) []*tenant.AuditEvent { c[2].Outcome = "refused"; return c }, 3},
		"time":    {func(c []*tenant.AuditEvent) []*tenant.AuditEvent { c[1].At = c[1].At.Add(time.Millisecond); return c }, 2},
		"shift": {func(c []*tenant.AuditEvent) []*tenant.AuditEvent {
			c[1].ActorID, c[1].IP = c[1].ActorID+"1", c[1].IP[1:]
			return c
		}, 2},
		"removed":  {func(c []*tenant.AuditEvent) []*tenant.AuditEvent { return slices.Delete(c, 1, 2) }, 2},
		"the last": {func(c []*tenant.AuditEvent) []*tenant.AuditEvent { return c[:4] }, 5},
		"all":      {func([]*tenant.AuditEvent) []*tenant.AuditEvent { return nil }, 1},
		"rewritten": {func(c []*tenant.AuditEvent) []*tenant.AuditEvent {
			c[3].Outcome = "refused"
			c[3].Chain(c[3].Seq, c[3].PrevHash)
			return c
		}, 5},
		"rewritten to the end": {func(c []*tenant.AuditEvent) []*tenant.AuditEvent {
			c[3].Outcome = "refused"
			for i := 3; i < len(c); i++ {
				c[i].Chain(c[i].Seq, c[i-1].Hash)
			}
			return c
		}, 5},
	} {
		whole := h.chainOf(t.ID)
		head := *whole[len(whole)-1]
		log := &tampered{h.s, c.tamper(whole), &head}
		_, err := tenant.VerifyAudit(h.ctx(), log, t.ID)
		single := tenant.AuditCheck{TenantID: t.ID}
		var byOne error
		for done := false; !done && byOne == nil; {
			done, byOne = single.Next(h.ctx(), log, 1)
		}
		if fmt.Sprint(byOne) != fmt.Sprint(err) {
			h.Errorf("%s: event by event it is %v, and at once %v", name, byOne, err)
		}
		var broken *tenant.BrokenChain
		switch {
		case c.broken == 0:
			h.must(err)
		case !errors.As(err, &broken) || broken.Seq != c.broken || broken.TenantID != t.ID:
			h.Errorf("%s: got %v, want it broken at %d", name, err, c.broken)
		}
	}
}
