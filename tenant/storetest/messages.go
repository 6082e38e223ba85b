package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

const lease = time.Minute

func testMessages(h *house) {
	h.step("kept and read", testMessageRead)
	h.step("claimed and settled", testMessageClaims)
	h.step("claimed once", testMessageRaces)
	h.step("lanes", testLanes)
	h.step("forgotten after 30 days", func(h *house) {
		t := h.tenant()
		m := h.queued(t.ID, 1)[0]
		_, err := h.s.Purge(h.ctx(), m.CreatedAt.Add(29*24*time.Hour), 1000)
		h.must(err)
		h.same(len(h.messagesOf(t.ID, tenant.MessageFilter{})), 1)
		_, err = h.s.Purge(h.ctx(), m.CreatedAt.Add(31*24*time.Hour), 1000)
		h.must(err)
		h.same(len(h.messagesOf(t.ID, tenant.MessageFilter{})), 0)
	})
}

// queued puts some messages into the outbox, each of a run of its own.
func (h *house) queued(tenantID string, n int, change ...func(*tenant.Message)) []tenant.Message {
	h.Helper()
	var out []tenant.Message
	for range n {
		c := h.newRun(tenantID)
		k := h.newCode(c)
		m := h.newMessage(&k)
		for _, f := range change {
			f(&m)
		}
		h.sent(c, []tenant.Code{k}, m)
		out = append(out, m)
	}
	return out
}

func (h *house) messagesOf(tenantID string, f tenant.MessageFilter) []*tenant.Message {
	h.Helper()
	list, err := h.s.Messages(h.ctx(), tenantID, f, tenant.Page{Limit: 100})
	h.must(err)
	return list
}

// claim takes what is due, and what of it is one tenant's.
func (h *house) claim(tenantID string, at time.Time, limit int, except ...tenant.Lane) []*tenant.Message {
	h.Helper()
	all, err := h.s.ClaimMessages(h.ctx(), at, lease, limit, except)
	h.must(err)
	if len(all) > limit {
		h.Errorf("%d claimed, of at most %d", len(all), limit)
	}
	return slices.DeleteFunc(all, func(m *tenant.Message) bool { return m.TenantID != tenantID })
}

func testMessageRead(h *house) {
	t := h.tenant()
	ms := h.queued(t.ID, 3)
	h.queued(t.ID, 1, func(m *tenant.Message) { m.Provider, m.Payload = tenant.DecoyProvider, nil })
	sms := h.queued(t.ID, 1, func(m *tenant.Message) {
		m.Channel, m.To, m.Status = "sms", "+85298765432", tenant.MessageSuppressed
	})[0]
	h.same(h.messagesOf(t.ID, tenant.MessageFilter{}), []*tenant.Message{&sms, &ms[2], &ms[1], &ms[0]})
	h.same(h.messagesOf(t.ID, tenant.MessageFilter{Channel: "sms"}), []*tenant.Message{&sms})
	h.same(h.messagesOf(t.ID, tenant.MessageFilter{Status: tenant.MessageSuppressed}), []*tenant.Message{&sms})
	h.same(h.messagesOf(t.ID, tenant.MessageFilter{To: ms[1].To}), []*tenant.Message{&ms[1]})
	page, err := h.s.Messages(h.ctx(), t.ID, tenant.MessageFilter{}, tenant.Page{After: ms[2].ID, Limit: 1})
	h.must(err)
	h.same(page, []*tenant.Message{&ms[1]})
	got, err := h.s.MessageOfCode(h.ctx(), t.ID, ms[0].CodeID)
	h.must(err)
	h.same(got, &ms[0])
	for _, code := range []string{"", id(), "\x00"} {
		_, err = h.s.MessageOfCode(h.ctx(), t.ID, code)
		h.refused(err, tenant.ErrNotFound)
	}
}

