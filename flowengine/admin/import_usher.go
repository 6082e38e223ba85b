package admin

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/usher-id/usher/tenant"
)

// usherUser is a user as the USHER format writes them:
//
//	{"upsert": false, "users": [{
//	  "id": "0197...", "state": "active",
//	  "identities": [{"kind": "email", "value": "ann@example.com", "verified_at": "2026-01-02T03:04:05Z"}],
//	  "authenticators": [{"type": "primary_password", "hash": "$argon2id$..."}, {"type": "secondary_totp", "secret": "JBSW..."}],
//	  "standard": {"name": "Ann"}, "custom": {"plan": "pro"},
//	  "created_at": "2026-01-02T03:04:05Z"
//	}]}
//
// Only identities is required. With upsert a user who is known, by id or by a
// login id, becomes what the record says; without authenticators their
// credentials stay. Sealed secrets stand in the clear: an export with hashes
// brings back every credential.
type usherUser struct {
	ID             string            `json:"id,omitempty"`
	State          tenant.UserState  `json:"state,omitempty"`
	DisabledReason string            `json:"disabled_reason,omitempty"`
	Identities     []usherIdentity   `json:"identities"`
	Authenticators []usherCredential `json:"authenticators,omitempty"`
	Standard       json.RawMessage   `json:"standard,omitempty"`
	Custom         json.RawMessage   `json:"custom,omitempty"`
	CreatedAt      time.Time         `json:"created_at,omitzero"`
	UpdatedAt      time.Time         `json:"updated_at,omitzero"`
	tenant.Access
}

type usherIdentity struct {
	Kind       string    `json:"kind"`
	Value      string    `json:"value"`                // as the user wrote it; of ldap, what the directory knows them by
	Shown      string    `json:"shown,omitempty"`      // of ldap: the name that the user gave
	Verified   bool      `json:"verified,omitempty"`   // as of now
	VerifiedAt time.Time `json:"verified_at,omitzero"` // or since when
	CreatedAt  time.Time `json:"created_at,omitzero"`
}

type usherCredential struct {
	Type      string    `json:"type"`
	Hash      string    `json:"hash,omitempty"`   // of a password, or of the token of a device
	Secret    string    `json:"secret,omitempty"` // of TOTP, in base32
	Target    string    `json:"target,omitempty"` // of codes that are sent
	Codes     []string  `json:"codes,omitempty"`  // hashes of the recovery codes that are left
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"` // of a password: how old it is

	MustChange bool `json:"must_change,omitempty"` // of a password, at the next login

	Passkey *tenant.Passkey `json:"passkey,omitempty"` // of a passkey, which works as long as the relying party id stays
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func (i *importer) usherRecord(r *incoming, _ header, text json.RawMessage) {
	var u usherUser
	if !strict(r, text, &u) {
		return
	}
	if u.ID != "" && !uuidForm.MatchString(u.ID) {
		r.fail("/id", "WrongForm", "an id is a UUID in lower case")
	}
	r.id, r.created, r.updated = u.ID, u.CreatedAt, u.UpdatedAt
	r.access = &u.Access
	disabled := u.State == tenant.UserDisabled
	r.disabled, r.reason = &disabled, u.DisabledReason
	if u.State != "" && u.State != tenant.UserActive && !disabled {
		r.fail("/state", "NotAllowed", "a state is active or disabled")
	}
	if checkOptional("", u.DisabledReason) != nil {
		r.fail("/disabled_reason", "WrongLength", "at most %d characters on one line", maxWords)
	}
	if len(u.Identities) == 0 || len(u.Identities) > maxIdentities {
		r.fail("/identities", "WrongLength", "a user has 1 to %d login ids", maxIdentities)
		return
	}
	for k, n := range u.Identities {
		since := n.VerifiedAt
		if n.Verified && since.IsZero() {
			since = i.s.now()
		}
		id := wanted{place: fmt.Sprintf("/identities/%d/value", k)}
		id.VerifiedAt, id.CreatedAt = since, n.CreatedAt
		if n.Kind == tenant.LDAPKind {
			id.Shown = n.Shown
		}
		i.addIdentity(r, n.Kind, n.Value, id)
	}
	seen := map[tenant.Claim]bool{}
	for k := range r.identities {
		for _, claim := range r.identities[k].claims() {
			if seen[claim] {
				r.fail(r.identities[k].place, "Duplicate", "this login id stands here twice")
			}
			seen[claim] = true
			r.keys = append(r.keys, claim)
		}
	}
	for k, c := range u.Authenticators {
		i.usherCredential(r, c, fmt.Sprintf("/authenticators/%d", k))
	}
	if len(u.Authenticators) > 0 {
		r.types = []string{
			primaryPassword, primaryEmail, primarySMS, secondaryPassword, secondaryTOTP, secondaryEmail, secondarySMS,
			tenant.PasskeyAuthenticator, recoveryCode, deviceToken, tenant.OldPassword,
		}
	} else {
		r.kinds = []string{"email", "phone", "username", tenant.LDAPKind} // and not the identities of passkeys
	}
	r.addAttributes(&r.attributes.Standard, u.Standard, "/standard")
	r.addAttributes(&r.attributes.Custom, u.Custom, "/custom")
}

func (i *importer) usherCredential(r *incoming, c usherCredential, at string) {
	before := len(r.credentials)
	switch c.Type {
	case primaryPassword, secondaryPassword, tenant.OldPassword:
		r.addHash(c.Type, c.Hash, at+"/hash", c.CreatedAt)
	case secondaryTOTP:
		r.addTOTP(c.Secret, at+"/secret", c.CreatedAt)
	case recoveryCode:
		r.addTokenHashes(c.Type, c.Codes, at+"/codes", c.CreatedAt)
	case deviceToken:
		r.addTokenHashes(c.Type, []string{c.Hash}, at+"/hash", c.CreatedAt)
	case primaryEmail, primarySMS, secondaryEmail, secondarySMS:
		i.addTarget(r, c.Type, c.Target, at+"/target", c.CreatedAt)
	case tenant.PasskeyAuthenticator:
		r.addPasskey(c.Passkey, at+"/passkey", c.CreatedAt)
	default:
		r.fail(at+"/type", "NotAllowed", "there is no authenticator %q", c.Type)
	}
	for k := before; k < len(r.credentials); k++ {
		r.credentials[k].updated, r.credentials[k].mustChange = c.UpdatedAt, c.MustChange
	}
}
