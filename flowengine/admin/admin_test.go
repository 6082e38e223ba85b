package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

var update = flag.Bool("update", false, "write the golden files anew")

// bench is a service under test, with a clock that the test moves.
type bench struct {
	*admin.Service
	t   *testing.T
	ctx context.Context

	mu  sync.Mutex
	now time.Time
}

var ann = admin.Actor{Kind: tenant.ActorMember, ID: "ann", IP: "192.0.2.1", RequestID: "req-1"}

func newBench(t *testing.T, url string) *bench {
	t.Helper()
	b := &bench{Service: newService(t, url), t: t, ctx: t.Context(), now: time.Now().UTC().Truncate(time.Millisecond)}
	b.Now = b.clock
	return b
}

// newService is a service on a fresh database with tenants admin and acme.
func newService(t testing.TB, url string) *admin.Service {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, url, store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.Migrate(ctx))
	master, err := secret.OpenMaster(secret.NewMasterKey())
	must(t, err)
	hasher := secret.NewHasher(secret.HasherOptions{Workers: 2})
	t.Cleanup(hasher.Close)
	s := &admin.Service{Store: db, Master: master, Hasher: hasher, Now: time.Now, Limiter: limit.SQL(db.DB())}
	_, made, err := s.EnsureAdminTenant(ctx, "admin.localhost")
	must(t, err)
	if !made {
		t.Fatal("tenant admin was there already")
	}
	_, err = s.CreateTenant(ctx, ann, admin.NewTenant{Slug: "acme", Hosts: []string{"acme.localhost"}})
	must(t, err)
	return s
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) wait(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bench) tenant(slug string) *tenant.Tenant {
	b.t.Helper()
	t, err := b.Store.TenantBySlug(b.ctx, slug)
	must(b.t, err)
	return t
}

func (b *bench) published(slug string) *tenant.Config {
	b.t.Helper()
	cfg, err := b.Published(b.ctx, b.tenant(slug))
	must(b.t, err)
	return cfg
}

// audit is the newest event of a tenant's log.
func (b *bench) audit(slug string) *tenant.AuditEvent {
	b.t.Helper()
	log, err := b.Store.AuditLog(b.ctx, b.tenant(slug).ID, tenant.AuditFilter{}, tenant.Page{Limit: 1})
	must(b.t, err)
	return log[0]
}

// auditCount is how many events a tenant's log has.
func (b *bench) auditCount(slug string) int64 {
	b.t.Helper()
	n, _, err := b.Store.AuditHead(b.ctx, b.tenant(slug).ID)
	must(b.t, err)
	return n
}

// intact checks the audit chains.
func (b *bench) intact() {
	b.t.Helper()
	for _, slug := range []string{"admin", "acme"} {
		report, err := b.VerifyAudit(b.ctx, slug)
		must(b.t, err)
		if report.Bad != nil {
			b.t.Errorf("audit log of %s: %+v", slug, report.Bad)
		}
	}
}

func (b *bench) user(slug, email, password string) *tenant.UserRecord {
	b.t.Helper()
	u, err := b.CreateUser(b.ctx, ann, slug, admin.NewUser{Identities: []admin.NewIdentity{{Kind: "email", Value: email}}, Password: password})
	must(b.t, err)
	return u
}

func (b *bench) edit(section, patch string, e admin.Edit) *admin.Edited {
	b.t.Helper()
	done, err := b.EditSection(b.ctx, ann, "acme", section, json.RawMessage(patch), e)
	must(b.t, err)
	return done
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, want *tenant.Error) *tenant.Error {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %s", err, want.Reason)
	}
	return tenant.AsError(err)
}

var volatile = []*regexp.Regexp{
	regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`),
	regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`),
}

// golden compares a value with a file, ids and times aside.
func golden(t *testing.T, file string, value any) {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	must(t, err)
	for i, re := range volatile {
		text = re.ReplaceAll(text, []byte([]string{"<id>", "<time>"}[i]))
	}
	got := string(text) + "\n"
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got\n%s", file, d)
	}
}

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

func errOf[T any](_ T, err error) error { return err }

