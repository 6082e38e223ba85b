package flow

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/confusable"
	"github.com/usher-id/usher/tenant/maildomain"
)

// A login id has three forms: as the user wrote it, which is shown; its value,
// which is kept and written to ([NormalizeClaim]); and its key, by which it is
// unique ([UniqueKey]). What may become one is another question
// ([CheckNewClaim]), so that a stricter rule keeps nobody out who is in.

// maxLoginID is the longest login id in bytes: 64 for a local part, 255 for a
// domain, and the @ (RFC 5321 section 4.5.3.1).
const maxLoginID = 320

// NormalizeClaim brings a login id to the form in which it is kept. It refuses
// what can't be one, with tenant.ErrValidation at /login_id.
func NormalizeClaim(rules *tenant.LoginIDs, kind, raw string) (tenant.Claim, error) {
	return normalize(rules, kind, raw, "/login_id")
}

// normalize is NormalizeClaim of what stands at a location.
func normalize(rules *tenant.LoginIDs, kind, raw, location string) (tenant.Claim, error) {
	value, ok := "", false
	if len(raw) <= maxLoginID && utf8.ValidString(raw) {
		switch kind {
		case idEmail:
			value, ok = canonicalEmail(raw, rules.Email.CaseSensitive)
		case idPhone:
			value, ok = canonicalPhone(raw)
		case idUsername:
			value, ok = canonicalUsername(raw, rules.Username.CaseSensitive)
		case idLDAP:
			value, ok = raw, ldapForm.MatchString(raw)
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
	idLDAP:     "user of an LDAP server: the server, the attribute and what it holds in base64url, separated by colons",
	idUsername: "username: letters, digits, '_', '-' and '.'",
}

// UniqueKey is what a normalized claim is unique by.
func UniqueKey(rules *tenant.LoginIDs, claim tenant.Claim) string {
	switch {
	case claim.Kind == idEmail && rules.Email.IgnoreDotSign:
		at := strings.LastIndexByte(claim.Value, '@')
		return strings.ReplaceAll(claim.Value[:max(at, 0)], ".", "") + claim.Value[max(at, 0):]
	case claim.Kind == idUsername:
		skeleton := confusable.Skeleton(claim.Value)
		if !rules.Username.CaseSensitive {
			skeleton = strings.ToLower(skeleton)
		}
		return skeleton
	}
	return claim.Value
}

// otherForms are the values and keys under which the login id may be kept
// besides its value, in the order of preference: its key, and what it was under
// the other rule of case. With that, whoever signs in as they signed up gets in
// after the rule has changed; whoever signs up isn't told apart by case where
// the rule says they differ.
func otherForms(rules *tenant.LoginIDs, claim tenant.Claim, raw string, known bool) []string {
	var out []string
	add := func(form string) {
		if form != claim.Value && !slices.Contains(out, form) {
			out = append(out, form)
		}
	}
	add(UniqueKey(rules, claim))
	flipped := *rules
	flipped.Email.CaseSensitive = !rules.Email.CaseSensitive
	flipped.Username.CaseSensitive = !rules.Username.CaseSensitive
	sensitive := claim.Kind == idEmail && rules.Email.CaseSensitive || claim.Kind == idUsername && rules.Username.CaseSensitive
	if other, err := normalize(&flipped, claim.Kind, raw, ""); err == nil && (known || !sensitive) {
		add(other.Value)
	}
	return out
}

// CheckNewClaim holds a normalized claim that is to become a login id against
// the tenant's rules. It refuses with tenant.ErrValidation at /login_id.
func CheckNewClaim(rules *tenant.LoginIDs, claim tenant.Claim) error {
	var broken, says string
	switch claim.Kind {
	case idEmail:
		broken, says = brokenEmailRule(&rules.Email, claim.Value)
	case idPhone:
		broken, says = brokenPhoneRule(&rules.Phone, claim.Value)
	case idUsername:
		broken, says = brokenUsernameRule(rules, claim)
	}
	if broken == "" {
		return nil
	}
	return tenant.Invalidf("/login_id", broken, "%s", says)
}

// localPart is a dot-atom (RFC 5321 section 4.1.2, with RFC 6531's characters).
var localPart = regexp.MustCompile("^[^\\x00-\\x20\\x7f()<>\\[\\]:;@\\\\,.\"]+(\\.[^\\x00-\\x20\\x7f()<>\\[\\]:;@\\\\,.\"]+)*$")

// canonicalEmail writes the domain in A-labels (RFC 5890) and, unless it
// matters, the local part in lower case.
func canonicalEmail(s string, caseSensitive bool) (string, bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 {
		return "", false
	}
	local := norm.NFC.String(s[:at])
	if !caseSensitive {
		local = strings.ToLower(local)
	}
	domain, err := mailDomain.ToASCII(s[at+1:])
	if err != nil || strings.HasSuffix(domain, ".") || !localPart.MatchString(local) || strings.ContainsFunc(local, invisible) {
		return "", false
	}
	return local + "@" + strings.ToLower(domain), true
}

// mailDomain is idna.Lookup with what RFC 5321 asks of a domain besides: one to 63
// bytes between two dots, and 253 in all.
var mailDomain = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.Transitional(false), idna.VerifyDNSLength(true))

// invisible runes would make two addresses look like one.
func invisible(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }

func brokenEmailRule(rules *tenant.EmailRules, address string) (rule, says string) {
	at := strings.LastIndexByte(address, '@')
	local, domain := address[:at], address[at+1:]
	allowed := inDomains(rules.DomainAllowlist, domain)
	switch {
	case rules.BlockPlusSign && strings.Contains(local, "+"):
		return "plus_sign", "an address with a plus sign is not taken here"
	case len(rules.DomainAllowlist) > 0 && !allowed,
		inDomains(rules.DomainBlocklist, domain),
		rules.BlockFreeMailProviders && !allowed && maildomain.Free(domain),
		rules.BlockDisposable && !allowed && maildomain.Disposable(domain):
		return "domain", "addresses of this domain are not taken here"
	}
	return "", ""
}

// inDomains says whether a domain is in a list: itself, or below one that is
// listed with a leading "*.".
func inDomains(list []string, domain string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		below, wild := strings.CutPrefix(entry, "*.")
		listed, err := idna.Lookup.ToASCII(cmp.Or(below, entry))
		return err == nil && (!wild && domain == listed || wild && strings.HasSuffix(domain, "."+listed))
	})
}

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

