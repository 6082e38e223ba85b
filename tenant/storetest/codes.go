package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-id/usher/tenant"
)

// newCode is a code sent within a run.
func (h *house) newCode(c *tenant.Commit) tenant.Code {
	return tenant.Code{
		TenantID: c.Run.TenantID, ID: id(), RunID: c.Run.ID, Purpose: tenant.PurposeVerify, Form: tenant.CodeForm6, Channel: "email",
		Target: email(word()), Sealed: []byte{0, 0xff, 1}, StateHash: c.State.TokenHash, MaxAttempts: 3,
		CreatedAt: h.at, ExpiresAt: h.at.Add(5 * time.Minute),
	}
}

// newLink is a link.
func (h *house) newLink(c *tenant.Commit) tenant.Code {
	k := h.newCode(c)
	k.Form, k.LinkHash = tenant.LinkForm, word()
	return k
}

// newMessage is the message that carries a code.
func (h *house) newMessage(k *tenant.Code) tenant.Message {
	return tenant.Message{
		TenantID: k.TenantID, ID: id(), CodeID: k.ID, RunID: k.RunID, Channel: k.Channel, To: k.Target.Value, Purpose: k.Purpose,
		Language: "de-AT", Payload: []byte{0xfe, 0, 7}, Status: tenant.MessageQueued, NextAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, CreatedAt: k.CreatedAt,
	}
}

// sent is a run that has sent codes and messages.
func (h *house) sent(c *tenant.Commit, codes []tenant.Code, messages ...tenant.Message) {
	h.Helper()
	c.Codes, c.Messages = codes, messages
	h.must(h.s.Commit(h.ctx(), c))
}

func testCodes(h *house) {
	t := h.tenant()
	h.step("kept and read", func(h *house) {
		c := h.newRun(t.ID)
		k := h.newCode(c)
		h.sent(c, []tenant.Code{k})
		got, err := h.s.Code(h.ctx(), t.ID, k.ID)
		h.must(err)
		h.same(got, &k)
		_, err = h.s.Code(h.ctx(), t.ID, id())
		h.refused(err, tenant.ErrNotFound)
		_, err = h.s.Code(h.ctx(), t.ID, "\x00\xff")
		h.refused(err, tenant.ErrNotFound)
	})
	h.step("tries", testTries)
	h.step("ended by a newer one", testNewerCode)
	h.step("used", testUsedCode)
	h.step("links", testLinks)
	h.step("delivery", func(h *house) {
		c := h.newRun(t.ID)
		k := h.newCode(c)
		m := h.newMessage(&k)
		h.sent(c, []tenant.Code{k}, m)
		k.Delivery = tenant.MessageQueued
		got, err := h.s.Code(h.ctx(), t.ID, k.ID)
		h.must(err)
		h.same(got, &k)
		m.Status, m.SentAt, m.Payload = tenant.MessageSent, h.at, nil
		h.must(h.s.SettleMessage(h.ctx(), &m))
		got, err = h.s.TryCode(h.ctx(), t.ID, k.ID, h.at)
		h.must(err)
		h.same(got.Delivery, tenant.MessageSent)
	})
	h.step("other tenants", func(h *house) {
		other := h.tenant()
		c := h.newRun(t.ID)
		k := h.newLink(c)
		h.sent(c, []tenant.Code{k}, h.newMessage(&k))
		_, err := h.s.Code(h.ctx(), other.ID, k.ID)
		h.refused(err, tenant.ErrNotFound)
		_, err = h.s.TryCode(h.ctx(), other.ID, k.ID, h.at)
		h.refused(err, tenant.ErrNotFound)
		_, err = h.s.CodeByLink(h.ctx(), other.ID, k.LinkHash, h.at)
		h.refused(err, tenant.ErrNotFound)
		h.refused(h.s.ApproveCode(h.ctx(), other.ID, k.ID, h.at), tenant.ErrOTPExpired)
		_, err = h.s.MessageOfCode(h.ctx(), other.ID, k.ID)
		h.refused(err, tenant.ErrNotFound)
		list, err := h.s.Messages(h.ctx(), other.ID, tenant.MessageFilter{}, tenant.Page{Limit: 10})
		h.must(err)
		h.same(len(list), 0)
	})
	h.step("forgotten a day after", func(h *house) {
		c := h.newRun(t.ID)
		k := h.newCode(c)
		h.sent(c, []tenant.Code{k})
		_, err := h.s.Purge(h.ctx(), k.ExpiresAt.Add(23*time.Hour), 1000)
		h.must(err)
		_, err = h.s.Code(h.ctx(), t.ID, k.ID)
		h.must(err)
		_, err = h.s.Purge(h.ctx(), k.ExpiresAt.Add(25*time.Hour), 1000)
		h.must(err)
		_, err = h.s.Code(h.ctx(), t.ID, k.ID)
		h.refused(err, tenant.ErrNotFound)
	})
}

