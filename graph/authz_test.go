package graph_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/testenv"
)

func sqliteURL(t *testing.T) string { return testenv.SQLite(t) }

func (w *world) nodeID(typ, slug, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(typ + ":" + w.tenants[slug].ID + ":" + id))
}

// TestAnotherTenantDoesNotExist: whatever names something of another tenant is
// answered as something that was never there.
func TestAnotherTenantDoesNotExist(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		theirs := w.newUser("other", "somebody@example.com")
		mine := w.newUser("acme", "me@example.com")

		same := func(name, foreign, missing string) {
			t.Helper()
			a, b := w.ask("acme/owner", foreign, nil), w.ask("acme/owner", missing, nil)
			if strip(a.raw) != strip(b.raw) || !strings.Contains(a.reason(), "NotFound") {
				t.Errorf("%s: another's is answered with\n%s\nand what isn't there with\n%s", name, a.raw, b.raw)
			}
		}
		same("tenant", `{ tenant(slug: "other") { name } }`, `{ tenant(slug: "missing") { name } }`)
		same("mutation", `mutation { deleteUser(input: {tenant: "other", user: "x"}) { deletedId } }`, `mutation { deleteUser(input: {tenant: "missing", user: "x"}) { deletedId } }`)
		node := func(id string) string { return fmt.Sprintf(`{ node(id: %q) { id __typename } }`, id) }
		for _, id := range []string{
			w.nodeID("Tenant", "other", ""), w.nodeID("User", "other", theirs), w.nodeID("ConfigVersion", "other", "1"), w.nodeID("FlowRun", "other", "x"),
			w.nodeID("User", "acme", theirs), w.nodeID("User", "admin", "x"), "nonsense",
			base64.RawURLEncoding.EncodeToString([]byte("Secret:" + w.tenants["acme"].ID + ":x")),
		} {
			same("node", node(id), node(w.nodeID("User", "acme", secret.NewID())))
		}
		if a := w.ask("acme/owner", node(w.nodeID("User", "acme", mine)), nil); a.at("node", "__typename") != "User" {
			t.Errorf("the tenant's own: %s", a.raw)
		}

		// A foreign user under the own tenant's name.
		for _, user := range []string{theirs, w.nodeID("User", "other", theirs)} {
			a := w.ask("acme/owner", `query($u: ID!) { tenant(slug: "acme") { sessions(filter: {user: $u}) { nodes { id } } } }`, map[string]any{"u": user})
			if n, ok := a.at("tenant", "sessions", "nodes").([]any); !ok || len(n) != 0 {
				t.Errorf("sessions of another's user: %s", a.raw)
			}
		}
		if a := w.ask("acme/owner", `{ tenant(slug: "acme") { users(search: "somebody") { nodes { id } } } }`, nil); len(a.at("tenant", "users", "nodes").([]any)) != 0 {
			t.Errorf("another's user was found: %s", a.raw)
		}
		// The operator sees both.
		if a := w.ask("admin/operator", node(w.nodeID("User", "other", theirs)), nil); a.at("node", "__typename") != "User" {
			t.Errorf("operator: %s", a.raw)
		}
	})
}

// strip takes out what differs from request to request.
func strip(raw string) string {
	i := strings.Index(raw, `"requestId":"`)
	if i < 0 {
		return raw
	}
	j := strings.Index(raw[i+13:], `"`)
	return raw[:i] + raw[i+13+j:]
}

