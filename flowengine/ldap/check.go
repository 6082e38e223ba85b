package ldap

import (
	"crypto/x509"
	"errors"
	"fmt"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/usher-id/usher/tenant"
)

// samples are names of which every template has to make a filter each, no two the
// same.
var samples = []string{"user", "user@example.com", "+85298765432", `a*(b)\c`}

// Check finds what can't work in a configuration's directories.
func Check(cfg *tenant.Config) []tenant.Problem {
	var out []tenant.Problem
	for i := range cfg.LDAP.Servers {
		s := &cfg.LDAP.Servers[i]
		add := func(key, reason, format string, args ...any) {
			out = append(out, tenant.Problem{Pointer: fmt.Sprintf("/ldap/servers/%d/%s", i, key), Reason: reason, Message: fmt.Sprintf(format, args...)})
		}
		if _, err := goldap.ParseDN(s.BaseDN); err != nil {
			add("base_dn", "WrongForm", "this is no distinguished name (RFC 4514)")
		}
		if err := checkFilter(s.SearchFilterTemplate); err != nil {
			add("search_filter_template", "WrongForm", "%v", err)
		}
		if s.CACertificates != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(s.CACertificates)) {
			add("ca_certificates", "WrongForm", "there is no certificate in PEM form in it")
		}
	}
	return out
}

func checkFilter(text string) error {
	f, err := parseFilter(text)
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for _, name := range samples {
		filter, err := f.For(name)
		if err != nil {
			return fmt.Errorf("for the name %q: %w", name, err)
		}
		if made[filter] {
			return errors.New("it finds the same for different names: the name is {{.Username}}")
		}
		made[filter] = true
	}
	return nil
}
