package passkey

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/usher-id/usher/tenant"
)

// RelyingParty is a tenant as authenticators see it.
type RelyingParty struct {
	ID               string   // a domain (section 5.1.2)
	Name             string   // for people; the ID when empty
	Origins          []string // where answers may come from
	UserVerification tenant.UserVerification
}

// timeout is how long a client waits for the user. The server doesn't hold
// answers to it: a ceremony lives as long as the state that began it.
const timeout = 5 * time.Minute

// New makes the relying party that a tenant's settings ask for. origin gives
// the web origin of one of the tenant's hosts.
func New(t *tenant.Tenant, cfg *tenant.Passkeys, origin func(host string) string) RelyingParty {
	p := RelyingParty{ID: cfg.RPID, Name: cfg.RPName, UserVerification: cfg.UserVerification}
	if p.ID == "" {
		p.ID = t.PrimaryHost()
	}
	for _, host := range t.Hosts {
		if below(host, p.ID) {
			p.Origins = append(p.Origins, origin(host))
		}
	}
	p.Origins = append(p.Origins, cfg.ExtraOrigins...)
	return p
}

func (p RelyingParty) webAuthn() (*webauthn.WebAuthn, error) {
	name, resident := p.Name, true
	if name == "" {
		name = p.ID
	}
	asking := webauthn.TimeoutConfig{Timeout: timeout, TimeoutUVD: timeout}
	w, err := webauthn.New(&webauthn.Config{
		RPID: p.ID, RPDisplayName: name, RPOrigins: p.Origins,
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &resident,
			UserVerification: protocol.UserVerificationRequirement(p.UserVerification),
		},
		Timeouts: webauthn.TimeoutsConfig{Login: asking, Registration: asking},
		// Nothing is asked of extensions, and some providers answer all the same.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("passkey: relying party %q: %w", p.ID, err)
	}
	return w, nil
}

// user is somebody as the library sees them.
type user struct {
	handle   []byte
	name     string
	passkeys []webauthn.Credential
}

func (u user) WebAuthnID() []byte                         { return u.handle }
func (u user) WebAuthnName() string                       { return u.name }
func (u user) WebAuthnDisplayName() string                { return u.name }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.passkeys }

// BeginCreation implements flow.Passkeys.
func (p RelyingParty) BeginCreation(handle []byte, name string, others []tenant.Passkey) (options, session json.RawMessage, err error) {
	w, err := p.webAuthn()
	if err != nil {
		return nil, nil, err
	}
	exclude, err := descriptors(others)
	if err != nil {
		return nil, nil, err
	}
	creation, s, err := w.BeginRegistration(user{handle: handle, name: name}, webauthn.WithExclusions(exclude))
	if err != nil {
		return nil, nil, fmt.Errorf("passkey: %w", err)
	}
	return marshal(creation, s)
}

// FinishCreation implements flow.Passkeys.
func (p RelyingParty) FinishCreation(session, response json.RawMessage) (made tenant.Passkey, verified bool, err error) {
	w, s, err := p.resume(session)
	if err != nil {
		return made, false, err
	}
	wrong := tenant.Invalidf("/creation_response", "passkey", "this is no passkey for this ceremony")
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return made, false, wrong.Because(explained(err))
	}
	c, err := w.CreateCredential(user{handle: s.UserID}, *s, parsed)
	if err != nil {
		return made, false, wrong.Because(explained(err))
	}
	made = tenant.Passkey{
		ID: encode(c.ID), PublicKey: c.PublicKey, SignCount: c.Authenticator.SignCount, UserHandle: s.UserID, AAGUID: uuid(c.Authenticator.AAGUID),
		BackupEligible: c.Flags.BackupEligible, BackedUp: c.Flags.BackupState, Roaming: c.Authenticator.Attachment == protocol.CrossPlatform,
	}
	for _, t := range c.Transport {
		if len(made.Transports) < maxTransports && len(t) <= maxTransport {
			made.Transports = append(made.Transports, string(t))
		}
	}
	return made, c.Flags.UserVerified, nil
}

