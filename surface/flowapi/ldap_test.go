package flowapi_test

import (
	"context"
	"strings"
	"testing"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
	"github.com/usher-id/usher/testenv/housetest"
)

// office makes a tenant whose users come from a directory, in which there are
// ada and bob, each with the password "correct horse".
func (h *house) office(change ...func(*tenant.Config)) (*tenant.Tenant, *testenv.Directory) {
	h.T.Helper()
	d := testenv.LDAP(h.T, false)
	d.Person("ada", "correct horse", map[string][]string{
		"displayName": {"Ada Lovelace"}, "givenName": {"Ada"}, "sn": {"Lovelace"}, "mail": {"ada@office.example"}, "employeeNumber": {"7"},
	})
	d.Person("bob", "correct horse", map[string][]string{"mail": {"desk@office.example"}})
	d.Person("bea", "correct horse", map[string][]string{"mail": {"desk@office.example"}})
	change = append([]func(*tenant.Config){func(c *tenant.Config) {
		c.Identifications.Enabled = []string{"ldap", "anonymous", "select_account"}
		c.LDAP.Servers = []tenant.LDAPServer{
			{Name: "office", URL: d.SecureURL, CACertificates: d.CA, BaseDN: d.BaseDN, SearchFilterTemplate: "(|(uid={{.Username}})(mail={{.Username}}))", UserIDAttributeName: "entryUUID"},
			{Name: "away", URL: "ldaps://127.0.0.1:1", BaseDN: d.BaseDN, SearchFilterTemplate: "(uid={{.Username}})", UserIDAttributeName: "uid"},
		}
	}}, change...)
	x := h.Tenant("office", change...)
	h.Secret(x, "ldap.office.dn", d.DN)
	h.Secret(x, "ldap.office.password", d.Password)
	return x, d
}

func fromLDAP(username, password string) obj {
	return obj{"identification": "ldap", "server_name": "office", "username": username, "password": password}
}

// Users of a real directory sign up and log in with what they have there.
func TestLDAP(t *testing.T) {
	onBoth(t, func(h *house) {
		x, d := h.office()
		login := func(username, password string) answer {
			return h.begin(x, "login", obj{"session": "token", "input": fromLDAP(username, password)})
		}
		login("ada", "correct horse").refuses(401, "InvalidCredentials") // nobody here yet
		h.begin(x, "signup", obj{"input": fromLDAP("ada", "wrong")}).refuses(401, "InvalidCredentials")
		h.begin(x, "signup", obj{"input": fromLDAP("ada", "correct horse")}).asks("finished")
		h.begin(x, "signup", obj{"input": fromLDAP("ada@office.example", "correct horse")}).refuses(409, "DuplicatedIdentity")

		token := login("Ada@Office.example", "correct horse").asks("finished").str("result", "action", "data", "session_token")
		user, err := h.Store.User(context.Background(), x.ID, h.session(x, token, 200).str("user", "id"))
		must(h.T, err)
		id := user.Identities[0]
		if id.Kind != "ldap" || !strings.HasPrefix(id.Value, "office:entryuuid:") || id.Shown != "ada" || id.VerifiedAt.IsZero() || len(user.Authenticators) != 0 {
			h.T.Errorf("%+v", user)
		}
		if string(user.Attributes.Standard) != `{"family_name":"Lovelace","given_name":"Ada","name":"Ada Lovelace"}` {
			h.T.Error(string(user.Attributes.Standard))
		}
		if amr := h.session(x, token, 200).at("session", "amr", 0); amr != "pwd" {
			h.T.Error("proved by", amr)
		}
		again := h.do(request{host: "office.test", path: "/authentication_flows", headers: map[string]string{"Authorization": "Bearer " + token}, body: obj{"type": "login", "name": "default"}}).asks("identify")
		if name := again.str("result", "action", "data", "options", 2, "masked_display_name"); name != "ada" {
			h.T.Errorf("offered to go on as %q", name)
		}

		h.begin(x, "signup_login", obj{"input": fromLDAP("bob", "correct horse")}).asks("finished") // signs up
		h.begin(x, "signup_login", obj{"input": fromLDAP("bob", "correct horse")}).asks("finished") // logs in
		list, err := h.Store.Users(context.Background(), x.ID, tenant.UserFilter{}, tenant.Page{Limit: 9})
		must(h.T, err)
		if len(list) != 2 {
			h.T.Error(len(list), "users")
		}

		guest := h.begin(x, "signup", obj{"session": "token", "input": obj{"identification": "anonymous"}}).asks("finished").str("result", "action", "data", "session_token")
		h.do(request{
			host: "office.test", path: "/authentication_flows", headers: map[string]string{"Authorization": "Bearer " + guest},
			body: obj{"type": "promote", "name": "default", "input": fromLDAP("bea", "correct horse")},
		}).asks("finished")
		login("bea", "correct horse").asks("finished")

		// Whoever can't be told apart from somebody else gets in as neither.
		login("desk@office.example", "correct horse").refuses(401, "InvalidCredentials")
		h.begin(x, "login", obj{"input": obj{"identification": "ldap", "server_name": "away", "username": "ada", "password": "correct horse"}}).refuses(503, "ServiceUnavailable")
		for o, want := range map[string]float64{"passed": 8, "refused": 2, "failed": 1} {
			if n := h.Metric("usher_ldap_binds_total", "outcome="+o); n != want {
				h.T.Errorf("%v %s, want %v", n, o, want)
			}
		}
		if log := h.Log.String(); strings.Contains(log, "correct horse") || strings.Contains(log, d.Password) {
			h.T.Error("a password is in the log")
		}
	})
}

