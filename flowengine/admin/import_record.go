package admin

import (
	"bytes"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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

// credential is an authenticator to be made.
type credential struct {
	typ     string
	hash    string // of a password
	plain   string // of everything else; is sealed
	created time.Time
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
		r.fail("/"+name, "UnknownKey", "unknown key %q", name)
		return false
	}
	r.fail("", "WrongType", "%v", err)
	return false
}

// addIdentity brings a login id of a record to its canonical form.
func (i *importer) addIdentity(r *incoming, kind, raw string, n wanted) {
	var err error
	if n.Claim, err = normalize(kind, raw); err != nil {
		r.fail(n.place, "WrongForm", "%s", tenant.AsError(err).Message)
		return
	}
	if !slices.Contains(i.cfg.Identifications.Enabled, kind) {
		r.warn(n.place, "NotEnabled", "kept, but this tenant doesn't let users identify by %s", kind)
	}
	n.Shown = raw
	r.identities = append(r.identities, n)
}

func (r *incoming) addHash(typ, hash, pointer string, created time.Time) {
	if err := secret.CheckHash(hash); err != nil {
		r.fail(pointer, "UnusableHash", "%s", strings.TrimPrefix(err.Error(), secret.ErrHash.Error()+": "))
		return
	}
	r.credentials = append(r.credentials, credential{typ: typ, hash: hash, created: created})
}

func (r *incoming) addTOTP(text, pointer string, created time.Time) {
	folded := strings.TrimRight(strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text)), "=")
	if key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(folded); err != nil || len(key) < 10 || len(key) > 128 {
		r.fail(pointer, "WrongForm", "a TOTP secret is 10 to 128 bytes in base32")
		return
	}
	r.credentials = append(r.credentials, credential{typ: secondaryTOTP, plain: folded, created: created})
}

// addTarget adds a second factor that is sent to an address or a number.
func (r *incoming) addTarget(typ, raw, pointer string, created time.Time) {
	kind := map[string]string{secondaryEmail: "email", secondarySMS: "phone"}[typ]
	claim, err := normalize(kind, raw)
	if err != nil {
		r.fail(pointer, "WrongForm", "%s", tenant.AsError(err).Message)
		return
	}
	r.credentials = append(r.credentials, credential{typ: typ, plain: claim.Value, created: created})
}

// The types of authenticators that an import can bring.
const (
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
