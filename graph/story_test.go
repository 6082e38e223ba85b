package graph_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/usher-id/usher/tenant"
)

// story asks one thing after the other and remembers which fields of the schema
// were answered.
type story struct {
	*world
	t    *testing.T
	done map[string]bool
}

// works asks as an operator and insists on an answer without a refusal.
func (s *story) works(query string, vars ...any) *answer {
	s.t.Helper()
	a := s.ask("admin/operator", query, pairs(vars))
	if a.status != 200 || len(a.Errors) > 0 || refused.MatchString(a.raw) {
		s.t.Fatalf("%s\n%d %s", query, a.status, a.raw)
	}
	s.note(query)
	return a
}

// refuses asks as an operator and insists on a userError with the reason.
func (s *story) refuses(reason, query string, vars ...any) *answer {
	s.t.Helper()
	a := s.ask("admin/operator", query, pairs(vars))
	if len(a.Errors) > 0 || !strings.Contains(a.raw, `"reason":"`+reason+`"`) {
		s.t.Fatalf("%s\nwant %s, got %s", query, reason, a.raw)
	}
	return a
}

var refused = regexp.MustCompile(`"userErrors":\[\{`)

func pairs(vars []any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(vars); i += 2 {
		m[vars[i].(string)] = vars[i+1]
	}
	return m
}

// note marks the fields that a query asks for.
func (s *story) note(query string) {
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	must(s.t, err)
	sc := schema()
	var walk func(def *ast.Definition, set ast.SelectionSet)
	walk = func(def *ast.Definition, set ast.SelectionSet) {
		for _, sel := range set {
			switch sel := sel.(type) {
			case *ast.Field:
				if f := def.Fields.ForName(sel.Name); f != nil {
					s.done[def.Name+"."+f.Name] = true
					walk(sc.Types[f.Type.Name()], sel.SelectionSet)
				}
			case *ast.InlineFragment:
				walk(sc.Types[sel.TypeCondition], sel.SelectionSet)
			case *ast.FragmentSpread:
				f := doc.Fragments.ForName(sel.Name)
				walk(sc.Types[f.TypeCondition], f.SelectionSet)
			}
		}
	}
	for _, op := range doc.Operations {
		root := sc.Query
		if op.Operation == ast.Mutation {
			root = sc.Mutation
		}
		walk(root, op.SelectionSet)
	}
}

const why = ` userErrors { pointer reason message info } }`

// TestStory lives a tenant's life through the API and asks for everything that
// the schema has at least once.
func TestStory(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		s := &story{world: newWorld(t, url), t: t, done: map[string]bool{}}
		s.lifecycle()
		s.configuration()
		s.providers()
		s.document()
		s.sections()
		s.messages()
		s.hooks()
		s.users()
		s.sessions()
		s.bulk()
		s.keysAndMembers()
		s.records()
		s.end()
		for _, def := range own() {
			if def.Kind != ast.Object {
				continue
			}
			for _, f := range def.Fields {
				if !strings.HasPrefix(f.Name, "__") && !s.done[def.Name+"."+f.Name] {
					t.Errorf("%s.%s was never asked for", def.Name, f.Name)
				}
			}
		}
		for _, secret := range []string{clientSecret, thePassword, "$argon2id$"} {
			if strings.Contains(s.logged.String(), secret) {
				t.Errorf("%.4s... is in the log", secret)
			}
		}
	})
}

const (
	clientSecret = "GOCSPX-not-to-be-seen-0042"
	thePassword  = "correct horse battery 9"
)

func (s *story) lifecycle() {
	a := s.works(`mutation($i: CreateTenantInput!) { createTenant(input: $i) { tenant { id slug name state suspendReason hosts version draftRevision createdAt changedAt }`+why+` }`,
		"i", map[string]any{"slug": "shop", "name": "Shop", "hosts": []string{"shop.localhost"}, "template": "acme"})
	id := a.at("createTenant", "tenant", "id")
	s.refuses("AlreadyExists", `mutation { createTenant(input: {slug: "shop", name: "again", hosts: ["again.localhost"]}) { tenant { id }`+why+` }`)
	s.refuses("ValidationFailed", `mutation { createTenant(input: {slug: "No!", name: "no", hosts: ["no.localhost"]}) { tenant { id }`+why+` }`)
	if a := s.works(`query($id: ID!) { node(id: $id) { id ... on Tenant { slug } } }`, "id", id); a.at("node", "slug") != "shop" {
		s.t.Errorf("node: %s", a.raw)
	}
	s.works(`mutation { updateTenant(input: {slug: "shop", name: "The Shop", hosts: ["shop.localhost", "shop.example.com"]}) { tenant { name hosts }` + why + ` }`)
	s.works(`mutation { suspendTenant(input: {slug: "shop", reason: "unpaid"}) { tenant { state }` + why + ` }`)
	a = s.works(`{ tenants(first: 2, search: "sh", state: SUSPENDED) { edges { cursor node { slug } } nodes { slug suspendReason } pageInfo { hasNextPage endCursor } } }`)
	if a.at("tenants", "nodes", 0, "suspendReason") != "unpaid" {
		s.t.Errorf("tenants: %s", a.raw)
	}
	s.works(`mutation { resumeTenant(input: {slug: "shop"}) { tenant { state }` + why + ` }`)
}

