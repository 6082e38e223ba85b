package admin

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/passkey"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// incoming is one record of an import, read and checked: what a user is to be.
type incoming struct {
	index    int
	errors   []tenant.Problem
	warnings []tenant.Problem

	id     string         // of the user; "" when it doesn't matter
	keys   []tenant.Claim // whose user it is, if there is one
	upsert bool           // then change the user

	identities  []wanted
	kinds       []string // of identities that an update replaces; nil for all
	credentials []credential
	types       []string // of authenticators that an update replaces; none for nil
	attributes  tenant.UserAttributes
	merge       bool             // an update merges the attributes instead of replacing them
	disabled    *bool            // nil leaves it
	reason      string           // of disabled
	access      *tenant.Access   // nil leaves it
	created     time.Time        // zero for now
	updated     time.Time        // zero for now
	updateNotes []tenant.Problem // warnings in case of an update
}

// wanted is a login id that a user is to have. Its ids are filled in later.
type wanted struct {
	tenant.Identity
	place        string // pointer, for problems
	keepVerified bool   // an update leaves it as verified as it is
}

// claims are what the login id must have to itself: its value, and its key
// where that is another.
func (n *wanted) claims() []tenant.Claim { return claimsOf(&n.Identity) }

func claimsOf(i *tenant.Identity) []tenant.Claim {
	if i.Key == "" || i.Key == i.Value {
		return []tenant.Claim{i.Claim}
	}
	return []tenant.Claim{i.Claim, {Kind: i.Kind, Value: i.Key}}
}

// credential is an authenticator to be made.
type credential struct {
	typ     string
	kept    string // as it is: the hash of a password, an address, the record of a passkey
	sealed  string // is sealed: what flowengine/flow says of authenticator apps and recovery codes
	created time.Time
	updated time.Time // zero for created

	mustChange bool // of a password
}