func TestLastAdminKeepsAWayIn(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		one, two := b.user("admin", "one@example.com", "Correct-Horse-7"), b.user("admin", "two@example.com", "Correct-Horse-7")
		must(t, b.SetMemberRole(b.ctx, ann, "admin", one.ID, tenant.Operator))
		_, err := b.EditSection(b.ctx, ann, "admin", "identifications", json.RawMessage(`{"enabled":["username"]}`), admin.Edit{AutoPublish: true})
		refusal := refused(t, err, tenant.ErrLastWayIn)
		if refusal.Info["last_admin"] != true || refusal.Info["losing"] != 2 {
			t.Errorf("facts %v", refusal.Info)
		}

		// The last operator can't be disabled, deleted, demoted, removed or stripped.
		refused(t, errOf(b.DisableUser(b.ctx, ann, "admin", one.ID, "", time.Time{})), tenant.ErrLastWayIn)
		refused(t, b.DeleteUser(b.ctx, ann, "admin", one.ID), tenant.ErrLastWayIn)
		refused(t, b.SetMemberRole(b.ctx, ann, "admin", one.ID, tenant.Viewer), tenant.ErrLastWayIn)
		refused(t, b.RemoveMember(b.ctx, ann, "admin", one.ID), tenant.ErrLastWayIn)
		refused(t, errOf(b.RemoveIdentity(b.ctx, ann, "admin", one.ID, one.Identities[0].ID)), tenant.ErrLastWayIn)
		refused(t, errOf(b.RemoveAuthenticator(b.ctx, ann, "admin", one.ID, one.Authenticators[0].ID)), tenant.ErrLastWayIn)

		must(t, b.SetMemberRole(b.ctx, ann, "admin", two.ID, tenant.Operator))
		// Of two operators who turn on each other one stays.
		var wg sync.WaitGroup
		results := make([]error, 2)
		for i, u := range []*tenant.UserRecord{one, two} {
			wg.Go(func() { results[i] = b.RemoveMember(b.ctx, ann, "admin", u.ID) })
		}
		wg.Wait()
		grants, err := b.Store.GrantsIn(b.ctx, tenant.PlatformDomain)
		must(t, err)
		if len(grants) != 1 {
			t.Errorf("operators left: %v (%v)", grants, results)
		}
		left := grants[0].UserID
		must(t, b.SetMemberRole(b.ctx, ann, "acme", left, tenant.Viewer))
		must(t, b.SetMemberRole(b.ctx, ann, "acme", left, tenant.Owner))
		all, err := b.Store.GrantsOf(b.ctx, left)
		must(t, err)
		if len(all) != 2 {
			t.Errorf("grants %v", all)
		}
		refused(t, b.SetMemberRole(b.ctx, ann, "acme", left, tenant.Operator), tenant.ErrValidation)
		refused(t, b.SetMemberRole(b.ctx, ann, "acme", left, "king"), tenant.ErrValidation)
		refused(t, b.SetMemberRole(b.ctx, ann, "acme", "nobody", tenant.Owner), tenant.ErrUserNotFound)
		must(t, b.RemoveMember(b.ctx, ann, "acme", left))
		refused(t, b.RemoveMember(b.ctx, ann, "acme", left), tenant.ErrNotFound)
		b.intact()
	})
}

