package flow

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/usher-id/usher/tenant"
)

// loginID identifies by an e-mail address, a phone number, or a username.
type loginID struct {
	oneShot
	kind string
}

func (loginID) For(step string) bool { return step == stepIdentify }

// Proves: anybody can say it.
func (loginID) Proves(string) bool { return false }

func (m loginID) Options(*Cursor, *tenant.Step, *tenant.Branch) ([]Option, error) {
	return []Option{{Show: map[string]any{"identification": m.kind}}}, nil
}

func (m loginID) Take(_ *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	raw, err := in.text("login_id")
	if err != nil {
		return Verdict{}, err
	}
	claim, err := NormalizeClaim(m.kind, raw)
	return Verdict{Claim: claim, Shown: raw}, err
}

// maxLoginID is the longest login id in bytes: 64 for a local part, 255 for a
// domain, and the @ (RFC 5321 section 4.5.3.1).
const maxLoginID = 320

// NormalizeClaim brings a login id to its canonical form, by which it is unique
// and found. It refuses with tenant.ErrValidation at /login_id.
func NormalizeClaim(kind, raw string) (tenant.Claim, error) {
	return normalize(kind, raw, "/login_id")
}

// normalize is NormalizeClaim of what stands at a location.
func normalize(kind, raw, location string) (tenant.Claim, error) {
	value, ok := "", false
	if len(raw) <= maxLoginID && utf8.ValidString(raw) {
		switch kind {
		case idEmail:
			value, ok = canonicalEmail(raw)
		case idPhone:
			value, ok = canonicalPhone(raw)
		case idUsername:
			if reserved[strings.ToLower(raw)] {
				return tenant.Claim{}, tenant.Invalidf(location, "reserved", "this username is reserved")
			}
			value, ok = canonicalUsername(raw)
		}
	}
	if !ok {
		return tenant.Claim{}, tenant.ErrValidation.Says("this is no %s", forms[kind]).
			WithCauses(tenant.Cause{Location: location, Kind: "format", Details: map[string]any{"format": kind}})
	}
	return tenant.Claim{Kind: kind, Value: value}, nil
}

var forms = map[string]string{
	idEmail:    "e-mail address",
	idPhone:    "phone number in E.164 form, such as +14155550123",
	idUsername: "username: 1 to 40 letters, digits, '_', '-' and '.'",
}

// localPart is a dot-atom (RFC 5321 section 4.1.2, with RFC 6531's characters).
var localPart = regexp.MustCompile("^[^\\x00-\\x20\\x7f()<>\\[\\]:;@\\\\,.\"]+(\\.[^\\x00-\\x20\\x7f()<>\\[\\]:;@\\\\,.\"]+)*$")

// canonicalEmail folds case and writes the domain in A-labels (RFC 5890).
func canonicalEmail(s string) (string, bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 {
		return "", false
	}
	local := strings.ToLower(norm.NFC.String(s[:at]))
	domain, err := idna.Lookup.ToASCII(s[at+1:])
	if err != nil || domain == "" || len(domain) > 253 || strings.HasSuffix(domain, ".") ||
		!localPart.MatchString(local) || strings.ContainsFunc(local, invisible) {
		return "", false
	}
	return local + "@" + strings.ToLower(domain), true
}

// invisible runes would make two addresses look like one.
func invisible(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

// canonicalPhone admits possible numbers in E.164 form; a valid one is more
// than can be known for long.
func canonicalPhone(s string) (string, bool) {
	if !e164.MatchString(s) {
		return "", false
	}
	n, err := phonenumbers.Parse(s, "")
	return s, err == nil && phonenumbers.IsPossibleNumber(n)
}

var usernameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,38}[A-Za-z0-9])?$`)

func canonicalUsername(s string) (string, bool) {
	return strings.ToLower(s), usernameForm.MatchString(s)
}

// reserved usernames would let their owner pass for somebody official.
var reserved = map[string]bool{
	"admin": true, "administrator": true, "root": true, "system": true, "superuser": true, "support": true, "help": true, "helpdesk": true,
	"security": true, "abuse": true, "postmaster": true, "hostmaster": true, "webmaster": true, "noreply": true, "no-reply": true,
	"info": true, "billing": true, "staff": true, "moderator": true, "official": true, "usher": true, "api": true, "www": true, "me": true,
	"null": true, "undefined": true, "anonymous": true, "everyone": true, "nobody": true, "guest": true,
}
