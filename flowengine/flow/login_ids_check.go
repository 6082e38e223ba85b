package flow

import (
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/usher-id/usher/tenant"
)

// loginIDs checks what the rules for login ids name.
func (k *checker) loginIDs(rules *tenant.LoginIDs) {
	k.domains("/login_ids/email/domain_allowlist", rules.Email.DomainAllowlist)
	k.domains("/login_ids/email/domain_blocklist", rules.Email.DomainBlocklist)
	for i, country := range rules.Phone.Countries {
		if phonenumbers.GetCountryCodeForRegion(country) == 0 {
			k.problem(pointer("/login_ids/phone/countries", i), "UnknownCountry", "there is no country %q with phone numbers; codes are as in ISO 3166-1, such as HK", country)
		}
	}
	if name := &rules.Username; name.MinLength > name.MaxLength {
		k.problem("/login_ids/username/min_length", "OutOfOrder", "must be at most max_length, %d", name.MaxLength)
	}
	k.words("/login_ids/username/reserved", rules.Username.Reserved)
	k.words("/login_ids/username/excluded_keywords", rules.Username.ExcludedKeywords)
}

func (k *checker) domains(at string, list []string) {
	for i, entry := range list {
		domain := strings.TrimPrefix(entry, "*.")
		if ascii, err := mailDomain.ToASCII(domain); err != nil || strings.HasSuffix(ascii, ".") {
			k.problem(pointer(at, i), "WrongForm", "%q is no domain, such as example.com or *.example.com", entry)
		}
	}
}

func (k *checker) words(at string, list []string) {
	for i, word := range list {
		if strings.TrimSpace(word) == "" {
			k.problem(pointer(at, i), "Empty", "an empty word excludes nothing")
		}
	}
}
