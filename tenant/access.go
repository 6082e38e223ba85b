package tenant

import "time"

// Access says when a user may enter, beside their state; a zero time is never.
type Access struct {
	DisabledUntil time.Time `json:"disabled_until,omitzero"` // a disabled user may enter again from then on
	DeactivatedAt time.Time `json:"deactivated_at,omitzero"` // by the user
	ValidFrom     time.Time `json:"valid_from,omitzero"`     // not before then
	ValidUntil    time.Time `json:"valid_until,omitzero"`    // not from then on
	DeleteAt      time.Time `json:"delete_at,omitzero"`      // the user is forgotten then, and may not enter meanwhile
	AnonymizeAt   time.Time `json:"anonymize_at,omitzero"`   // what is known about the user is forgotten then
	AnonymizedAt  time.Time `json:"anonymized_at,omitzero"`  // it was
}

// MayEnter refuses a user who may not sign in now: with ErrAnonymizedUser,
// ErrScheduledDeletion, ErrDeactivatedUser, or ErrDisabledUser.
func (u *User) MayEnter(now time.Time) error {
	switch {
	case !u.AnonymizedAt.IsZero() || !u.AnonymizeAt.IsZero():
		return ErrAnonymizedUser
	case !u.DeleteAt.IsZero():
		return ErrScheduledDeletion
	case !u.DeactivatedAt.IsZero():
		return ErrDeactivatedUser
	case u.State != UserActive && (u.DisabledUntil.IsZero() || now.Before(u.DisabledUntil)),
		!u.ValidFrom.IsZero() && now.Before(u.ValidFrom),
		!u.ValidUntil.IsZero() && !now.Before(u.ValidUntil):
		return ErrDisabledUser
	}
	return nil
}

// Anonymize forgets what is known about the user, who stays as a name for what
// was done.
func (u *User) Anonymize(at time.Time) {
	u.Attributes, u.DisabledReason = UserAttributes{}, ""
	u.AnonymizeAt, u.AnonymizedAt = time.Time{}, at
}

// DueUser is a user whose time to be forgotten has come.
type DueUser struct {
	TenantID, UserID string
	Delete           bool // else anonymize
}
