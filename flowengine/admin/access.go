package admin

import (
	"context"
	"errors"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
)

// DisableUser keeps a user out, ending all sessions: until a time, or with the
// zero time until they are enabled. ErrUserNotFound, ErrValidation,
// ErrLastWayIn for the last operator.
func (s *Service) DisableUser(ctx context.Context, a Actor, slug, userID, reason string, until time.Time) (*tenant.UserRecord, error) {
	if err := checkOptional("/reason", reason); err != nil {
		return nil, err
	}
	if !until.IsZero() && !until.After(s.now()) {
		return nil, tenant.Invalidf("/until", "range", "until is in the future")
	}
	return s.keepOut(ctx, a, slug, userID, "user.disable", detail{"reason": reason, "until": moment(until)}, func(u *tenant.User) bool {
		if u.State == tenant.UserDisabled && u.DisabledReason == reason && u.DisabledUntil.Equal(until) {
			return false
		}
		u.State, u.DisabledReason, u.DisabledUntil = tenant.UserDisabled, reason, until
		return true
	})
}

// EnableUser lets a user in again who was disabled, or has deactivated the
// account. ErrUserNotFound.
func (s *Service) EnableUser(ctx context.Context, a Actor, slug, userID string) (*tenant.UserRecord, error) {
	return s.letIn(ctx, a, slug, userID, "user.enable", nil, func(u *tenant.User) bool {
		if u.State == tenant.UserActive && u.DeactivatedAt.IsZero() {
			return false
		}
		u.State, u.DisabledReason, u.DisabledUntil, u.DeactivatedAt = tenant.UserActive, "", time.Time{}, time.Time{}
		return true
	})
}

// SetUserValidity says from when and until when a user may enter; a zero time
// is no bound. Sessions prove nothing outside of it. ErrUserNotFound,
// ErrValidation, ErrLastWayIn for the last operator.
func (s *Service) SetUserValidity(ctx context.Context, a Actor, slug, userID string, from, until time.Time) (*tenant.UserRecord, error) {
	if !from.IsZero() && !until.IsZero() && !from.Before(until) {
		return nil, tenant.Invalidf("/until", "range", "until is after from")
	}
	set := func(u *tenant.User) bool {
		if u.ValidFrom.Equal(from) && u.ValidUntil.Equal(until) {
			return false
		}
		u.ValidFrom, u.ValidUntil = from, until
		return true
	}
	d := detail{"from": moment(from), "until": moment(until)}
	now := s.now()
	if (from.IsZero() || !from.After(now)) && until.IsZero() {
		return s.letIn(ctx, a, slug, userID, "user.validity", d, set)
	}
	return s.keepOut(ctx, a, slug, userID, "user.validity", d, set)
}

// ScheduleDeletion has a user forgotten at a time, and keeps them out at once;
// the zero time takes it back. ErrUserNotFound, ErrLastWayIn for the last
// operator.
func (s *Service) ScheduleDeletion(ctx context.Context, a Actor, slug, userID string, at time.Time) (*tenant.UserRecord, error) {
	return s.schedule(ctx, a, slug, userID, "user.schedule_deletion", at, func(u *tenant.User) *time.Time { return &u.DeleteAt })
}

// ScheduleAnonymization has what is known about a user forgotten at a time, and
// keeps them out at once; the zero time takes it back, unless it has happened.
// ErrUserNotFound, ErrLastWayIn for the last operator.
func (s *Service) ScheduleAnonymization(ctx context.Context, a Actor, slug, userID string, at time.Time) (*tenant.UserRecord, error) {
	return s.schedule(ctx, a, slug, userID, "user.schedule_anonymization", at, func(u *tenant.User) *time.Time {
		if !u.AnonymizedAt.IsZero() {
			return nil
		}
		return &u.AnonymizeAt
	})
}

func (s *Service) schedule(ctx context.Context, a Actor, slug, userID, action string, at time.Time, of func(*tenant.User) *time.Time) (*tenant.UserRecord, error) {
	set := func(u *tenant.User) bool {
		when := of(u)
		if when == nil || when.Equal(at) {
			return false
		}
		*when = at
		return true
	}
	if at.IsZero() {
		return s.letIn(ctx, a, slug, userID, action, detail{"at": nil}, set)
	}
	return s.keepOut(ctx, a, slug, userID, action, detail{"at": moment(at)}, set)
}

