package admin_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

func TestConfigurationLife(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		_, err := b.Publish(b.ctx, ann, "acme", admin.Publication{})
		refused(t, err, tenant.ErrNotFound)
		_, err = b.DiscardDraft(b.ctx, ann, "acme", nil)
		refused(t, err, tenant.ErrNotFound)

		done := b.edit("password_policy", `{"minimum_length":12}`, admin.Edit{})
		if done.Published != nil || done.Draft == nil || done.Tenant.DraftRevision != 1 || len(done.Changes) != 1 {
			t.Fatalf("an edit: %+v", done)
		}
		if b.published("acme").PasswordPolicy.MinimumLength != 8 {
			t.Error("a draft is in force")
		}
		if e := b.audit("acme"); e.Action != "config.edit" || !strings.Contains(string(e.Detail), "minimum length changed from 8 to 12") {
			t.Errorf("audited %s", e.Detail)
		}

		// A draft may be at odds with itself; it can't be published.
		done = b.edit("sessions", `{"lifetime_seconds":60}`, admin.Edit{})
		if len(done.Problems) != 1 || done.Problems[0].Pointer != "/sessions/idle_timeout_seconds" {
			t.Errorf("problems %v", done.Problems)
		}
		_, err = b.Publish(b.ctx, ann, "acme", admin.Publication{})
		refusal := refused(t, err, tenant.ErrConfigInvalid)
		if ps, _ := refusal.Info["problems"].([]tenant.Problem); len(ps) != 1 {
			t.Errorf("problems %v", refusal.Info)
		}
		// What is no configuration isn't even a draft.
		_, err = b.EditSection(b.ctx, ann, "acme", "sessions", json.RawMessage(`{"lifetime":1}`), admin.Edit{})
		refused(t, err, tenant.ErrConfigInvalid)

		b.edit("sessions", `{"lifetime_seconds":null}`, admin.Edit{})
		done, err = b.Publish(b.ctx, ann, "acme", admin.Publication{Message: "longer passwords"})
		must(t, err)
		if done.Published == nil || done.Published.Number != 2 || done.Published.Message != "longer passwords" || done.Published.Author != "member:ann" || done.Tenant.Version != 2 {
			t.Errorf("published %+v", done.Published)
		}
		if b.published("acme").PasswordPolicy.MinimumLength != 12 {
			t.Error("what was published isn't in force")
		}
		if cfg, d, err := b.Draft(b.ctx, b.tenant("acme")); cfg != nil || d != nil || err != nil {
			t.Errorf("after publishing there is a draft %v %v %v", cfg, d, err)
		}

		done = b.edit("password_policy", `{"minimum_length":6}`, admin.Edit{AutoPublish: true, Message: "shorter"})
		if done.Published == nil || done.Published.Number != 3 || done.Draft != nil {
			t.Errorf("auto-published %+v", done)
		}
		// Nothing to do is nothing done.
		before := b.auditCount("acme")
		done = b.edit("password_policy", `{"minimum_length":6}`, admin.Edit{AutoPublish: true})
		if done.Published != nil || b.auditCount("acme") != before {
			t.Errorf("published nothing new: %+v", done.Published)
		}

		// A rollback leaves the draft of somebody else alone.
		b.edit("accounts", `{"reveal_unknown_users":true}`, admin.Edit{})
		done, err = b.Rollback(b.ctx, ann, "acme", 2, admin.Publication{})
		must(t, err)
		if done.Published.Number != 4 || done.Draft == nil || b.published("acme").PasswordPolicy.MinimumLength != 12 {
			t.Errorf("rolled back %+v", done)
		}
		_, err = b.Rollback(b.ctx, ann, "acme", 9, admin.Publication{})
		refused(t, err, tenant.ErrNotFound)
		diff, err := b.Diff(b.ctx, b.tenant("acme"), 3, 4)
		must(t, err)
		if len(diff) != 1 || diff[0].Words != "password policy, minimum length changed from 6 to 12" {
			t.Errorf("diff %v", diff)
		}

		// An edit back to what is in force ends the draft.
		b.edit("password_policy", `{"minimum_length":12}`, admin.Edit{})
		done = b.edit("accounts", `{"reveal_unknown_users":null}`, admin.Edit{})
		if done.Draft != nil {
			t.Errorf("after undoing the edit: %+v", done)
		}
		b.edit("accounts", `{"reveal_unknown_users":true}`, admin.Edit{})
		_, err = b.DiscardDraft(b.ctx, ann, "acme", nil)
		must(t, err)
		if _, d, err := b.Draft(b.ctx, b.tenant("acme")); d != nil || err != nil {
			t.Errorf("discarded, and there is %v %v", d, err)
		}
		b.intact()
	})
}

