package graph_test

import (
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/hook/hooktest"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// hooks: one is set up, gets its key, is tried, and what it was told is listed
// and told again.
func (s *story) hooks() {
	to := hooktest.New(s.t, time.Now, "none yet")
	to.Always(hooktest.Answer{Status: 202, Body: "thanks"})
	s.works(`mutation($url: String!) { updateHooks(input: {tenant: "shop", autoPublish: true, endpoints: [
		{name: "log", url: $url, events: ["user.created"], enabled: true}, {name: "gate", url: $url, events: ["user.profile.pre_update"], blocking: true, onFailure: "allow", enabled: false}]}) { version { number }`+why+` }`, "url", to.URL)
	if keys := s.works(`{ tenant(slug: "shop") { hookKeys { hook } } }`).at("tenant", "hookKeys").([]any); len(keys) != 0 {
		s.t.Error("keys before any was made", keys)
	}
	const rotate = `mutation { rotateHookKey(input: {tenant: "shop", hook: "log"}) { keyId secret previousUntil` + why + ` }`
	first := s.works(rotate)
	second := s.works(rotate)
	if first.at("rotateHookKey", "previousUntil") != nil || second.at("rotateHookKey", "previousUntil") == nil {
		s.t.Error(first.raw, second.raw)
	}
	secret := second.at("rotateHookKey", "secret").(string)
	a := s.works(`{ tenant(slug: "shop") { hookKeys { hook keyId lastFour createdAt previousUntil } } }`)
	if a.at("tenant", "hookKeys", 0, "keyId") != second.at("rotateHookKey", "keyId") || a.at("tenant", "hookKeys", 0, "lastFour") != secret[len(secret)-4:] || strings.Contains(a.raw, secret) {
		s.t.Error(a.raw)
	}
	for _, key := range []string{first.at("rotateHookKey", "secret").(string), secret} {
		to.Knows(key)
		a = s.works(`mutation { testHook(input: {tenant: "shop", hook: "log"}) { request statusCode durationMs response allowed error` + why + ` }`)
		if a.at("testHook", "statusCode") != 202.0 || a.at("testHook", "response") != "thanks" || a.at("testHook", "error") != nil || a.at("testHook", "allowed") != nil || a.at("testHook", "request", "test") != true {
			s.t.Error(a.raw)
		}
	}
	if signature := to.Calls("")[1].Header.Get(outbound.SignatureHeader); !strings.Contains(signature, "kid="+second.at("rotateHookKey", "keyId").(string)) {
		s.t.Error(signature)
	}
	s.works(`mutation { rotateHookKey(input: {tenant: "shop", hook: "gate"}) { secret` + why + ` }`)
	to.Quiet()
	a = s.works(`mutation { testHook(input: {tenant: "shop", hook: "gate", event: "user.profile.pre_update"}) { allowed error` + why + ` }`)
	if a.at("testHook", "allowed") != nil || a.at("testHook", "error") == nil {
		s.t.Error(a.raw)
	}
	s.refuses("NotFound", `mutation { testHook(input: {tenant: "shop", hook: "nobody"}) { error`+why+` }`)
	s.refuses("ValidationFailed", `mutation { testHook(input: {tenant: "shop", hook: "log", event: "user.deleted"}) { error`+why+` }`)

	made := s.works(`mutation { createUser(input: {tenant: "shop", identities: [{kind: "email", value: "hooked@example.com"}]}) { user { id }` + why + ` }`)
	a = s.works(`{ tenant(slug: "shop") { hookDeliveries(first: 5) { edges { cursor node { id } } pageInfo { hasNextPage endCursor }
		nodes { id eventId event hook status request attempts nextAt createdAt triedAt durationMs statusCode response error } }
		failed: hookDeliveries(filter: {hook: "log", event: "user.created", status: FAILED}) { nodes { id } } } }`)
	d := a.at("tenant", "hookDeliveries", "nodes", 0).(map[string]any)
	if d["event"] != string(tenant.HookUserCreated) || d["hook"] != "log" || d["status"] != "QUEUED" || d["nextAt"] == nil || d["statusCode"] != nil || d["request"].(map[string]any)["tenant"] != "shop" {
		s.t.Error(a.raw)
	}
	if list := a.at("tenant", "failed", "nodes").([]any); len(list) != 0 {
		s.t.Error(a.raw)
	}
	again := s.works(`mutation($id: ID!) { redeliver(input: {tenant: "shop", id: $id}) { delivery { id eventId }`+why+` }`, "id", d["id"])
	if again.at("redeliver", "delivery", "id") == d["id"] || again.at("redeliver", "delivery", "eventId") != d["eventId"] {
		s.t.Error(again.raw)
	}
	a = s.works(`query($id: ID!) { tenant(slug: "shop") { hookDeliveries(filter: {eventId: $id}) { nodes { id } } } }`, "id", d["eventId"])
	if list := a.at("tenant", "hookDeliveries", "nodes").([]any); len(list) != 2 {
		s.t.Error(a.raw)
	}
	s.refuses("NotFound", `mutation($id: ID!) { redeliver(input: {tenant: "acme", id: $id}) { delivery { id }`+why+` }`, "id", d["id"])
	s.works(`mutation($u: ID!) { deleteUser(input: {tenant: "shop", user: $u}) {`+why+` }`, "u", made.at("createUser", "user", "id"))
	s.works(`mutation { updateHooks(input: {tenant: "shop", autoPublish: true, endpoints: []}) { version { number }` + why + ` }`)
}
