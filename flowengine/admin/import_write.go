package admin

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// batchWriter writes one batch. It is made anew when the transaction is.
type batchWriter struct {
	*importer
	c       *change
	now     time.Time
	owners  map[tenant.Claim]string // whose claims are, as this batch goes on
	pending []*tenant.UserRecord    // new users, written together
	summary ImportSummary
	details []ImportDetail
	claimed map[uint64]int  // for seen
	let     map[uint64]bool // for freed
}

func (w *batchWriter) write(records []*incoming) error {
	w.claimed, w.let = map[uint64]int{}, map[uint64]bool{}
	var claims []tenant.Claim
	for _, r := range records {
		claims = append(claims, r.keys...)
		for i := range r.identities {
			claims = append(claims, r.identities[i].claims()...)
		}
	}
	var err error
	if w.owners, err = w.c.Owners(w.t.ID, claims); err != nil {
		return err
	}
	for claim := range w.owners {
		if w.freed[w.mark(claim)] {
			delete(w.owners, claim)
		}
	}
	for _, r := range records {
		d, err := w.record(r)
		if err != nil {
			return err
		}
		w.count(d)
	}
	return w.flush()
}

func (w *batchWriter) count(d ImportDetail) {
	w.summary.Total++
	*map[ImportOutcome]*int{
		Inserted: &w.summary.Inserted, Updated: &w.summary.Updated, Skipped: &w.summary.Skipped, Failed: &w.summary.Failed,
	}[d.Outcome]++
	w.details = append(w.details, d)
}

// flush writes the new users.
func (w *batchWriter) flush() error {
	err := w.c.CreateUsers(w.pending)
	w.pending = nil
	return err
}

// remember keeps what the batch did for the records after it.
func (w *batchWriter) remember() {
	for mark, index := range w.claimed {
		w.seen[mark] = index
		delete(w.freed, mark)
	}
	for mark := range w.let {
		delete(w.seen, mark)
		if w.in.DryRun {
			w.freed[mark] = true
		}
	}
}

func (w *batchWriter) record(r *incoming) (ImportDetail, error) {
	d := ImportDetail{Index: r.index, Outcome: Failed, Errors: slices.Clone(r.errors), Warnings: slices.Clone(r.warnings)}
	if len(d.Errors) > 0 {
		return d, nil
	}
	if twin, twice := w.twin(r); twice {
		words := fmt.Sprintf("record %d of this document is about the same user", twin)
		if r.upsert {
			d.Errors = append(d.Errors, tenant.Problem{Pointer: "", Reason: "DuplicateRecord", Message: words})
		} else {
			d.Outcome = Skipped
			d.Warnings = append(d.Warnings, tenant.Problem{Pointer: "", Reason: "UserExists", Message: words})
		}
		return d, nil
	}
	userID, known, err := w.target(r, &d)
	if err != nil || len(d.Errors) > 0 {
		return d, err
	}
	if known && !r.upsert {
		d.Outcome, d.UserID = Skipped, userID
		d.Warnings = append(d.Warnings, tenant.Problem{Pointer: "", Reason: "UserExists", Message: "the user exists, and upsert is off"})
		return d, nil
	}
	w.checkTaken(r, userID, known, &d)
	if len(d.Errors) > 0 {
		return d, nil
	}
	if known {
		err = w.update(r, userID, &d)
	} else {
		err = w.insert(r, userID, &d)
	}
	return d, err
}

// twin finds an earlier record of the document that was about the same user.
func (w *batchWriter) twin(r *incoming) (index int, twice bool) {
	marks := []uint64{}
	for _, key := range r.keys {
		marks = append(marks, w.mark(key))
	}
	if r.id != "" {
		marks = append(marks, w.mark(tenant.Claim{Kind: "id", Value: r.id}))
	}
	for _, mark := range marks {
		if index, twice = w.claimed[mark]; twice {
			return index, true
		}
		if index, twice = w.seen[mark]; twice {
			return index, true
		}
	}
	return 0, false
}