// What somebody sends as a name or a password is no more than that.
func TestLDAPRefuses(t *testing.T) {
	onBoth(t, func(h *house) {
		x, _ := h.office(func(c *tenant.Config) { c.Limits.PasswordPerIP.Burst = 0 })
		h.begin(x, "signup", obj{"input": fromLDAP("ada", "correct horse")}).asks("finished")
		start := h.begin(x, "login", nil).asks("identify")
		wrong := same(h.post(x, start.token(), fromLDAP("ada", "wrong")).refuses(401, "InvalidCredentials"))
		for _, name := range []string{
			"nobody", "*", "ad*", "ada)(uid=*", "ada))(|(uid=*", `\61da`, "ada\x00", "uid=ada", strings.Repeat("x", 300), "\u00e9\uffff",
		} {
			if got := same(h.post(x, start.token(), fromLDAP(name, "correct horse")).refuses(401, "InvalidCredentials")); got != wrong {
				h.T.Errorf("%q is told apart from a wrong password:\n%s\n%s", name, got, wrong)
			}
		}
		for _, password := range []string{" ", "\x00", "Correct horse", "correct horse ", strings.Repeat("x", 60_000)} {
			h.post(x, start.token(), fromLDAP("ada", password)).refuses(401, "InvalidCredentials")
		}
		before := h.Metric("usher_ldap_binds_total", "outcome=refused")
		h.post(x, start.token(), fromLDAP("ada", "")).refuses(400, "ValidationFailed").because("/password", "required")
		h.post(x, start.token(), fromLDAP(strings.Repeat("x", 400), "correct horse")).refuses(400, "ValidationFailed").because("/username", "maxLength")
		if h.Metric("usher_ldap_binds_total", "outcome=refused") != before {
			h.T.Error("the directory was asked")
		}
	}, func(s *housetest.Options) { s.Limiter = (&transcriptLimits{}).over })
}

// Wrong passwords count as anybody's: by name, until the user is locked out.
func TestLDAPLockout(t *testing.T) {
	onBoth(t, func(h *house) {
		x, _ := h.office(func(c *tenant.Config) { c.Lockout.MaxAttempts = 3 })
		h.begin(x, "signup", obj{"input": fromLDAP("ada", "correct horse")}).asks("finished")
		h.Engine.Settle(context.Background())
		start := h.begin(x, "login", nil).asks("identify")
		fail := func(names ...string) {
			h.T.Helper()
			for _, name := range names {
				h.post(x, start.token(), fromLDAP(name, "wrong")).refuses(401, "InvalidCredentials")
			}
		}
		fail("ada", "ADA")
		h.begin(x, "login", obj{"input": fromLDAP("ada", "correct horse")}).asks("finished")
		h.Engine.Settle(context.Background()) // the failed ones are forgotten
		fail("ada", " ada", "Ada ")
		h.post(x, start.token(), fromLDAP("ada", "correct horse")).refuses(429, "AccountLockout")
		fail("bob")
		list, err := h.Store.Users(context.Background(), x.ID, tenant.UserFilter{}, tenant.Page{Limit: 9})
		must(h.T, err)
		_, err = h.admins().ResetLockout(h.T.Context(), admin.Actor{Kind: tenant.ActorCLI}, x.Slug, list[0].ID)
		must(h.T, err)
		h.post(x, start.token(), fromLDAP("ada", "correct horse")).asks("finished")
	})
}
