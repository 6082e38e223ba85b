package ldap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/ldap"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// client is what a tenant reaches its directories with.
type client struct {
	*testing.T
	store  *store.Store
	master *secret.Master
	tenant *tenant.Tenant
	log    bytes.Buffer
}

func newClient(t *testing.T) *client {
	t.Helper()
	c := &client{T: t}
	var err error
	c.store, err = store.Open(t.Context(), testenv.SQLite(t), store.Options{})
	c.must(err)
	t.Cleanup(func() { _ = c.store.Close() })
	c.must(c.store.Migrate(t.Context()))
	c.master, err = secret.OpenMaster(secret.NewMasterKey())
	c.must(err)
	key, err := c.master.NewTenantKey()
	c.must(err)
	c.tenant = &tenant.Tenant{ID: secret.NewID(), Slug: "acme", Name: "acme", State: tenant.Active, Hosts: []string{"acme.test"}, Partition: 1, Key: key, Version: 1, CreatedAt: time.Now(), ChangedAt: time.Now()}
	c.change(func(tx tenant.Tx) error { return tx.CreateTenant(c.tenant) })
	return c
}

func (c *client) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *client) change(do func(tenant.Tx) error) {
	c.Helper()
	c.must(c.store.Change(context.Background(), func(tx tenant.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: c.tenant.ID, ID: secret.NewID(), At: time.Now(), Category: tenant.AuditAdmin, Action: "test", Outcome: "success",
			ActorKind: tenant.ActorCLI, Detail: json.RawMessage(`{}`),
		})
	}))
}

func (c *client) secret(name, value string) {
	c.Helper()
	sealed, err := c.master.Seal(c.tenant, tenant.SecretTable, name, []byte(value))
	c.must(err)
	c.change(func(tx tenant.Tx) error { return tx.PutSecret(c.tenant.ID, tenant.Secret{Name: name}, sealed) })
}

func (c *client) bind(s tenant.LDAPServer, guard outbound.Guard, username, password string) (*flow.DirectoryUser, error) {
	d := ldap.New(ldap.Options{
		Secrets: c.store, Master: c.master, Guard: guard, Metrics: ldap.NewMetrics(prometheus.NewRegistry()),
		Log: slog.New(slog.NewTextHandler(&c.log, nil)), Timeout: 2 * time.Second,
	})
	s.Name = "office"
	return d.Bind(c.Context(), c.tenant, &s, username, password)
}

var anywhere = outbound.Guard{AllowPrivate: true}

// A connection is as safe as it has to be, or there is none.
func TestConnections(t *testing.T) {
	c := newClient(t)
	d := testenv.LDAP(t, true) // it may be searched anonymously
	d.Person("ada", "correct horse", nil)
	deaf := relay(t, d.URL, true)
	for _, x := range []struct {
		name    string
		server  tenant.LDAPServer
		guard   outbound.Guard
		because string // "" when ada gets in
	}{
		{"ldaps", tenant.LDAPServer{URL: d.SecureURL, CACertificates: d.CA}, anywhere, ""},
		{"ldaps of another name", tenant.LDAPServer{URL: strings.Replace(d.SecureURL, "127.0.0.1", "localhost", 1), CACertificates: d.CA}, anywhere, "certificate"},
		{"ldaps of nobody we know", tenant.LDAPServer{URL: d.SecureURL}, anywhere, "certificate"},
		{"StartTLS", tenant.LDAPServer{URL: d.URL, CACertificates: d.CA}, anywhere, ""},
		{"StartTLS with nobody we know", tenant.LDAPServer{URL: d.URL}, anywhere, "certificate"},
		{"StartTLS if offered", tenant.LDAPServer{URL: d.URL, CACertificates: d.CA, StartTLS: tenant.StartTLSIfOffered}, anywhere, ""},
		{"StartTLS if offered, with nobody we know", tenant.LDAPServer{URL: d.URL, StartTLS: tenant.StartTLSIfOffered}, anywhere, "certificate"},
		{"StartTLS that isn't offered", tenant.LDAPServer{URL: deaf, CACertificates: d.CA}, anywhere, "StartTLS"},
		{"StartTLS that isn't offered and needn't be", tenant.LDAPServer{URL: deaf, StartTLS: tenant.StartTLSIfOffered}, anywhere, ""},
		{"in the clear", tenant.LDAPServer{URL: relay(t, d.URL, false), StartTLS: tenant.StartTLSOff}, anywhere, ""},
		{"TLS expected of one that begins without", tenant.LDAPServer{URL: strings.Replace(d.URL, "ldap:", "ldaps:", 1), CACertificates: d.CA}, anywhere, "TLS"},
		{"behind the guard", tenant.LDAPServer{URL: d.SecureURL, CACertificates: d.CA}, outbound.Guard{}, "not on the Internet"},
		{"nobody there", tenant.LDAPServer{URL: "ldaps://127.0.0.1:1"}, anywhere, "refused"},
		{"no such base", tenant.LDAPServer{URL: d.SecureURL, CACertificates: d.CA, BaseDN: "ou=nobody,ou=open,dc=usher,dc=test"}, anywhere, "result 32"},
		{"a filter that is none", tenant.LDAPServer{URL: d.SecureURL, CACertificates: d.CA, SearchFilterTemplate: "(uid="}, anywhere, "filter"},
	} {
		if x.server.BaseDN == "" {
			x.server.BaseDN = d.BaseDN
		}
		if x.server.SearchFilterTemplate == "" {
			x.server.SearchFilterTemplate = "(uid={{.Username}})"
		}
		x.server.UserIDAttributeName = "uid"
		c.log.Reset()
		u, err := c.bind(x.server, x.guard, "ada", "correct horse")
		switch {
		case x.because == "" && (err != nil || u == nil || string(u.ID) != "ada"):
			t.Errorf("%s: %+v, %v", x.name, u, err)
		case x.because != "" && (!errors.Is(err, tenant.ErrUnavailable) || u != nil || !strings.Contains(err.Error(), x.because) || !strings.Contains(c.log.String(), x.because)):
			t.Errorf("%s: %+v, %v, logged %s", x.name, u, err, c.log.String())
		}
	}
}

