package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	stdmail "net/mail"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/wneessen/go-mail"

	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// Platform is the operator's mail server, for tenants without one of their own.
type Platform struct {
	Server   tenant.SMTPServer
	Password string
	From     string // an address, or Name <address>
}

// ParsePlatform reads smtp://user:password@host:port (STARTTLS, RFC 3207) or
// smtps:// (TLS from the start, RFC 8314); smtp+plain:// sends in the clear.
func ParsePlatform(raw, from string) (*Platform, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("want smtp://user:password@host:port") // the cause could quote a password
	}
	p := &Platform{From: from, Server: tenant.SMTPServer{Host: u.Hostname(), Port: 587, Username: u.User.Username()}}
	p.Password, _ = u.User.Password()
	switch u.Scheme {
	case "smtp":
		p.Server.Security = "starttls"
	case "smtps":
		p.Server.Security, p.Server.Port = "tls", 465
	case "smtp+plain":
		p.Server.Security, p.Server.Port = "none", 25
	default:
		return nil, errors.New("the scheme is smtp, smtps or smtp+plain")
	}
	if port := u.Port(); port != "" {
		if p.Server.Port, err = strconv.Atoi(port); err != nil || p.Server.Port < 1 || p.Server.Port > 65535 {
			return nil, errors.New("no such port")
		}
	}
	if _, err := stdmail.ParseAddress(from); err != nil {
		return nil, errors.New("the sender must be name@host or Name <name@host>")
	}
	return p, nil
}

// sendPlatformMail sends by the operator's server, from the operator's address
// under the tenant's name.
func (w *Worker) sendPlatformMail(ctx context.Context, out *outgoing) error {
	p := w.o.Platform
	from, err := stdmail.ParseAddress(p.From)
	if err != nil {
		return &failure{text: "the operator's sender is no address", permanent: true, general: true}
	}
	if own, err := stdmail.ParseAddress(out.config.Messaging.Email.From); err == nil && own.Name != "" {
		from.Name = own.Name
	} else {
		from.Name = oneLine(out.tenant.Name)
	}
	return w.sendMail(ctx, out, from, p.Server, p.Password, nil, outbound.Guard{AllowPrivate: true})
}

// sendTenantMail sends by the tenant's own server.
func (w *Worker) sendTenantMail(ctx context.Context, out *outgoing) error {
	e := &out.config.Messaging.Email
	from, err := stdmail.ParseAddress(e.From)
	if err != nil {
		return &failure{text: "the sender is no address", permanent: true, general: true}
	}
	password := ""
	if e.SMTP.Username != "" {
		b, err := w.secret(ctx, out.tenant, tenant.SMTPPasswordSecret)
		if err != nil {
			return err
		}
		password = string(b)
	}
	var signer *mail.DKIMSigner
	if e.DKIM.Domain != "" {
		pem, err := w.secret(ctx, out.tenant, tenant.DKIMKeySecret)
		if err != nil {
			return err
		}
		key, err := mail.PrivKeyFromPEM(pem)
		if err != nil {
			return &failure{text: "the secret " + tenant.DKIMKeySecret + " is no RSA or Ed25519 key in PEM", permanent: true, general: true}
		}
		signer = mail.NewDKIMSigner(e.DKIM.Domain, e.DKIM.Selector, key)
	}
	return w.sendMail(ctx, out, from, e.SMTP, password, signer, w.o.Guard)
}

func (w *Worker) sendMail(ctx context.Context, out *outgoing, from *stdmail.Address, s tenant.SMTPServer, password string, signer *mail.DKIMSigner, guard outbound.Guard) error {
	msg, err := letter(out, from)
	if err != nil {
		return &failure{text: err.Error(), permanent: true}
	}
	line := &line{guard: guard}
	client, err := w.mailer(line, s, from, password, signer)
	if err != nil {
		return &failure{text: err.Error(), permanent: true, general: true}
	}
	return scrub(mailFailure(line.deliver(ctx, client, msg)), out.Code, out.Link, password)
}

// line is the connection of one letter.
type line struct {
	guard outbound.Guard
	mu    sync.Mutex
	conn  net.Conn
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.guard.DialContext(ctx, network, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	return conn, err
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// deliver hands a letter over. A connection that hangs is cut when ctx ends.
func (l *line) deliver(ctx context.Context, client *mail.Client, msg *mail.Msg) error {
	defer l.cut()
	defer context.AfterFunc(ctx, l.cut)()
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	if err := client.SendWithSMTPClient(conn, msg); err != nil {
		return err
	}
	_ = conn.Quit() // it was taken
	return nil
}

// letter writes a message as mail (RFC 5322). Its id is that of every try, so
// that a mailbox may see that two are one.
func letter(out *outgoing, from *stdmail.Address) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithCharset(mail.CharsetUTF8))
	msg.FromMailAddress(from)
	if err := msg.To(out.m.To); err != nil {
		return nil, fmt.Errorf("the recipient is no address")
	}
	if r := out.config.Messaging.Email.ReplyTo; r != "" {
		reply, err := stdmail.ParseAddress(r)
		if err != nil {
			return nil, fmt.Errorf("the address for answers is none")
		}
		msg.ReplyToMailAddress(reply)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	msg.SetMessageIDWithValue(out.m.ID + "@" + domain)
	msg.SetDateWithValue(out.m.CreatedAt)
	msg.Subject(out.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	msg.SetGenHeader("Content-Language", out.Language)
	msg.SetBodyString(mail.TypeTextPlain, out.Text)
	if out.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, out.HTML)
	}
	return msg, nil
}

// mailer makes a client of a server. A password goes over TLS, or to this
// machine.
func (w *Worker) mailer(l *line, s tenant.SMTPServer, from *stdmail.Address, password string, signer *mail.DKIMSigner) (*mail.Client, error) {
	conf := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12, RootCAs: w.o.RootCAs}
	_, helo, _ := strings.Cut(from.Address, "@")
	options := []mail.Option{
		mail.WithPort(s.Port), mail.WithTimeout(sendTimeout), mail.WithHELO(helo), mail.WithTLSConfig(conf), mail.WithTLSPolicy(mail.NoTLS),
		mail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := l.dial(ctx, network, address)
			if err != nil || s.Security != "tls" {
				return conn, err
			}
			secured := tls.Client(conn, conf)
			if err := secured.HandshakeContext(ctx); err != nil {
				return nil, err
			}
			return secured, nil
		}),
	}
	if s.Security == "starttls" {
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if s.Username != "" {
		options = append(options, mail.WithUsername(s.Username), mail.WithPassword(password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	if signer != nil {
		options = append(options, mail.WithAlwaysDKIMSign(signer))
	}
	return mail.NewClient(s.Host, options...)
}

// mailFailure says what a server's refusal means (RFC 5321 section 4.2.1).
func mailFailure(err error) error {
	if err == nil {
		return nil
	}
	f := &failure{text: err.Error(), permanent: outbound.Permanent(err), general: true}
	var send *mail.SendError
	var reply *textproto.Error
	switch {
	case errors.As(err, &send):
		code := send.ErrorCode()
		f.permanent, f.general = code >= 500 && code < 600, false
	case errors.As(err, &reply):
		f.permanent = reply.Code >= 500
	}
	return f
}