func (s *story) users() {
	a := s.works(`mutation($i: CreateUserInput!) { createUser(input: $i) { user {
			id userId state disabledReason attributes { standard custom } createdAt updatedAt lastLoginAt
			identities { id kind value shown verifiedAt createdAt } authenticators { id type name mustChange createdAt updatedAt lastUsedAt } }`+why+` }`,
		"i", map[string]any{"tenant": "shop", "identities": []any{map[string]any{"kind": "email", "value": "Ann@Example.com", "verified": true}}, "password": thePassword, "standardAttributes": map[string]any{"name": "Ann"}})
	if a.at("createUser", "user", "identities", 0, "value") != "ann@example.com" || a.at("createUser", "user", "attributes", "standard", "name") != "Ann" {
		s.t.Errorf("createUser: %s", a.raw)
	}
	id, userID := a.at("createUser", "user", "id"), a.at("createUser", "user", "userId")
	const create = `mutation($i: CreateUserInput!) { createUser(input: $i) { user { id }` + why + ` }`
	s.refuses("DuplicatedIdentity", create, "i", map[string]any{"tenant": "shop", "identities": []any{map[string]any{"kind": "email", "value": "ann@example.com"}}})
	a = s.refuses("PasswordPolicyViolated", create, "i", map[string]any{"tenant": "shop", "identities": []any{map[string]any{"kind": "email", "value": "bob@example.com"}}, "password": "short"})
	if !strings.Contains(a.raw, `"kind":"minimum_length"`) {
		s.t.Errorf("which rule: %s", a.raw)
	}
	for _, user := range []any{id, userID} { // either names the user
		s.works(`mutation($u: ID!) { updateUser(input: {tenant: "shop", user: $u, standardAttributes: {nickname: "A"}, customAttributes: {plan: "gold"}}) { user { attributes { standard } }`+why+` }`, "u", user)
		s.works(`mutation($u: ID!) { disableUser(input: {tenant: "shop", user: $u, reason: "asked"}) { user { state disabledReason }`+why+` }`, "u", user)
		s.works(`mutation($u: ID!) { enableUser(input: {tenant: "shop", user: $u}) { user { state }`+why+` }`, "u", user)
	}
	s.access(id)
	s.help(id)
	s.refuses("UserNotFound", `mutation { disableUser(input: {tenant: "shop", user: "nobody"}) { user { id }`+why+` }`)
	a = s.works(`mutation($u: ID!) { addIdentity(input: {tenant: "shop", user: $u, kind: "username", value: "ann"}) { user { identities { id kind } }`+why+` }`, "u", id)
	identity := a.at("addIdentity", "user", "identities", 1, "id")
	s.works(`mutation($u: ID!, $i: ID!) { removeIdentity(input: {tenant: "shop", user: $u, identity: $i}) { user { identities { id } }`+why+` }`, "u", id, "i", identity)
	s.refuses("NotFound", `mutation($u: ID!, $i: ID!) { removeIdentity(input: {tenant: "shop", user: $u, identity: $i}) { user { id }`+why+` }`, "u", id, "i", identity)
	a = s.works(`{ tenant(slug: "shop") { users(search: "ann", filter: {state: ACTIVE}) { edges { cursor node { id } } nodes { id authenticators { id } } pageInfo { hasNextPage endCursor } } } }`)
	authenticator := a.at("tenant", "users", "nodes", 0, "authenticators", 0, "id")
	s.works(`mutation($u: ID!, $a: ID!) { removeAuthenticator(input: {tenant: "shop", user: $u, authenticator: $a}) { user { authenticators { id } }`+why+` }`, "u", id, "a", authenticator)
	if a := s.works(`query($id: ID!) { node(id: $id) { id ... on User { userId } } }`, "id", id); a.at("node", "userId") != userID {
		s.t.Errorf("node: %s", a.raw)
	}
	a = s.works(`mutation($u: ID!) { deleteUser(input: {tenant: "shop", user: $u}) { deletedId`+why+` }`, "u", userID)
	if a.at("deleteUser", "deletedId") != id {
		s.t.Errorf("deleteUser: %s", a.raw)
	}
	if a := s.refuses("UserNotFound", `mutation($u: ID!) { deleteUser(input: {tenant: "shop", user: $u}) { deletedId`+why+` }`, "u", userID); a.at("deleteUser", "deletedId") != nil {
		s.t.Errorf("deleteUser: %s", a.raw)
	}
}

