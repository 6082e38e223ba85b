package flow

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/usher-id/usher/tenant"
)

// ldap identifies by a directory of the tenant, which also proves the user by
// the password that they have there.
type ldap struct{ oneShot }

func (ldap) For(step string) bool { return step == stepIdentify }

// Proves: the directory has checked the password.
func (ldap) Proves(string) bool { return true }

func (ldap) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	servers := c.Config().LDAP.Servers
	out := make([]Option, 0, len(servers))
	for i := range servers {
		out = append(out, Option{Show: map[string]any{"identification": idLDAP, "server_name": servers[i].Name}})
	}
	return out, nil
}

func (ldap) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	name, err := in.text("server_name")
	if err != nil {
		return Verdict{}, err
	}
	server := c.Config().LDAP.Server(name)
	if server == nil {
		return Verdict{}, tenant.Invalidf("/server_name", "enum", "the tenant has no LDAP server %q", name)
	}
	username, err := in.text("username")
	if err == nil && len(username) > maxLoginID {
		err = tenant.Invalidf("/username", "maxLength", "a username has at most %d bytes", maxLoginID)
	}
	if err != nil {
		return Verdict{}, err
	}
	// Never an empty one: with it anybody is let in who is named, as nobody (RFC
	// 4513 section 5.1.2).
	password, err := in.text("password")
	if err != nil {
		return Verdict{}, err
	}
	subject := LDAPSubject(name, username)
	if err := c.Allow(LimitPassword, subject); err != nil {
		return Verdict{}, err
	}
	var found *DirectoryUser
	if len(password) <= tenant.MaxPasswordBytes {
		c.called = true
		if found, err = c.Bind(name, username, password); err != nil {
			return Verdict{}, err
		}
	}
	if found == nil {
		return Verdict{}, tenant.ErrInvalidCredentials.With("AuthenticationType", idLDAP)
	}
	c.Right(LimitPassword, subject)
	return Verdict{Claim: ldapClaim(server, found.ID), Shown: username, AMR: []string{"pwd"}, Profile: found.Profile}, nil
}

// ldapClaim is what somebody in a directory is known by. With the name of the
// attribute in it, another attribute that holds the same is somebody else.
func ldapClaim(s *tenant.LDAPServer, id []byte) tenant.Claim {
	attribute := strings.ToLower(s.UserIDAttributeName)
	return tenant.Claim{Kind: idLDAP, Value: s.Name + ":" + attribute + ":" + base64.RawURLEncoding.EncodeToString(id)}
}

// ldapForm is the form of the value of such a claim.
var ldapForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*:[a-z0-9.;-]+:[A-Za-z0-9_-]+$`)

// LDAPSubject is what failed tries about somebody in a directory are counted
// under. They are made by names, of which directories take several for the same
// (RFC 4518): in upper or lower case, in compatible characters, with others that
// mean nothing, and with more or less white space.
func LDAPSubject(server, username string) string {
	name := norm.NFKC.String(strings.Map(meant, username))
	name = norm.NFKC.String(cases.Fold().String(name)) // which may decompose
	return idLDAP + ":" + server + ":" + strings.Join(strings.Fields(name), " ")
}

// meant drops the characters that directories overlook (RFC 4518 section 2.2).
func meant(r rune) rune {
	if !unicode.IsGraphic(r) && !unicode.IsSpace(r) || r == '\u1806' || r == '\ufffc' ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	return r
}

// LDAPSubjectOf is that of an identity, by the name that the user gave when it
// was made; "" of other kinds.
func LDAPSubjectOf(i *tenant.Identity) string {
	server, _, ok := strings.Cut(i.Value, ":")
	if i.Kind != idLDAP || !ok {
		return ""
	}
	return LDAPSubject(server, i.Shown)
}
