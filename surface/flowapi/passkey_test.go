package flowapi_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/usher-id/usher/tenant"
)

// phone is a device with passkeys, and the browser on it.
type phone struct {
	h       *house
	x       *tenant.Tenant
	party   virtualwebauthn.RelyingParty
	device  virtualwebauthn.Authenticator
	passkey virtualwebauthn.Credential
}

func (h *house) phone(x *tenant.Tenant) *phone {
	return &phone{
		h: h, x: x, party: virtualwebauthn.RelyingParty{ID: x.Hosts[0], Origin: "https://" + x.Hosts[0]},
		device: virtualwebauthn.NewAuthenticator(), passkey: newKey(),
	}
}

// creates answers creation options, wherever in the action they stand.
func (p *phone) creates(a answer) json.RawMessage {
	p.h.T.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(optionsOf(a, "creation_options"))
	must(p.h.T, err)
	if p.passkey.IsExcludedForAttestation(*o) {
		p.h.T.Fatal("the device has a passkey already")
	}
	p.device.Options.UserHandle = []byte(o.UserID)
	return json.RawMessage(virtualwebauthn.CreateAttestationResponse(p.party, p.device, p.passkey, *o))
}

// gets answers request options. The counter grows, where there is one: synced
// passkeys have none.
func (p *phone) gets(a answer) json.RawMessage {
	p.h.T.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(optionsOf(a, "request_options"))
	must(p.h.T, err)
	if len(o.AllowCredentials) > 0 && !p.passkey.IsAllowedForAssertion(*o) {
		p.h.T.Fatal("the device has none of these passkeys")
	}
	if !p.device.Options.BackupEligible {
		p.passkey.Counter++
	}
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(p.party, p.device, p.passkey, *o))
}

// optionsOf finds options in the data of an action or in one of its options.
func optionsOf(a answer, key string) string {
	a.t.Helper()
	found := a.at("result", "action", "data", key)
	for i := 0; found == nil && i < 9; i++ {
		found = a.at("result", "action", "data", "options", i, key)
	}
	if found == nil {
		a.t.Fatalf("no %s in %s", key, a.raw)
	}
	text, err := json.Marshal(found)
	must(a.t, err)
	return string(text)
}

func assertion(method string, response json.RawMessage) obj {
	in := obj{"authentication": method, "assertion_response": response}
	if method == "passkey" {
		in["identification"] = method
		delete(in, "authentication")
	}
	return in
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

func withPasskeys(c *tenant.Config) {
	c.Identifications.Enabled = []string{"email", "passkey"}
	c.Authenticators.Primary = []string{"primary_password", "primary_passkey"}
}

func TestPasskeys(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", withPasskeys)
		p := h.phone(x)
		a := h.post(x, h.begin(x, "signup", nil).token(), identify("ann@example.com")).asks("create_authenticator")
		a = h.post(x, a.token(), obj{"authentication": "primary_passkey", "creation_response": p.creates(a)}).asks("finished")
		h.amr(x, a, "hwk", "user", "mfa")

		// Without a name.
		a = h.begin(x, "login", nil).asks("identify")
		b := h.post(x, a.token(), assertion("passkey", p.gets(a))).asks("finished")
		h.amr(x, b, "hwk", "user", "mfa")

		// By name; and in one go with the step before it there is no challenge to answer.
		a = h.post(x, h.begin(x, "login", nil).token(), identify("ann@example.com")).asks("authenticate")
		again := h.do(request{host: x.Hosts[0], path: "/authentication_flows/states", body: obj{"state_token": a.token()}})
		if again.raw != a.raw {
			t.Errorf("asked again: %s, want %s", again.raw, a.raw)
		}
		response := p.gets(a)
		h.post(x, a.token(), assertion("primary_passkey", response)).asks("finished")
		c := h.post(x, h.begin(x, "login", nil).token(), identify("ann@example.com")).asks("authenticate")
		h.post(x, c.token(), assertion("primary_passkey", response)).refuses(401, "InvalidCredentials")
		h.post(x, a.token(), assertion("primary_passkey", response)).refuses(400, "AuthenticationFlowFinished")

		u := h.account(x, "email", "ann@example.com")
		if len(u.Identities) != 2 || len(u.Authenticators) != 1 || u.Authenticators[0].Name() != "Passkey" || u.Authenticators[0].LastUsedAt().IsZero() {
			t.Errorf("the user: %+v", u)
		}
		if leaked := h.Log.String(); strings.Contains(leaked, "public_key") {
			t.Error("a passkey is in the log")
		}
	})
}

