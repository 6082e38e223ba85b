package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// dial connects to a server and secures the connection, as far as it has to be:
// one that stays in the clear is for where private addresses are let out too.
func (d *Directories) dial(ctx context.Context, s *tenant.LDAPServer) (*goldap.Conn, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if s.CACertificates != "" {
		settings.RootCAs = x509.NewCertPool()
		settings.RootCAs.AppendCertsFromPEM([]byte(s.CACertificates))
	}
	if u.Scheme == "ldaps" {
		return d.connect(ctx, u, settings)
	}
	if s.StartTLS != tenant.StartTLSOff {
		c, err := d.startTLS(ctx, u, settings)
		// The server doesn't know the operation (RFC 4511 section 4.14.1).
		lacks := goldap.IsErrorAnyOf(err, goldap.LDAPResultProtocolError, goldap.LDAPResultUnavailable)
		switch {
		case err == nil:
			return c, nil
		case s.StartTLS != tenant.StartTLSIfOffered || !lacks:
			return nil, fmt.Errorf("StartTLS: %w", plainly(err))
		}
	}
	if !d.o.Guard.AllowPrivate {
		return nil, fmt.Errorf("passwords would go in the clear: %w", outbound.ErrPlain)
	}
	return d.connect(ctx, u, nil)
}

// startTLS connects in the clear and secures the connection.
func (d *Directories) startTLS(ctx context.Context, u *url.URL, settings *tls.Config) (*goldap.Conn, error) {
	c, err := d.connect(ctx, u, nil)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.StartTLS(settings); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// connect connects with TLS, or with nil settings without.
func (d *Directories) connect(ctx context.Context, u *url.URL, settings *tls.Config) (*goldap.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	conn, err := d.o.Guard.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	conn = &limited{conn, maxReceived}
	if settings != nil {
		secured := tls.Client(conn, settings)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
		conn = secured
	}
	c := goldap.NewConn(conn, settings != nil)
	c.SetTimeout(d.o.Timeout)
	c.Start()
	return c, nil
}

// maxReceived is how much a server may send in one try, in bytes: an entry with
// the few attributes that are asked for, and certificates. Read, it takes a
// multiple in memory.
const maxReceived = 256 << 10

// limited is a connection from which no more than that is read.
type limited struct {
	net.Conn
	left int
}

func (c *limited) Read(to []byte) (int, error) {
	if c.left == 0 {
		return 0, errors.New("it sends too much")
	}
	n, err := c.Conn.Read(to[:min(len(to), c.left)])
	c.left -= n
	return n, err
}
