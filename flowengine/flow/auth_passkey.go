package flow

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// passkey proves a user who has said who they are by a WebAuthn credential of
// theirs.
type passkey struct{ oneShot }

func (passkey) For(step string) bool {
	return step == stepAuthenticate || step == stepCreateAuthenticator
}

func (passkey) Proves(step string) bool { return step == stepAuthenticate }

func (passkey) Options(c *Cursor, s *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	show := map[string]any{"authentication": primaryPasskey}
	if s.Type == stepCreateAuthenticator {
		has, err := c.has(primaryPasskey)
		if err != nil || has {
			return nil, err
		}
		show["creation_options"], err = c.creationOptions()
		return []Option{{Show: show}}, err
	}
	allow, err := c.allowed()
	if err != nil || len(allow) == 0 {
		return nil, err
	}
	show["request_options"], err = c.requestOptions(allow)
	return []Option{{Show: show}}, err
}

func (passkey) Take(c *Cursor, s *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	if s.Type == stepCreateAuthenticator {
		return c.createPasskey(in)
	}
	return c.assert(in, c.subject(), func(tenant.Claim) (*tenant.Account, error) {
		if c.Decoy {
			return nil, nil
		}
		return c.Account(c.User)
	})
}

// Ceremony is a WebAuthn ceremony that a step has begun. Leaving the step ends it.
type Ceremony struct {
	ID      string          `json:"id"` // UUIDv7
	Create  bool            `json:"create,omitempty"`
	Options json.RawMessage `json:"options"` // for the client
	Session json.RawMessage `json:"session"` // for whoever checks the answer
}

// ceremony is the one that the step has begun; it begins it on being reached.
func (c *Cursor) ceremony(create bool, begin func() (options, session json.RawMessage, err error)) (json.RawMessage, error) {
	if c.Passkey == nil || c.Passkey.Create != create {
		options, session, err := begin()
		if err != nil {
			return nil, err
		}
		c.Passkey = &Ceremony{ID: c.NewID(), Create: create, Options: options, Session: session}
	}
	return c.Passkey.Options, nil
}

func (c *Cursor) requestOptions(allow []tenant.Passkey) (json.RawMessage, error) {
	return c.ceremony(false, func() (options, session json.RawMessage, err error) { return c.Passkeys().BeginAssertion(allow) })
}

func (c *Cursor) creationOptions() (json.RawMessage, error) {
	mine, err := c.passkeys()
	if err != nil {
		return nil, err
	}
	name, err := c.accountName()
	if err != nil {
		return nil, err
	}
	return c.ceremony(true, func() (options, session json.RawMessage, err error) {
		return c.Passkeys().BeginCreation([]byte(c.User), name, mine)
	})
}