func (s *story) sessions() {
	user := s.newUser("acme", "eve@example.com")
	first := s.newSession("acme", user, "phone")
	s.newSession("acme", user, "laptop")
	a := s.works(`query($u: ID!) { tenant(slug: "acme") {
		sessions(filter: {user: $u, live: true}) { edges { cursor node { id } } nodes { id userId user { id sessions(live: true) { nodes { id } } } runId amr acr authenticatedAt createdAt lastSeenAt expiresAt idleExpiresAt ip userAgent revokedAt } pageInfo { hasNextPage endCursor } }
		flowRuns(filter: {user: $u, status: FINISHED, type: LOGIN}) { edges { cursor node { id } } nodes { id runId flow { type name } configVersion status surface userId user { id } sessionId deviceId factors firstSeen { at ip userAgent } lastSeen { at } createdAt expiresAt finishedAt } pageInfo { hasNextPage endCursor } }
	} }`, "u", user)
	if len(a.at("tenant", "sessions", "nodes").([]any)) != 2 || len(a.at("tenant", "flowRuns", "nodes").([]any)) != 2 {
		s.t.Errorf("sessions: %s", a.raw)
	}
	s.works(`query($id: ID!) { node(id: $id) { id ... on FlowRun { runId } } }`, "id", a.at("tenant", "flowRuns", "nodes", 0, "id"))
	s.explains(a.at("tenant", "flowRuns", "nodes", 0, "runId").(string))
	if a = s.works(`mutation($id: ID!) { revokeSession(input: {tenant: "acme", id: $id}) { revoked`+why+` }`, "id", first); a.at("revokeSession", "revoked") != float64(1) {
		s.t.Errorf("revokeSession: %s", a.raw)
	}
	if a = s.works(`mutation($u: ID!) { revokeSessions(input: {tenant: "acme", user: $u}) { revoked`+why+` }`, "u", s.nodeID("User", "acme", user)); a.at("revokeSessions", "revoked") != float64(1) {
		s.t.Errorf("revokeSessions: %s", a.raw)
	}
	if a = s.works(`{ tenant(slug: "acme") { sessions(filter: {live: true}) { nodes { id } } } }`); len(a.at("tenant", "sessions", "nodes").([]any)) != 0 {
		s.t.Errorf("after that: %s", a.raw)
	}
}

func (s *story) bulk() {
	s.works(`mutation($i: CreateUserInput!) { createUser(input: $i) { user { id }`+why+` }`,
		"i", map[string]any{"tenant": "shop", "identities": []any{map[string]any{"kind": "email", "value": "zoe@example.com"}}, "password": thePassword})
	a := s.works(`mutation { exportUsers(input: {tenant: "shop", hashes: true}) { document` + why + ` }`)
	doc := a.at("exportUsers", "document").(string)
	if !strings.Contains(doc, "zoe@example.com") || !strings.Contains(doc, "$argon2id$") {
		s.t.Errorf("exportUsers: %s", doc)
	}
	if a := s.works(`mutation { exportUsers(input: {tenant: "shop"}) { document` + why + ` }`); strings.Contains(a.raw, "argon2id") {
		s.t.Errorf("a hash came out unasked: %s", a.raw)
	}
	const load = `mutation($d: String!, $dry: Boolean!) { importUsers(input: {tenant: "other", format: USHER, document: $d, dryRun: $dry}) {
		summary { total inserted updated skipped failed } details { index outcome userId errors { pointer } warnings { pointer } }` + why + ` }`
	for _, dry := range []bool{true, false} {
		a := s.works(load, "d", doc, "dry", dry)
		if a.at("importUsers", "summary", "inserted") != float64(1) || a.at("importUsers", "details", 0, "outcome") != "INSERTED" {
			s.t.Errorf("importUsers: %s", a.raw)
		}
	}
	cut := `{"users":[{"identities":[{"kind":"email","value":"early@example.com"}]},{"iden`
	if a := s.refuses("ValidationFailed", load, "d", cut, "dry", false); a.at("importUsers", "summary", "inserted") != float64(1) {
		s.t.Errorf("an import that was cut off doesn't say what it did: %s", a.raw)
	}
	if a := s.works(load, "d", doc, "dry", true); a.at("importUsers", "summary", "inserted") != float64(0) {
		s.t.Errorf("importing again: %s", a.raw)
	}
	s.refuses("ValidationFailed", load, "d", "nonsense", "dry", false)
}

