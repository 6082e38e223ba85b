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
		b.edit("ldap", "{}", admin.Edit{Secrets: []admin.NamedSecret{{Name: "ldap.office.password", Value: "another"}}})
	})
}

// Who may edit a configuration never reads a secret, not even by having it sent
// to a server of their own.
func TestSecretsStayWhereTheyWereGivenFor(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		given := func(names ...string) (out []admin.NamedSecret) {
			for _, name := range names {
				out = append(out, admin.NamedSecret{Name: name, Value: "the value of " + name})
			}
			return out
		}
		_, err := b.Apply(b.ctx, ann, "acme", admin.Application{Document: []byte(outside), Secrets: given(
			"oauth.google.client_secret", "bot_protection.secret_key", "ldap.office.dn", "ldap.office.password", "smtp.password", "sms.webhook.signing_key", "sms.twilio.auth_token")})
		must(t, err)
		edit := func(section, patch string, secrets ...string) error {
			_, err := b.EditSection(b.ctx, ann, "acme", section, []byte(patch), admin.Edit{Secrets: given(secrets...)})
			return err
		}
		stays := func(err error, want string) {
			t.Helper()
			if got := problems(refused(t, err, tenant.ErrConfigInvalid).Info["problems"]); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		const away = `{"servers": [{"name": "office", "url": "ldaps://evil.example", "search_filter_template": "(uid={{.Username}})", "user_id_attribute_name": "uid"}]}`
		for section, c := range map[string]struct{ patch, want string }{
			"ldap":            {away, "/ldap/servers/0/url SecretGoesElsewhere /ldap/servers/0/url SecretGoesElsewhere"},
			"bot_protection":  {`{"verify_url": "https://evil.example/"}`, "/bot_protection/verify_url SecretGoesElsewhere"},
			"messaging":       {`{"email": {"smtp": {"host": "evil.example"}}}`, "/messaging/email/smtp/host SecretGoesElsewhere"},
			"oauth_providers": {`[{"alias": "google", "type": "github", "client_id": "x"}]`, "/oauth_providers/0/type SecretGoesElsewhere"},
			"":                {`{"messaging": {"sms": {"twilio": {"base_url": "https://evil.example"}}}}`, "/messaging/sms/twilio/base_url SecretGoesElsewhere"},
		} {
			stays(edit(section, c.patch), c.want)
		}
		must(t, edit("messaging", `{"sms": {"webhook": {"url": "https://another.example/"}}}`)) // it signs, and isn't sent
		moved := strings.Replace(outside, "smtp.example", "evil.example", 1)
		for _, dry := range []bool{true, false} {
			done, err := b.Apply(b.ctx, ann, "acme", admin.Application{Document: []byte(moved), DryRun: dry})
			if !dry {
				stays(err, "/messaging/email/smtp/host SecretGoesElsewhere")
			} else if must(t, err); problems(done.Problems) != "/messaging/email/smtp/host SecretGoesElsewhere" {
				t.Error("a dry run:", done.Problems)
			}
		}

		// Not in two steps either: out of the configuration, and in again elsewhere.
		_, err = b.DiscardDraft(b.ctx, ann, "acme", nil)
		must(t, err)
		b.edit("", `{"ldap": {"servers": []}, "identifications": {"enabled": ["email", "oauth"]}}`, admin.Edit{AutoPublish: true})
		stays(edit("ldap", away, "ldap.office.dn"), "/ldap/servers/0/url SecretGoesElsewhere")
		b.edit("ldap", away, admin.Edit{AutoPublish: true, Secrets: given("ldap.office.dn", "ldap.office.password")})

		// Nor back to where it once was: that server may be somebody else's now.
		_, err = b.Rollback(b.ctx, ann, "acme", 2, admin.Publication{})
		stays(err, "/ldap/servers/0/url SecretGoesElsewhere /ldap/servers/0/url SecretGoesElsewhere")
		b.edit("ldap", "{}", admin.Edit{Secrets: []admin.NamedSecret{{Name: "ldap.office.dn"}, {Name: "ldap.office.password"}}})
		_, err = b.Rollback(b.ctx, ann, "acme", 2, admin.Publication{})
		must(t, err)

		// A draft that a secret was given along with may be published without it.
		must(t, edit("messaging", `{"email": {"smtp": {"host": "new.example"}}}`, "smtp.password"))
		p, err := b.Plan(b.ctx, b.tenant("acme"))
		must(t, err)
		if len(p.Problems) > 0 {
			t.Error(p.Problems)
		}
		must(t, edit("messaging", `{"email": {"smtp": {"username": "you"}}}`))
		_, err = b.Publish(b.ctx, ann, "acme", admin.Publication{})
		must(t, err)
		b.intact()
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
