package deliver_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// mailbox is a real mail server: it insists on TLS and on its password.
type mailbox struct {
	mu      sync.Mutex
	letters []letter
	refuse  func(to string) error // nil takes everything
	port    int
	roots   *x509.CertPool
}

type letter struct {
	from, to string
	raw      string
}

const (
	mailUser     = "post@acme.example"
	mailPassword = "a-very-secret-password"
)

func newMailbox(t *testing.T, implicitTLS, offerTLS bool) *mailbox {
	t.Helper()
	cert, roots := certificate(t)
	b := &mailbox{roots: roots}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{box: b}, nil }))
	s.Domain = "mail.example"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	if implicitTLS {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
	} else if offerTLS {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return b
}

// certificate makes one for 127.0.0.1 that is its own root.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

type mailSession struct {
	box    *mailbox
	authed bool
	letter letter
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != mailUser || password != mailPassword {
			return &smtp.SMTPError{Code: 535, Message: "no such user, or another password than " + password}
		}
		s.authed = true
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.authed {
		return smtp.ErrAuthRequired
	}
	s.letter = letter{from: from}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.box.refuse != nil {
		if err := s.box.refuse(to); err != nil {
			return err
		}
	}
	s.letter.to = to
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.letter.raw = string(raw)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.letters = append(s.box.letters, s.letter)
	return nil
}

func (s *mailSession) Reset()        { s.letter = letter{} }
func (s *mailSession) Logout() error { return nil }

// take gives the letters that came, and forgets them.
func (b *mailbox) take() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.letters
	b.letters = nil
	return out
}

// parts reads a letter with its plain text and its HTML.
func (l letter) parts(t *testing.T) (h mail.Header, parts map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(l.raw))
	if err != nil {
		t.Fatal(err)
	}
	parts = map[string]string{}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/alternative" {
		text, _ := io.ReadAll(quotedprintable.NewReader(m.Body))
		parts[kind] = string(text)
		return m.Header, parts
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextPart() // it decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return m.Header, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		text, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		parts[kind] = string(text)
	}
}

func byMail(b *mailbox, security string) func(*tenant.Messaging) {
	return func(m *tenant.Messaging) {
		m.Email = tenant.EmailSender{
			Provider: "smtp", From: "Acme Ünlimited <no-reply@acme.example>", ReplyTo: "help@acme.example",
			SMTP: tenant.SMTPServer{Host: "127.0.0.1", Port: b.port, Security: security, Username: mailUser},
		}
	}
}

func TestMail(t *testing.T) {
	for _, security := range []string{"starttls", "tls"} {
		t.Run(security, func(t *testing.T) {
			b, p := newMailbox(t, security == "tls", true), newPost(t)
			p.o.RootCAs = b.roots
			acme := p.tenant("acme", byMail(b, security))
			p.secret(acme, tenant.SMTPPasswordSecret, mailPassword)
			w, _ := p.worker()
			m, _ := p.send(acme, parcel{channel: "email", to: "jane@example.org", plain: "135792", accept: "fr;q=0.3, de-AT"})
			w.Wake()
			got := p.await(m, tenant.MessageSent)
			if got.Payload != nil || got.Provider != "smtp" || got.SentAt.IsZero() || got.Attempts != 1 {
				t.Errorf("settled as %+v", got)
			}
			code, err := p.store.Code(t.Context(), acme.ID, m.CodeID)
			p.must(err)
			if code.Delivery != tenant.MessageSent {
				t.Errorf("the code says %s", code.Delivery)
			}
			letters := b.take()
			if len(letters) != 1 {
				t.Fatalf("%d letters", len(letters))
			}
			h, parts := letters[0].parts(t)
			subject, _ := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
			from, err := mail.ParseAddress(h.Get("From"))
			p.must(err)
			for what, ok := range map[string]bool{
				"from":       from.Name == "Acme Ünlimited" && from.Address == "no-reply@acme.example" && letters[0].from == from.Address,
				"to":         letters[0].to == "jane@example.org" && strings.Contains(h.Get("To"), "jane@example.org"),
				"reply to":   strings.Contains(h.Get("Reply-To"), "help@acme.example"),
				"subject":    subject == "Ihr The acme app-Anmeldecode",
				"language":   h.Get("Content-Language") == "de" && m.Language == "de",
				"automatic":  h.Get("Auto-Submitted") == "auto-generated",
				"message id": h.Get("Message-Id") == "<"+m.ID+"@acme.example>",
				"text":       strings.Contains(parts["text/plain"], "135792") && strings.Contains(parts["text/plain"], "5 Minuten"),
				"html":       strings.Contains(parts["text/html"], ">135792</p>") && strings.Contains(parts["text/html"], `lang="de"`),
			} {
				if !ok {
					t.Errorf("%s is wrong in\n%s\nsubject %q", what, letters[0].raw, subject)
				}
			}
		})
	}
}

