package graph_test

import (
	"fmt"
	"strings"
)

const change = `{ pointer kind words before after }`

func (s *story) configuration() {
	const edited = ` { tenant { draftRevision version } version { number } changes ` + change + ` problems { pointer reason message } conflict { draftRevision mine ` + change + ` theirs ` + change + ` }` + why
	edit := func(name, fields string) string {
		return fmt.Sprintf(`mutation { %s(input: {tenant: "shop", %s}) %s }`, name, fields, edited)
	}
	a := s.works(edit("updatePasswordPolicy", `minimumLength: 10, digitRequired: true, excludedKeywords: ["shop"]`))
	if a.at("updatePasswordPolicy", "changes", 0, "pointer") == nil || a.at("updatePasswordPolicy", "version") != nil {
		s.t.Errorf("an edit: %s", a.raw)
	}
	revision := a.at("updatePasswordPolicy", "tenant", "draftRevision")
	s.works(edit("updateIdentifications", `enabled: ["email", "username"]`))
	a = s.refuses("VersionConflict", edit("updatePasswordPolicy", fmt.Sprintf(`minimumLength: 12, expectedVersion: %v`, revision)))
	if a.at("updatePasswordPolicy", "conflict", "mine", 0, "after") != float64(12) || a.at("updatePasswordPolicy", "conflict", "theirs", 0) == nil {
		s.t.Errorf("both sides of a conflict: %s", a.raw)
	}
	a = s.refuses("OutOfRange", edit("updatePasswordPolicy", `minimumLength: 0`))
	if a.at("updatePasswordPolicy", "userErrors", 0, "pointer") != "/password_policy/minimum_length" {
		s.t.Errorf("pointer: %s", a.raw)
	}
	s.works(edit("updateAuthenticators", `primary: ["primary_password"], password: {algorithm: "argon2id"}`))
	s.works(edit("updateAccounts", `publicSignup: false`))
	s.works(edit("updateSessions", `lifetimeSeconds: 3600, idleTimeoutSeconds: 600`))
	s.works(edit("updateLimits", `signupPerIp: {burst: 5, periodSeconds: 60}`))
	s.works(edit("updateWeb", `allowedOrigins: ["https://shop.example.com"]`))
	s.works(edit("updateFlows", `lifetimeSeconds: 600, loginFlows: [{name: "short", steps: [{name: "who", type: "identify", oneOf: [{identification: "email", steps: [{type: "authenticate", targetStep: "who", oneOf: [{authentication: "primary_password"}]}]}]}]}]`))

	a = s.works(`{ tenant(slug: "shop") {
		config { ...all } draft { base author updatedAt config { ...all } document(encoding: JSON) }
		diff ` + change + ` checkConfig { pointer reason message }
		plan { base changes ` + change + ` flows { flow { type name } kind steps } problems { pointer } users { lockedOutNow lockedOutThen losing lastAdmin refused } missingSecrets }
	} }
	fragment all on Config {
		identifications { enabled } authenticators { primary password { algorithm bcryptCost } }
		passwordPolicy { minimumLength uppercaseRequired lowercaseRequired alphabetRequired digitRequired symbolRequired minimumZxcvbnScore excludedKeywords breachedCheck }
		oauthProviders { alias } accounts { publicSignup revealUnknownUsers }
		flows { lifetimeSeconds maxLifetimeSeconds signupFlows { ...flow } loginFlows { ...flow } signupLoginFlows { ...flow } reauthFlows { ...flow } accountRecoveryFlows { ...flow } promoteFlows { ...flow } }
		sessions { lifetimeSeconds idleTimeoutSeconds } limits { signupPerIp { burst periodSeconds } identifyPerIp { burst } passwordPerIp { burst } passwordPerUserPerIp { burst } } web { allowedOrigins }
	}
	fragment flow on Flow { name steps { name type targetStep optional oneOf { identification authentication targetStep signupFlow loginFlow steps { type } } } }`)
	if a.at("tenant", "config", "passwordPolicy", "minimumLength") != float64(8) || a.at("tenant", "draft", "config", "passwordPolicy", "minimumLength") != float64(10) {
		s.t.Errorf("the draft isn't in force: %s", a.raw)
	}
	a = s.works(`mutation { publishDraft(input: {tenant: "shop", message: "opening"}) { tenant { version } version { number message } conflict { draftRevision }` + why + ` }`)
	if a.at("publishDraft", "version", "number") != float64(2) {
		s.t.Errorf("publishDraft: %s", a.raw)
	}
	a = s.works(edit("updatePasswordPolicy", `minimumLength: 9, autoPublish: true, message: "shorter"`))
	if a.at("updatePasswordPolicy", "version", "number") != float64(3) {
		s.t.Errorf("autoPublish: %s", a.raw)
	}
	// null gives the default back; what is absent stays.
	s.works(edit("updatePasswordPolicy", `minimumLength: null, autoPublish: true`))
	a = s.works(`{ tenant(slug: "shop") { config { passwordPolicy { minimumLength digitRequired } } } }`)
	if a.at("tenant", "config", "passwordPolicy", "minimumLength") != float64(8) || a.at("tenant", "config", "passwordPolicy", "digitRequired") != true {
		s.t.Errorf("null and absent: %s", a.raw)
	}
	s.works(edit("updateAccounts", `publicSignup: true`))
	s.works(`mutation { discardDraft(input: {tenant: "shop"}) { tenant { draftRevision }` + why + ` }`)
	s.refuses("NotFound", `mutation { discardDraft(input: {tenant: "shop"}) { tenant { id }`+why+` }`)
	s.works(`mutation { rollback(input: {tenant: "shop", to: 2, message: "back"}) { tenant { version } version { number }` + why + ` }`)
	a = s.works(`{ tenant(slug: "shop") { versions(first: 2) { edges { cursor node { number } } nodes { id number hash message author createdAt config { web { allowedOrigins } } document } pageInfo { hasNextPage endCursor } } diff(from: 2, to: 3) { pointer before after } draft { base } } }`)
	if a.at("tenant", "versions", "nodes", 0, "message") != "back" || a.at("tenant", "diff", 0, "pointer") != "/password_policy/minimum_length" || a.at("tenant", "draft") != nil {
		s.t.Errorf("versions: %s", a.raw)
	}
	id := a.at("tenant", "versions", "nodes", 0, "id")
	s.works(`query($id: ID!) { node(id: $id) { id ... on ConfigVersion { document(encoding: JSON) } } }`, "id", id)
}

