package passkey_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/passkey"
	"github.com/usher-id/usher/tenant"
)

var _ flow.Passkeys = passkey.RelyingParty{}

const handle = "01975d5f-7a4c-7c1e-8f6e-0a1b2c3d4e5f"

var acme = passkey.RelyingParty{
	ID: "acme.test", Origins: []string{"https://acme.test", "https://login.acme.test", "android:apk-key-hash:" + strings.Repeat("A", 43)},
	UserVerification: tenant.VerificationRequired,
}

// device is a browser with an authenticator, somewhere.
type device struct {
	party   virtualwebauthn.RelyingParty
	chip    virtualwebauthn.Authenticator
	passkey virtualwebauthn.Credential
}

func newDevice() *device {
	return &device{
		party:   virtualwebauthn.RelyingParty{ID: "acme.test", Origin: "https://acme.test"},
		chip:    virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(handle)}),
		passkey: newKey(),
	}
}

func (d *device) create(t *testing.T, options json.RawMessage) json.RawMessage {
	t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(string(options))
	must(t, err)
	return json.RawMessage(virtualwebauthn.CreateAttestationResponse(d.party, d.chip, d.passkey, *o))
}

func (d *device) get(t *testing.T, options json.RawMessage) json.RawMessage {
	t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(string(options))
	must(t, err)
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(d.party, d.chip, d.passkey, *o))
}