func TestMailLinkAndSignature(t *testing.T) {
	b, p := newMailbox(t, false, true), newPost(t)
	p.o.RootCAs = b.roots
	acme := p.tenant("acme", func(m *tenant.Messaging) {
		byMail(b, "starttls")(m)
		m.Email.DKIM = tenant.DKIM{Domain: "acme.example", Selector: "s1"}
	})
	p.secret(acme, tenant.SMTPPasswordSecret, mailPassword)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	p.must(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	p.must(err)
	p.secret(acme, tenant.DKIMKeySecret, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	p.worker()
	const token = "ABCDEFGHJKMNPQRSTVWXYZ0123456789"
	m, _ := p.send(acme, parcel{channel: "email", to: "jane@example.org", plain: token, form: tenant.LinkForm})
	p.await(m, tenant.MessageSent)
	h, parts := b.take()[0].parts(t)
	const link = "https://acme.example/link?code=" + token + "&purpose=authentication"
	if !strings.Contains(parts["text/plain"], link) {
		t.Errorf("no link in\n%s", parts["text/plain"])
	}
	if !strings.Contains(parts["text/html"], `href="`+strings.ReplaceAll(link, "&", "&amp;")+`"`) {
		t.Errorf("no link in\n%s", parts["text/html"])
	}
	if sig := h.Get("Dkim-Signature"); !strings.Contains(sig, "d=acme.example") || !strings.Contains(sig, "s=s1") || !strings.Contains(sig, "a=ed25519-sha256") {
		t.Errorf("signed %q", sig)
	}
}

// TestMailRefused: what a server says decides whether trying again is of use.
func TestMailRefused(t *testing.T) {
	b, p := newMailbox(t, false, true), newPost(t)
	p.o.RootCAs = b.roots
	tries := map[string]int{}
	b.refuse = func(to string) error {
		tries[to]++
		switch {
		case to == "gone@example.org":
			return &smtp.SMTPError{Code: 550, Message: "no such mailbox; your code 246801 is not wanted"}
		case to == "grey@example.org" && tries[to] < 3:
			return &smtp.SMTPError{Code: 450, Message: "come again"}
		}
		return nil
	}
	acme := p.tenant("acme", byMail(b, "starttls"))
	p.secret(acme, tenant.SMTPPasswordSecret, mailPassword)
	p.worker()
	gone, _ := p.send(acme, parcel{channel: "email", to: "gone@example.org", plain: "246801"})
	grey, _ := p.send(acme, parcel{channel: "email", to: "grey@example.org", plain: "246802"})
	got := p.await(gone, tenant.MessageFailed)
	if got.Attempts != 1 || got.Payload != nil || !strings.Contains(got.Error, "no such mailbox; your code *** is") {
		t.Errorf("settled as %+v", got)
	}
	if got := p.await(grey, tenant.MessageSent); got.Attempts != 3 || got.Error != "" {
		t.Errorf("settled as %+v", got)
	}
	if letters := b.take(); len(letters) != 1 || !strings.Contains(letters[0].raw, "246802") {
		t.Errorf("%v", letters)
	}
}

// TestMailSettings: a wrong password, a server without TLS, a certificate that
// nobody vouches for and an address that isn't the tenant's to call.
func TestMailSettings(t *testing.T) {
	plain, good := newMailbox(t, false, false), newMailbox(t, false, true)
	for name, c := range map[string]struct {
		box      *mailbox
		trust    bool
		guarded  bool
		password string
		want     tenant.MessageStatus
		says     string
	}{
		"wrong password": {good, true, false, "another-secret-password", tenant.MessageFailed, "535"},
		"no password":    {good, true, false, "", tenant.MessageFailed, "smtp.password is not set"},
		"no TLS":         {plain, true, false, mailPassword, tenant.MessageQueued, "STARTTLS"},
		"no trust":       {good, false, false, mailPassword, tenant.MessageQueued, "certificate"},
		"private":        {good, true, true, mailPassword, tenant.MessageFailed, "not on the Internet"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			p.o.Guard = outbound.Guard{AllowPrivate: !c.guarded}
			if c.trust {
				p.o.RootCAs = c.box.roots
			}
			acme := p.tenant("acme", byMail(c.box, "starttls"))
			if c.password != "" {
				p.secret(acme, tenant.SMTPPasswordSecret, c.password)
			}
			p.worker()
			m, _ := p.send(acme, parcel{channel: "email", to: "jane@example.org", plain: "975310"})
			p.until("it was tried", func() bool { return p.message(m).Error != "" })
			if got := p.message(m); got.Status != c.want || !strings.Contains(got.Error, c.says) {
				t.Errorf("%s: %s", got.Status, got.Error)
			}
			if n := len(c.box.take()); n != 0 {
				t.Errorf("%d letters", n)
			}
		})
	}
}

// TestPlatformMail: the operator's server, wherever it is, sends in the
// operator's name, whatever the tenant would like to be called.
func TestPlatformMail(t *testing.T) {
	b, p := newMailbox(t, true, true), newPost(t)
	p.o.RootCAs, p.o.Guard = b.roots, outbound.Guard{}
	platform, err := deliver.ParsePlatform("smtps://"+strings.ReplaceAll(mailUser, "@", "%40")+":"+mailPassword+"@127.0.0.1", "Usher <no-reply@usher.example>")
	p.must(err)
	if platform.Server.Port != 465 {
		t.Errorf("port %d", platform.Server.Port)
	}
	platform.Server.Port = b.port
	p.o.Platform = platform
	p.secrets = append(p.secrets, mailPassword)
	plain := p.tenant("plain", nil)
	named := p.tenant("named", func(m *tenant.Messaging) { m.Email.From = "The Bank <ceo@bank.example>" })
	p.worker()
	for tt, name := range map[*tenant.Tenant]string{plain: "The plain app", named: "The Bank"} {
		m, _ := p.send(tt, parcel{channel: "email", to: "jane@example.org", plain: "192837"})
		if got := p.await(m, tenant.MessageSent); got.Provider != "platform" {
			t.Errorf("sent by %s", got.Provider)
		}
		l := b.take()[0]
		h, _ := l.parts(t)
		if from, err := mail.ParseAddress(h.Get("From")); err != nil || from.Name != name || from.Address != "no-reply@usher.example" || l.from != from.Address {
			t.Errorf("from %s, %s", h.Get("From"), l.from)
		}
	}
	for _, bad := range []string{"", "http://x", "smtp://", "smtp://h:0", "smtp://h:99999", "://"} {
		if _, err := deliver.ParsePlatform(bad, "a@b.example"); err == nil {
			t.Errorf("%q is no server", bad)
		}
	}
	if _, err := deliver.ParsePlatform("smtp://h", "nobody"); err == nil {
		t.Error("nobody is no sender")
	}
}
