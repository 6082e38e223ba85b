package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// exportPage is how many users are read at a time.
const exportPage = 500

// ExportUsers writes all users as an USHER import document and says how many.
// With hashes the document can bring back every credential, and is as
// sensitive as the database and its master key.
func (s *Service) ExportUsers(ctx context.Context, a Actor, slug string, w io.Writer, hashes bool) (int, error) {
	// Recorded first: what was read can't be taken back.
	t, err := s.change(ctx, a, slug, "user.export", func(c *change) error {
		c.detail = detail{"hashes": hashes}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if _, err := io.WriteString(w, "{\"upsert\":false,\"users\":["); err != nil {
		return 0, err
	}
	written, after := 0, ""
	for {
		page, err := s.Store.Users(ctx, t.ID, tenant.UserFilter{}, tenant.Page{After: after, Limit: exportPage})
		if err != nil {
			return written, err
		}
		for _, u := range page {
			after = u.ID
			if u.Anonymous || !u.AnonymizedAt.IsZero() {
				continue // a session is all they have, or nothing is left: neither could come back
			}
			if err := s.exportUser(w, t, u, hashes, written == 0); err != nil {
				return written, err
			}
			written++
		}
		if len(page) < exportPage {
			break
		}
	}
	_, err = io.WriteString(w, "\n]}\n")
	return written, err
}

func (s *Service) exportUser(w io.Writer, t *tenant.Tenant, u *tenant.UserRecord, hashes, first bool) error {
	out := usherUser{
		ID: u.ID, State: u.State, DisabledReason: u.DisabledReason, Standard: u.Attributes.Standard, Custom: u.Attributes.Custom,
		Identities: []usherIdentity{}, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, Access: u.Access,
	}
	for _, i := range u.Identities {
		if i.Kind == tenant.PasskeyKind { // it comes back with the passkey
			continue
		}
		id := usherIdentity{Kind: i.Kind, Value: i.Shown, VerifiedAt: i.VerifiedAt, CreatedAt: i.CreatedAt}
		if i.Kind == tenant.LDAPKind {
			id.Value, id.Shown = i.Value, i.Shown
		}
		out.Identities = append(out.Identities, id)
	}
	if hashes {
		for i := range u.Authenticators {
			c, err := s.exportCredential(t, &u.Authenticators[i])
			if err != nil {
				return err
			}
			out.Authenticators = append(out.Authenticators, c)
		}
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	separator := ",\n"
	if first {
		separator = "\n"
	}
	_, err = w.Write(append([]byte(separator), text...))
	return err
}

// exportCredential says what an import needs to make the authenticator again
// (flowengine/flow says how each is kept).
func (s *Service) exportCredential(t *tenant.Tenant, a *tenant.Authenticator) (usherCredential, error) {
	c := usherCredential{Type: a.Type, CreatedAt: a.CreatedAt, MustChange: a.MustChange}
	if !a.UpdatedAt.Equal(a.CreatedAt) {
		c.UpdatedAt = a.UpdatedAt
	}
	var err error
	switch a.Type {
	case primaryPassword, secondaryPassword, tenant.OldPassword, deviceToken:
		c.Hash = a.Secret
	case primaryEmail, primarySMS, secondaryEmail, secondarySMS:
		c.Target = a.Secret
	case tenant.PasskeyAuthenticator:
		if c.Passkey, err = a.Passkey(); err == nil {
			c.Passkey.Used = nil // of runs that are over by then
		}
	case secondaryTOTP, recoveryCode:
		var plain string
		if plain, err = s.Master.OpenText(t, tenant.AuthenticatorTable, a.ID, a.Secret); err != nil {
			break
		}
		if a.Type == secondaryTOTP {
			c.Secret, err = flow.TOTPKey(plain)
		} else {
			c.Codes, err = flow.RecoveryCodeHashes(plain)
		}
	default:
		err = fmt.Errorf("no form to export a %s in", a.Type)
	}
	if err != nil {
		err = fmt.Errorf("admin: authenticator %s: %w", a.ID, err)
	}
	return c, err
}