// amr demands how the session that an answer opens was proved.
func (h *house) amr(x *tenant.Tenant, a answer, want ...any) {
	h.T.Helper()
	cookie := a.cookies["__Host-usher_session"]
	if cookie == nil {
		h.T.Fatalf("no session: %s", a.raw)
	}
	s := h.session(x, cookie.Value, 200)
	if got, _ := s.at("session", "amr").([]any); !slices.Equal(got, want) {
		h.T.Errorf("the session was proved by %v, want %v", got, want)
	}
}

func (h *house) account(x *tenant.Tenant, kind, value string) *tenant.UserRecord {
	h.T.Helper()
	ctx := context.Background()
	a, err := h.Store.AccountByClaim(ctx, x.ID, tenant.Claim{Kind: kind, Value: value})
	must(h.T, err)
	u, err := h.Store.User(ctx, x.ID, a.ID)
	must(h.T, err)
	return u
}

// Offered at a login by password, declined or taken, and not offered again.
func TestPasskeyPrompt(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", withPasskeys)
		h.User(x, "correct horse", "email:ann@example.com")
		h.User(x, "correct horse", "email:bob@example.com")
		p := h.phone(x)
		a := h.login(x, "ann@example.com", "correct horse", nil).asks("prompt_create_passkey")
		h.post(x, a.token(), obj{"skip": true}).asks("finished")
		a = h.login(x, "ann@example.com", "correct horse", nil).asks("prompt_create_passkey")
		h.post(x, a.token(), obj{"creation_response": p.creates(a)}).asks("finished")
		h.login(x, "ann@example.com", "correct horse", nil).asks("finished")

		// The credential is hers: nobody else gets it (section 7.1 step 26).
		a = h.login(x, "bob@example.com", "correct horse", nil).asks("prompt_create_passkey")
		h.post(x, a.token(), obj{"creation_response": p.creates(a)}).refuses(409, "DuplicatedIdentity")

		// Nor is it another tenant's.
		y := h.Tenant("other", withPasskeys)
		p.device.Options.UserHandle = []byte(h.account(x, "email", "ann@example.com").ID)
		p.x, p.party = y, virtualwebauthn.RelyingParty{ID: y.Hosts[0], Origin: "https://" + y.Hosts[0]}
		b := h.begin(y, "login", nil).asks("identify")
		h.post(y, b.token(), assertion("passkey", p.gets(b))).refuses(401, "InvalidCredentials")
	})
}

func TestPasskeyRefused(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", withPasskeys)
		p := h.phone(x)
		a := h.post(x, h.begin(x, "signup", nil).token(), identify("ann@example.com")).asks("create_authenticator")
		h.post(x, a.token(), obj{"authentication": "primary_passkey", "creation_response": p.creates(a)}).asks("finished")
		for name, spoil := range map[string]func(p *phone){
			"origin":       func(p *phone) { p.party.Origin = "https://evil.test" },
			"party":        func(p *phone) { p.party.ID = "evil.test" },
			"verification": func(p *phone) { p.device.Options.UserNotVerified = true },
			"presence":     func(p *phone) { p.device.Options.UserNotPresent = true },
			"key":          func(p *phone) { p.passkey.Key = newKey().Key },
			"user":         func(p *phone) { p.device.Options.UserHandle = []byte("somebody else") },
			"counter":      func(p *phone) { p.passkey.Counter = 2 },
		} {
			a := h.begin(x, "login", nil).asks("identify")
			p.passkey.Counter += 5
			h.post(x, a.token(), assertion("passkey", p.gets(a))).asks("finished")
			for _, method := range []string{"passkey", "primary_passkey"} {
				bad := *p
				a := h.begin(x, "login", nil).asks("identify")
				if method == "primary_passkey" {
					a = h.post(x, a.token(), identify("ann@example.com")).asks("authenticate")
				}
				spoil(&bad)
				r := h.post(x, a.token(), assertion(method, bad.gets(a)))
				if r.status != 401 || r.str("error", "reason") != "InvalidCredentials" || r.str("error", "info", "AuthenticationType") != method {
					t.Errorf("the wrong %s by %s: %d %s", name, method, r.status, r.raw)
				}
			}
		}
		a = h.begin(x, "login", nil).asks("identify")
		h.post(x, a.token(), assertion("passkey", h.phone(x).gets(a))).refuses(401, "InvalidCredentials")
	})
}