func (r *incoming) fail(pointer, reason, format string, args ...any) {
	r.errors = append(r.errors, tenant.Problem{Pointer: pointer, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (r *incoming) warn(pointer, reason, format string, args ...any) {
	r.warnings = append(r.warnings, tenant.Problem{Pointer: pointer, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// strict decodes a record and turns what doesn't fit into problems.
func strict(r *incoming, text json.RawMessage, into any) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		return true
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		pointer := ""
		if typ.Field != "" {
			pointer = "/" + strings.ReplaceAll(typ.Field, ".", "/")
		}
		r.fail(pointer, "WrongType", "this can't be a %s", typ.Value)
		return false
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if plain, err := strconv.Unquote(name); err == nil {
			name = plain
		}
		r.fail(placeOf(text, name), "UnknownKey", "unknown key %q", name)
		return false
	}
	r.fail("", "WrongType", "%v", err)
	return false
}

// placeOf points to the first place where a key stands that the decoder, which
// doesn't say where, has refused: the outermost, for objects are read from outside.
func placeOf(text json.RawMessage, name string) string {
	type place struct {
		pointer string
		value   any
	}
	var root any
	_ = json.Unmarshal(text, &root) // it has been read once
	for level := []place{{"", root}}; len(level) > 0; {
		var inner []place
		for _, p := range level {
			switch in := p.value.(type) {
			case map[string]any:
				if _, ok := in[name]; ok {
					return p.pointer + "/" + name
				}
				for _, key := range slices.Sorted(maps.Keys(in)) {
					inner = append(inner, place{p.pointer + "/" + key, in[key]})
				}
			case []any:
				for i, v := range in {
					inner = append(inner, place{fmt.Sprintf("%s/%d", p.pointer, i), v})
				}
			}
		}
		level = inner
	}
	return "/" + name
}

// addIdentity brings a login id of a record to its canonical form.
func (i *importer) addIdentity(r *incoming, kind, raw string, n wanted) {
	var err error
	if n.Claim, err = normalize(&i.cfg.LoginIDs, kind, raw); err != nil {
		r.fail(n.place, "WrongForm", "%s", tenant.AsError(err).Message)
		return
	}
	n.Key = flow.UniqueKey(&i.cfg.LoginIDs, n.Claim)
	if !slices.Contains(i.cfg.Identifications.Enabled, kind) {
		r.warn(n.place, "NotEnabled", "kept, but this tenant doesn't let users identify by %s", kind)
	}
	n.Shown = cmp.Or(n.Shown, raw)
	r.identities = append(r.identities, n)
}

func (r *incoming) addHash(typ, hash, pointer string, created time.Time) {
	if err := secret.CheckHash(hash); err != nil {
		r.fail(pointer, "UnusableHash", "%s", strings.TrimPrefix(err.Error(), secret.ErrHash.Error()+": "))
		return
	}
	r.credentials = append(r.credentials, credential{typ: typ, kept: hash, created: created})
}

func (r *incoming) addTOTP(text, pointer string, created time.Time) {
	folded := strings.TrimRight(strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text)), "=")
	if key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(folded); err != nil || len(key) < 10 || len(key) > 128 {
		r.fail(pointer, "WrongForm", "a TOTP secret is 10 to 128 bytes in base32")
		return
	}
	r.credentials = append(r.credentials, credential{typ: secondaryTOTP, sealed: flow.TOTPSecret(folded), created: created})
}

// addPasskey adds a passkey and the identity that it is found by.
func (r *incoming) addPasskey(p *tenant.Passkey, pointer string, created time.Time) {
	if p == nil || passkey.CheckRecord(p) != nil {
		r.fail(pointer, "WrongForm", "a passkey has the id of a credential in base64url, its COSE key and the user handle that was given to the authenticator")
		return
	}
	if slices.ContainsFunc(r.identities, func(n wanted) bool { return n.Claim == p.Claim() }) {
		r.fail(pointer, "Duplicate", "this passkey stands here twice")
		return
	}
	p.Used = nil
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // plain values
	}
	r.identities = append(r.identities, wanted{place: pointer, Identity: tenant.Identity{Claim: p.Claim(), Shown: p.ID, CreatedAt: created}})
	r.credentials = append(r.credentials, credential{typ: tenant.PasskeyAuthenticator, kept: string(text), created: created})
}

// addTarget adds a factor that is sent to an address or a number.
func (i *importer) addTarget(r *incoming, typ, raw, pointer string, created time.Time) {
	kind := "email"
	if typ == primarySMS || typ == secondarySMS {
		kind = "phone"
	}
	claim, err := normalize(&i.cfg.LoginIDs, kind, raw)
	if err != nil {
		r.fail(pointer, "WrongForm", "%s", tenant.AsError(err).Message)
		return
	}
	r.credentials = append(r.credentials, credential{typ: typ, kept: claim.Value, created: created})
}

// addTokenHashes checks hashes of what has chance enough to need no salt.
func (r *incoming) addTokenHashes(typ string, hashes []string, pointer string, created time.Time) {
	for _, h := range hashes {
		if b, err := base64.RawURLEncoding.DecodeString(h); err != nil || len(b) != sha256.Size {
			r.fail(pointer, "WrongForm", "must be the SHA-256 in unpadded base64url")
			return
		}
	}
	c := credential{typ: typ, created: created}
	switch {
	case typ == recoveryCode && len(hashes) <= maxRecoveryCodes:
		c.sealed = flow.RecoveryCodesSecret(hashes)
	case typ == deviceToken && len(hashes) == 1:
		c.kept = hashes[0]
	default:
		r.fail(pointer, "WrongLength", "a device has one token, a user at most %d recovery codes", maxRecoveryCodes)
		return
	}
	r.credentials = append(r.credentials, c)
}

const maxRecoveryCodes = 100

// The types of authenticators that an import can bring, beside passwords and
// passkeys.
const (
	primaryEmail      = "primary_oob_otp_email"
	primarySMS        = "primary_oob_otp_sms"
	secondaryPassword = "secondary_password"
	secondaryTOTP     = "secondary_totp"
	secondaryEmail    = "secondary_oob_otp_email"
	secondarySMS      = "secondary_oob_otp_sms"
)

// addAttributes takes a JSON object of attributes.
func (r *incoming) addAttributes(into *json.RawMessage, text json.RawMessage, pointer string) {
	merged, err := mergeAttributes(pointer, nil, text)
	if refusal, ok := errors.AsType[*tenant.Error](err); ok {
		r.fail(pointer, "WrongType", "%s", refusal.Message)
		return
	}
	*into = merged
}
