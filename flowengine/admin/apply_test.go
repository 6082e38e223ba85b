package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

const shop = `
identifications: {enabled: [email, oauth]}
oauth_providers:
  - {alias: google, type: google, client_id: shop}
password_policy: {minimum_length: 10}
flows:
  login_flows:
    - name: quick
      steps:
        - type: identify
          one_of:
            - identification: email
              steps: [{type: authenticate, one_of: [{authentication: primary_password}]}]
`

func (b *bench) apply(in admin.Application) *admin.Applied {
	b.t.Helper()
	done, err := b.Apply(b.ctx, ann, "acme", in)
	must(b.t, err)
	return done
}

func TestApply(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		in := admin.Application{Document: []byte(shop), Secrets: []admin.NamedSecret{{Name: "oauth.google.client_secret", Value: "s3cr3t-of-the-shop"}}, DryRun: true}
		before := b.auditCount("acme")
		dry := b.apply(in)
		if b.auditCount("acme") != before || b.tenant("acme").Version != 1 || dry.Published != nil {
			t.Error("a dry run did something")
		}
		in.DryRun, in.Message = false, "the shop"
		done := b.apply(in)
		if done.Published == nil || done.Published.Number != 2 || done.Tenant.Version != 2 {
			t.Fatalf("applied %+v", done)
		}
		if d := cmp.Diff(dry.Changes, done.Changes); d != "" {
			t.Errorf("-dry run +apply: %s", d)
		}
		golden(t, "testdata/apply.golden", map[string]any{"changes": done.Changes, "flows": done.Flows, "secrets": done.SecretsChanged})

		// Sealed, and nowhere to be seen.
		acme := b.tenant("acme")
		sealed, err := b.Store.OpenSecret(b.ctx, acme.ID, "oauth.google.client_secret")
		must(t, err)
		plain, err := b.Master.Open(acme, tenant.SecretTable, "oauth.google.client_secret", sealed)
		must(t, err)
		if string(plain) != "s3cr3t-of-the-shop" || bytes.Contains(sealed, []byte("s3cr3t")) {
			t.Errorf("the secret is kept as %q, opens as %q", sealed, plain)
		}
		if e := b.audit("acme"); e.Action != "config.apply" || strings.Contains(string(e.Detail), "s3cr3t") || !strings.Contains(string(e.Detail), `"secrets":["oauth.google.client_secret"]`) {
			t.Errorf("audited %s", e.Detail)
		}
		secrets, err := b.Store.Secrets(b.ctx, acme.ID)
		must(t, err)
		if len(secrets) != 1 || secrets[0].LastFour != "shop" {
			t.Errorf("secrets %+v", secrets)
		}

		// Applying the same again does nothing at all.
		before = b.auditCount("acme")
		done = b.apply(in)
		if done.Published != nil || len(done.SecretsChanged) != 0 || !done.Empty() || b.auditCount("acme") != before {
			t.Errorf("applied again: %+v", done)
		}
		// A new secret alone is a change without a version.
		in.Secrets[0].Value = "another-secret-of-the-shop"
		done = b.apply(in)
		if done.Published != nil || len(done.SecretsChanged) != 1 || b.tenant("acme").Version != 2 || b.auditCount("acme") != before+1 {
			t.Errorf("applied a secret: %+v", done)
		}

		// What is exported is what was applied: to the byte, in either form.
		cfg := b.published("acme")
		for _, text := range [][]byte{document.YAML(cfg), first(document.Encode(cfg))} {
			done = b.apply(admin.Application{Document: text})
			if !done.Empty() || !bytes.Equal(document.YAML(cfg), document.YAML(b.published("acme"))) {
				t.Errorf("a round trip changed %v", done.Changes)
			}
		}

		// A draft survives; what a document leaves out takes the default.
		b.edit("accounts", `{"public_signup":false}`, admin.Edit{})
		b.apply(admin.Application{Document: []byte("{}")})
		if d := cmp.Diff(tenant.DefaultConfig(), b.published("acme")); d != "" {
			t.Errorf("an empty document: %s", d)
		}
		if _, d, err := b.Draft(b.ctx, b.tenant("acme")); d == nil || err != nil {
			t.Errorf("the draft: %v %v", d, err)
		}
		b.intact()
	})
}