// TestKeys: what a key must be to let anybody in.
func TestKeys(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	const who = `{"query":"{ viewer { kind name grants { role tenant permissions } } }"}`
	denied := func(name, authorization string) {
		t.Helper()
		a := w.post(who, "Authorization", authorization)
		if a.status != http.StatusUnauthorized || a.reason() != "Unauthenticated" || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	denied("nothing", "")
	denied("another scheme", "Basic eDp5")
	denied("no key", "Bearer ")
	denied("unknown", "Bearer "+secret.NewToken("usher_acme_"))
	denied("of an unknown tenant", "Bearer "+secret.NewToken("usher_missing_"))
	denied("another tenant's", "Bearer "+strings.Replace(w.keys["acme/owner"], "acme", "other", 1))
	denied("cut", "Bearer "+w.keys["acme/owner"][:20])

	k := w.newKey("acme", tenant.Support)
	if a := w.post(who, "Authorization", "bearer "+w.keys["acme/support"]); a.at("viewer", "kind") != "API_KEY" ||
		a.at("viewer", "grants", 0, "role") != "SUPPORT" || a.at("viewer", "grants", 0, "tenant") != "acme" {
		t.Errorf("viewer: %s", a.raw)
	}
	w.change(k.TenantID, func(tx tenant.Tx) error { _, err := tx.RevokeAPIKey(k.TenantID, k.ID, time.Now()); return err })
	denied("revoked", "Bearer "+w.keys["acme/support"])

	expired := secret.NewToken("usher_acme_")
	w.change(k.TenantID, func(tx tenant.Tx) error {
		return tx.CreateAPIKey(&tenant.APIKey{TenantID: k.TenantID, ID: secret.NewID(), Name: "old", Hash: secret.TokenHash(expired), Role: tenant.Owner, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(-time.Second)})
	})
	denied("expired", "Bearer "+expired)

	chosen := "chosen-by-the-operator-and-long-enough"
	w.change(w.tenants["admin"].ID, func(tx tenant.Tx) error {
		return tx.CreateAPIKey(&tenant.APIKey{TenantID: w.tenants["admin"].ID, ID: secret.NewID(), Name: "bootstrap", Hash: secret.TokenHash(chosen), Role: tenant.Operator, CreatedAt: time.Now()})
	})
	if a := w.post(who, "Authorization", "Bearer "+chosen); a.at("viewer", "name") != "bootstrap" || a.at("viewer", "grants", 0, "tenant") != nil {
		t.Errorf("bootstrap key: %s", a.raw)
	}
	if n := len(slices.DeleteFunc(w.rejected, func(r string) bool { return r != "auth" })); n != 9 {
		t.Errorf("%d refusals were counted as auth, not 9", n)
	}
	for _, key := range []string{w.keys["acme/owner"], expired, chosen} {
		if strings.Contains(w.logged.String(), key) {
			t.Error("a key is in the log")
		}
	}
}

// TestLastUse: a key's last use is kept, and not at every request.
func TestLastUse(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	used := func() string {
		a := w.ask("admin/operator", `{ tenant(slug: "acme") { apiKeys { nodes { name lastUsedAt } } } }`, nil)
		for i := range a.at("tenant", "apiKeys", "nodes").([]any) {
			if a.at("tenant", "apiKeys", "nodes", i, "name") == "owner" {
				at, _ := a.at("tenant", "apiKeys", "nodes", i, "lastUsedAt").(string)
				return at
			}
		}
		return ""
	}
	if used() != "" {
		t.Fatal("used before it was")
	}
	w.ask("acme/owner", `{ viewer { id } }`, nil)
	first := ""
	for deadline := time.Now().Add(10 * time.Second); first == "" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		first = used()
	}
	if first == "" {
		t.Fatal("the last use was not kept")
	}
	for range 20 {
		w.ask("acme/owner", `{ viewer { id } }`, nil)
	}
	if again := used(); again != first {
		t.Errorf("kept again within a minute: %s, %s", first, again)
	}
}