// keepOut makes a change after which a user may not enter, now or some time.
// Sessions of a user who may not enter now end.
func (s *Service) keepOut(ctx context.Context, a Actor, slug, userID, action string, d detail, set func(*tenant.User) bool) (u *tenant.UserRecord, err error) {
	err = s.sparingOperator(ctx, slug, userID, func(guard func(*change) error) (err error) {
		u, err = s.changeUser(ctx, a, slug, userID, action, func(c *change, u *tenant.UserRecord) error {
			before := u.MayEnter(s.now()) == nil
			if !set(&u.User) {
				return errUnchanged
			}
			c.detail = d
			if u.MayEnter(s.now()) != nil {
				ended, err := c.RevokeSessions(c.t.ID, tenant.SessionSelector{UserID: userID}, s.now())
				if err != nil {
					return err
				}
				c.detail["sessions"] = ended
				if before {
					c.tell(tenant.HookUserDisabled, u, nil)
				}
				c.tellRevoked(u, "", ended)
			}
			return firstOf(c.UpdateUser(&u.User), guard(c))
		})
		return err
	})
	return u, err
}

// letIn makes a change after which a user may enter, if nothing else keeps them
// out.
func (s *Service) letIn(ctx context.Context, a Actor, slug, userID, action string, d detail, set func(*tenant.User) bool) (*tenant.UserRecord, error) {
	return s.changeUser(ctx, a, slug, userID, action, func(c *change, u *tenant.UserRecord) error {
		before := u.MayEnter(s.now()) == nil
		if !set(&u.User) {
			return errUnchanged
		}
		c.detail = d
		if !before && u.MayEnter(s.now()) == nil {
			c.tell(tenant.HookUserEnabled, u, nil)
		}
		return c.UpdateUser(&u.User)
	})
}

// moment is a time in an audit event; nil for none.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// ResetLockout forgets the failed tries about a user, whoever has made them, so
// that the user is locked out no longer. ErrUserNotFound.
func (s *Service) ResetLockout(ctx context.Context, a Actor, slug, userID string) (*tenant.UserRecord, error) {
	u, err := s.changeUser(ctx, a, slug, userID, "user.reset_lockout", func(c *change, _ *tenant.UserRecord) error { return nil })
	if err != nil {
		return nil, err
	}
	subjects := []string{userID}
	for i := range u.Identities {
		if subject := flow.LDAPSubjectOf(&u.Identities[i]); subject != "" {
			subjects = append(subjects, subject)
		}
	}
	for _, subject := range subjects {
		if err := s.Limiter.Unlock(ctx, u.TenantID, s.now(), limit.LockoutKey(subject)); err != nil {
			return u, err
		}
	}
	return u, nil
}

// dueBatch is how many users are forgotten in one go.
const dueBatch = 100

// ForgetDue forgets the users, of all tenants, whose time has come: it deletes
// them, or anonymizes them. Any number of nodes may do so at once.
func (s *Service) ForgetDue(ctx context.Context) error {
	for {
		due, err := s.Store.UsersDue(ctx, s.now(), dueBatch)
		if err != nil {
			return err
		}
		for _, d := range due {
			t, err := s.Store.TenantByID(ctx, d.TenantID)
			if err == nil {
				err = s.forget(ctx, t.Slug, d)
			}
			if err != nil && tenant.AsError(err).Kind != tenant.NotFound { // another node was faster
				return err
			}
		}
		if len(due) < dueBatch {
			return nil
		}
	}
}

// forget deletes or anonymizes a user, unless that was taken back meanwhile.
func (s *Service) forget(ctx context.Context, slug string, d tenant.DueUser) error {
	action, now := "user.anonymize", s.now()
	if d.Delete {
		action = "user.delete"
	}
	_, err := s.changeUser(ctx, System, slug, d.UserID, action, func(c *change, u *tenant.UserRecord) error {
		at := u.AnonymizeAt
		if d.Delete {
			at = u.DeleteAt
		}
		if at.IsZero() || at.After(now) {
			return errUnchanged
		}
		c.detail = detail{"identities": kinds(u.Identities), "scheduled": moment(at)}
		if d.Delete {
			c.tell(tenant.HookUserDeleted, u, nil)
			return c.DeleteUser(c.t.ID, u.ID)
		}
		var errs []error
		for i := range u.Identities {
			errs = append(errs, c.RemoveIdentity(c.t.ID, u.Identities[i].ID))
		}
		for i := range u.Authenticators {
			errs = append(errs, c.RemoveAuthenticator(c.t.ID, u.Authenticators[i].ID))
		}
		_, err := c.RevokeSessions(c.t.ID, tenant.SessionSelector{UserID: u.ID}, now)
		u.Anonymize(now)
		u.Identities, u.Authenticators = nil, nil
		return errors.Join(append(errs, err, c.UpdateUser(&u.User))...)
	})
	return err
}