// An answer works once, on whatever state and in whatever race.
func TestPasskeyAnswersWorkOnce(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", withPasskeys, func(c *tenant.Config) {
			c.Passkeys.UserVerification = tenant.VerificationPreferred
			c.Authenticators.Secondary, c.Authenticators.SecondaryMode = []string{"secondary_password"}, tenant.SecondaryRequired
		})
		p := h.phone(x)
		p.device.Options.BackupEligible = true // then there is no counter to tell copies by
		a := h.post(x, h.begin(x, "signup", nil).token(), identify("ann@example.com")).asks("create_authenticator")
		a = h.post(x, a.token(), obj{"authentication": "primary_passkey", "creation_response": p.creates(a)}).asks("create_authenticator")
		a = h.post(x, a.token(), obj{"authentication": "secondary_password", "new_password": "correct horse"}).asks("view_recovery_code")
		h.post(x, a.token(), obj{"confirm_recovery_code": true}).asks("finished")

		a = h.begin(x, "login", nil).asks("identify")
		response := p.gets(a)
		h.post(x, a.token(), assertion("passkey", response)).asks("authenticate")
		h.post(x, a.token(), assertion("passkey", response)).refuses(401, "InvalidCredentials")

		a = h.begin(x, "login", nil).asks("identify")
		response = p.gets(a)
		answers := race(func(int) answer { return h.post(x, a.token(), assertion("passkey", response)) })
		if !(answers[0].status == 200 && answers[1].status == 401 || answers[0].status == 401 && answers[1].status == 200) {
			t.Errorf("twice at once: %s, %s", answers[0].raw, answers[1].raw)
		}
	})
}

// Strangers and users without a passkey seem to have one, always the same.
func TestPasskeyDecoys(t *testing.T) {
	onBoth(t, func(h *house) {
		x, y := h.Tenant("acme", withPasskeys), h.Tenant("other", withPasskeys)
		h.User(x, "correct horse", "email:ann@example.com")
		asked := func(x *tenant.Tenant, email string) string {
			a := h.post(x, h.begin(x, "login", nil).token(), identify(email)).asks("authenticate")
			if a.str("result", "action", "data", "options", 0, "authentication") != "primary_password" ||
				a.str("result", "action", "data", "options", 1, "authentication") != "primary_passkey" {
				t.Errorf("the options of %s: %s", email, a.raw)
			}
			return a.str("result", "action", "data", "options", 1, "request_options", "publicKey", "allowCredentials", 0, "id")
		}
		ids := []string{asked(x, "ann@example.com"), asked(x, "nobody@example.com"), asked(y, "ann@example.com")}
		if slices.Contains(ids, "") || ids[0] == ids[1] || ids[0] == ids[2] || asked(x, "ann@example.com") != ids[0] || asked(x, "nobody@example.com") != ids[1] {
			t.Errorf("the decoys: %q", ids)
		}
		h.begin(x, "signup", obj{"batch_input": []obj{identify("nobody@example.com"), create("correct horse"), {"skip": true}}}).asks("finished")
		if asked(x, "nobody@example.com") != ids[1] {
			t.Error("the decoy of a stranger changes when there is such a user")
		}
	})
}

// What a login with a passkey costs in statements.
func TestStatementsOfPasskeys(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", withPasskeys)
		p := h.phone(x)
		a := h.post(x, h.begin(x, "signup", nil).token(), identify("ann@example.com")).asks("create_authenticator")
		h.post(x, a.token(), obj{"authentication": "primary_passkey", "creation_response": p.creates(a)}).asks("finished")
		check := func(what string, most int) {
			t.Helper()
			s := h.Counted()
			t.Logf("%-28s %d %v", what, len(s), s)
			if len(s) > most {
				t.Errorf("%s: %d statements, at most %d: %v", what, len(s), most, s)
			}
		}
		h.Counted()
		a = h.begin(x, "login", nil).asks("identify")
		check("create", 2)
		h.post(x, a.token(), assertion("passkey", p.gets(a))).asks("finished")
		check("passkey without a name", 7) // identify and authenticate in one
		a = h.post(x, h.begin(x, "login", nil).token(), identify("ann@example.com")).asks("authenticate")
		h.Counted()
		h.post(x, a.token(), assertion("primary_passkey", p.gets(a))).asks("finished")
		check("passkey by name", 6) // one of them is the record's: its counter
	})
}