// TestMembers: a signed-in admin has the roles that the store says, where it
// says so, and the tenant admin belongs to the platform alone.
func TestMembers(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	user := w.newUser("admin", "boss@example.com")
	cookie := func(query string) *answer {
		t.Helper()
		return w.post(`{"query":`+fmt.Sprintf("%q", query)+`}`, "Origin", w.url)
	}
	w.session = user
	if a := cookie(`{ viewer { kind name grants { role } } }`); a.at("viewer", "kind") != "MEMBER" || a.at("viewer", "name") != "boss@example.com" || len(a.at("viewer", "grants").([]any)) != 0 {
		t.Errorf("without a role: %s", a.raw)
	}
	if a := cookie(`{ tenant(slug: "acme") { name } }`); a.reason() != "TenantNotFound" {
		t.Errorf("without a role: %s", a.raw)
	}
	if a := cookie(`{ tenants { nodes { slug } } }`); a.reason() != "Forbidden" {
		t.Errorf("without a role: %s", a.raw)
	}
	w.grant(user, tenant.Viewer, w.tenants["acme"].ID)
	w.grant(user, tenant.Owner, w.tenants["admin"].ID)
	if a := cookie(`{ tenant(slug: "acme") { name members { userId } } }`); a.reason() != "Forbidden" {
		t.Errorf("viewer: %s", a.raw)
	}
	if a := cookie(`{ tenant(slug: "acme") { name users { nodes { id } } } }`); a.reason() != "" {
		t.Errorf("viewer: %s", a.raw)
	}
	if a := cookie(`{ tenant(slug: "admin") { name } }`); a.reason() != "TenantNotFound" {
		t.Errorf("a role in the tenant admin must not hold: %s", a.raw)
	}
	w.grant(user, tenant.Operator, tenant.PlatformDomain)
	if a := cookie(`{ tenants { nodes { slug } } a: tenant(slug: "admin") { members { role loginIds } } }`); a.at("a", "members", 0, "loginIds", 0) != "boss@example.com" || a.at("a", "members", 0, "role") != "OPERATOR" {
		t.Errorf("operator: %s", a.raw)
	}
}

// TestNobodyGivesMoreThanTheyHave: roles are handed out downwards only.
func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	user := w.newUser("admin", "new@example.com")
	for _, c := range []struct{ caller, mutation string }{
		{"acme/admin", `createAPIKey(input: {tenant: "acme", name: "k", role: OWNER}) { secret }`},
		{"acme/admin", `createAPIKey(input: {tenant: "acme", name: "k", role: OPERATOR}) { secret }`},
		{"acme/owner", `createAPIKey(input: {tenant: "acme", name: "k", role: OPERATOR}) { secret }`},
		{"acme/owner", `setMemberRole(input: {tenant: "acme", user: "` + user + `", role: OPERATOR}) { member { role } }`},
	} {
		if a := w.ask(c.caller, "mutation { "+c.mutation+" }", nil); a.reason() != "Forbidden" {
			t.Errorf("%s: %s: %s", c.caller, c.mutation, a.raw)
		}
		a := w.ask(c.caller, "mutation($i: CreateAPIKeyInput!) { createAPIKey(input: $i) { secret } }", map[string]any{"i": map[string]any{"tenant": "acme", "name": "k", "role": "OPERATOR"}})
		if a.reason() != "Forbidden" {
			t.Errorf("%s, by a variable: %s", c.caller, a.raw)
		}
	}
}

// TestSuspendedTenant: its own admins may look and not touch; operators may.
func TestSuspendedTenant(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	user := w.newUser("acme", "u@example.com")
	acme := *w.tenants["acme"]
	acme.State, acme.SuspendReason = tenant.Suspended, "unpaid"
	w.change(acme.ID, func(tx tenant.Tx) error { return tx.UpdateTenant(&acme) })
	if a := w.ask("acme/owner", `{ tenant(slug: "acme") { state suspendReason } }`, nil); a.at("tenant", "suspendReason") != "unpaid" {
		t.Errorf("looking: %s", a.raw)
	}
	disable := `mutation { disableUser(input: {tenant: "acme", user: "` + user + `"}) { user { state } userErrors { reason } } }`
	if a := w.ask("acme/owner", disable, nil); a.reason() != "TenantSuspended" {
		t.Errorf("touching: %s", a.raw)
	}
	if a := w.ask("admin/operator", disable, nil); a.at("disableUser", "user", "state") != "DISABLED" {
		t.Errorf("operator: %s", a.raw)
	}
}