func first(text []byte, _ string) []byte { return text }

func TestApplyRefuses(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	broken := `{"accounts":{"public":true},"sessions":{"lifetime_seconds":1}}`
	unworkable := `{"sessions":{"lifetime_seconds":60},"flows":{"login_flows":[{"name":"open","steps":[{"type":"identify","one_of":[{"identification":"email"}]}]}]}}`
	for name, c := range map[string]struct {
		in       admin.Application
		want     *tenant.Error
		problems string
	}{
		"schema":       {admin.Application{Document: []byte(broken)}, tenant.ErrConfigInvalid, "/accounts/public UnknownKey /sessions/lifetime_seconds OutOfRange"},
		"rules":        {admin.Application{Document: []byte(unworkable)}, tenant.ErrConfigInvalid, "/sessions/idle_timeout_seconds OutOfOrder /flows/login_flows/0 ProvesNothing"},
		"secret":       {admin.Application{Document: []byte(shop), Secrets: []admin.NamedSecret{{Name: "smtp.passwort", Value: "x"}}}, tenant.ErrValidation, ""},
		"empty secret": {admin.Application{Document: []byte(shop), Secrets: []admin.NamedSecret{{Name: "oauth.google.client_secret"}}}, tenant.ErrValidation, ""},
		"format":       {admin.Application{Document: []byte("id: shop"), Format: "TOML"}, tenant.ErrValidation, ""},
		"foreign":      {admin.Application{Document: []byte("authentication: {identities: []}"), Format: admin.FormatAuthgear}, tenant.ErrConfigInvalid, "/authentication/identities NoWayIn"},
		"guard":        {admin.Application{Document: []byte(shop), ExpectedVersion: new(int64(7))}, tenant.ErrVersionConflict, ""},
	} {
		_, err := b.Apply(b.ctx, ann, "acme", c.in)
		refusal := refused(t, err, c.want)
		if got := problems(refusal.Info["problems"]); got != c.problems {
			t.Errorf("%s: %q, want %q", name, got, c.problems)
		}
		if c.want != tenant.ErrConfigInvalid {
			continue
		}
		c.in.DryRun = true
		plan := b.apply(c.in)
		if got := problems(plan.Problems); got != c.problems {
			t.Errorf("%s, dry run: %q, want %q", name, got, c.problems)
		}
	}
	if b.tenant("acme").Version != 1 {
		t.Error("something was published")
	}
}

func problems(v any) string {
	var out []string
	ps, _ := v.([]tenant.Problem)
	for _, p := range ps {
		out = append(out, p.Pointer+" "+p.Reason)
	}
	return strings.Join(out, " ")
}

// Secrets come along with an edit, and are kept at once whether it is published or not.
func TestSecretsOfAnEdit(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	const name = "oauth.google.client_secret"
	set := func(section, patch, value string) error {
		_, err := b.EditSection(b.ctx, ann, "acme", section, []byte(patch), admin.Edit{Secrets: []admin.NamedSecret{{Name: name, Value: value}}})
		return err
	}
	kept := func() string {
		secrets, err := b.Store.Secrets(b.ctx, b.tenant("acme").ID)
		must(t, err)
		var out []string
		for _, s := range secrets {
			out = append(out, s.Name+":"+s.LastFour)
		}
		return strings.Join(out, " ")
	}
	refused(t, set("web", "{}", "too early"), tenant.ErrValidation)
	must(t, set("oauth_providers", `[{"alias":"google","type":"google"}]`, "short"))
	if got := kept(); got != name+":" {
		t.Error("of a short secret is kept", got)
	}
	before := b.auditCount("acme")
	must(t, set("web", "{}", "short"))
	if b.auditCount("acme") != before {
		t.Error("the same secret again was audited")
	}
	must(t, set("web", "{}", "a long one that ends with 0042"))
	if got := kept(); got != name+":0042" || b.auditCount("acme") != before+1 {
		t.Error("kept:", got)
	}
	if _, d, err := b.Draft(b.ctx, b.tenant("acme")); d == nil || err != nil {
		t.Errorf("the draft: %v %v", d, err)
	}
	refused(t, set("web", "{}", strings.Repeat("x", 1<<14+1)), tenant.ErrValidation)
	refused(t, set("web", `{"nonsense": 1}`, "not kept either"), tenant.ErrConfigInvalid)
	must(t, set("web", "{}", ""))
	must(t, set("web", "{}", "")) // there is nothing to forget any more
	if got := kept(); got != "" || b.auditCount("acme") != before+2 {
		t.Error("kept:", got)
	}
	b.intact()
}