// uuid writes 16 bytes as RFC 9562 section 4 does.
func uuid(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// The transports are what the client says, so they are bounded.
const (
	maxTransports = 8
	maxTransport  = 32 // bytes
)

// BeginAssertion implements flow.Passkeys.
func (p RelyingParty) BeginAssertion(allow []tenant.Passkey) (options, session json.RawMessage, err error) {
	w, err := p.webAuthn()
	if err != nil {
		return nil, nil, err
	}
	list, err := descriptors(allow)
	if err != nil {
		return nil, nil, err
	}
	assertion, s, err := w.BeginDiscoverableLogin(webauthn.WithAllowedCredentials(list))
	if err != nil {
		return nil, nil, fmt.Errorf("passkey: %w", err)
	}
	if len(allow) > 0 {
		s.UserID = allow[0].UserHandle // the user is known, and an answer need not say who it is
	}
	s.AllowedCredentialIDs = nil // whose passkey may answer is the flow's to say
	return marshal(assertion, s)
}

// FinishAssertion implements flow.Passkeys.
func (p RelyingParty) FinishAssertion(session, response json.RawMessage, known tenant.Passkey) (fresh tenant.Passkey, verified bool, err error) {
	w, s, err := p.resume(session)
	if err != nil {
		return fresh, false, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return fresh, false, tenant.Invalidf("/assertion_response", "format", "this is not what navigator.credentials.get() gives").Because(explained(err))
	}
	nobody := len(known.PublicKey) == 0
	if nobody { // and yet as much work
		known = tenant.Passkey{ID: encode(parsed.RawID), PublicKey: nobodysKey, UserHandle: s.UserID}
		known.BackupEligible = parsed.Response.AuthenticatorData.Flags.HasBackupEligible()
		if len(known.UserHandle) == 0 {
			known.UserHandle = parsed.Response.UserHandle
		}
	}
	owner := user{handle: known.UserHandle}
	c, err := credential(known)
	if err != nil {
		return fresh, false, err
	}
	owner.passkeys = []webauthn.Credential{c}
	var used *webauthn.Credential
	if len(s.UserID) > 0 {
		s.UserID = known.UserHandle
		used, err = w.ValidateLogin(owner, *s, parsed)
	} else {
		used, err = w.ValidateDiscoverableLogin(func([]byte, []byte) (webauthn.User, error) { return owner, nil }, *s, parsed)
	}
	switch {
	case err == nil && nobody:
		err = errors.New("an answer by a key that nobody has")
	case err == nil && used.Authenticator.CloneWarning:
		err = fmt.Errorf("the signature counter went from %d to %d: there may be a copy of the passkey",
			known.SignCount, parsed.Response.AuthenticatorData.Counter)
	}
	if err != nil {
		return fresh, false, tenant.ErrInvalidCredentials.Because(explained(err))
	}
	fresh = known
	fresh.SignCount, fresh.BackedUp = used.Authenticator.SignCount, used.Flags.BackupState
	return fresh, parsed.Response.AuthenticatorData.Flags.UserVerified(), nil
}

// nobodysKey is the public half of a P-256 key whose private half is the hash of
// some words; no account has it.
var nobodysKey = func() []byte {
	words := sha256.Sum256([]byte("a passkey of nobody"))
	private, err := ecdh.P256().NewPrivateKey(words[:])
	if err != nil {
		panic(err) // it is a valid scalar
	}
	point := private.PublicKey().Bytes() // 4, x, y
	key, err := webauthncbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		panic(err) // plain values
	}
	return key
}()

func (p RelyingParty) resume(session json.RawMessage) (*webauthn.WebAuthn, *webauthn.SessionData, error) {
	w, err := p.webAuthn()
	if err != nil {
		return nil, nil, err
	}
	s := new(webauthn.SessionData)
	if err := json.Unmarshal(session, s); err != nil {
		return nil, nil, fmt.Errorf("passkey: session: %w", err)
	}
	return w, s, nil
}

func marshal(options, session any) (o, s json.RawMessage, err error) {
	if o, err = json.Marshal(options); err == nil {
		s, err = json.Marshal(session)
	}
	return o, s, err
}

func credential(p tenant.Passkey) (webauthn.Credential, error) {
	id, err := base64.RawURLEncoding.DecodeString(p.ID)
	if err != nil {
		return webauthn.Credential{}, fmt.Errorf("passkey: credential id: %w", err)
	}
	c := webauthn.Credential{ID: id, PublicKey: p.PublicKey, Authenticator: webauthn.Authenticator{SignCount: p.SignCount}}
	c.Flags.BackupEligible, c.Flags.BackupState = p.BackupEligible, p.BackedUp
	for _, t := range p.Transports {
		c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
	}
	return c, nil
}

func descriptors(ps []tenant.Passkey) ([]protocol.CredentialDescriptor, error) {
	var out []protocol.CredentialDescriptor
	for _, p := range ps {
		c, err := credential(p)
		if err != nil {
			return nil, err
		}
		out = append(out, c.Descriptor())
	}
	return out, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// explained adds what the library keeps back for developers.
func explained(err error) error {
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.DevInfo != "" {
		return fmt.Errorf("%w: %s", err, e.DevInfo)
	}
	return err
}

// hostOf is the host of a web origin; "" of anything else.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Hostname()
}
