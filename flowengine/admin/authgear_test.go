package admin_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
	"github.com/usher-id/usher/testenv"
)

// An Authgear project is applied, and from then on its configuration is one of
// ours: exported, applied again, exported, not a byte differs.
func TestApplyAuthgear(t *testing.T) {
	files, err := filepath.Glob("../../tenant/authgear/testdata/*.yaml")
	must(t, err)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			b := newBench(t, testenv.SQLite(t))
			doc, err := os.ReadFile(file)
			must(t, err)
			in := admin.Application{Format: admin.FormatAuthgear, Document: doc, DryRun: true}
			before := b.auditCount("acme")
			dry := b.apply(in)
			if b.auditCount("acme") != before || dry.Published != nil || len(dry.Untranslated) == 0 {
				t.Errorf("a dry run: %+v", dry)
			}
			in.DryRun = false
			done := b.apply(in)
			if d := cmp.Diff(dry.Changes, done.Changes) + cmp.Diff(dry.Untranslated, done.Untranslated); d != "" || done.Published == nil {
				t.Errorf("-dry run +apply: %s", d)
			}
			if e := b.audit("acme"); !strings.Contains(string(e.Detail), `"format":"AUTHGEAR"`) {
				t.Errorf("audited %s", e.Detail)
			}
			if again := b.apply(in); again.Published != nil || !again.Empty() {
				t.Errorf("applied again: %v", again.Changes)
			}
			exported := document.YAML(b.published("acme"))
			if again := b.apply(admin.Application{Document: exported}); again.Published != nil || !again.Empty() {
				t.Errorf("a round trip changed %v", again.Changes)
			}
			if again := document.YAML(b.published("acme")); !bytes.Equal(exported, again) {
				t.Errorf("a round trip: %s", cmp.Diff(string(exported), string(again)))
			}
			b.intact()
		})
	}
}

func TestApplyAuthgearSecrets(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	done := b.apply(admin.Application{
		Format:   admin.FormatAuthgear,
		Document: []byte("identity: {oauth: {providers: [{type: google, client_id: a}, {type: myspace, client_id: b}]}}"),
		Secrets: []admin.NamedSecret{
			{Name: "oauth.google.client_secret", Value: "the secret of google"}, {Name: "oauth.myspace.client_secret", Value: "the secret of myspace"},
		},
	})
	if !cmp.Equal(done.SecretsChanged, []string{"oauth.google.client_secret"}) {
		t.Errorf("changed %v", done.SecretsChanged)
	}
	if !slices.ContainsFunc(done.Untranslated, func(p tenant.Problem) bool { return p.Pointer == "/secrets/1/name" }) {
		t.Errorf("untranslated %v", done.Untranslated)
	}
	if ids := b.published("acme").Identifications.Enabled; !cmp.Equal(ids, []string{"oauth", "email"}) {
		t.Errorf("identifications %v", ids)
	}
}
