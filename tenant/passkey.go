package tenant

import (
	"encoding/json"
	"slices"
	"time"
)

// Passkeys says for whom passkeys (WebAuthn level 3) are made and how they are
// checked. They are on when they are among the identifications or the primary
// authenticators.
type Passkeys struct {
	RPID             string           `json:"rp_id" jsonschema:"maxLength=253" jsonschema_description:"The relying party id that passkeys belong to: a host of the tenant or a parent domain of all its hosts. Empty for the primary host, and passkeys then work on that host and below it. Passkeys made under another id are lost."`
	RPName           string           `json:"rp_name" jsonschema:"maxLength=64" jsonschema_description:"What authenticators call the tenant; empty for the relying party id."`
	UserVerification UserVerification `json:"user_verification" jsonschema:"enum=required,enum=preferred" jsonschema_description:"required: the authenticator checks the user by PIN or biometrics, and a passkey is two factors in one; preferred: it does so if it can, and a second factor is asked for as after a password."`
	ExtraOrigins     []string         `json:"extra_origins" jsonschema:"maxItems=20,uniqueItems=true" jsonschema_description:"Where passkeys may be used beside the tenant's hosts: web origins below the relying party id, such as https://app.example.com, and native apps, such as android:apk-key-hash:..."`
}

// UserVerification says whether the authenticator has to check who holds it.
type UserVerification string

// The requirements.
const (
	VerificationRequired  UserVerification = "required"
	VerificationPreferred UserVerification = "preferred"
)

// The names that passkeys go by.
const (
	PasskeyKind          = "passkey"         // of the identification, and of the identities: their value is the credential id
	PasskeyAuthenticator = "primary_passkey" // of the authenticators: their secret is a Passkey in JSON
)

// PasskeysOn says whether users of a tenant can have passkeys.
func (c *Config) PasskeysOn() bool {
	return slices.Contains(c.Identifications.Enabled, PasskeyKind) || slices.Contains(c.Authenticators.Primary, PasskeyAuthenticator)
}

// Passkey is a credential record (WebAuthn level 3 section 4). Beside the
// authenticator that holds it stands an identity of kind passkey, by which its
// owner is found and no credential id is taken twice (section 7.1 step 26).
type Passkey struct {
	ID             string   `json:"id"`         // of the credential, unpadded base64url
	PublicKey      []byte   `json:"public_key"` // COSE_Key (RFC 9052 section 7)
	SignCount      uint32   `json:"sign_count"`
	Transports     []string `json:"transports,omitempty"`
	UserHandle     []byte   `json:"user_handle"`     // as the authenticator was told
	AAGUID         string   `json:"aaguid"`          // the model of the authenticator, a UUID
	BackupEligible bool     `json:"backup_eligible"` // it may be synced; for good
	BackedUp       bool     `json:"backed_up"`       // it is
	Roaming        bool     `json:"roaming"`         // made with an authenticator that isn't part of the device
	Used           []string `json:"used,omitempty"`  // the last ceremonies that it answered, by id in order
}

// LostPasskey is one that its user loses.
type LostPasskey struct {
	ID              string // of the credential
	AuthenticatorID string
}

// Claim is what the passkey is found by.
func (p *Passkey) Claim() Claim { return Claim{Kind: PasskeyKind, Value: p.ID} }

// maxUsed is how many answered ceremonies a passkey remembers.
const maxUsed = 16

// Spend notes that the passkey answered a ceremony, and says whether it may: an
// answer works once. Ids are UUIDv7, so those older than all that are
// remembered need not be: they count as used (the window of RFC 4303 section
// 3.4.3).
func (p *Passkey) Spend(ceremony string) bool {
	at, used := slices.BinarySearch(p.Used, ceremony)
	if used || at == 0 && len(p.Used) == maxUsed {
		return false
	}
	p.Used = slices.Insert(slices.Clone(p.Used), at, ceremony)
	if len(p.Used) > maxUsed {
		p.Used = p.Used[1:]
	}
	return true
}

// Name is what people call the passkey: its provider, or what sort of thing it
// is.
func (p *Passkey) Name() string {
	switch {
	case passkeyProviders[p.AAGUID] != "":
		return passkeyProviders[p.AAGUID]
	case p.Roaming && !p.BackupEligible:
		return "Security key"
	}
	return "Passkey"
}

// Passkey is what an authenticator of type primary_passkey holds; nil of others.
func (a *Authenticator) Passkey() (*Passkey, error) {
	if a.Type != PasskeyAuthenticator {
		return nil, nil
	}
	p := new(Passkey)
	err := json.Unmarshal([]byte(a.Secret), p)
	return p, err
}

// Name is what people call the authenticator; "" when it has no name of its own.
func (a *Authenticator) Name() string {
	if p, err := a.Passkey(); err == nil && p != nil {
		return p.Name()
	}
	return ""
}

// LastUsedAt is when a passkey was last used; zero when it never was, and of
// authenticators that aren't passkeys.
func (a *Authenticator) LastUsedAt() time.Time {
	if p, err := a.Passkey(); err == nil && p != nil && len(p.Used) > 0 {
		return a.UpdatedAt
	}
	return time.Time{}
}

// passkeyProviders names the most common makers of passkeys by AAGUID, as they
// publish them.
var passkeyProviders = map[string]string{
	"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
	"adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on Mac",
	"08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
	"9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
	"6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
	"fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "Apple Passwords",
	"dd4ec289-e01d-41c9-bb89-70fa845d4bf2": "iCloud Keychain (Managed)",
	"531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
	"bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
	"b84e4048-15dc-4dd0-8640-f4f60813c8af": "NordPass",
	"0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6": "Keeper",
	"f3809540-7f14-49c1-a8b3-8f813b225541": "Enpass",
	"d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
	"53414d53-554e-4700-0000-000000000000": "Samsung Pass",
	"fdb141b2-5d84-443e-8a35-4698c205a502": "KeePassXC",
	"50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
}

// Passkey finds one of the user's passkeys by the id of its credential; nil when
// they have none such, or are nil themselves.
func (a *Account) Passkey(id string) (*Authenticator, Passkey, error) {
	if a == nil {
		return nil, Passkey{}, nil
	}
	for i := range a.Authenticators {
		p, err := a.Authenticators[i].Passkey()
		if err != nil {
			return nil, Passkey{}, err
		}
		if p != nil && p.ID == id {
			return &a.Authenticators[i], *p, nil
		}
	}
	return nil, Passkey{}, nil
}