func (s *story) providers() {
	const set = `mutation($i: UpdateOauthProvidersInput!) { updateOauthProviders(input: $i) { changes ` + change + why + ` }`
	google := map[string]any{"alias": "google", "type": "google", "clientId": "id", "clientSecret": clientSecret}
	s.works(set, "i", map[string]any{"tenant": "shop", "autoPublish": true, "oauthProviders": []any{google}})
	delete(google, "clientSecret") // the one there is stays
	google["clientId"] = "id2"
	s.works(set, "i", map[string]any{"tenant": "shop", "autoPublish": true, "oauthProviders": []any{google}})
	a := s.works(`{ tenant(slug: "shop") { config { oauthProviders { alias type clientId appType hasSecret lastFour } } auditLog { nodes { detail } } versions { nodes { document } } } }`)
	p := a.at("tenant", "config", "oauthProviders", 0)
	if fmt.Sprint(p) != "map[alias:google appType: clientId:id2 hasSecret:true lastFour:0042 type:google]" {
		s.t.Errorf("provider: %v", p)
	}
	if strings.Contains(a.raw, clientSecret) {
		s.t.Error("a client secret came out")
	}
	const mail = `mutation($i: UpdateMessagingInput!) { updateMessaging(input: $i) { changes ` + change + why + ` }`
	host := func(name string) map[string]any {
		return map[string]any{"tenant": "shop", "email": map[string]any{"smtp": map[string]any{"host": name}}}
	}
	first := host("smtp.example")
	first["secrets"] = []any{map[string]any{"name": "smtp.password", "value": clientSecret}}
	s.works(mail, "i", first)
	s.works(mail, "i", host("smtp.example"))
	s.refuses("SecretGoesElsewhere", mail, "i", host("elsewhere.example"))
	s.works(`mutation { discardDraft(input: {tenant: "shop"}) { tenant { version }` + why + ` }`)
}

func (s *story) document() {
	a := s.works(`mutation($i: ApplyConfigInput!) { applyConfig(input: $i) { plan { changes `+change+` } tenant { version } version { number } secretsChanged untranslated { pointer reason message }`+why+` }`,
		"i", map[string]any{"tenant": "shop", "format": "USHER", "document": "password_policy:\n  minimum_length: 11\n", "message": "from git", "dryRun": false})
	if a.at("applyConfig", "version", "number") == nil {
		s.t.Errorf("applyConfig: %s", a.raw)
	}
	a = s.refuses("UnknownKey", `mutation { applyConfig(input: {tenant: "shop", document: "{\"paswordpolicy\": {}}"}) { plan { base }`+why+` }`)
	if a.at("applyConfig", "userErrors", 0, "pointer") != "/paswordpolicy" {
		s.t.Errorf("pointer: %s", a.raw)
	}
	a = s.works(`mutation($i: ApplyConfigInput!) { applyConfig(input: $i) { plan { changes `+change+` } version { number } untranslated { pointer reason message }`+why+` }`,
		"i", map[string]any{"tenant": "shop", "format": "AUTHGEAR", "document": "id: shop\nsaml: {}\nauthentication: {public_signup_disabled: true}\n", "dryRun": true})
	if n := len(a.at("applyConfig", "untranslated").([]any)); n != 2 || a.at("applyConfig", "untranslated", 1, "pointer") != "/saml" || a.at("applyConfig", "version") != nil {
		s.t.Errorf("an Authgear project: %s", a.raw)
	}
	a = s.works(`{ tenant(slug: "shop") { checkConfig(document: "password_policy: {minimum_length: 0}\nsessions: 7\n") { pointer reason message } } }`)
	if n := len(a.at("tenant", "checkConfig").([]any)); n != 2 {
		s.t.Errorf("all problems at once: %s", a.raw)
	}
	a = s.works(`mutation { testPassword(input: {tenant: "shop", password: "short"}) { valid violations { rule details }` + why + ` }`)
	if a.at("testPassword", "valid") != false || a.at("testPassword", "violations", 0, "rule") != "minimum_length" {
		s.t.Errorf("testPassword: %s", a.raw)
	}
	if a = s.works(`mutation($p: String!) { testPassword(input: {tenant: "shop", password: $p}) { valid`+why+` }`, "p", thePassword); a.at("testPassword", "valid") != true {
		s.t.Errorf("testPassword: %s", a.raw)
	}
}
