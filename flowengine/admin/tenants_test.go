package admin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

func TestTenantLifecycle(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		acme := b.tenant("acme")
		if acme.Name != "acme" || acme.Version != 1 || len(acme.Key) == 0 || acme.State != tenant.Active {
			t.Errorf("acme is %+v", acme)
		}
		if b.published("admin").Accounts.PublicSignup {
			t.Error("anybody may sign up to be an admin")
		}

		for name, c := range map[string]struct {
			in   admin.NewTenant
			want *tenant.Error
			at   string
		}{
			"slug":     {admin.NewTenant{Slug: "A B", Hosts: []string{"x.localhost"}}, tenant.ErrValidation, "/slug"},
			"host":     {admin.NewTenant{Slug: "x", Hosts: []string{"x.localhost", "X.localhost"}}, tenant.ErrValidation, "/hosts/1"},
			"no host":  {admin.NewTenant{Slug: "x"}, tenant.ErrValidation, "/hosts"},
			"name":     {admin.NewTenant{Slug: "x", Name: "a\nb", Hosts: []string{"x.localhost"}}, tenant.ErrValidation, "/name"},
			"taken":    {admin.NewTenant{Slug: "acme", Hosts: []string{"x.localhost"}}, tenant.ErrAlreadyExists, "/slug"},
			"its host": {admin.NewTenant{Slug: "x", Hosts: []string{"acme.localhost"}}, tenant.ErrAlreadyExists, "/hosts/0"},
			"template": {admin.NewTenant{Slug: "x", Hosts: []string{"x.localhost"}, Template: "nobody"}, tenant.ErrTenantNotFound, ""},
		} {
			_, err := b.CreateTenant(b.ctx, ann, c.in)
			refusal := refused(t, err, c.want)
			at, _ := refusal.Info["pointer"].(string)
			if causes, ok := refusal.Info["causes"].([]tenant.Cause); ok {
				at = causes[0].Location
			}
			if at != c.at {
				t.Errorf("%s: at %q, want %q", name, at, c.at)
			}
		}

		b.edit("sessions", `{"lifetime_seconds":86400}`, admin.Edit{AutoPublish: true})
		_, err := b.CreateTenant(b.ctx, ann, admin.NewTenant{Slug: "copy", Hosts: []string{"copy.localhost"}, Template: "acme"})
		must(t, err)
		if d := cmp.Diff(b.published("acme"), b.published("copy")); d != "" {
			t.Errorf("a copy differs: %s", d)
		}

		name := "Acme Ltd"
		done, err := b.UpdateTenant(b.ctx, ann, "acme", admin.TenantChange{Name: &name, Hosts: []string{"login.acme.example", "acme.localhost"}})
		must(t, err)
		if done.PrimaryHost() != "login.acme.example" || done.Name != name {
			t.Errorf("after the update %+v", done)
		}
		before := b.auditCount("acme")
		_, err = b.UpdateTenant(b.ctx, ann, "acme", admin.TenantChange{Name: &name})
		must(t, err)
		if b.auditCount("acme") != before {
			t.Error("an update that changes nothing was audited")
		}
		_, err = b.UpdateTenant(b.ctx, ann, "acme", admin.TenantChange{Hosts: []string{"copy.localhost"}})
		refused(t, err, tenant.ErrAlreadyExists)

		b.AdminHost = b.tenant("admin").Hosts[0]
		_, err = b.UpdateTenant(b.ctx, ann, "admin", admin.TenantChange{Hosts: []string{"other.localhost"}})
		refused(t, err, tenant.ErrValidation)
		_, err = b.UpdateTenant(b.ctx, ann, "admin", admin.TenantChange{Hosts: []string{"other.localhost", b.AdminHost}})
		must(t, err)

		_, err = b.SuspendTenant(b.ctx, ann, "admin", "no")
		refused(t, err, tenant.ErrForbidden)
		refused(t, b.DeleteTenant(b.ctx, ann, "admin", "admin"), tenant.ErrForbidden)
		_, err = b.SuspendTenant(b.ctx, ann, "acme", " ")
		refused(t, err, tenant.ErrValidation)
		done, err = b.SuspendTenant(b.ctx, ann, "acme", "unpaid")
		must(t, err)
		if done.State != tenant.Suspended || done.SuspendReason != "unpaid" {
			t.Errorf("suspended: %+v", done)
		}
		for _, slug := range []string{"acme", "admin"} {
			if e := b.audit(slug); e.Action != "tenant.suspend" || e.ActorID != "ann" || e.IP != "192.0.2.1" || e.RequestID != "req-1" {
				t.Errorf("the log of %s ends with %+v", slug, e)
			}
		}
		done, err = b.ResumeTenant(b.ctx, ann, "acme")
		must(t, err)
		if done.State != tenant.Active || done.SuspendReason != "" {
			t.Errorf("resumed: %+v", done)
		}

		refused(t, b.DeleteTenant(b.ctx, ann, "copy", "acme"), tenant.ErrValidation)
		must(t, b.DeleteTenant(b.ctx, ann, "copy", "copy"))
		if _, err := b.Store.TenantBySlug(b.ctx, "copy"); !errors.Is(err, tenant.ErrTenantNotFound) {
			t.Errorf("after its deletion: %v", err)
		}
		if e := b.audit("admin"); e.Action != "tenant.delete" || !strings.Contains(string(e.Detail), `"tenant":"copy"`) {
			t.Errorf("the deletion left %+v %s", e, e.Detail)
		}
		b.intact()
	})
}
