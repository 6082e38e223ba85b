package admin_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

func TestAmend(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		b.edit("password_policy", `{"minimum_length":12}`, admin.Edit{}) // somebody's draft

		title := func(words string) func(*tenant.Config) error {
			return func(cfg *tenant.Config) error {
				cfg.Flows.Present(tenant.FlowPresentation{Flow: "login/default", Title: words})
				return nil
			}
		}
		done, err := b.Amend(b.ctx, ann, "acme", "a title", title("Welcome"))
		must(t, err)
		cfg := b.published("acme")
		if done.Published == nil || done.Published.Message != "a title" || cfg.Flows.Presentation[0].Title != "Welcome" || cfg.PasswordPolicy.MinimumLength != 8 {
			t.Errorf("published %+v %+v", done.Published, cfg.Flows)
		}
		if draft, _, err := b.Draft(b.ctx, b.tenant("acme")); err != nil || draft == nil || draft.PasswordPolicy.MinimumLength != 12 {
			t.Errorf("the draft: %v %v", draft, err)
		}
		if e := b.audit("acme"); e.Action != "config.edit" || !strings.Contains(string(e.Detail), "presentation of login/default") {
			t.Errorf("audited %s %s", e.Action, e.Detail)
		}
		if done, err = b.Amend(b.ctx, ann, "acme", "the same", title("Welcome")); err != nil || done.Published != nil {
			t.Errorf("a version of no change: %+v %v", done.Published, err)
		}

		// What is no configuration isn't published, nor what the edit refuses.
		_, err = b.Amend(b.ctx, ann, "acme", "", title(strings.Repeat("x", 201)))
		refused(t, err, tenant.ErrConfigInvalid)
		_, err = b.Amend(b.ctx, ann, "acme", "", func(*tenant.Config) error { return tenant.ErrNotFound })
		refused(t, err, tenant.ErrNotFound)

		// Of two at once none is lost.
		var both sync.WaitGroup
		for i := range 2 {
			both.Go(func() {
				_, err := b.Amend(b.ctx, ann, "acme", "", func(cfg *tenant.Config) error {
					cfg.Flows.Present(tenant.FlowPresentation{Flow: fmt.Sprintf("login/flow%d", i), Title: "x"})
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if n := len(b.published("acme").Flows.Presentation); n != 3 {
			t.Errorf("%d presentations", n)
		}
	})
}