// Whom it is searched as, and what comes of it.
func TestSearch(t *testing.T) {
	c := newClient(t)
	d := testenv.LDAP(t, false)
	d.Person("ada", "correct horse", map[string][]string{"displayName": {"Ada L."}})
	server := tenant.LDAPServer{URL: d.SecureURL, CACertificates: d.CA, BaseDN: d.BaseDN, SearchFilterTemplate: "(uid={{.Username}})", UserIDAttributeName: "entryUUID"}
	none := func(why string, u *flow.DirectoryUser, err error) {
		t.Helper()
		if u != nil || err != nil {
			t.Errorf("%s: %+v, %v", why, u, err)
		}
	}
	if u, err := c.bind(server, anywhere, "ada", "correct horse"); u != nil || !errors.Is(err, tenant.ErrUnavailable) {
		t.Errorf("searched anonymously where that isn't allowed: %+v, %v", u, err)
	}
	c.secret("ldap.office.dn", d.DN)
	if u, err := c.bind(server, anywhere, "ada", "correct horse"); u != nil || !errors.Is(err, tenant.ErrUnavailable) {
		t.Errorf("searched as somebody without a password: %+v, %v", u, err)
	}
	c.secret("ldap.office.password", "wrong")
	if u, err := c.bind(server, anywhere, "ada", "correct horse"); u != nil || !errors.Is(err, tenant.ErrUnavailable) {
		t.Errorf("searched as somebody with another password: %+v, %v", u, err)
	}
	c.secret("ldap.office.password", d.Password)
	u, err := c.bind(server, anywhere, "ADA", "correct horse")
	if err != nil || u == nil || len(u.ID) != 36 || string(u.Profile["/name"]) != `"Ada L."` || string(u.Profile["/family_name"]) != `"ada"` {
		t.Fatalf("%+v, %v", u, err)
	}
	for _, password := range []string{"", "wrong", "Correct horse"} {
		u, err = c.bind(server, anywhere, "ada", password)
		none("with the password "+password, u, err)
	}
	u, err = c.bind(server, anywhere, "nobody", "correct horse")
	none("who isn't there", u, err)
	server.SearchFilterTemplate = "(|(uid={{.Username}})(uid=*))"
	d.Person("bob", "correct horse", nil)
	u, err = c.bind(server, anywhere, "ada", "correct horse")
	none("one of two", u, err)
	for range 3 {
		d.Person(strings.ToLower(secret.NewToken("x")), "correct horse", nil)
	}
	u, err = c.bind(server, anywhere, "ada", "correct horse")
	none("one of many", u, err)
	server.SearchFilterTemplate, server.UserIDAttributeName = "(uid={{.Username}})", "employeeNumber"
	u, err = c.bind(server, anywhere, "ada", "correct horse")
	none("without what users are known by", u, err)
	if log := c.log.String(); strings.Contains(log, d.Password) || strings.Contains(log, "correct horse") || strings.Contains(log, "uid=ada") {
		t.Error("the log tells:", log)
	}
}