func TestUsers(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		acme := b.tenant("acme")
		u, err := b.CreateUser(b.ctx, ann, "acme", admin.NewUser{
			Identities: []admin.NewIdentity{{Kind: "email", Value: "Ann@Example.com", Verified: true}, {Kind: "phone", Value: "+14155550123"}},
			Password:   "Correct-Horse-7", Standard: json.RawMessage(`{"name":"Ann","nickname":null}`), Custom: json.RawMessage(`{}`),
		})
		must(t, err)
		kept, err := b.Store.User(b.ctx, acme.ID, u.ID)
		must(t, err)
		byKind := func(a, b tenant.Identity) int { return strings.Compare(a.Kind, b.Kind) }
		slices.SortFunc(kept.Identities, byKind)
		if d := cmp.Diff(u, kept); d != "" {
			t.Errorf("kept otherwise: %s", d)
		}
		if ok, _, err := b.Hasher.Verify(b.ctx, b.published("acme").Authenticators.Password, kept.Authenticators[0].Secret, "Correct-Horse-7"); !ok || err != nil {
			t.Errorf("the password: %v %v", ok, err)
		}
		if e := b.audit("acme"); e.UserID != u.ID || strings.Contains(string(e.Detail), "ann@") || strings.Contains(string(e.Detail), "Horse") {
			t.Errorf("audited %+v %s", e, e.Detail)
		}

		mail := []admin.NewIdentity{{Kind: "email", Value: "new@example.com"}}
		for name, c := range map[string]struct {
			in   admin.NewUser
			want *tenant.Error
			at   string
		}{
			"nobody":     {admin.NewUser{}, tenant.ErrValidation, "/identities"},
			"bad mail":   {admin.NewUser{Identities: append(mail[:1:1], admin.NewIdentity{Kind: "email", Value: "@"})}, tenant.ErrValidation, "/identities/1/value"},
			"bad kind":   {admin.NewUser{Identities: []admin.NewIdentity{{Kind: "fax", Value: "1"}}}, tenant.ErrValidation, "/identities/0/value"},
			"twice":      {admin.NewUser{Identities: append(mail[:1:1], admin.NewIdentity{Kind: "email", Value: "NEW@example.com"})}, tenant.ErrValidation, "/identities/1"},
			"password":   {admin.NewUser{Identities: mail, Password: "short"}, tenant.ErrPasswordPolicy, "/password"},
			"attributes": {admin.NewUser{Identities: mail, Custom: json.RawMessage(`[1]`)}, tenant.ErrValidation, "/custom"},
			"taken":      {admin.NewUser{Identities: []admin.NewIdentity{{Kind: "email", Value: "ann@EXAMPLE.com"}}}, tenant.ErrDuplicatedIdentity, ""},
		} {
			_, err := b.CreateUser(b.ctx, ann, "acme", c.in)
			refusal := refused(t, err, c.want)
			at := ""
			if causes, ok := refusal.Info["causes"].([]tenant.Cause); ok {
				at = causes[0].Location
			}
			if at != c.at {
				t.Errorf("%s: at %q, want %q", name, at, c.at)
			}
		}

		u, err = b.UpdateUser(b.ctx, ann, "acme", u.ID, admin.UserChange{Standard: json.RawMessage(`{"name":null,"locale":"de"}`)})
		must(t, err)
		if string(u.Attributes.Standard) != `{"locale":"de"}` {
			t.Errorf("attributes %s", u.Attributes.Standard)
		}
		if e := b.audit("acme"); !strings.Contains(string(e.Detail), `"/standard/name"`) || strings.Contains(string(e.Detail), "Ann") {
			t.Errorf("audited %s", e.Detail)
		}
		_, err = b.UpdateUser(b.ctx, ann, "acme", "nobody", admin.UserChange{Standard: json.RawMessage(`{}`)})
		refused(t, err, tenant.ErrUserNotFound)
		_, err = b.UpdateUser(b.ctx, ann, "admin", u.ID, admin.UserChange{Standard: json.RawMessage(`{"a":1}`)})
		refused(t, err, tenant.ErrUserNotFound) // another tenant's

		u, err = b.DisableUser(b.ctx, ann, "acme", u.ID, "asked to", time.Time{})
		must(t, err)
		if u.State != tenant.UserDisabled || u.DisabledReason != "asked to" {
			t.Errorf("disabled: %+v", u)
		}
		u, err = b.EnableUser(b.ctx, ann, "acme", u.ID)
		must(t, err)
		if u.State != tenant.UserActive || u.DisabledReason != "" {
			t.Errorf("enabled: %+v", u)
		}
		u, err = b.RemoveIdentity(b.ctx, ann, "acme", u.ID, kept.Identities[1].ID)
		must(t, err)
		if len(u.Identities) != 1 || u.Identities[0].Kind != "email" {
			t.Errorf("identities %v", u.Identities)
		}
		refused(t, errOf(b.RemoveIdentity(b.ctx, ann, "acme", u.ID, "nothing")), tenant.ErrNotFound)
		must(t, b.DeleteUser(b.ctx, ann, "acme", u.ID))
		refused(t, b.DeleteUser(b.ctx, ann, "acme", u.ID), tenant.ErrUserNotFound)
		b.intact()
	})
}

func TestKeys(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	key, k, err := b.CreateAPIKey(b.ctx, ann, "acme", admin.NewAPIKey{Name: "ci", Role: tenant.Editor})
	must(t, err)
	if !strings.HasPrefix(key, "usher_acme_") || len(key) != len("usher_acme_")+32 || k.LastFour != key[len(key)-4:] || !k.ExpiresAt.Equal(b.now.Add(90*24*time.Hour)) {
		t.Errorf("%s %+v", key, k)
	}
	kept, err := b.Store.APIKeyByHash(b.ctx, b.tenant("acme").ID, secret.TokenHash(key))
	must(t, err)
	if d := cmp.Diff(k, kept); d != "" {
		t.Errorf("kept otherwise: %s", d)
	}
	if e := b.audit("acme"); e.Action != "api_key.create" || strings.Contains(string(e.Detail), key) || strings.Contains(string(e.Detail), k.Hash) {
		t.Errorf("audited %s", e.Detail)
	}
	k, err = b.RevokeAPIKey(b.ctx, ann, "acme", k.ID)
	must(t, err)
	if k.RevokedAt.IsZero() {
		t.Error("not revoked")
	}
	refused(t, errOf(b.RevokeAPIKey(b.ctx, ann, "admin", k.ID)), tenant.ErrNotFound)
	for _, n := range []admin.NewAPIKey{
		{Name: "", Role: tenant.Editor}, {Name: "x", Role: "king"}, {Name: "x", Role: tenant.Operator},
		{Name: "x", Role: tenant.Viewer, ExpiresAt: b.now}, {Name: "x", Role: tenant.Viewer, ExpiresAt: b.now.AddDate(2, 0, 0)},
	} {
		_, _, err := b.CreateAPIKey(b.ctx, ann, "acme", n)
		refused(t, err, tenant.ErrValidation)
	}
}

