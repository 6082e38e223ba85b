package graph_test

import (
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// help is what support does for a user: has them choose another password, has
// their devices asked again, and finds out why they didn't get in.
func (s *story) help(user any) {
	s.t.Helper()
	a := s.works(`mutation($u: ID!) { requirePasswordChange(input: {tenant: "shop", user: $u}) { user { anonymous authenticators { mustChange } }`+why+` }`, "u", user)
	if a.at("requirePasswordChange", "user", "authenticators", 0, "mustChange") != true {
		s.t.Errorf("requirePasswordChange: %s", a.raw)
	}
	a = s.works(`mutation($u: ID!) { revokeDeviceTokens(input: {tenant: "shop", user: $u}) { revoked user { id }`+why+` }`, "u", user)
	if a.at("revokeDeviceTokens", "revoked") != float64(0) {
		s.t.Errorf("revokeDeviceTokens: %s", a.raw)
	}
	s.refuses("UserNotFound", `mutation { revokeDeviceTokens(input: {tenant: "shop", user: "nobody"}) { revoked`+why+` }`)
}

// explains asks why somebody of tenant acme didn't get in at once, by the code
// that they were shown.
func (s *story) explains(runID string) {
	s.t.Helper()
	must(s.t, s.store.RecordSignIn(s.t.Context(), &tenant.AuditEvent{
		TenantID: s.tenants["acme"].ID, ID: secret.NewID(), At: time.Now(), Category: tenant.AuditSignIn, Action: "flow.input", Outcome: "RateLimited",
		ActorKind: tenant.ActorNobody, IP: "192.0.2.7", RunID: runID, Detail: []byte(`{"step_type":"authenticate","method":"primary_password"}`),
	}))
	const explain = `mutation($t: String!, $c: String!) { explainSignIn(input: {tenant: $t, code: $c}) { run { runId } events { at outcome step method reason ip }` + why + ` }`
	code := tenant.SupportCode(runID)
	a := s.works(explain, "t", "acme", "c", code)
	e := a.at("explainSignIn", "events", 1).(map[string]any)
	if a.at("explainSignIn", "run", "runId") != runID || a.at("explainSignIn", "events", 0, "outcome") != "FINISHED" ||
		e["outcome"] != "REFUSED" || e["reason"] != "RateLimited" || e["method"] != "primary_password" || e["step"] != "authenticate" || e["ip"] != "192.0.2.7" {
		s.t.Errorf("explainSignIn: %s", a.raw)
	}
	s.refuses("NotFound", explain, "t", "other", "c", code)
	s.refuses("NotFound", explain, "t", "acme", "c", "AAAA-AAAA")
	s.refuses("ValidationFailed", explain, "t", "acme", "c", "what?")
}