// target says which user a record is about, and whether there is one.
func (w *batchWriter) target(r *incoming, d *ImportDetail) (userID string, known bool, err error) {
	for _, key := range r.keys {
		owner, taken := w.owners[key]
		if !taken {
			continue
		}
		if known && owner != userID {
			d.Errors = append(d.Errors, tenant.Problem{Pointer: "", Reason: "Ambiguous", Message: "its login ids belong to different users"})
			return "", false, nil
		}
		userID, known = owner, true
	}
	if r.id == "" {
		if !known {
			userID = secret.NewID()
		}
		return userID, known, nil
	}
	_, err = w.c.User(w.t.ID, r.id)
	switch {
	case err == nil && known && userID != r.id:
		d.Errors = append(d.Errors, tenant.Problem{Pointer: "/id", Reason: "Ambiguous", Message: "its id and its login ids belong to different users"})
	case err == nil:
		return r.id, true, nil
	case errors.Is(err, tenant.ErrUserNotFound):
		if !known {
			userID = r.id
		}
		return userID, known, nil
	}
	return "", false, err
}

// checkTaken refuses login ids that are another user's.
func (w *batchWriter) checkTaken(r *incoming, userID string, known bool, d *ImportDetail) {
	for i := range r.identities {
		for _, claim := range r.identities[i].claims() {
			owner, taken := w.owners[claim]
			if !taken && w.in.DryRun {
				_, taken = w.seen[w.mark(claim)]
			}
			if taken && !(known && owner == userID) {
				d.Errors = append(d.Errors, tenant.Problem{Pointer: r.identities[i].place, Reason: string(tenant.ErrDuplicatedIdentity.Reason), Message: "another user has this login id"})
				break
			}
		}
	}
}

func (w *batchWriter) claim(r *incoming, userID string) {
	for i := range r.identities {
		for _, claim := range r.identities[i].claims() {
			w.own(claim, userID, r.index)
		}
	}
	for _, key := range r.keys {
		w.own(key, userID, r.index)
	}
	w.claimed[w.mark(tenant.Claim{Kind: "id", Value: userID})] = r.index
}

func (w *batchWriter) own(c tenant.Claim, userID string, index int) {
	w.owners[c] = userID
	w.claimed[w.mark(c)] = index
	delete(w.let, w.mark(c))
}

func (w *batchWriter) insert(r *incoming, userID string, d *ImportDetail) error {
	u := &tenant.UserRecord{User: tenant.User{
		TenantID: w.t.ID, ID: userID, State: tenant.UserActive, CreatedAt: orNow(r.created, w.now), UpdatedAt: orNow(r.updated, w.now),
	}}
	if err := w.setAttributes(r, u, d); err != nil || len(d.Errors) > 0 {
		return err
	}
	if r.disabled != nil && *r.disabled {
		u.State, u.DisabledReason = tenant.UserDisabled, r.reason
	}
	if r.access != nil {
		u.Access = *r.access
	}
	for i := range r.identities {
		u.Identities = append(u.Identities, w.identity(r.identities[i].Identity, userID))
	}
	for _, c := range r.credentials {
		made, err := w.authenticator(&u.User, c)
		if err != nil {
			return err
		}
		u.Authenticators = append(u.Authenticators, *made)
	}
	w.pending = append(w.pending, u)
	w.claim(r, userID)
	d.Outcome, d.UserID = Inserted, userID
	return nil
}

func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

func (w *batchWriter) identity(i tenant.Identity, userID string) tenant.Identity {
	i.TenantID, i.UserID, i.ID, i.CreatedAt = w.t.ID, userID, secret.NewID(), orNow(i.CreatedAt, w.now)
	return i
}

// authenticator makes what is kept of a credential.
func (w *batchWriter) authenticator(u *tenant.User, c credential) (*tenant.Authenticator, error) {
	a := newAuthenticator(u, c.typ, c.kept, orNow(c.created, w.now))
	a.MustChange = c.mustChange
	if !c.updated.IsZero() {
		a.UpdatedAt = c.updated
	}
	if c.sealed != "" {
		var err error
		if a.Secret, err = w.s.Master.SealText(w.t, tenant.AuthenticatorTable, a.ID, c.sealed); err != nil {
			return nil, err
		}
	}
	return &a, nil
}
