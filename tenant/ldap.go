package tenant

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
)

// LDAPKind is the name of the identification, and the kind of the identities that
// it makes: their value names the server, the attribute and what it holds.
const LDAPKind = "ldap"

// LDAP says at which directories (RFC 4511) users may prove themselves.
type LDAP struct {
	Servers []LDAPServer `json:"servers" jsonschema:"maxItems=20" jsonschema_description:"The directories, in the order they are offered."`
}

// LDAPServer is a directory. Whom it is searched as is kept apart, sealed, under
// the names that [LDAPServer.SecretNames] lists; without them it is searched
// anonymously.
type LDAPServer struct {
	Name                 string   `json:"name" jsonschema:"required,pattern=^[A-Za-z0-9]([A-Za-z0-9_-]{0\\,38}[A-Za-z0-9])?$" jsonschema_description:"What it is called here. Users belong to it by this name, and inputs and secrets (ldap.<name>.dn, ldap.<name>.password) use it."`
	URL                  string   `json:"url" jsonschema:"required,minLength=1,maxLength=512" jsonschema_description:"ldaps://host, or ldap://host for StartTLS; with a port when it isn't the usual one."`
	BaseDN               string   `json:"base_dn" jsonschema:"maxLength=1024" jsonschema_description:"Where users are searched below (RFC 4514)."`
	SearchFilterTemplate string   `json:"search_filter_template" jsonschema:"required,minLength=1,maxLength=2048" jsonschema_description:"The filter (RFC 4515) that finds one user, with the name they gave as {{.Username}}, such as (uid={{.Username}}). The name is always escaped."`
	UserIDAttributeName  string   `json:"user_id_attribute_name" jsonschema:"required,minLength=1,maxLength=64" jsonschema_description:"The attribute that users are known by: it has to be there, unique and never change, such as entryUUID or objectGUID."`
	StartTLS             StartTLS `json:"start_tls,omitempty" jsonschema:"enum=required,enum=if_offered,enum=off" jsonschema_description:"Of an ldap:// URL: required, which is the default; if_offered, which somebody on the way can prevent; or off. Passwords go in the clear only where the server runs with --allow-private-outbound."`
	CACertificates       string   `json:"ca_certificates,omitempty" jsonschema:"maxLength=65536" jsonschema_description:"Certificates (PEM) of authorities that vouch for the server; empty for the system's."`
}

// StartTLS says whether an ldap:// connection is secured (RFC 4511 section 4.14).
type StartTLS string

// The modes; "" is StartTLSRequired too.
const (
	StartTLSRequired  StartTLS = "required"
	StartTLSIfOffered StartTLS = "if_offered"
	StartTLSOff       StartTLS = "off"
)

// Server finds a directory by its name; nil when there is none.
func (l *LDAP) Server(name string) *LDAPServer {
	for i := range l.Servers {
		if l.Servers[i].Name == name {
			return &l.Servers[i]
		}
	}
	return nil
}

// DNSecretName is the name of the secret that says whom the directory is searched
// as.
func (s *LDAPServer) DNSecretName() string { return "ldap." + s.Name + ".dn" }

// PasswordSecretName is the name of the secret with their password.
func (s *LDAPServer) PasswordSecretName() string { return "ldap." + s.Name + ".password" }

// SecretNames lists the names of the secrets of all directories.
func (l *LDAP) SecretNames() []string {
	var out []string
	for i := range l.Servers {
		out = append(out, l.Servers[i].DNSecretName(), l.Servers[i].PasswordSecretName())
	}
	return out
}

// attributeName is an attribute description (RFC 4512 section 2.5).
var attributeName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)(;[A-Za-z0-9-]+)*$`)

// checkLDAP finds directories that can't be reached or asked. What needs more
// than the standard library, filters among it, is flowengine/ldap's.
func checkLDAP(cfg *Config, add addProblem) {
	if i := slices.Index(cfg.Identifications.Enabled, LDAPKind); i >= 0 && len(cfg.LDAP.Servers) == 0 {
		add(fmt.Sprintf("/identifications/enabled/%d", i), "NoServer", "ldap needs at least one entry in ldap.servers")
	}
	first := map[string]int{}
	for i := range cfg.LDAP.Servers {
		s, at := &cfg.LDAP.Servers[i], fmt.Sprintf("/ldap/servers/%d", i)
		if j, taken := first[s.Name]; taken {
			add(at+"/name", "Duplicate", "server %d has the name %q already", j+1, s.Name)
		} else {
			first[s.Name] = i
		}
		u, err := url.Parse(s.URL)
		if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "" || u.Scheme+"://"+u.Host != s.URL {
			add(at+"/url", "WrongForm", "a URL is ldaps://host or ldap://host, with or without a port, and nothing after it")
		} else if u.Scheme == "ldaps" && s.StartTLS != "" {
			add(at+"/start_tls", "NotAllowed", "only an ldap:// connection begins without TLS")
		}
		if !attributeName.MatchString(s.UserIDAttributeName) {
			add(at+"/user_id_attribute_name", "WrongForm", "an attribute is named by letters, digits and hyphens")
		}
	}
}
