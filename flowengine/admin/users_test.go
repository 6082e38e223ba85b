package admin_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

func TestUsers(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		acme := b.tenant("acme")
		u, err := b.CreateUser(b.ctx, ann, "acme", admin.NewUser{
			Identities: []admin.NewIdentity{{Kind: "email", Value: "Ann@Example.com", Verified: true}, {Kind: "phone", Value: "+14155550123"}},
			Password:   "Correct-Horse-7", Standard: json.RawMessage(`{"name":"Ann","nickname":null}`), Custom: json.RawMessage(`{}`),
		})
		must(t, err)
		kept, err := b.Store.User(b.ctx, acme.ID, u.ID)
		must(t, err)
		byKind := func(a, b tenant.Identity) int { return strings.Compare(a.Kind, b.Kind) }
		slices.SortFunc(kept.Identities, byKind)
		if d := cmp.Diff(u, kept); d != "" {
			t.Errorf("kept otherwise: %s", d)
		}
		if ok, _, err := b.Hasher.Verify(b.ctx, b.published("acme").Authenticators.Password, kept.Authenticators[0].Secret, "Correct-Horse-7"); !ok || err != nil {
			t.Errorf("the password: %v %v", ok, err)
		}
		if e := b.audit("acme"); e.UserID != u.ID || strings.Contains(string(e.Detail), "ann@") || strings.Contains(string(e.Detail), "Horse") {
			t.Errorf("audited %+v %s", e, e.Detail)
		}

		mail := []admin.NewIdentity{{Kind: "email", Value: "new@example.com"}}
		for name, c := range map[string]struct {
			in   admin.NewUser
			want *tenant.Error
			at   string
		}{
			"nobody":     {admin.NewUser{}, tenant.ErrValidation, "/identities"},
			"bad mail":   {admin.NewUser{Identities: append(mail[:1:1], admin.NewIdentity{Kind: "email", Value: "@"})}, tenant.ErrValidation, "/identities/1/value"},
			"bad kind":   {admin.NewUser{Identities: []admin.NewIdentity{{Kind: "fax", Value: "1"}}}, tenant.ErrValidation, "/identities/0/value"},
			"twice":      {admin.NewUser{Identities: append(mail[:1:1], admin.NewIdentity{Kind: "email", Value: "NEW@example.com"})}, tenant.ErrValidation, "/identities/1"},
			"password":   {admin.NewUser{Identities: mail, Password: "short"}, tenant.ErrPasswordPolicy, "/password"},
			"attributes": {admin.NewUser{Identities: mail, Custom: json.RawMessage(`[1]`)}, tenant.ErrValidation, "/custom"},
			"taken":      {admin.NewUser{Identities: []admin.NewIdentity{{Kind: "email", Value: "ann@EXAMPLE.com"}}}, tenant.ErrDuplicatedIdentity, ""},
		} {
			_, err := b.CreateUser(b.ctx, ann, "acme", c.in)
			refusal := refused(t, err, c.want)
			at := ""
			if causes, ok := refusal.Info["causes"].([]tenant.Cause); ok {
				at = causes[0].Location
			}
			if at != c.at {
				t.Errorf("%s: at %q, want %q", name, at, c.at)
			}
		}

		u, err = b.UpdateUser(b.ctx, ann, "acme", u.ID, admin.UserChange{Standard: json.RawMessage(`{"name":null,"locale":"de"}`)})
		must(t, err)
		if string(u.Attributes.Standard) != `{"locale":"de"}` {
			t.Errorf("attributes %s", u.Attributes.Standard)
		}
		if e := b.audit("acme"); !strings.Contains(string(e.Detail), `"/standard/name"`) || strings.Contains(string(e.Detail), "Ann") {
			t.Errorf("audited %s", e.Detail)
		}
		_, err = b.UpdateUser(b.ctx, ann, "acme", "nobody", admin.UserChange{Standard: json.RawMessage(`{}`)})
		refused(t, err, tenant.ErrUserNotFound)
		_, err = b.UpdateUser(b.ctx, ann, "admin", u.ID, admin.UserChange{Standard: json.RawMessage(`{"a":1}`)})
		refused(t, err, tenant.ErrUserNotFound) // another tenant's

		u, err = b.DisableUser(b.ctx, ann, "acme", u.ID, "asked to", time.Time{})
		must(t, err)
		if u.State != tenant.UserDisabled || u.DisabledReason != "asked to" {
			t.Errorf("disabled: %+v", u)
		}
		u, err = b.EnableUser(b.ctx, ann, "acme", u.ID)
		must(t, err)
		if u.State != tenant.UserActive || u.DisabledReason != "" {
			t.Errorf("enabled: %+v", u)
		}
		u, err = b.RemoveIdentity(b.ctx, ann, "acme", u.ID, kept.Identities[1].ID)
		must(t, err)
		if len(u.Identities) != 1 || u.Identities[0].Kind != "email" {
			t.Errorf("identities %v", u.Identities)
		}
		refused(t, errOf(b.RemoveIdentity(b.ctx, ann, "acme", u.ID, "nothing")), tenant.ErrNotFound)
		must(t, b.DeleteUser(b.ctx, ann, "acme", u.ID))
		refused(t, b.DeleteUser(b.ctx, ann, "acme", u.ID), tenant.ErrUserNotFound)
		b.intact()
	})
}