// What users are known by may be any bytes.
func TestBinaryID(t *testing.T) {
	c := newClient(t)
	d := testenv.LDAP(t, true)
	id := "\x00\xff\x80(*)\\\n"
	d.Person("ada", "correct horse", map[string][]string{"audio": {id}}) // an octet string
	u, err := c.bind(tenant.LDAPServer{
		URL: d.SecureURL, CACertificates: d.CA, BaseDN: d.BaseDN, SearchFilterTemplate: "(uid={{.Username}})", UserIDAttributeName: "AUDIO",
	}, anywhere, "ada", "correct horse")
	if err != nil || u == nil || string(u.ID) != id {
		t.Errorf("%+v, %v", u, err)
	}
}

// A server that takes the connection and says nothing is waited for so long.
func TestHangs(t *testing.T) {
	c := newClient(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.must(err)
	defer l.Close()
	for _, scheme := range []string{"ldap://", "ldaps://"} {
		begun := time.Now()
		u, err := c.bind(tenant.LDAPServer{URL: scheme + l.Addr().String(), SearchFilterTemplate: "(uid={{.Username}})", UserIDAttributeName: "uid"}, anywhere, "ada", "x")
		if u != nil || !errors.Is(err, tenant.ErrUnavailable) || time.Since(begun) > 20*time.Second {
			t.Errorf("%s: %+v, %v after %s", scheme, u, err, time.Since(begun))
		}
	}
}

// A server that sends without end is listened to for a while.
func TestFloods(t *testing.T) {
	c := newClient(t)
	for name, flood := range map[string]struct {
		begin, repeat []byte // of the answers to the first message (RFC 4511 section 4.1.1)
	}{
		"entries":         {nil, []byte{0x30, 0x0b, 0x02, 0x01, 0x01, 0x64, 0x06, 0x04, 0x00, 0x30, 0x02, 0x30, 0x00}},
		"empty entries":   {nil, []byte{0x30, 0x09, 0x02, 0x01, 0x01, 0x64, 0x04, 0x04, 0x00, 0x30, 0x00}},
		"one long answer": {[]byte{0x04, 0x84, 0x7f, 0xff, 0xff, 0xff}, make([]byte, 4<<10)},
		"references":      {nil, []byte{0x30, 0x09, 0x02, 0x01, 0x01, 0x73, 0x04, 0x04, 0x02, 'a', ':'}},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		c.must(err)
		flooded := make(chan int, 1) // how many bytes could be sent
		go func() {
			sent := 0
			defer func() { flooded <- sent }()
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 512))
			_, err = conn.Write(flood.begin)
			for some := bytes.Repeat(flood.repeat, 100); err == nil; {
				n := 0
				n, err = conn.Write(some)
				sent += n
			}
		}()
		u, err := c.bind(tenant.LDAPServer{
			URL: "ldap://" + l.Addr().String(), StartTLS: tenant.StartTLSOff, SearchFilterTemplate: "(uid={{.Username}})", UserIDAttributeName: "uid",
		}, anywhere, "ada", "x")
		// Who is one of many would be refused, after a bind as nobody; which such a server doesn't answer.
		if u != nil || !errors.Is(err, tenant.ErrUnavailable) {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
		_ = l.Close()
		if n := <-flooded; n > 32<<20 { // what is read before it is too much, and what lies in buffers
			t.Errorf("%s: %d bytes were taken", name, n)
		}
	}
}

// relay passes connections on to a server. A deaf one says that the server
// doesn't know StartTLS.
func relay(t *testing.T, url string, deaf bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", strings.TrimPrefix(url, "ldap://"))
				if err != nil {
					return
				}
				defer out.Close()
				request := make([]byte, 512)
				n, err := in.Read(request)
				if err != nil {
					return
				}
				if deaf && bytes.Contains(request[:n], []byte("1.3.6.1.4.1.1466.20037")) {
					// An ExtendedResponse with protocolError (RFC 4511 section 4.12).
					_, _ = in.Write([]byte{0x30, 0x0c, 0x02, 0x01, request[4], 0x78, 0x07, 0x0a, 0x01, 0x02, 0x04, 0x00, 0x04, 0x00})
				} else {
					_, _ = out.Write(request[:n])
				}
				go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return "ldap://" + l.Addr().String()
}