// The log names the row that somebody changed behind our back.
func TestVerifyAuditNamesTheBadRow(t *testing.T) {
	url := testenv.SQLite(t)
	b := newBench(t, url)
	for _, n := range []string{"10", "11", "12"} {
		b.edit("password_policy", `{"minimum_length":`+n+`}`, admin.Edit{})
	}
	good, err := b.VerifyAudit(b.ctx, "acme")
	must(t, err)
	if good.Bad != nil || good.Rows != 4 || len(good.Head) != 64 {
		t.Errorf("report %+v", good)
	}
	db := b.Store.(*store.Store).DB()
	var id string
	must(t, db.NewRaw("SELECT id FROM audit_log WHERE tenant_id = ? AND seq = 3", b.tenant("acme").ID).Scan(b.ctx, &id))
	_, err = db.NewRaw("UPDATE audit_log SET actor_id = 'bob' WHERE id = ?", id).Exec(context.Background())
	must(t, err)
	report, err := b.VerifyAudit(b.ctx, "acme")
	must(t, err)
	if report.Bad == nil || report.Bad.Seq != 3 || report.Bad.ID != id || report.Rows != 2 {
		t.Errorf("report %+v %+v", report, report.Bad)
	}
	_, err = db.NewRaw("DELETE FROM audit_log WHERE id = ?", id).Exec(context.Background())
	must(t, err)
	report, err = b.VerifyAudit(b.ctx, "acme")
	must(t, err)
	if report.Bad == nil || report.Bad.Seq != 3 || !strings.Contains(report.Bad.Why, "missing") {
		t.Errorf("report %+v %+v", report, report.Bad)
	}
}

// A log that is gone is no log without events.
func TestVerifyAuditMissesAWipedLog(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	db := b.Store.(*store.Store).DB()
	for _, table := range []string{"audit_log", "audit_head"} {
		_, err := db.NewRaw("DELETE FROM "+table+" WHERE tenant_id = ?", b.tenant("acme").ID).Exec(b.ctx)
		must(t, err)
	}
	report, err := b.VerifyAudit(b.ctx, "acme")
	must(t, err)
	if report.Bad == nil || report.Bad.Seq != 1 {
		t.Errorf("report %+v", report)
	}
}

// No verb passes without a trace, and none leaves one when it is refused.
func TestRefusalsLeaveNoTrace(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	before := b.auditCount("acme") + b.auditCount("admin")
	name := "x\x00y"
	for what, err := range map[string]error{
		"update":  errOf(b.UpdateTenant(b.ctx, ann, "acme", admin.TenantChange{Name: &name})),
		"suspend": errOf(b.SuspendTenant(b.ctx, ann, "nobody", "x")),
		"delete":  b.DeleteTenant(b.ctx, ann, "nobody", "nobody"),
		"edit":    errOf(b.EditSection(b.ctx, ann, "acme", "nothing", json.RawMessage("{}"), admin.Edit{})),
		"publish": errOf(b.Publish(b.ctx, ann, "nobody", admin.Publication{})),
		"user":    b.DeleteUser(b.ctx, ann, "acme", "nobody"),
		"key":     errOf(b.RevokeAPIKey(b.ctx, ann, "acme", "nothing")),
		"member":  b.RemoveMember(b.ctx, ann, "acme", "nobody"),
	} {
		if refusal := tenant.AsError(err); refusal.Kind == tenant.Internal {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := b.auditCount("acme") + b.auditCount("admin"); after != before {
		t.Errorf("%d events more", after-before)
	}
}
