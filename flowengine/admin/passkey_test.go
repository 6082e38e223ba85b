package admin_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

// withPasskey imports a user with a passkey, as an export would bring them.
func (b *bench) withPasskey(email string) *tenant.UserRecord {
	b.t.Helper()
	c := newKey()
	p := tenant.Passkey{
		ID: base64.RawURLEncoding.EncodeToString(c.ID), PublicKey: c.Key.AttestationData(), UserHandle: []byte("handle"),
		AAGUID: "bada5566-a7aa-401f-bd96-45619a55120d", BackupEligible: true, Used: []string{"a"},
	}
	doc, err := json.Marshal(map[string]any{"users": []any{map[string]any{
		"identities":     []any{map[string]any{"kind": "email", "value": email}},
		"authenticators": []any{map[string]any{"type": "primary_passkey", "passkey": p}},
	}}})
	must(b.t, err)
	done, err := b.ImportUsers(b.ctx, ann, "acme", strings.NewReader(string(doc)), admin.Import{})
	must(b.t, err)
	if done.Summary.Inserted != 1 {
		b.t.Fatalf("%+v", done)
	}
	u, err := b.Store.User(b.ctx, b.tenant("acme").ID, done.Details[0].UserID)
	must(b.t, err)
	if len(u.Identities) != 2 || len(u.Authenticators) != 1 || u.Authenticators[0].Name() != "1Password" {
		b.t.Fatalf("the user: %+v", u)
	}
	return u
}

// newKey makes a credential. The library forgets to pad coordinates that begin
// with a zero byte (RFC 9053 section 7.1.1), so such keys are passed over.
func newKey() virtualwebauthn.Credential {
	for {
		if c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(c.Key.AttestationData()) == 77 {
			return c
		}
	}
}

func TestPasskeysOfUsers(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		u := b.withPasskey("pia@example.com")
		u, err := b.RemoveAuthenticator(b.ctx, ann, "acme", u.ID, u.Authenticators[0].ID)
		must(t, err)
		if len(u.Authenticators) != 0 || len(u.Identities) != 1 || u.Identities[0].Kind != "email" {
			t.Errorf("without the passkey: %+v", u)
		}
		u = b.withPasskey("pat@example.com")
		for _, i := range u.Identities {
			if i.Kind == tenant.PasskeyKind {
				u, err = b.RemoveIdentity(b.ctx, ann, "acme", u.ID, i.ID)
				must(t, err)
			}
		}
		if len(u.Authenticators) != 0 || len(u.Identities) != 1 {
			t.Errorf("without the passkey's identity: %+v", u)
		}
		b.withPasskey("pam@example.com")

		// They go out and come back; an update without credentials leaves them.
		full, plain := b.export(true), b.export(false)
		if strings.Contains(plain, "passkey") || strings.Contains(full, `"kind":"passkey"`) {
			t.Errorf("the exports: %s\n%s", full, plain)
		}
		other := newBench(t, testenv.SQLite(t))
		for _, doc := range []string{full, strings.Replace(plain, `"upsert":false`, `"upsert":true`, 1), strings.Replace(full, `"upsert":false`, `"upsert":true`, 1)} {
			done, err := other.ImportUsers(other.ctx, ann, "acme", strings.NewReader(doc), admin.Import{})
			must(t, err)
			if done.Summary.Failed+done.Summary.Skipped > 0 {
				t.Fatalf("%+v", done)
			}
			us, err := other.Store.Users(other.ctx, other.tenant("acme").ID, tenant.UserFilter{Search: "pam@"}, tenant.Page{Limit: 5})
			must(t, err)
			if len(us) != 1 || len(us[0].Authenticators) != 1 || len(us[0].Identities) != 2 {
				t.Fatalf("brought back: %+v", us[0])
			}
		}
		for name, spoil := range map[string]string{"id": `"id":"AAAA"`, "key": `"public_key":"AAAA"`, "handle": `"user_handle":""`} {
			key, _, _ := strings.Cut(spoil, ":")
			i := strings.Index(full, `"passkey":{`)
			j := i + strings.Index(full[i:], key)
			k := j + strings.IndexAny(full[j:], ",}")
			done, err := other.ImportUsers(other.ctx, ann, "acme", strings.NewReader(full[:j]+spoil+full[k:]), admin.Import{DryRun: true})
			must(t, err)
			if done.Summary.Failed != 1 {
				t.Errorf("a wrong %s: %+v", name, done)
			}
		}
	})
}

// The relying party id has to cover the hosts, whichever of them changes.
func TestRelyingPartyCoversHosts(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	b.edit("passkeys", `{"rp_id":"example.com"}`, admin.Edit{})
	_, err := b.Publish(b.ctx, ann, "acme", admin.Publication{})
	refused(t, err, tenant.ErrConfigInvalid)
	_, err = b.UpdateTenant(b.ctx, ann, "acme", admin.TenantChange{Hosts: []string{"login.example.com", "example.com"}})
	must(t, err)
	_, err = b.Publish(b.ctx, ann, "acme", admin.Publication{})
	must(t, err)
	_, err = b.UpdateTenant(b.ctx, ann, "acme", admin.TenantChange{Hosts: []string{"acme.localhost"}})
	if e := refused(t, err, tenant.ErrValidation); !strings.Contains(e.Error(), "/passkeys/rp_id") {
		t.Error(e)
	}
	_, err = b.CreateTenant(b.ctx, ann, admin.NewTenant{Slug: "copy", Hosts: []string{"copy.localhost"}, Template: "acme"})
	refused(t, err, tenant.ErrConfigInvalid)
}
