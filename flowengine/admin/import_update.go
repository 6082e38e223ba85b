package admin

import (
	"errors"
	"slices"

	"github.com/usher-id/usher/tenant"
)

// update changes a user into what a record says.
func (w *batchWriter) update(r *incoming, userID string, d *ImportDetail) error {
	d.Warnings = append(d.Warnings, r.updateNotes...)
	u, err := w.c.User(w.t.ID, userID)
	if err != nil {
		return err
	}
	if r.disabled != nil {
		u.State, u.DisabledReason = tenant.UserActive, ""
		if *r.disabled {
			u.State, u.DisabledReason = tenant.UserDisabled, r.reason
		}
	}
	if r.access != nil {
		u.Access = *r.access
	}
	if u.MayEnter(w.now) != nil {
		if _, err := w.c.RevokeSessions(w.t.ID, tenant.SessionSelector{UserID: userID}, w.now); err != nil {
			return err
		}
	}
	if err := w.setAttributes(r, u, d); err != nil || len(d.Errors) > 0 {
		return err
	}
	if err := firstOf(w.setIdentities(r, u), w.setAuthenticators(r, u)); err != nil {
		return err
	}
	u.UpdatedAt = w.now
	if err := w.c.UpdateUser(&u.User); err != nil {
		return err
	}
	w.claim(r, userID)
	d.Outcome, d.UserID = Updated, userID
	return nil
}

func (w *batchWriter) setAttributes(r *incoming, u *tenant.UserRecord, d *ImportDetail) error {
	if !r.merge {
		u.Attributes = r.attributes
		return nil
	}
	var err error
	if u.Attributes.Standard, err = mergeAttributes("", u.Attributes.Standard, r.attributes.Standard); err == nil {
		u.Attributes.Custom, err = mergeAttributes("/custom_attributes", u.Attributes.Custom, r.attributes.Custom)
	}
	if refusal, ok := errors.AsType[*tenant.Error](err); ok {
		d.Errors = append(d.Errors, tenant.Problem{Pointer: "", Reason: string(refusal.Reason), Message: refusal.Message})
		return nil
	}
	return err
}

// setIdentities leaves a user with the login ids of the record, of the kinds
// that it is about.
func (w *batchWriter) setIdentities(r *incoming, u *tenant.UserRecord) error {
	missing := slices.Clone(r.identities)
	for _, old := range u.Identities {
		i := slices.IndexFunc(missing, func(n wanted) bool { return n.Claim == old.Claim })
		if i < 0 && r.kinds != nil && !slices.Contains(r.kinds, old.Kind) {
			continue
		}
		if i >= 0 {
			n := missing[i]
			missing = slices.Delete(missing, i, i+1)
			if n.keepVerified || !old.VerifiedAt.IsZero() && !n.VerifiedAt.IsZero() {
				n.VerifiedAt = old.VerifiedAt
			}
			if n.Shown == old.Shown && n.VerifiedAt.Equal(old.VerifiedAt) {
				continue
			}
			old.Shown, old.VerifiedAt = n.Shown, n.VerifiedAt
			if err := firstOf(w.c.RemoveIdentity(w.t.ID, old.ID), w.c.AddIdentity(&old)); err != nil {
				return err
			}
			continue
		}
		if err := w.c.RemoveIdentity(w.t.ID, old.ID); err != nil {
			return err
		}
		for _, claim := range claimsOf(&old) {
			delete(w.owners, claim)
			delete(w.claimed, w.mark(claim))
			w.let[w.mark(claim)] = true
		}
	}
	for _, m := range missing {
		n := w.identity(m.Identity, u.ID)
		if err := w.c.AddIdentity(&n); err != nil {
			return err
		}
	}
	return nil
}

// setAuthenticators leaves a user with the credentials of the record, of the
// types that it is about.
func (w *batchWriter) setAuthenticators(r *incoming, u *tenant.UserRecord) error {
	for _, old := range u.Authenticators {
		if slices.Contains(r.types, old.Type) {
			if err := w.c.RemoveAuthenticator(w.t.ID, old.ID); err != nil {
				return err
			}
		}
	}
	for _, c := range r.credentials {
		if !slices.Contains(r.types, c.typ) {
			continue
		}
		made, err := w.authenticator(&u.User, c)
		if err != nil {
			return err
		}
		if err := w.c.PutAuthenticator(made); err != nil {
			return err
		}
	}
	return nil
}
