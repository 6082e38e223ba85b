package ldap

import (
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
)

func TestFilter(t *testing.T) {
	const byCompany = "\n  {{- if (hasSuffix \"@my.example\" $.Username) }}\n  (&(objectClass=user)(uid={{ trimSuffix \"@my.example\" $.Username | lower }}))\n" +
		"  {{- else }}\n  (mail={{ $.Username }})\n  {{- end }}\n"
	for _, c := range []struct{ template, name, want string }{
		{"(uid={{.Username}})", "ada", "(uid=ada)"},
		{" (uid={{ $.Username }})\n", "ada", "(uid=ada)"},
		{"(uid={{.Username}})", "*)(uid=*", `(uid=\2a\29\28uid=\2a)`},
		{`(uid={{.Username}})`, `a\2a`, `(uid=a\5c2a)`},
		{`(uid={{.Username | upper | trim}})`, " *ada ", `(uid=\2aADA)`},
		{`(uid={{escape .Username}})`, "*", `(uid=\5c2a)`}, // twice, and harmless
		{byCompany, "Ada*@my.example", `(&(objectClass=user)(uid=ada\2a))`},
		{byCompany, "ada@other.example", `(mail=ada@other.example)`},
		{`{{if and (contains "@" .Username) (not (eq .Username "x"))}}(mail={{.Username}}){{else if hasPrefix "+" .Username}}(telephoneNumber={{trimPrefix "+" .Username}}){{else}}(uid={{.Username}}){{end}}`, "+85298765432", "(telephoneNumber=85298765432)"},
	} {
		f, err := parseFilter(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		if got, err := f.For(c.name); got != c.want || err != nil {
			t.Errorf("%s of %q: %s, %v, want %s", c.template, c.name, got, err, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	check := func(change func(*tenant.LDAPServer)) string {
		cfg := tenant.DefaultConfig()
		s := tenant.LDAPServer{Name: "office", URL: "ldaps://office.example", BaseDN: "dc=example,dc=com", SearchFilterTemplate: "(uid={{.Username}})", UserIDAttributeName: "entryUUID"}
		change(&s)
		cfg.LDAP.Servers = []tenant.LDAPServer{s}
		var out []string
		for _, p := range Check(cfg) {
			out = append(out, p.Pointer+" "+p.Reason)
		}
		return strings.Join(out, ", ")
	}
	for template, good := range map[string]bool{
		"(uid={{.Username}})":     true,
		"uid={{.Username}}":       false, // RFC 4515 wants the parentheses
		"(uid={{.Username}}":      false,
		"(uid={{.Name}})":         false,
		"(uid=ada)":               false, // whoever comes
		"":                        false,
		"{{.Username}}":           false,
		"(uid={{.Username":        false,
		"(uid={{len .Username}})": false,
		"(uid={{printf `%99999999d` 1}}{{.Username}})":                          false,
		"(uid={{range 1000000000}}x{{end}}{{.Username}})":                       false,
		"{{define `x`}}a{{end}}(uid={{template `x`}}{{.Username}})":             false,
		"{{with .Username}}(uid={{.}}){{end}}":                                  false,
		"(uid={{$x := .Username}}{{.Username}})":                                false,
		"(uid={{if printf `%99999999d` 1}}{{.Username}}{{end}})":                false,
		"(uid={{if (eq (printf `%99999999d` 1) `x`)}}a{{end}}{{.Username}})":    false,
		"(uid={{call .Username}})":                                              false,
		"(&(objectClass=person)(|(uid={{.Username}})(mail={{.Username}})))":     true,
		"(uid={{(js (js (js `\\`)).X}}{{.Username}})":                           false, // each js doubles it
		"(uid={{if (js `\\`).X}}{{.Username}}{{end}})":                          false,
		"(uid={{(lower .Username).X}})":                                         false,
		"(uid={{js .Username}})":                                                false,
		"(uid={{.Username | urlquery}})":                                        false,
		"(uid={{eq .Username nil}}{{.Username}})":                               false,
		"{{/* who */}}(sAMAccountName={{.Username | lower}}){{- /* ever */ -}}": true,
	} {
		want := "/ldap/servers/0/search_filter_template WrongForm"
		if good {
			want = ""
		}
		if got := check(func(s *tenant.LDAPServer) { s.SearchFilterTemplate = template }); got != want {
			t.Errorf("%s: %q", template, got)
		}
	}
	if got := check(func(s *tenant.LDAPServer) { s.BaseDN = "example.com" }); got != "/ldap/servers/0/base_dn WrongForm" {
		t.Error(got)
	}
	if got := check(func(s *tenant.LDAPServer) { s.BaseDN = "" }); got != "" {
		t.Error(got)
	}
	if got := check(func(s *tenant.LDAPServer) { s.CACertificates = "x" }); got != "/ldap/servers/0/ca_certificates WrongForm" {
		t.Error(got)
	}
}

// A filter has an end, whatever a name is put into.
func TestLongFilter(t *testing.T) {
	f, err := parseFilter("(|" + strings.Repeat("(uid={{.Username}})", 100) + ")")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := f.For("ada"); err != nil || len(text) != 903 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if text, err := f.For(strings.Repeat("*", 100)); err == nil {
		t.Errorf("%d bytes", len(text))
	}
}

// No name gets out of the place that the template puts it in.
func FuzzFilter(f *testing.F) {
	for _, name := range append(samples, "", "\x00", "\\", "))((", "\xff", "a\n(b)") {
		f.Add(name)
	}
	plain, err := parseFilter("(&(objectClass=person)(uid={{.Username}}))")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) > 1<<10 { // which nobody can give
			return
		}
		text, err := plain.For(name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if strings.Count(text, "(") != 3 || strings.Count(text, ")") != 3 || strings.Contains(text, "*") {
			t.Errorf("%q: %s", name, text)
		}
	})
}