func (s *story) keysAndMembers() {
	a := s.works(`mutation { createAPIKey(input: {tenant: "shop", name: "ci", role: EDITOR, expiresAt: "2027-01-01T00:00:00Z"}) { apiKey { id name lastFour role createdAt createdBy expiresAt lastUsedAt revokedAt } secret` + why + ` }`)
	s.keys["shop/ci"] = a.at("createAPIKey", "secret").(string)
	if a := s.ask("shop/ci", `{ tenant(slug: "shop") { name } }`, nil); a.at("tenant", "name") != "The Shop" {
		s.t.Errorf("the new key: %s", a.raw)
	}
	a = s.works(`{ viewer { kind id name grants { role tenant permissions } } tenant(slug: "shop") { apiKeys { edges { cursor node { id } } nodes { id name } pageInfo { hasNextPage endCursor } } } }`)
	if strings.Contains(a.raw, s.keys["shop/ci"]) {
		s.t.Error("a key came out again")
	}
	s.works(`mutation($id: ID!) { revokeAPIKey(input: {tenant: "shop", id: $id}) { apiKey { revokedAt }`+why+` }`, "id", a.at("tenant", "apiKeys", "nodes", 0, "id"))
	if a := s.ask("shop/ci", `{ viewer { id } }`, nil); a.status != 401 {
		s.t.Errorf("the revoked key: %s", a.raw)
	}
	// Tenant admin belongs to operators: another role there could do nothing.
	user := s.newUser("admin", "carl@example.com")
	for _, mutation := range []string{
		`mutation { createAPIKey(input: {tenant: "admin", name: "ci", role: EDITOR}) { secret` + why + ` }`,
		`mutation { setMemberRole(input: {tenant: "admin", user: "` + user + `", role: EDITOR}) { member { role }` + why + ` }`,
	} {
		if a := s.refuses("ValidationFailed", mutation); !strings.Contains(a.raw, `"pointer":"/role"`) || !strings.Contains(a.raw, "give the role editor in the tenant that it is for") {
			s.t.Errorf("a role of tenants in tenant admin: %s", a.raw)
		}
	}
	a = s.works(`mutation($u: ID!) { setMemberRole(input: {tenant: "shop", user: $u, role: ADMIN}) { member { userId loginIds role }`+why+` }`, "u", user)
	if a.at("setMemberRole", "member", "loginIds", 0) != "carl@example.com" {
		s.t.Errorf("setMemberRole: %s", a.raw)
	}
	s.refuses("UserNotFound", `mutation { setMemberRole(input: {tenant: "shop", user: "nobody", role: ADMIN}) { member { userId }`+why+` }`)
	if a = s.works(`{ tenant(slug: "shop") { members { userId role } } }`); a.at("tenant", "members", 0, "role") != "ADMIN" {
		s.t.Errorf("members: %s", a.raw)
	}
	s.works(`mutation($u: ID!) { removeMember(input: {tenant: "shop", user: $u}) { removedUserId`+why+` }`, "u", user)
	s.refuses("NotFound", `mutation($u: ID!) { removeMember(input: {tenant: "shop", user: $u}) { removedUserId`+why+` }`, "u", user)
}