func brokenPhoneRule(rules *tenant.PhoneRules, number string) (rule, says string) {
	n, err := phonenumbers.Parse(number, "")
	switch {
	case err != nil || rules.ValidOnly && !phonenumbers.IsValidNumber(n):
		return "valid", "this number is not in use"
	case len(rules.Countries) > 0 && !ofCountry(rules.Countries, n):
		return "country", "numbers of this country are not taken here"
	}
	return "", ""
}

// ofCountry says whether a number belongs to one of the countries. Of a number
// that nobody is known to have the country code has to do.
func ofCountry(countries []string, n *phonenumbers.PhoneNumber) bool {
	if region := phonenumbers.GetRegionCodeForNumber(n); region != "" {
		return slices.Contains(countries, region)
	}
	return slices.ContainsFunc(countries, func(c string) bool {
		return phonenumbers.GetCountryCodeForRegion(c) == int(n.GetCountryCode())
	})
}

// maxUsername is the longest username in characters, whatever the rules are.
const maxUsername = 100

// canonicalUsername prepares a username as RFC 8265 section 3 says, of letters,
// marks, digits, '_', '-' and '.'.
func canonicalUsername(s string, caseSensitive bool) (string, bool) {
	profile := precis.UsernameCaseMapped
	if caseSensitive {
		profile = precis.UsernameCasePreserved
	}
	name, err := profile.String(s)
	return name, err == nil && utf8.RuneCountInString(name) <= maxUsername && !strings.ContainsFunc(name, notInUsername)
}

func notInUsername(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune("_-.", r)
}

func brokenUsernameRule(all *tenant.LoginIDs, claim tenant.Claim) (rule, says string) {
	rules, name := &all.Username, claim.Value
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	// What looks like a word that isn't allowed isn't either.
	folded, alike := strings.ToLower(name), strings.ToLower(confusable.Skeleton(name))
	is := func(word string) bool {
		word = strings.ToLower(norm.NFC.String(word))
		return folded == word || alike == word
	}
	holds := func(word string) bool {
		word = strings.ToLower(norm.NFC.String(word))
		return strings.Contains(folded, word) || strings.Contains(alike, word)
	}
	switch length := utf8.RuneCountInString(name); {
	case length < rules.MinLength || length > rules.MaxLength:
		return "length", "this username is too short or too long"
	case strings.ContainsRune("_-.", first) || unicode.Is(unicode.M, first) || strings.ContainsRune("_-.", last),
		rules.ASCIIOnly && strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }):
		return "format", "this is no username"
	case rules.BlockReserved && (reserved[folded] || reserved[alike]), slices.ContainsFunc(rules.Reserved, is):
		return "reserved", "this username is reserved"
	case slices.ContainsFunc(rules.ExcludedKeywords, holds):
		return "excluded_keywords", "this username holds a word that is not allowed"
	}
	return "", ""
}

// reserved usernames would let their owner pass for somebody official.
var reserved = map[string]bool{
	"admin": true, "administrator": true, "root": true, "system": true, "superuser": true, "support": true, "help": true, "helpdesk": true,
	"security": true, "abuse": true, "postmaster": true, "hostmaster": true, "webmaster": true, "noreply": true, "no-reply": true,
	"info": true, "billing": true, "staff": true, "moderator": true, "official": true, "usher": true, "api": true, "www": true, "me": true,
	"null": true, "undefined": true, "anonymous": true, "everyone": true, "nobody": true, "guest": true,
}