// passkeys are those that the user has.
func (c *Cursor) passkeys() ([]tenant.Passkey, error) {
	if c.User == "" || c.Decoy || c.Draft.NewUser {
		return nil, nil
	}
	account, err := c.Account(c.User)
	if err != nil || account == nil {
		return nil, err
	}
	var out []tenant.Passkey
	for i := range account.Authenticators {
		p, err := account.Authenticators[i].Passkey()
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	return out, nil
}

// allowed are the passkeys that would prove the user. Somebody who has none is
// answered with one that doesn't exist, always the same for the same login id,
// while that is a secret.
func (c *Cursor) allowed() ([]tenant.Passkey, error) {
	mine, err := c.passkeys()
	if err != nil || len(mine) > 0 || !c.secret() {
		return mine, err
	}
	return []tenant.Passkey{decoyPasskey(c.Plausible("passkey:" + c.Claim.Kind + ":" + c.Claim.Value))}, nil
}

// decoyPasskey looks like one of the three kinds that most people have, each
// with credential ids of another length.
func decoyPasskey(chance []byte) tenant.Passkey {
	kinds := []struct {
		bytes      int
		transports []string
	}{{16, []string{"hybrid", "internal"}}, {20, []string{"hybrid", "internal"}}, {32, []string{"internal"}}}
	kind := kinds[int(chance[32])%len(kinds)]
	return tenant.Passkey{ID: base64.RawURLEncoding.EncodeToString(chance[:kind.bytes]), Transports: kind.transports, UserHandle: []byte("nobody")}
}

// assert reacts to an answer to the step's ceremony: it has to come from a
// passkey of the account that owner finds, once.
func (c *Cursor) assert(in *Answer, subject string, owner func(tenant.Claim) (*tenant.Account, error)) (Verdict, error) {
	var response json.RawMessage
	if err := in.value("assertion_response", "what navigator.credentials.get() gives, by its toJSON()", &response); err != nil {
		return Verdict{}, err
	}
	claim, err := credentialOf(response)
	if err != nil {
		return Verdict{}, err
	}
	if err := c.Allow(LimitPasskey, subject); err != nil {
		return Verdict{}, err
	}
	account, err := owner(claim)
	if err != nil {
		return Verdict{}, err
	}
	a, p, err := account.Passkey(claim.Value)
	if err != nil {
		return Verdict{}, err
	}
	// For somebody without it, this takes as long and refuses.
	fresh, verified, err := c.Passkeys().FinishAssertion(c.Passkey.Session, response, p)
	if err == nil && !fresh.Spend(c.Passkey.ID) {
		err = tenant.ErrInvalidCredentials
	}
	if e := tenant.AsError(err); e != nil && e.Is(tenant.ErrInvalidCredentials) {
		err = e.With("AuthenticationType", c.method)
	}
	if err != nil {
		return Verdict{}, err
	}
	c.Right(LimitPasskey, subject)
	secret, err := marshal(fresh)
	if err != nil {
		return Verdict{}, err
	}
	next := *a
	next.Secret, next.UpdatedAt = string(secret), c.Now()
	c.Do(Update{Authenticator: next, Was: a.Secret, Must: true})
	return Verdict{User: account.ID, Claim: claim, AMR: passkeyAMR(&fresh, verified)}, nil
}

// credentialOf says which credential an answer comes from.
func credentialOf(response json.RawMessage) (tenant.Claim, error) {
	var r struct {
		ID string `json:"id"`
	}
	err := json.Unmarshal(response, &r)
	if err == nil {
		_, err = base64.RawURLEncoding.Strict().DecodeString(r.ID)
	}
	if err != nil || r.ID == "" || len(r.ID) > maxCredentialID || strings.ContainsAny(r.ID, "\r\n") {
		return tenant.Claim{}, tenant.Invalidf("/assertion_response", "format", "this is not what navigator.credentials.get() gives")
	}
	return tenant.Claim{Kind: tenant.PasskeyKind, Value: r.ID}, nil
}

// maxCredentialID is the length of 1023 bytes (WebAuthn level 3 section 4) in
// base64url.
const maxCredentialID = 1364

// passkeyAMR says what a passkey has proved (RFC 8176). Without attestation
// nobody vouches for hardware: what can't leave its device counts as such.
func passkeyAMR(p *tenant.Passkey, verified bool) []string {
	amr := []string{"hwk", "user"}
	if p.BackupEligible {
		amr[0] = "swk"
	}
	if verified {
		amr = append(amr, "mfa")
	}
	return amr
}

// createPasskey drafts the passkey that an answer to the step's ceremony brings.
func (c *Cursor) createPasskey(in *Answer) (Verdict, error) {
	var response json.RawMessage
	if err := in.value("creation_response", "what navigator.credentials.create() gives, by its toJSON()", &response); err != nil {
		return Verdict{}, err
	}
	if err := c.Allow(LimitCreate, c.subject()); err != nil {
		return Verdict{}, err
	}
	p, verified, err := c.Passkeys().FinishCreation(c.Passkey.Session, response)
	if err != nil {
		return Verdict{}, err
	}
	claim := p.Claim()
	if taken, err := c.AccountByClaim(claim); err != nil || taken != nil {
		if err == nil {
			err = tenant.ErrDuplicatedIdentity
		}
		return Verdict{}, err
	}
	secret, err := marshal(p)
	if err != nil {
		return Verdict{}, err
	}
	c.Draft.Identities = append(c.Draft.Identities, NewIdentity{Claim: claim, Key: claim.Value, Shown: claim.Value})
	c.Draft.Authenticators = append(c.Draft.Authenticators, NewCredential{ID: c.NewID(), Type: primaryPasskey, Secret: string(secret)})
	return Verdict{Claim: claim, AMR: passkeyAMR(&p, verified)}, nil
}

// accountName is what the user would recognise the account by: the login id they
// identified with, or else one that is theirs; "" of an anonymous user.
func (c *Cursor) accountName() (string, error) {
	if k := c.Claim.Kind; k == idEmail || k == idPhone || k == idUsername {
		return c.Claim.Value, nil
	}
	for _, i := range c.Draft.Identities {
		if i.Kind != idPasskey {
			return i.Shown, nil
		}
	}
	if c.Draft.NewUser {
		return "", nil
	}
	identities, err := c.Identities(c.User)
	for _, i := range identities {
		if i.Kind != idPasskey {
			return i.Shown, nil
		}
	}
	return "", err
}