func TestEditsCollide(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		seen := b.tenant("acme").DraftRevision
		b.edit("password_policy", `{"minimum_length":12}`, admin.Edit{ExpectedVersion: &seen})
		_, err := b.EditSection(b.ctx, ann, "acme", "accounts", json.RawMessage(`{"public_signup":false}`), admin.Edit{ExpectedVersion: &seen})
		golden(t, "testdata/conflict_draft.golden", refused(t, err, tenant.ErrVersionConflict).Info)
		_, err = b.Publish(b.ctx, ann, "acme", admin.Publication{ExpectedVersion: &seen})
		refused(t, err, tenant.ErrVersionConflict)
		_, err = b.DiscardDraft(b.ctx, ann, "acme", &seen)
		refused(t, err, tenant.ErrVersionConflict)

		seen = b.tenant("acme").DraftRevision
		_, err = b.Publish(b.ctx, ann, "acme", admin.Publication{ExpectedVersion: &seen})
		must(t, err)
		_, err = b.EditSection(b.ctx, ann, "acme", "accounts", json.RawMessage(`{"public_signup":false}`), admin.Edit{ExpectedVersion: &seen})
		golden(t, "testdata/conflict_published.golden", refused(t, err, tenant.ErrVersionConflict).Info)
	})
}

// Without an expected version edits of different settings don't disturb each
// other, however they race; of racing publications each has its own number.
func TestRacingEdits(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		patches := map[string]string{
			"password_policy": `{"minimum_length":11}`, "accounts": `{"reveal_unknown_users":true}`, "sessions": `{"lifetime_seconds":90000}`, "web": `{"allowed_origins":["https://a.example"]}`,
		}
		var wg sync.WaitGroup
		failures := make(chan error, len(patches))
		for section, patch := range patches {
			wg.Go(func() {
				_, err := b.EditSection(b.ctx, ann, "acme", section, json.RawMessage(patch), admin.Edit{AutoPublish: true})
				failures <- err
			})
		}
		wg.Wait()
		close(failures)
		for err := range failures {
			must(t, err)
		}
		cfg := b.published("acme")
		if cfg.PasswordPolicy.MinimumLength != 11 || !cfg.Accounts.RevealUnknownUsers || cfg.Sessions.LifetimeSeconds != 90000 || len(cfg.Web.AllowedOrigins) != 1 {
			t.Errorf("an edit was lost: %+v", cfg)
		}
		if v := b.tenant("acme").Version; v != 5 {
			t.Errorf("4 publications made version %d", v)
		}
		b.intact()
	})
}

func TestPlanCountsRealUsers(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		b.edit("identifications", `{"enabled":["email","username"]}`, admin.Edit{AutoPublish: true})
		b.user("acme", "both@example.com", "Correct-Horse-7")
		u := b.user("acme", "mail@example.com", "Correct-Horse-7")
		nobody := b.user("acme", "nopassword@example.com", "")
		must(t, errOf(b.AddIdentity(b.ctx, ann, "acme", u.ID, admin.NewIdentity{Kind: "username", Value: "mail"})))
		must(t, errOf(b.AddIdentity(b.ctx, ann, "acme", nobody.ID, admin.NewIdentity{Kind: "username", Value: "nobody1"})))
		off := b.user("acme", "off@example.com", "Correct-Horse-7")
		must(t, errOf(b.DisableUser(b.ctx, ann, "acme", off.ID, "left", time.Time{})))

		// Only usernames: one user has none, one has no password anyway, one is disabled.
		b.edit("identifications", `{"enabled":["username"]}`, admin.Edit{})
		plan, err := b.Plan(b.ctx, b.tenant("acme"))
		must(t, err)
		want := admin.UserImpact{LockedOutNow: 1, LockedOutThen: 2, Losing: 1}
		if plan.Users != want {
			t.Errorf("impact %+v, want %+v", plan.Users, want)
		}
		golden(t, "testdata/plan.golden", map[string]any{"changes": plan.Changes, "flows": plan.Flows, "problems": plan.Problems})

		_, err = b.Publish(b.ctx, ann, "acme", admin.Publication{})
		refusal := refused(t, err, tenant.ErrLastWayIn)
		if refusal.Info["losing"] != 1 {
			t.Errorf("facts %v", refusal.Info)
		}
		_, err = b.Publish(b.ctx, ann, "acme", admin.Publication{Force: "they were told"})
		must(t, err)
		if e := b.audit("acme"); !strings.Contains(string(e.Detail), `"force":"they were told"`) {
			t.Errorf("audited %s", e.Detail)
		}
		// The plan was right: that many are locked out now.
		plan, err = b.Plan(b.ctx, b.tenant("acme"))
		must(t, err)
		if plan.Users.LockedOutNow != 2 || !plan.Empty() {
			t.Errorf("afterwards %+v", plan.Users)
		}
		// Trading one identification for another loses those without the new one,
		// though as many win as lose.
		b.edit("identifications", `{"enabled":["email"]}`, admin.Edit{})
		plan, err = b.Plan(b.ctx, b.tenant("acme"))
		must(t, err)
		if want := (admin.UserImpact{LockedOutNow: 2, LockedOutThen: 1, Losing: 0}); plan.Users != want {
			t.Errorf("impact %+v, want %+v", plan.Users, want)
		}
	})
}