// records: every mutation above has left a row, with who, from where and in
// which request, and nothing secret.
func (s *story) records() {
	const log = `query($a: String, $f: AuditFilter) { tenant(slug: "shop") { auditLog(first: 100, after: $a, filter: $f) { edges { cursor node { id } } nodes { id seq at category action outcome actorKind actorId ip requestId runId userId detail prevHash hash } pageInfo { hasNextPage endCursor } } } }`
	a := s.works(log, "f", map[string]any{"category": "ADMIN"})
	nodes := a.at("tenant", "auditLog", "nodes").([]any)
	if len(nodes) < 25 {
		s.t.Errorf("%d rows: %s", len(nodes), a.raw)
	}
	prev := ""
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i].(map[string]any)
		if n["actorKind"] != "API_KEY" || n["actorId"] == "" || n["ip"] != "127.0.0.1" || n["requestId"] == "" || prev != "" && n["prevHash"] != prev {
			s.t.Errorf("row %d: %v", i, n)
		}
		prev = n["hash"].(string)
	}
	for _, secret := range []string{clientSecret, thePassword, "$argon2id$", s.keys["shop/ci"]} {
		if strings.Contains(a.raw, secret) {
			s.t.Errorf("%.4s... is in the audit log", secret)
		}
	}
	last := nodes[0].(map[string]any)
	a = s.works(log, "f", map[string]any{"requestId": last["requestId"], "action": last["action"], "since": last["at"]})
	if a.at("tenant", "auditLog", "nodes", 0, "id") != last["id"] || a.at("tenant", "auditLog", "nodes", 1) != nil {
		s.t.Errorf("one request: %s", a.raw)
	}
}

func (s *story) end() {
	s.refuses("ValidationFailed", `mutation { deleteTenant(input: {slug: "shop", confirm: "shoe"}) { deletedId`+why+` }`)
	s.works(`mutation { deleteTenant(input: {slug: "shop", confirm: "shop"}) { deletedId` + why + ` }`)
	if a := s.ask("admin/operator", `{ tenant(slug: "shop") { id } }`, nil); a.reason() != "TenantNotFound" {
		s.t.Errorf("after the end: %s", a.raw)
	}
}

// TestRacingEdits: of two edits that saw the same draft one is refused.
func TestRacingEdits(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		answers := make(chan *answer)
		for n := range 2 {
			go func() {
				answers <- w.ask("acme/owner", `mutation($n: Int!) { updatePasswordPolicy(input: {tenant: "acme", expectedVersion: 0, minimumLength: $n}) { tenant { id } userErrors { reason } } }`, map[string]any{"n": 10 + n})
			}()
		}
		won := 0
		for range 2 {
			a := <-answers
			switch {
			case a.at("updatePasswordPolicy", "tenant") != nil:
				won++
			case a.at("updatePasswordPolicy", "userErrors", 0, "reason") != string(tenant.ErrVersionConflict.Reason):
				t.Errorf("the loser: %s", a.raw)
			}
		}
		if won != 1 {
			t.Errorf("%d edits won", won)
		}
	})
}

// access says when a user may enter, in every way, and lets them in again.
func (s *story) access(user any) {
	s.t.Helper()
	const times = ` { user { state disabledUntil deactivatedAt validFrom validUntil deleteAt anonymizeAt anonymizedAt }` + why
	for _, c := range []struct{ mutation, args, path, want string }{
		{"disableUser", `until: "2090-01-01T00:00:00Z"`, "disabledUntil", "2090-01-01T00:00:00Z"},
		{"enableUser", ``, "disabledUntil", ""},
		{"setUserValidity", `from: "2020-01-01T00:00:00Z", until: "2090-01-01T00:00:00Z"`, "validUntil", "2090-01-01T00:00:00Z"},
		{"setUserValidity", ``, "validUntil", ""},
		{"scheduleUserDeletion", `at: "2090-01-01T00:00:00Z"`, "deleteAt", "2090-01-01T00:00:00Z"},
		{"scheduleUserDeletion", ``, "deleteAt", ""},
		{"scheduleUserAnonymization", `at: "2090-01-01T00:00:00Z"`, "anonymizeAt", "2090-01-01T00:00:00Z"},
		{"scheduleUserAnonymization", `at: null`, "anonymizeAt", ""},
		{"resetLockout", ``, "disabledUntil", ""},
	} {
		a := s.works(`mutation($u: ID!) { `+c.mutation+`(input: {tenant: "shop", user: $u, `+c.args+`})`+times+` }`, "u", user)
		if got, _ := a.at(c.mutation, "user", c.path).(string); got != c.want {
			s.t.Errorf("%s(%s): %s", c.mutation, c.args, a.raw)
		}
	}
	s.refuses("ValidationFailed", `mutation($u: ID!) { disableUser(input: {tenant: "shop", user: $u, until: "2000-01-01T00:00:00Z"}) { user { id }`+why+` }`, "u", user)
}
