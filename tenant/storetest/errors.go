package storetest

import (
	"time"

	"github.com/usher-id/usher/tenant"
)

func (h *house) shownError(tenantID string) *tenant.ShownError {
	h.Helper()
	e := &tenant.ShownError{TenantID: tenantID, ID: id(), Document: []byte(`{"code":500}`), CreatedAt: h.at, ExpiresAt: h.at.Add(time.Hour)}
	h.must(h.s.KeepError(h.ctx(), e))
	return e
}

// testShownErrors is about what went wrong, until a page has shown it.
func testShownErrors(h *house) {
	t, other := h.tenant(), h.tenant()
	e := h.shownError(t.ID)
	got, err := h.s.ShownError(h.ctx(), t.ID, e.ID, h.at)
	h.must(err)
	h.same(got, e)
	for _, ask := range [][2]string{{other.ID, e.ID}, {t.ID, id()}, {t.ID, "nothing\x00"}} {
		_, err := h.s.ShownError(h.ctx(), ask[0], ask[1], h.at)
		h.refused(err, tenant.ErrNotFound)
	}
	_, err = h.s.ShownError(h.ctx(), t.ID, e.ID, e.ExpiresAt)
	h.refused(err, tenant.ErrNotFound)

	_, err = h.s.Purge(h.ctx(), e.ExpiresAt.Add(time.Second), 1000)
	h.must(err)
	_, err = h.s.ShownError(h.ctx(), t.ID, e.ID, h.at)
	h.refused(err, tenant.ErrNotFound)
}
