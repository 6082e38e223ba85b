package tenant_test

import (
	"errors"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

func TestMayEnter(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Second), now.Add(time.Second)
	for name, c := range map[string]struct {
		change func(*tenant.User)
		want   error
	}{
		"active":                {func(*tenant.User) {}, nil},
		"disabled":              {func(u *tenant.User) { u.State = tenant.UserDisabled }, tenant.ErrDisabledUser},
		"disabled until later":  {func(u *tenant.User) { u.State, u.DisabledUntil = tenant.UserDisabled, after }, tenant.ErrDisabledUser},
		"disabled until now":    {func(u *tenant.User) { u.State, u.DisabledUntil = tenant.UserDisabled, now }, nil},
		"deactivated":           {func(u *tenant.User) { u.DeactivatedAt = before }, tenant.ErrDeactivatedUser},
		"not valid yet":         {func(u *tenant.User) { u.ValidFrom = after }, tenant.ErrDisabledUser},
		"valid from now":        {func(u *tenant.User) { u.ValidFrom = now }, nil},
		"valid until later":     {func(u *tenant.User) { u.ValidUntil = after }, nil},
		"valid until now":       {func(u *tenant.User) { u.ValidUntil = now }, tenant.ErrDisabledUser},
		"to be deleted":         {func(u *tenant.User) { u.DeleteAt = after }, tenant.ErrScheduledDeletion},
		"to be anonymized":      {func(u *tenant.User) { u.AnonymizeAt = after }, tenant.ErrAnonymizedUser},
		"anonymized":            {func(u *tenant.User) { u.Anonymize(before) }, tenant.ErrAnonymizedUser},
		"disabled, and deleted": {func(u *tenant.User) { u.State, u.DeleteAt = tenant.UserDisabled, after }, tenant.ErrScheduledDeletion},
	} {
		u := &tenant.User{State: tenant.UserActive}
		c.change(u)
		if err := u.MayEnter(now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The exact formula: min(minimum * factor^(failed - max_attempts), maximum).
func TestLockoutFor(t *testing.T) {
	for _, c := range []struct {
		most, minimum, maximum int
		factor                 float64
		failed                 int
		want                   time.Duration
	}{
		{0, 60, 600, 2, 99, 0}, {3, 60, 600, 2, 2, 0}, {3, 60, 600, 2, 3, time.Minute}, {3, 60, 600, 2, 4, 2 * time.Minute},
		{3, 60, 600, 2, 6, 8 * time.Minute}, {3, 60, 600, 2, 7, 10 * time.Minute}, {3, 60, 600, 2, 100_000, 10 * time.Minute},
		{1, 60, 600, 1.5, 4, 202_500 * time.Millisecond}, {1, 60, 600, 1, 50, time.Minute}, {1, 90, 30, 2, 1, 30 * time.Second},
		{2, 60, 86400, 1.1, 5, 79_860 * time.Millisecond},
	} {
		l := tenant.Lockout{MaxAttempts: c.most, MinimumSeconds: c.minimum, MaximumSeconds: c.maximum, BackoffFactor: c.factor}
		if got := l.For(c.failed); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