func TestBootstrapKey(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	for _, key := range []string{"", "short", "changeme-changeme-changeme", "xxxxxxxxxxxxxxxxxxxxxxxxxxx", "abababababababababababab", "REPLACE_ME_WITH_A_SECRET", "with spaces is no good key", "your-api-key-goes-in-here"} {
		_, err := b.EnsureBootstrapKey(b.ctx, key)
		refused(t, err, tenant.ErrValidation)
	}
	key := "7b1c0e6a9f4d42d8b7d3c5f0a1e2b3c4"
	made, err := b.EnsureBootstrapKey(b.ctx, key)
	must(t, err)
	k, err := b.Store.APIKeyByHash(b.ctx, b.tenant("admin").ID, secret.TokenHash(key))
	must(t, err)
	if !made || k.Role != tenant.Operator {
		t.Errorf("made %v: %+v", made, k)
	}
	for _, again := range []string{key, "another-0e6a9f4d42d8b7d3c5f0a1e"} {
		made, err := b.EnsureBootstrapKey(b.ctx, again)
		if made || err != nil {
			t.Errorf("on a used database: %v %v", made, err)
		}
	}
	if _, made, err := b.EnsureAdminTenant(b.ctx, "console.example.com"); made || err != nil || b.tenant("admin").PrimaryHost() != "console.example.com" {
		t.Errorf("a new admin host: %v %v %v", made, err, b.tenant("admin").Hosts)
	}
}

func TestBootstrap(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		cli := admin.Actor{Kind: tenant.ActorCLI, ID: "root"}
		_, err := b.Bootstrap(b.ctx, cli, "nonsense")
		refused(t, err, tenant.ErrValidation)
		first, err := b.Bootstrap(b.ctx, cli, "ops@example.com")
		must(t, err)
		second, err := b.Bootstrap(b.ctx, cli, "OPS@example.com")
		must(t, err)
		if first.User.ID != second.User.ID || first.SetupToken == second.SetupToken {
			t.Errorf("%+v %+v", first, second)
		}
		secrets, err := b.Store.Secrets(b.ctx, b.tenant("admin").ID)
		must(t, err)
		if len(secrets) != 1 || strings.Contains(fmt.Sprint(secrets), second.SetupToken) {
			t.Errorf("secrets %v", secrets)
		}
		k, err := b.Store.APIKeyByHash(b.ctx, b.tenant("admin").ID, secret.TokenHash(second.Key))
		must(t, err)
		if k.Role != tenant.Operator {
			t.Errorf("key %+v", k)
		}

		nobody := admin.Actor{Kind: tenant.ActorNobody, IP: "192.0.2.9"}
		refused(t, errOf(b.CompleteSetup(b.ctx, nobody, first.SetupToken, "Correct-Horse-7")), tenant.ErrInvalidCredentials)
		refused(t, errOf(b.CompleteSetup(b.ctx, nobody, "usher_setup_x", "Correct-Horse-7")), tenant.ErrInvalidCredentials)
		refused(t, errOf(b.CompleteSetup(b.ctx, nobody, second.SetupToken, "weak")), tenant.ErrPasswordPolicy)

		// Of those who use a link at once one gets through.
		var wg sync.WaitGroup
		results := make([]error, 4)
		for i := range results {
			wg.Go(func() {
				results[i] = errOf(b.CompleteSetup(b.ctx, nobody, second.SetupToken, fmt.Sprintf("Correct-Horse-%d", i)))
			})
		}
		wg.Wait()
		winner := slices.Index(results, nil)
		for i, err := range results {
			if i != winner {
				refused(t, err, tenant.ErrInvalidCredentials)
			}
		}
		account, err := b.Store.Account(b.ctx, b.tenant("admin").ID, first.User.ID)
		must(t, err)
		if len(account.Authenticators) != 1 {
			t.Fatalf("authenticators %v", account.Authenticators)
		}
		ok, _, err := b.Hasher.Verify(b.ctx, b.published("admin").Authenticators.Password, account.Authenticators[0].Secret, fmt.Sprintf("Correct-Horse-%d", winner))
		if !ok || err != nil {
			t.Errorf("the password: %v %v", ok, err)
		}

		third, err := b.Bootstrap(b.ctx, cli, "ops@example.com")
		must(t, err)
		b.wait(24 * time.Hour)
		refused(t, errOf(b.CompleteSetup(b.ctx, nobody, third.SetupToken, "Correct-Horse-9")), tenant.ErrInvalidCredentials)
		b.intact()
	})
}