func testTries(h *house) {
	t := h.tenant()
	c := h.newRun(t.ID)
	k := h.newCode(c)
	h.sent(c, []tenant.Code{k})
	for try := 1; try <= k.MaxAttempts; try++ {
		got, err := h.s.TryCode(h.ctx(), t.ID, k.ID, h.at)
		h.must(err)
		h.same(got.Attempts, try)
		h.same(got.Sealed, k.Sealed)
	}
	_, err := h.s.TryCode(h.ctx(), t.ID, k.ID, h.at)
	h.refused(err, tenant.ErrRateLimited)
	got, err := h.s.Code(h.ctx(), t.ID, k.ID)
	h.must(err)
	h.same([]any{got.Attempts, got.Exhausted()}, []any{k.MaxAttempts, true})
	_, err = h.s.TryCode(h.ctx(), t.ID, id(), h.at)
	h.refused(err, tenant.ErrNotFound)

	late := h.newRun(t.ID)
	k = h.newCode(late)
	h.sent(late, []tenant.Code{k})
	_, err = h.s.TryCode(h.ctx(), t.ID, k.ID, k.ExpiresAt)
	h.refused(err, tenant.ErrOTPExpired)
	_, err = h.s.TryCode(h.ctx(), t.ID, k.ID, k.ExpiresAt.Add(-time.Millisecond))
	h.must(err)

	many := h.newRun(t.ID)
	k = h.newCode(many)
	h.sent(many, []tenant.Code{k})
	won, lost := h.race(tenant.ErrRateLimited, func(int) error {
		_, err := h.s.TryCode(h.ctx(), t.ID, k.ID, h.at)
		return err
	})
	h.same([]int{won, lost}, []int{k.MaxAttempts, racers - k.MaxAttempts})
}

func testNewerCode(h *house) {
	t := h.tenant()
	first := h.newRun(t.ID)
	old, other := h.newCode(first), h.newCode(first)
	other.Purpose = tenant.PurposeAuthenticate
	h.sent(first, []tenant.Code{old, other})
	next := h.next(first, tenant.RunPending)
	newer := h.newCode(next)
	h.sent(next, []tenant.Code{newer})
	_, err := h.s.TryCode(h.ctx(), t.ID, old.ID, h.at)
	h.refused(err, tenant.ErrOTPExpired)
	for _, k := range []tenant.Code{newer, other} { // another purpose goes on
		_, err = h.s.TryCode(h.ctx(), t.ID, k.ID, h.at)
		h.must(err)
	}
	elsewhere := h.newRun(t.ID) // so does another run
	k := h.newCode(elsewhere)
	h.sent(elsewhere, []tenant.Code{k})
	_, err = h.s.TryCode(h.ctx(), t.ID, newer.ID, h.at)
	h.must(err)
}

func testUsedCode(h *house) {
	t := h.tenant()
	first := h.newRun(t.ID)
	k := h.newCode(first)
	h.sent(first, []tenant.Code{k})
	won, lost := h.race(tenant.ErrOTPExpired, func(int) error {
		c := h.next(first, tenant.RunPending)
		c.UseCodes = []string{k.ID}
		return h.s.Commit(h.ctx(), c)
	})
	h.same([]int{won, lost}, []int{1, racers - 1})
	_, err := h.s.TryCode(h.ctx(), t.ID, k.ID, h.at)
	h.refused(err, tenant.ErrOTPExpired)
	got, err := h.s.Code(h.ctx(), t.ID, k.ID)
	h.must(err)
	h.same(got.EndedAt, h.at)
}

func testLinks(h *house) {
	t := h.tenant()
	c := h.newRun(t.ID)
	k, code := h.newLink(c), h.newCode(c)
	code.Purpose = tenant.PurposeAuthenticate
	h.sent(c, []tenant.Code{k, code})
	got, err := h.s.CodeByLink(h.ctx(), t.ID, k.LinkHash, h.at)
	h.must(err)
	h.same(got, &k)
	_, err = h.s.CodeByLink(h.ctx(), t.ID, k.LinkHash, k.ExpiresAt)
	h.refused(err, tenant.ErrNotFound)
	_, err = h.s.CodeByLink(h.ctx(), t.ID, "", h.at)
	h.refused(err, tenant.ErrNotFound)

	h.refused(h.s.ApproveCode(h.ctx(), t.ID, code.ID, h.at), tenant.ErrOTPExpired) // not a link
	h.refused(h.s.ApproveCode(h.ctx(), t.ID, k.ID, k.ExpiresAt), tenant.ErrOTPExpired)
	h.must(h.s.ApproveCode(h.ctx(), t.ID, k.ID, h.at.Add(time.Second)))
	got, err = h.s.Code(h.ctx(), t.ID, k.ID)
	h.must(err)
	h.same(got, &k, cmpopts.IgnoreFields(tenant.Code{}, "ApprovedAt"))
	h.same(got.ApprovedAt, h.at.Add(time.Second))

	used := h.next(c, tenant.RunPending)
	used.UseCodes = []string{k.ID}
	h.must(h.s.Commit(h.ctx(), used))
	_, err = h.s.CodeByLink(h.ctx(), t.ID, k.LinkHash, h.at)
	h.refused(err, tenant.ErrNotFound)
	h.refused(h.s.ApproveCode(h.ctx(), t.ID, k.ID, h.at), tenant.ErrOTPExpired)
}
