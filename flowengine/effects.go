package flowengine

import (
	"fmt"
	"slices"
	"time"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// secrets are what a move makes that the client alone may know, once.
type secrets struct {
	session *NewSession
	device  string // the token that a device is remembered by
}

// apply puts the effects of a move into its commit.
func (e *Engine) apply(m *move, c *tenant.Commit) (made secrets, err error) {
	if m.run.Flow.Type == tenant.Settings && m.world.session != nil {
		m.run.SessionID = m.world.session.ID // by which it is changed, and which goes on
	}
	for _, effect := range m.result.Effects {
		switch f := effect.(type) {
		case flow.Create:
			err = e.create(m, c, f)
		case flow.Update:
			u := tenant.SecretUpdate{Authenticator: f.Authenticator, Was: f.Was, Must: f.Must}
			c.Updates = append(c.Updates, u)
		case flow.Send:
			err = e.send(m, c, f)
		case flow.Use:
			c.UseCodes = append(c.UseCodes, f.Code)
		case flow.Open:
			if s := m.world.session; s != nil && m.run.Flow.Type == tenant.Reauth {
				c.Renewed, m.run.SessionID = &tenant.Renewal{SessionID: s.ID, AMR: joined(s.AMR, f.AMR)}, s.ID
				continue
			}
			made.session = m.open(f)
			c.Session = made.session.Session
			m.run.SessionID = made.session.ID
		case flow.Resume:
			if m.run.SessionID = f.Session; f.Renewed {
				c.Renewed = &tenant.Renewal{SessionID: f.Session, AMR: f.AMR} // which the session's were joined to
			}
		case flow.EndOthers:
			c.RevokeSessions = true
		case flow.Remember:
			made.device = secret.NewToken(devicePrefix)
			c.Authenticators = append(c.Authenticators, m.authenticator(f.User, secret.NewID(), deviceTokenType, secret.TokenHash(made.device)))
		case flow.Forget:
			c.Remove = append(c.Remove, deviceTokenType)
			c.RevokeSessions = c.RevokeSessions || f.Sessions
		}
		if err != nil {
			return made, err
		}
	}
	return made, nil
}

// joined is what was proved before and now, each once.
func joined(before, now []string) []string {
	all := slices.Clone(before)
	for _, method := range now {
		if !slices.Contains(all, method) {
			all = append(all, method)
		}
	}
	return all
}

const (
	devicePrefix    = "usherdevice_"
	deviceTokenType = "device_token"
	passwordType    = "primary_password"
	codeTable       = "otp_code" // what codes are sealed as
)

func (m *move) authenticator(user, id, typ, value string) tenant.Authenticator {
	return tenant.Authenticator{TenantID: m.tenant.ID, ID: id, UserID: user, Type: typ, Secret: value, CreatedAt: m.now, UpdatedAt: m.now}
}

// create writes what the run drafted: a new user, or what an existing one gains.
func (e *Engine) create(m *move, c *tenant.Commit, f flow.Create) error {
	var before *tenant.Account
	attributes := tenant.UserAttributes{}
	if f.NewUser {
		c.User = &tenant.User{
			TenantID: m.tenant.ID, ID: f.User, State: tenant.UserActive, Anonymous: len(f.Identities) == 0, CreatedAt: m.now, UpdatedAt: m.now,
		}
	} else {
		c.Verified = f.Proved
		var err error
		if before, err = m.world.Account(f.User); err != nil {
			return err
		}
		if before == nil {
			return tenant.ErrUserNotFound
		}
		attributes = before.Attributes
	}
	for _, i := range f.Identities {
		identity := tenant.Identity{
			TenantID: m.tenant.ID, ID: secret.NewID(), UserID: f.User, Claim: i.Claim, Key: i.Key, Shown: i.Shown, CreatedAt: m.now,
		}
		if slices.Contains(f.Proved, i.Claim) {
			identity.VerifiedAt = m.now
		}
		c.Identities = append(c.Identities, identity)
	}
	c.Promotes = f.Promotes
	for _, a := range f.Authenticators {
		if a.Was != "" {
			fresh := m.authenticator(f.User, a.ID, a.Type, a.Secret)
			c.Updates = append(c.Updates, tenant.SecretUpdate{Authenticator: fresh, Was: a.Was, Must: true})
			continue
		}
		c.Authenticators = append(c.Authenticators, m.authenticator(f.User, a.ID, a.Type, a.Secret))
	}
	c.Remove = append(c.Remove, f.Remove...)
	if err := lose(c, before, f.RemovePasskeys); err != nil {
		return err
	}
	if f.NewPassword != "" {
		m.replacePassword(c, before, f.NewPassword)
	}
	if len(f.Profile) == 0 {
		return nil
	}
	merged, err := flow.FillProfile(attributes, f.Profile)
	if c.User != nil {
		c.User.Attributes = merged
	} else {
		c.Attributes = &merged
	}
	return err
}

// lose takes passkeys from the user, but for those that are gone already.
func lose(c *tenant.Commit, before *tenant.Account, passkeys []string) error {
	for _, id := range passkeys {
		a, _, err := before.Passkey(id)
		if err != nil {
			return err
		}
		if a != nil {
			c.RemovePasskeys = append(c.RemovePasskeys, tenant.LostPasskey{ID: id, AuthenticatorID: a.ID})
		}
	}
	return nil
}

// replacePassword gives the user a new password and remembers the old one, as
// far as the history rules ask for it.
func (m *move) replacePassword(c *tenant.Commit, before *tenant.Account, hash string) {
	for _, a := range before.Authenticators {
		if a.Type != passwordType {
			continue
		}
		fresh := a
		fresh.Secret, fresh.UpdatedAt, fresh.MustChange = hash, m.now, false
		c.Updates = append(c.Updates, tenant.SecretUpdate{Authenticator: fresh, Was: a.Secret, Must: true})
		if m.world.config.PasswordPolicy.History.Enabled() {
			c.Authenticators = append(c.Authenticators, m.authenticator(before.ID, secret.NewID(), tenant.OldPassword, a.Secret))
		}
		return
	}
	c.Authenticators = append(c.Authenticators, m.authenticator(before.ID, secret.NewID(), passwordType, hash))
}

// send keeps a code, and puts the message that carries it into the outbox. Where
// there is nobody to write to it is one to nobody.
func (e *Engine) send(m *move, c *tenant.Commit, f flow.Send) error {
	k := f.Code
	k.TenantID, k.RunID, k.StateHash = m.tenant.ID, m.run.ID, c.State.TokenHash
	if k.Form == tenant.LinkForm {
		k.LinkHash = secret.TokenHash(f.Secret)
	}
	var err error
	if k.Sealed, err = e.master.Seal(m.tenant, codeTable, k.ID, codeDigest(k.ID, f.Secret)); err != nil {
		return fmt.Errorf("code: %w", err)
	}
	c.Codes = append(c.Codes, k)
	message, err := deliver.Compose(e.master, m.tenant, m.world.config, &k, f.Secret, m.client.Language, secret.NewID(), f.Decoy)
	if err != nil {
		return err
	}
	e.metrics.messageMade(message)
	c.Messages = append(c.Messages, *message)
	return nil
}

func (m *move) open(f flow.Open) *NewSession {
	token := secret.NewToken(sessionPrefix)
	cfg, seen := m.world.config, m.client.seen(m.now)
	s := &tenant.Session{
		TenantID: m.tenant.ID, ID: secret.NewID(), TokenHash: secret.TokenHash(token), UserID: f.User, RunID: m.run.ID, AMR: f.AMR,
		AuthenticatedAt: m.now, CreatedAt: m.now, LastSeenAt: m.now,
		ExpiresAt: m.now.Add(time.Duration(cfg.Sessions.LifetimeSeconds) * time.Second),
		IP:        seen.IP, UserAgent: seen.UserAgent,
	}
	s.IdleExpiresAt = idleEnd(cfg, s, m.now)
	return &NewSession{s, token}
}