func (d *device) registered(t *testing.T) tenant.Passkey {
	t.Helper()
	options, session, err := acme.BeginCreation([]byte(handle), "ann@example.com", nil)
	must(t, err)
	p, verified, err := acme.FinishCreation(session, d.create(t, options))
	must(t, err)
	if !verified {
		t.Error("the user was verified")
	}
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fields reads a JSON object.
func fields(t *testing.T, raw json.RawMessage) map[string]any {
	t.Helper()
	var m map[string]any
	must(t, json.Unmarshal(raw, &m))
	return m
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

func TestOptions(t *testing.T) {
	known := newDevice().registered(t)
	options, _, err := acme.BeginCreation([]byte(handle), "ann@example.com", []tenant.Passkey{known})
	must(t, err)
	o := fields(t, options)["publicKey"].(map[string]any)
	selection := o["authenticatorSelection"].(map[string]any)
	if selection["residentKey"] != "required" || selection["requireResidentKey"] != true || selection["userVerification"] != "required" || o["attestation"] != "none" {
		t.Errorf("the options: %s", options)
	}
	u := o["user"].(map[string]any)
	if u["id"] != base64.RawURLEncoding.EncodeToString([]byte(handle)) || u["name"] != "ann@example.com" || u["displayName"] != "ann@example.com" {
		t.Errorf("the user: %v", u)
	}
	if rp := o["rp"].(map[string]any); rp["id"] != "acme.test" || rp["name"] != "acme.test" {
		t.Errorf("the relying party: %v", rp)
	}
	if exclude := o["excludeCredentials"].([]any); len(exclude) != 1 || exclude[0].(map[string]any)["id"] != known.ID {
		t.Errorf("the credentials to exclude: %v", exclude)
	}
	known.Transports = []string{"hybrid", "internal"}
	options, _, err = acme.BeginAssertion([]tenant.Passkey{known})
	must(t, err)
	o = fields(t, options)["publicKey"].(map[string]any)
	allow := o["allowCredentials"].([]any)[0].(map[string]any)
	if o["rpId"] != "acme.test" || o["userVerification"] != "required" || allow["id"] != known.ID || allow["type"] != "public-key" || len(allow["transports"].([]any)) != 2 {
		t.Errorf("the options: %s", options)
	}
	options, _, err = acme.BeginAssertion(nil)
	must(t, err)
	if _, has := fields(t, options)["publicKey"].(map[string]any)["allowCredentials"]; has {
		t.Errorf("without a name any passkey will do: %s", options)
	}
}

func TestRegistrationRefused(t *testing.T) {
	for name, spoil := range map[string]func(*device, json.RawMessage) json.RawMessage{
		"another origin": func(d *device, o json.RawMessage) json.RawMessage { d.party.Origin = "https://evil.test"; return o },
		"another scheme": func(d *device, o json.RawMessage) json.RawMessage { d.party.Origin = "http://acme.test"; return o },
		"another port": func(d *device, o json.RawMessage) json.RawMessage {
			d.party.Origin = "https://acme.test:8443"
			return o
		},
		"another host":      func(d *device, o json.RawMessage) json.RawMessage { d.party.Origin = "https://x.acme.test"; return o },
		"another party":     func(d *device, o json.RawMessage) json.RawMessage { d.party.ID = "evil.test"; return o },
		"nobody present":    func(d *device, o json.RawMessage) json.RawMessage { d.chip.Options.UserNotPresent = true; return o },
		"nobody verified":   func(d *device, o json.RawMessage) json.RawMessage { d.chip.Options.UserNotVerified = true; return o },
		"impossible backup": func(d *device, o json.RawMessage) json.RawMessage { d.chip.Options.BackupState = true; return o },
		"another challenge": func(*device, json.RawMessage) json.RawMessage {
			o, _, _ := acme.BeginCreation([]byte(handle), "ann@example.com", nil)
			return o
		},
	} {
		t.Run(name, func(t *testing.T) {
			options, session, err := acme.BeginCreation([]byte(handle), "ann@example.com", nil)
			must(t, err)
			d := newDevice()
			options = spoil(d, options)
			_, _, err = acme.FinishCreation(session, d.create(t, options))
			if !errors.Is(err, tenant.ErrValidation) {
				t.Errorf("got %v", err)
			}
		})
	}
	_, session, err := acme.BeginCreation([]byte(handle), "ann@example.com", nil)
	must(t, err)
	for _, response := range []string{`null`, `{}`, `[]`, `"x"`, `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"AAAA","attestationObject":"AAAA"}}`} {
		if _, _, err := acme.FinishCreation(session, json.RawMessage(response)); !errors.Is(err, tenant.ErrValidation) {
			t.Errorf("%s: %v", response, err)
		}
	}
}

func TestAssertion(t *testing.T) {
	d := newDevice()
	p := d.registered(t)
	for _, named := range []bool{true, false} {
		for _, origin := range acme.Origins {
			d.party.Origin, d.passkey.Counter = origin, d.passkey.Counter+7
			var allow []tenant.Passkey
			if named {
				allow = append(allow, p)
			}
			options, session, err := acme.BeginAssertion(allow)
			must(t, err)
			fresh, verified, err := acme.FinishAssertion(session, d.get(t, options), p)
			must(t, err)
			if !verified || fresh.SignCount != d.passkey.Counter || fresh.ID != p.ID || string(fresh.PublicKey) != string(p.PublicKey) {
				t.Errorf("the passkey: %+v, verified %v", fresh, verified)
			}
			p = fresh
		}
	}
	d.chip.Options.UserHandle = nil // which an answer to a named user may lack
	options, session, err := acme.BeginAssertion([]tenant.Passkey{p})
	must(t, err)
	d.passkey.Counter++
	_, _, err = acme.FinishAssertion(session, d.get(t, options), p)
	must(t, err)
}

func TestAssertionRefused(t *testing.T) {
	for name, spoil := range map[string]func(*device, *tenant.Passkey){
		"another origin":  func(d *device, _ *tenant.Passkey) { d.party.Origin = "https://evil.test" },
		"another app":     func(d *device, _ *tenant.Passkey) { d.party.Origin = "android:apk-key-hash:" + strings.Repeat("B", 43) },
		"another party":   func(d *device, _ *tenant.Passkey) { d.party.ID = "evil.test" },
		"nobody present":  func(d *device, _ *tenant.Passkey) { d.chip.Options.UserNotPresent = true },
		"nobody verified": func(d *device, _ *tenant.Passkey) { d.chip.Options.UserNotVerified = true },
		"another user":    func(d *device, _ *tenant.Passkey) { d.chip.Options.UserHandle = []byte("somebody else") },
		"another key":     func(d *device, _ *tenant.Passkey) { d.passkey.Key = newDevice().passkey.Key },
		"another kind of key": func(d *device, _ *tenant.Passkey) {
			d.passkey.Key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA).Key
		},
		"the same counter":    func(d *device, p *tenant.Passkey) { d.passkey.Counter = p.SignCount },
		"a smaller counter":   func(d *device, p *tenant.Passkey) { d.passkey.Counter = p.SignCount - 1 },
		"no counter any more": func(d *device, _ *tenant.Passkey) { d.passkey.Counter = 0 },
		"backup eligible now": func(d *device, _ *tenant.Passkey) { d.chip.Options.BackupEligible = true },
		"nobody's":            func(_ *device, p *tenant.Passkey) { *p = tenant.Passkey{} },
	} {
		for _, named := range []bool{true, false} {
			d := newDevice()
			d.passkey.Counter = 3
			p := d.registered(t)
			var allow []tenant.Passkey
			if named {
				allow = append(allow, p)
			}
			options, session, err := acme.BeginAssertion(allow)
			must(t, err)
			d.passkey.Counter++
			spoil(d, &p)
			_, _, err = acme.FinishAssertion(session, d.get(t, options), p)
			if !errors.Is(err, tenant.ErrInvalidCredentials) {
				t.Errorf("%s: got %v", name, err)
			}
			if name == "nobody's" && !strings.Contains(err.Error(), "ignature") {
				t.Errorf("the signature wasn't looked at for nobody: %v", err)
			}
		}
	}
	d := newDevice()
	p := d.registered(t)
	other, _, err := acme.BeginAssertion([]tenant.Passkey{p})
	must(t, err)
	_, session, err := acme.BeginAssertion([]tenant.Passkey{p})
	must(t, err)
	d.passkey.Counter++
	if _, _, err = acme.FinishAssertion(session, d.get(t, other), p); !errors.Is(err, tenant.ErrInvalidCredentials) {
		t.Errorf("another challenge: %v", err)
	}
	if _, _, err = acme.FinishAssertion(session, json.RawMessage(`{"id":"AAAA"}`), p); !errors.Is(err, tenant.ErrValidation) {
		t.Errorf("no answer: %v", err)
	}
}

// Synced passkeys have no counter: there is nothing to compare.
func TestNoCounter(t *testing.T) {
	d := newDevice()
	d.chip.Options.BackupEligible, d.chip.Options.BackupState = true, true
	p := d.registered(t)
	if !p.BackupEligible || !p.BackedUp {
		t.Errorf("the passkey: %+v", p)
	}
	for range 2 {
		options, session, err := acme.BeginAssertion(nil)
		must(t, err)
		_, _, err = acme.FinishAssertion(session, d.get(t, options), p)
		must(t, err)
	}
}

func TestPreferred(t *testing.T) {
	d, p := newDevice(), acme
	p.UserVerification = tenant.VerificationPreferred
	known := d.registered(t)
	d.chip.Options.UserNotVerified = true
	options, session, err := p.BeginAssertion([]tenant.Passkey{known})
	must(t, err)
	d.passkey.Counter++
	if _, verified, err := p.FinishAssertion(session, d.get(t, options), known); err != nil || verified {
		t.Errorf("without verification: %v, %v", verified, err)
	}
}

func TestNew(t *testing.T) {
	x := &tenant.Tenant{Hosts: []string{"login.acme.test", "acme.test", "api.login.acme.test"}}
	origin := func(host string) string { return "https://" + host }
	if p := passkey.New(x, &tenant.Passkeys{}, origin); p.ID != "login.acme.test" || !slices.Equal(p.Origins, []string{"https://login.acme.test", "https://api.login.acme.test"}) {
		t.Errorf("of the primary host: %+v", p)
	}
	if p := passkey.New(x, &tenant.Passkeys{RPID: "acme.test", ExtraOrigins: []string{"https://x.acme.test"}}, origin); p.ID != "acme.test" || len(p.Origins) != 4 {
		t.Errorf("of a parent: %+v", p)
	}
}

// TestCheck: id, hosts and origins -> the problems.
func TestCheck(t *testing.T) {
	for row, want := range map[string]string{
		"acme.example | login.acme.example,acme.example":                "",
		"acme.example | acme.example,acme.org":                          "/passkeys/rp_id NotCovered",
		"acme.example | notacme.example":                                "/passkeys/rp_id NotCovered",
		"co.uk | shop.co.uk":                                            "/passkeys/rp_id PublicSuffix",
		"github.io | acme.github.io":                                    "/passkeys/rp_id PublicSuffix",
		"com |":                                                         "/passkeys/rp_id PublicSuffix",
		"localhost | demo.localhost":                                    "/passkeys/rp_id PublicSuffix",
		"localhost | localhost":                                         "",
		"Acme.example | acme.example":                                   "/passkeys/rp_id WrongForm",
		"https://acme.example | acme.example":                           "/passkeys/rp_id WrongForm",
		"127.0.0.1 | 127.0.0.1":                                         "/passkeys/rp_id WrongForm",
		"| 127.0.0.1":                                                   "/passkeys/rp_id Required",
		"| demo.localhost":                                              "",
		"| a.example,b.example":                                         "",
		"a.example | a.example | https://app.a.example":                 "",
		"a.example | a.example | https://b.example":                     "/passkeys/extra_origins/0 NotCovered",
		"| a.example | https://b.example":                               "/passkeys/extra_origins/0 NotCovered",
		"| a.example | https://a.example/x":                             "/passkeys/extra_origins/0 WrongForm",
		"| a.example | a.example":                                       "/passkeys/extra_origins/0 WrongForm",
		"| a.example | file://":                                         "/passkeys/extra_origins/0 WrongForm",
		"| a.example | http://a.example":                                "/passkeys/extra_origins/0 NotSecure",
		"| demo.localhost | http://app.demo.localhost:3000":             "",
		"| a.example | android:apk-key-hash:" + strings.Repeat("A", 43): "",
	} {
		part := strings.Split(row+" | |", "|")
		cfg := tenant.DefaultConfig()
		cfg.Identifications.Enabled = []string{"email", "passkey"}
		cfg.Passkeys.RPID, cfg.Passkeys.ExtraOrigins = strings.TrimSpace(part[0]), strings.Fields(part[2])
		var hosts []string
		if h := strings.TrimSpace(part[1]); h != "" {
			hosts = strings.Split(h, ",")
		}
		var got []string
		for _, p := range passkey.Check(cfg, hosts) {
			got = append(got, p.Pointer+" "+p.Reason)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %q, want %q", row, got, want)
		}
	}
}
