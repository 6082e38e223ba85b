package testenv

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Directory is a part of a real LDAP server that no other test uses.
type Directory struct {
	URL, SecureURL string // ldap://, with StartTLS on offer, and ldaps://
	CA             string // PEM
	BaseDN         string // of the part
	DN, Password   string // of who may search it

	t    testing.TB
	conn *ldap.Conn
}

const directoryRoot = "dc=usher,dc=test"

// LDAP makes a part of the directory, with somebody who may search it, and
// removes it after the test. Who isn't bound may search an open one.
func LDAP(t testing.TB, open bool) *Directory {
	t.Helper()
	d := &Directory{URL: need(t, "USHER_TEST_LDAP_URL"), SecureURL: need(t, "USHER_TEST_LDAPS_URL"), Password: strings.ToLower(rand.Text()), t: t}
	ca, err := base64.StdEncoding.DecodeString(need(t, "USHER_TEST_LDAP_CA"))
	if err != nil {
		t.Fatal(err)
	}
	d.CA = string(ca)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	if d.conn, err = ldap.DialURL(d.SecureURL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.conn.Close() })
	if err := d.conn.Bind("cn=admin,"+directoryRoot, need(t, "USHER_TEST_LDAP_PASSWORD")); err != nil {
		t.Fatal(err)
	}
	name := "test-" + strings.ToLower(rand.Text())
	d.BaseDN = "ou=" + name + "," + directoryRoot
	if open {
		d.BaseDN = "ou=" + name + ",ou=open," + directoryRoot
	}
	d.Add(d.BaseDN, map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {name}})
	d.DN = "cn=search," + d.BaseDN
	d.Add(d.DN, map[string][]string{"objectClass": {"organizationalRole", "simpleSecurityObject"}, "cn": {"search"}, "userPassword": {d.Password}})
	return d
}

// Add adds an entry, which goes after the test.
func (d *Directory) Add(dn string, attributes map[string][]string) {
	d.t.Helper()
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		r.Attribute(name, values)
	}
	if err := d.conn.Add(r); err != nil {
		d.t.Fatal(dn, err)
	}
	d.t.Cleanup(func() { _ = d.conn.Del(ldap.NewDelRequest(dn, nil)) })
}

// Person adds somebody with a uid and a password, and further attributes.
func (d *Directory) Person(uid, password string, more map[string][]string) {
	d.t.Helper()
	all := map[string][]string{
		"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {uid}, "sn": {uid}, "userPassword": {password},
	}
	for name, values := range more {
		all[name] = values
	}
	d.Add("uid="+ldap.EscapeDN(uid)+","+d.BaseDN, all)
}
