package flow

import "testing"

// Names that reach the same entry are counted together, others aren't.
func TestLDAPSubject(t *testing.T) {
	for name, same := range map[string][]string{
		"ada l.": {
			"ADA L.", " ada  l. ", "ada\u00a0l.", "ada\u3000l.", "ada\tl.", // case and white space
			"\uff41\uff44\uff41 l\uff0e", "\U0001d41ada l.", // full width, mathematical
			"a\u00adda l.", "a\u200bda l.", "a\u200dda l.", "\ufeffada l.", "a\u034fda l.", "ada\ufe0f l.", "a\u1806da l.", "a\ufffcda l.", "a\x00da l.", "ada l.\u3164", "ada \u00ad l.",
		},
		"jos\u00e9":     {"jose\u0301", "JOS\u00c9", "JOSE\u0301"},
		"strasse":       {"stra\u00dfe", "STRA\u1e9eE", "\u017ftrasse"},
		"ada":           nil,
		"adal.":         nil,
		"jose":          nil,
		"\u0430da":      nil, // Cyrillic
		"ada@l.example": {"ada@L.EXAMPLE"},
	} {
		subject := LDAPSubject("office", name)
		if subject != "ldap:office:"+name {
			t.Errorf("%q is counted under %q", name, subject)
		}
		for _, other := range same {
			if got := LDAPSubject("office", other); got != subject {
				t.Errorf("%q is counted under %q, not %q", other, got, subject)
			}
		}
	}
}