func testMessageClaims(h *house) {
	t := h.tenant()
	ms := h.queued(t.ID, 2)
	h.queued(t.ID, 1, func(m *tenant.Message) { m.Status = tenant.MessageSuppressed })
	h.same(len(h.claim(t.ID, h.at.Add(-time.Millisecond), 1000)), 0) // not due yet
	got := h.claim(t.ID, h.at, 1000)
	for i := range ms {
		ms[i].Attempts, ms[i].NextAt = 1, h.at.Add(lease)
	}
	h.same(got, []*tenant.Message{&ms[0], &ms[1]})
	h.same(len(h.claim(t.ID, h.at.Add(lease-time.Millisecond), 1000)), 0) // somebody has them

	// One is settled; the one that claimed the other has died.
	sent := *got[0]
	sent.Status, sent.SentAt, sent.Provider, sent.Payload = tenant.MessageSent, h.at.Add(time.Second), "smtp", nil
	h.must(h.s.SettleMessage(h.ctx(), &sent))
	again := h.claim(t.ID, h.at.Add(lease), 1000)
	ms[1].Attempts, ms[1].NextAt = 2, h.at.Add(2*lease)
	h.same(again, []*tenant.Message{&ms[1]})

	// It fails for a while; who is late has no say in what is settled for good.
	later := *again[0]
	later.NextAt, later.Error, later.Provider = h.at.Add(10*time.Minute), "the gateway is away", "smtp"
	h.must(h.s.SettleMessage(h.ctx(), &later))
	h.same(h.messagesOf(t.ID, tenant.MessageFilter{Status: tenant.MessageQueued}), []*tenant.Message{&later})
	late := sent
	late.Status, late.Error = tenant.MessageFailed, "too late"
	h.must(h.s.SettleMessage(h.ctx(), &late))
	h.same(h.messagesOf(t.ID, tenant.MessageFilter{Status: tenant.MessageSent}), []*tenant.Message{&sent})

	before, _, err := h.s.CountMessages(h.ctx())
	h.must(err)
	later.Status, later.Payload = tenant.MessageExpired, nil
	h.must(h.s.SettleMessage(h.ctx(), &later))
	after, _, err := h.s.CountMessages(h.ctx())
	h.must(err)
	h.same(before-after, 1)
	h.same(len(h.claim(t.ID, h.at.Add(time.Hour), 1000)), 0)
}

// testMessageRaces: of many workers one gets each message.
func testMessageRaces(h *house) {
	t := h.tenant()
	h.queued(t.ID, 60)
	var mu sync.Mutex
	times := map[string]int{}
	h.race(nil, func(int) error {
		for {
			ms, err := h.s.ClaimMessages(h.ctx(), h.at, lease, 7, nil)
			if err != nil || len(ms) == 0 {
				return err
			}
			mu.Lock()
			for _, m := range ms {
				if m.TenantID == t.ID {
					times[m.ID]++
				}
			}
			mu.Unlock()
		}
	})
	// Whoever found a row locked by another went on without it: what is left
	// over is found by the next look.
	for _, m := range h.claim(t.ID, h.at, 1000) {
		times[m.ID]++
	}
	h.same(len(times), 60)
	for id, n := range times {
		if n != 1 {
			h.Errorf("message %s was claimed %d times", id, n)
		}
	}
}

// testLanes: a gateway that hangs keeps nobody else waiting.
func testLanes(h *house) {
	a, b := h.tenant(), h.tenant()
	sms := func(m *tenant.Message) { m.Channel = "sms" }
	h.queued(a.ID, 5)
	h.queued(a.ID, 1, sms)
	h.queued(b.ID, 1)
	h.queued(b.ID, 1, sms)
	got, err := h.s.ClaimMessages(h.ctx(), h.at, lease, 1000, []tenant.Lane{{TenantID: a.ID, Channel: "email"}, {TenantID: b.ID, Channel: "sms"}})
	h.must(err)
	var lanes []tenant.Lane
	for _, m := range got {
		if m.TenantID == a.ID || m.TenantID == b.ID {
			lanes = append(lanes, tenant.Lane{TenantID: m.TenantID, Channel: m.Channel})
		}
	}
	h.same(lanes, []tenant.Lane{{TenantID: a.ID, Channel: "sms"}, {TenantID: b.ID, Channel: "email"}})
	h.same(len(h.claim(a.ID, h.at, 1000)), 5)
}
