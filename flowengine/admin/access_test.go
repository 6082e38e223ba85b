package admin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/testenv"
)

// signedIn gives a user a session that lives for a week.
func (b *bench) signedIn(u *tenant.UserRecord) (tokenHash string) {
	b.t.Helper()
	run := secret.NewPFID(1)
	tokenHash = secret.TokenHash(run)
	end := b.now.Add(7 * 24 * time.Hour)
	must(b.t, b.Store.Commit(b.ctx, &tenant.Commit{
		New: true,
		Run: tenant.Run{TenantID: u.TenantID, ID: run, Status: tenant.RunFinished, UserID: u.ID, CreatedAt: b.now, ExpiresAt: end, FinishedAt: b.now},
		State: tenant.FlowState{
			TenantID: u.TenantID, TokenHash: tokenHash, RunID: run, UserID: u.ID, Data: []byte("x"), CreatedAt: b.now,
		},
		Session: &tenant.Session{
			TenantID: u.TenantID, ID: secret.NewID(), TokenHash: tokenHash, UserID: u.ID, RunID: run, AMR: []string{"pwd"},
			AuthenticatedAt: b.now, CreatedAt: b.now, LastSeenAt: b.now, ExpiresAt: end, IdleExpiresAt: end,
		},
	}))
	return tokenHash
}

func TestAccess(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		u, err := b.CreateUser(b.ctx, ann, "acme", admin.NewUser{Identities: []admin.NewIdentity{{Kind: "email", Value: "u@example.com"}}})
		must(t, err)
		start, hour := b.now, time.Hour
		none := time.Time{}
		for _, step := range []struct {
			what   string
			do     func() error
			action string
			want   error // after it
			ends   bool  // sessions
		}{
			{"disabled for an hour", func() error { return errOf(b.DisableUser(b.ctx, ann, "acme", u.ID, "break", start.Add(hour))) }, "user.disable", tenant.ErrDisabledUser, true},
			{"for good", func() error { return errOf(b.DisableUser(b.ctx, ann, "acme", u.ID, "break", none)) }, "user.disable", tenant.ErrDisabledUser, true},
			{"enabled", func() error { return errOf(b.EnableUser(b.ctx, ann, "acme", u.ID)) }, "user.enable", nil, false},
			{"valid until later", func() error { return errOf(b.SetUserValidity(b.ctx, ann, "acme", u.ID, none, start.Add(hour))) }, "user.validity", nil, false},
			{"valid later", func() error { return errOf(b.SetUserValidity(b.ctx, ann, "acme", u.ID, start.Add(hour), none)) }, "user.validity", tenant.ErrDisabledUser, true},
			{"valid always", func() error { return errOf(b.SetUserValidity(b.ctx, ann, "acme", u.ID, none, none)) }, "user.validity", nil, false},
			{"to be deleted", func() error { return errOf(b.ScheduleDeletion(b.ctx, ann, "acme", u.ID, start.Add(hour))) }, "user.schedule_deletion", tenant.ErrScheduledDeletion, true},
			{"not to be deleted", func() error { return errOf(b.ScheduleDeletion(b.ctx, ann, "acme", u.ID, none)) }, "user.schedule_deletion", nil, false},
			{"to be anonymized", func() error { return errOf(b.ScheduleAnonymization(b.ctx, ann, "acme", u.ID, start.Add(hour))) }, "user.schedule_anonymization", tenant.ErrAnonymizedUser, true},
			{"not to be anonymized", func() error { return errOf(b.ScheduleAnonymization(b.ctx, ann, "acme", u.ID, none)) }, "user.schedule_anonymization", nil, false},
		} {
			session := b.signedIn(u)
			must(t, step.do())
			kept, err := b.Store.User(b.ctx, u.TenantID, u.ID)
			must(t, err)
			if got := kept.MayEnter(b.now); !errors.Is(got, step.want) {
				t.Errorf("%s: %v, want %v", step.what, got, step.want)
			}
			s, _, err := b.Store.SessionByToken(b.ctx, u.TenantID, session)
			must(t, err)
			if s.RevokedAt.IsZero() == step.ends {
				t.Errorf("%s: the session ended: %v", step.what, !step.ends)
			}
			if e := b.audit("acme"); e.Action != step.action || e.UserID != u.ID {
				t.Errorf("%s: audited %s", step.what, e.Action)
			}
		}
		refused(t, errOf(b.DisableUser(b.ctx, ann, "acme", u.ID, "", start)), tenant.ErrValidation)
		refused(t, errOf(b.SetUserValidity(b.ctx, ann, "acme", u.ID, start, start)), tenant.ErrValidation)
		for _, err := range []error{
			errOf(b.SetUserValidity(b.ctx, ann, "admin", u.ID, start, none)), errOf(b.ScheduleDeletion(b.ctx, ann, "acme", "nobody", start)),
			errOf(b.ScheduleAnonymization(b.ctx, ann, "admin", u.ID, start)), errOf(b.ResetLockout(b.ctx, ann, "admin", u.ID)),
		} {
			refused(t, err, tenant.ErrUserNotFound)
		}
		b.intact()
	})
}

