package admin_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

const outside = `
identifications: {enabled: [email, oauth, ldap]}
oauth_providers: [{alias: google, type: google, client_id: x}]
ldap: {servers: [{name: office, url: "ldaps://office.example", search_filter_template: "(uid={{.Username}})", user_id_attribute_name: uid}]}
bot_protection: {enabled: true, provider: {type: hcaptcha, site_key: key}}
messaging: {sms: {provider: webhook, webhook: {url: "https://sms.example/"}}, email: {provider: smtp, from: a@example.com, smtp: {host: smtp.example, username: me}}}
`

// A plan names the secrets that are missing, until they are given or kept.
func TestMissingSecrets(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		apply := func(dry bool, names ...string) string {
			t.Helper()
			in := admin.Application{Document: []byte(outside), DryRun: dry}
			for _, name := range names {
				in.Secrets = append(in.Secrets, admin.NamedSecret{Name: name, Value: "the value of " + name})
			}
			done, err := b.Apply(b.ctx, ann, "acme", in)
			must(t, err)
			return strings.Join(done.MissingSecrets, " ")
		}
		if got := apply(true); got != "oauth.google.client_secret bot_protection.secret_key smtp.password sms.webhook.signing_key" {
			t.Error("missing:", got)
		}
		if got := apply(true, "bot_protection.secret_key", "ldap.office.dn", "smtp.password"); got != "oauth.google.client_secret ldap.office.password sms.webhook.signing_key" {
			t.Error("missing:", got)
		}
		if got := apply(false, "bot_protection.secret_key", "ldap.office.dn", "ldap.office.password", "smtp.password"); got != "oauth.google.client_secret sms.webhook.signing_key" {
			t.Error("missing:", got)
		}
		p, err := b.Plan(b.ctx, b.tenant("acme"))
		must(t, err)
		if got := strings.Join(p.MissingSecrets, " "); got != "oauth.google.client_secret sms.webhook.signing_key" {
			t.Error("missing of what is in force:", got)
		}
		_, err = b.Apply(b.ctx, ann, "acme", admin.Application{Document: []byte(outside), Secrets: []admin.NamedSecret{{Name: "ldap.home.dn", Value: "x"}}})
		refused(t, err, tenant.ErrValidation)
		must(t, b.SetSecret(b.ctx, ann, "acme", admin.NamedSecret{Name: "ldap.office.password", Value: "another"}))
	})
}

// Users of a directory are brought along by an export, as what the directory
// knows them by.
func TestUsersOfDirectoriesMove(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		_, err := b.CreateTenant(b.ctx, ann, admin.NewTenant{Slug: "moved", Hosts: []string{"moved.localhost"}})
		must(t, err)
		for _, slug := range []string{"acme", "moved"} {
			_, err := b.Apply(b.ctx, ann, slug, admin.Application{Document: []byte(outside)})
			must(t, err)
		}
		const users = `{"users": [{"identities": [{"kind": "ldap", "value": "office:uid:YWRh", "shown": "Ada", "verified": true}, {"kind": "email", "value": "Ada@example.com"}]},
			{"identities": [{"kind": "ldap", "value": "ada"}]}, {"identities": [{"kind": "ldap", "value": "office:UID:YWRh"}]}]}`
		done, err := b.ImportUsers(b.ctx, ann, "acme", strings.NewReader(users), admin.Import{})
		must(t, err)
		if done.Summary.Inserted != 1 || done.Summary.Failed != 2 {
			t.Errorf("%+v", done)
		}
		var exported bytes.Buffer
		_, err = b.ExportUsers(b.ctx, ann, "acme", &exported, true)
		must(t, err)
		done, err = b.ImportUsers(b.ctx, ann, "moved", &exported, admin.Import{})
		must(t, err)
		if done.Summary.Inserted != 1 {
			t.Errorf("%+v", done)
		}
		list, err := b.Store.Users(b.ctx, b.tenant("moved").ID, tenant.UserFilter{}, tenant.Page{Limit: 9})
		must(t, err)
		is := func(i tenant.Identity) bool {
			return i.Kind == "ldap" && i.Value == "office:uid:YWRh" && i.Shown == "Ada" && !i.VerifiedAt.IsZero()
		}
		if len(list) != 1 || !slices.ContainsFunc(list[0].Identities, is) {
			t.Errorf("%+v", list)
		}
	})
}
