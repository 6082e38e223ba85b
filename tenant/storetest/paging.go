package storetest

import (
	"context"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

// testPaging reads lists page by page while rows are added. Every row that was
// there when the reading began comes exactly once.
func testPaging(h *house) {
	t := h.tenant()
	const there = 25
	for range there {
		u := h.user(t.ID, email(word()))
		h.signedIn(u)
		h.must(h.s.RecordSignIn(h.ctx(), h.refusal(t.ID)))
	}
	ctx, stop := context.WithCancel(h.ctx())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				h.signedIn(h.user(t.ID, email(word())))
				if err := h.s.RecordSignIn(h.ctx(), h.refusal(t.ID)); err != nil {
					h.Error(err)
				}
				if _, err := h.s.SealAudit(h.ctx(), 3); err != nil {
					h.Error(err)
				}
			}
		})
	}
	defer wg.Wait()
	defer stop()
	for name, list := range map[string]func(page tenant.Page) ([]string, error){
		"users": func(page tenant.Page) (ids []string, err error) {
			rows, err := h.s.Users(h.ctx(), t.ID, tenant.UserFilter{}, page)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, err
		},
		"runs": func(page tenant.Page) (ids []string, err error) {
			rows, err := h.s.Runs(h.ctx(), t.ID, tenant.RunFilter{}, page)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, err
		},
		"sessions": func(page tenant.Page) (ids []string, err error) {
			rows, err := h.s.Sessions(h.ctx(), t.ID, tenant.SessionFilter{}, page)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, err
		},
		"audit": func(page tenant.Page) (ids []string, err error) {
			rows, err := h.s.AuditLog(h.ctx(), t.ID, tenant.AuditFilter{}, page)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, err
		},
	} {
		want, err := list(tenant.Page{Limit: 10_000})
		h.must(err)
		if len(want) < there {
			h.Fatal(name, len(want))
		}
		seen := map[string]int{}
		var page tenant.Page
		for page.Limit = 3; ; {
			ids, err := list(page)
			h.must(err)
			for _, id := range ids {
				seen[id]++
			}
			if len(ids) < page.Limit || len(seen) > len(want)+1000 {
				break
			}
			page.After = ids[len(ids)-1]
			time.Sleep(time.Millisecond)
		}
		for id, n := range seen {
			if n > 1 {
				h.Errorf("%s: %s came %d times", name, id, n)
			}
		}
		for _, id := range want {
			if seen[id] == 0 {
				h.Errorf("%s: %s never came", name, id)
			}
		}
	}
}