// Users are forgotten when their time has come, once, and not when that was
// taken back.
func TestForgetDue(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		user := func(email string) *tenant.UserRecord {
			u, err := b.CreateUser(b.ctx, ann, "acme", admin.NewUser{
				Identities: []admin.NewIdentity{{Kind: "email", Value: email}}, Password: "correct horse battery", Standard: []byte(`{"name":"Ann"}`),
			})
			must(t, err)
			return u
		}
		gone, anonymous, spared := user("gone@example.com"), user("anonymous@example.com"), user("spared@example.com")
		at := b.now.Add(time.Hour)
		must(t, errOf(b.ScheduleDeletion(b.ctx, ann, "acme", gone.ID, at)))
		must(t, errOf(b.ScheduleAnonymization(b.ctx, ann, "acme", anonymous.ID, at)))
		must(t, errOf(b.ScheduleDeletion(b.ctx, ann, "acme", spared.ID, at)))
		must(t, errOf(b.ScheduleDeletion(b.ctx, ann, "acme", spared.ID, time.Time{})))
		must(t, b.ForgetDue(b.ctx))
		for _, u := range []*tenant.UserRecord{gone, anonymous, spared} {
			kept, err := b.Store.User(b.ctx, u.TenantID, u.ID)
			must(t, err)
			if len(kept.Identities) != 1 || len(kept.Authenticators) != 1 {
				t.Errorf("before the time: %+v", kept)
			}
		}
		b.mu.Lock()
		b.now = at
		b.mu.Unlock()
		for range 2 {
			must(t, b.ForgetDue(b.ctx))
		}
		_, err := b.Store.User(b.ctx, gone.TenantID, gone.ID)
		refused(t, err, tenant.ErrUserNotFound)
		kept, err := b.Store.User(b.ctx, anonymous.TenantID, anonymous.ID)
		must(t, err)
		if len(kept.Identities)+len(kept.Authenticators)+len(kept.Attributes.Standard)+len(kept.Attributes.Custom) > 0 || !kept.AnonymizedAt.Equal(at) {
			t.Errorf("anonymized: %+v", kept)
		}
		refused(t, kept.MayEnter(at), tenant.ErrAnonymizedUser)
		user("anonymous@example.com") // the address is free again
		kept, err = b.Store.User(b.ctx, spared.TenantID, spared.ID)
		must(t, err)
		must(t, kept.MayEnter(at))
		b.intact()
	})
}

func TestTheLastOperatorIsSpared(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	made, err := b.Bootstrap(b.ctx, admin.System, "ann@example.com")
	must(t, err)
	at := b.now.Add(time.Hour)
	for _, err := range []error{
		errOf(b.DisableUser(b.ctx, ann, "admin", made.User.ID, "", at)), errOf(b.SetUserValidity(b.ctx, ann, "admin", made.User.ID, time.Time{}, at)),
		errOf(b.ScheduleDeletion(b.ctx, ann, "admin", made.User.ID, at)), errOf(b.ScheduleAnonymization(b.ctx, ann, "admin", made.User.ID, at)),
	} {
		refused(t, err, tenant.ErrLastWayIn)
	}
}

func TestResetLockout(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		u, err := b.CreateUser(b.ctx, ann, "acme", admin.NewUser{Identities: []admin.NewIdentity{{Kind: "email", Value: "u@example.com"}}})
		must(t, err)
		rules := tenant.DefaultLockout()
		rules.MaxAttempts = 1
		try := func(ip string) error {
			_, err := b.Limiter.Take(b.ctx, u.TenantID, b.now, limit.Bucket{Key: limit.LockoutKey(u.ID), By: ip, Lockout: &rules})
			return err
		}
		for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
			must(t, try(ip))
			refused(t, try(ip), tenant.ErrAccountLockout)
		}
		must(t, errOf(b.ResetLockout(b.ctx, ann, "acme", u.ID)))
		if e := b.audit("acme"); e.Action != "user.reset_lockout" || e.UserID != u.ID {
			t.Errorf("audited %+v", e)
		}
		for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
			must(t, try(ip))
		}
	})
}
