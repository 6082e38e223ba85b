package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/passkey"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// maxRecord is the longest record of an import, in bytes.
const maxRecord = 256 << 10

// header is what an import document says of all its records. It stands before
// them, for they are imported as they are read.
type header struct {
	Upsert     bool
	Identifier string // AUTHGEAR only
}

// read reads an import document record by record.
func (i *importer) read(doc io.Reader, each func(*incoming) error) error {
	list, parse := "users", i.usherRecord
	switch i.in.Format {
	case "", FormatUsher:
	case FormatAuthgear:
		list, parse = "records", i.authgearRecord
	default:
		return tenant.Invalidf("/format", "format", "there is no format %q; send USHER or AUTHGEAR", i.in.Format)
	}
	limited := &meter{r: doc, left: maxRecord}
	d := json.NewDecoder(limited)
	if err := expect(d, '{'); err != nil {
		return unreadable("", err)
	}
	var h header
	listed := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return unreadable("", err)
		}
		if key != list {
			if err := i.option(d, key.(string), list, listed, &h); err != nil {
				return err
			}
			continue
		}
		if i.in.Format == FormatAuthgear && h.Identifier == "" {
			return tenant.Invalidf("/identifier", "required", "identifier must stand before records; it is one of email, phone_number, preferred_username")
		}
		listed = true
		if err := i.records(d, limited, list, func(index int, text json.RawMessage) error {
			r := &incoming{index: index, upsert: h.Upsert}
			parse(r, h, text)
			return each(r)
		}); err != nil {
			return err
		}
	}
	if !listed {
		return tenant.Invalidf("/"+list, "required", "%q is missing", list)
	}
	if _, err := d.Token(); err != nil {
		return unreadable("", err)
	}
	return nil
}

func (i *importer) option(d *json.Decoder, key, list string, listed bool, h *header) error {
	var target any
	switch {
	case key == "upsert":
		target = &h.Upsert
	case key == "identifier" && i.in.Format == FormatAuthgear:
		target = &h.Identifier
	default:
		return tenant.Invalidf("/"+key, "unknown", "unknown key %q", key)
	}
	if listed {
		return tenant.Invalidf("/"+key, "order", "%s stands behind %s and was not heeded; put it before them", key, list)
	}
	if err := d.Decode(target); err != nil {
		return unreadable("/"+key, err)
	}
	if key == "identifier" && claimKinds[h.Identifier] == "" {
		return tenant.Invalidf("/identifier", "enum", "identifier is one of email, phone_number, preferred_username")
	}
	return nil
}

func (i *importer) records(d *json.Decoder, limited *meter, list string, each func(int, json.RawMessage) error) error {
	if err := expect(d, '['); err != nil {
		return unreadable("/"+list, err)
	}
	index := 0
	for ; d.More(); index++ {
		limited.left = maxRecord
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return unreadable(fmt.Sprintf("/%s/%d", list, index), err)
		}
		if err := each(index, text); err != nil {
			return err
		}
	}
	if err := expect(d, ']'); err != nil {
		return unreadable(fmt.Sprintf("/%s/%d", list, index), err)
	}
	limited.left = maxRecord
	return nil
}

func expect(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err == nil && token != want {
		err = fmt.Errorf("expected %v", want)
	}
	return err
}

// unreadable refuses a document that isn't what it should be. Failures of
// reading itself stay internal.
func unreadable(pointer string, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errLongRecord):
		return tenant.ErrTooLarge.Says("%s: a record has at most %d bytes", pointer, maxRecord)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return tenant.Invalidf(pointer, "json", "the document ends too early")
	case errors.As(err, &syntax), errors.As(err, &typ), strings.HasPrefix(err.Error(), "expected "):
		return tenant.Invalidf(pointer, "json", "this can't be read: %v", err)
	}
	return err
}

var errLongRecord = errors.New("over the limit of one record")

// meter stops reading when one record goes on for too long.
type meter struct {
	r    io.Reader
	left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errLongRecord
	}
	n, err := m.r.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
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
	if n.Claim, err = normalize(&i.cfg.LoginIDs, kind, raw); err != nil {
		r.fail(n.place, "WrongForm", "%s", tenant.AsError(err).Message)
		return
	}
	n.Key = flow.UniqueKey(&i.cfg.LoginIDs, n.Claim)
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
