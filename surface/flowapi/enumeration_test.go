package flowapi_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Whoever has an account is answered like whoever has none: the same words at
// the same moments, byte for byte but for ids, after the same statements.
func TestNobodyLearnsWhoHasAnAccount(t *testing.T) {
	both := func(c *tenant.Config) {
		c.Identifications.Enabled = []string{"email", "phone", "username"}
		c.Authenticators.Primary = []string{"primary_password", "primary_oob_otp_email", "primary_oob_otp_sms"}
		c.OTP.ResendCooldownSeconds = 1
	}
	link := func(c *tenant.Config) {
		both(c)
		c.OTP.Email.Form = tenant.LinkForm
		c.Recovery.Email = []tenant.Destination{{Channel: "email", OTPForm: tenant.LinkForm}}
	}
	named := func(c *tenant.Config) {
		both(c)
		c.Flows.LoginFlows = []tenant.Flow{{Name: "default", Steps: []tenant.Step{
			{Type: "identify", OneOf: []tenant.Branch{{Identification: "username"}}},
			{Type: "authenticate", OneOf: []tenant.Branch{
				{Authentication: "primary_password"}, {Authentication: "primary_oob_otp_email"}, {Authentication: "primary_oob_otp_sms"},
			}},
		}}}
	}
	dots := func(c *tenant.Config) { both(c); c.LoginIDs.Email.IgnoreDotSign = true }
	choose := func(method string) obj { return obj{"authentication": method} }
	index, resend := obj{"index": 0}, obj{"resend": true}
	for name, c := range map[string]struct {
		configure      func(*tenant.Config)
		flow, kind     string
		known, unknown string
		inputs         []obj // after identifying
	}{
		"login by password": {both, "login", "email", "known@example.com", "knowing@example.com", []obj{authenticate("wrong"), authenticate("wronger"), choose("nothing"), {}}},
		"login by code": {both, "login", "email", "known@example.com", "knowing@example.com", []obj{
			choose("primary_oob_otp_email"), {"code": "000000"}, {"code": "x"}, resend, {"code": "000000"}, {"check": true},
			{"code": "000001"}, {"code": "000002"}, {"code": "000003"}, {"code": "000004"}, {"code": "000005"}, {"code": "000006"},
		}},
		"login by link":     {link, "login", "email", "known@example.com", "knowing@example.com", []obj{choose("primary_oob_otp_email"), {"check": true}, resend, {"code": "x"}}},
		"login by phone":    {both, "login", "phone", "+85298765432", "+85298765499", []obj{choose("primary_oob_otp_sms"), {"code": "000000"}, resend, {"code": "000000"}}},
		"login by username": {both, "login", "username", "known", "knowing", []obj{authenticate("wrong")}},
		"an unproved address": {both, "login", "email", "hasty@example.com", "hastie@example.com", []obj{
			authenticate("wrong"), choose("primary_oob_otp_email"), {"code": "000000"}, {"code": "x"}, resend, {"code": "000000"},
		}},
		"no password": {both, "login", "email", "codes@example.com", "coded@example.com", []obj{
			authenticate("wrong"), choose("primary_oob_otp_email"), {"code": "000000"}, resend,
		}},
		"another address for codes": {both, "login", "email", "moved@example.com", "moving@example.com", []obj{choose("primary_oob_otp_email"), {"code": "000000"}}},
		"a username with an address": {named, "login", "username", "coded", "stranger", []obj{
			authenticate("wrong"), choose("primary_oob_otp_email"), {"code": "000000"}, resend, {"code": "000000"},
		}},
		"a username without an address": {named, "login", "username", "unreachable", "stranger", []obj{
			authenticate("wrong"), choose("primary_oob_otp_email"), {"code": "000000"}, resend, {"code": "000000"},
		}},
		"a username and no telephone": {named, "login", "username", "unreachable", "stranger", []obj{choose("primary_oob_otp_sms"), {"code": "000000"}}},
		"another form":                {dots, "login", "email", "k.n.o.w.n@example.com", "k.n.o.w.i.n.g@example.com", []obj{authenticate("wrong"), choose("primary_oob_otp_email"), {"code": "000000"}}},
		"recovery": {both, "account_recovery", "email", "known@example.com", "knowing@example.com", []obj{
			index, {"account_recovery_code": "000000"}, {"resend": true}, {"account_recovery_code": "000000"}, {"account_recovery_code": "000001"},
			{"account_recovery_code": "000002"}, {"account_recovery_code": "000003"}, {"account_recovery_code": "000004"}, {"account_recovery_code": "000005"},
		}},
		"recovery by link":     {link, "account_recovery", "email", "known@example.com", "knowing@example.com", []obj{index, {"account_recovery_code": "x"}, {"resend": true}}},
		"recovery by phone":    {both, "account_recovery", "phone", "+85298765432", "+85298765499", []obj{{"index": 9}, index, {"account_recovery_code": "000000"}}},
		"recovery by username": {both, "account_recovery", "username", "reachable", "stranger", []obj{index, {"account_recovery_code": "000000"}, {"resend": true}}},
		"unreachable":          {both, "account_recovery", "username", "unreachable", "stranger", []obj{index, {"account_recovery_code": "000000"}, {"resend": true}}},
		"verification": {both, "verification", "email", "known@example.com", "knowing@example.com", []obj{
			{"code": "000000"}, {"resend": true}, {"code": "000000"}, {"code": "000001"}, {"code": "000002"}, {"code": "000003"}, {"code": "000004"}, {"code": "000005"},
		}},
		"verification by link":  {link, "verification", "email", "known@example.com", "knowing@example.com", []obj{{"check": true}, {"code": "x"}, resend}},
		"verification by phone": {both, "verification", "phone", "+85298765432", "+85298765499", []obj{{"code": "000000"}, resend}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			onBoth(t, func(h *house) {
				x := h.Tenant("acme", c.configure)
				u := h.User(x, "correct horse", "email:known@example.com", "phone:+85298765432", "username:known")
				h.verified(x, u)
				h.verified(x, h.User(x, "correct horse", "username:reachable", "email:me@example.com"))
				h.User(x, "correct horse", "username:unreachable")
				h.User(x, "correct horse", "email:hasty@example.com")
				h.codes(x, h.User(x, "correct horse", "email:codes@example.com", "username:coded"), "codes@example.com")
				h.codes(x, h.User(x, "correct horse", "email:moved@example.com"), "elsewhere@example.com")
				begun := h.Now()
				walk := func(loginID string) (answers, statements []string) {
					h.Wait(begun.Sub(h.Now()))
					begin := func() { h.begin(x, c.flow, nil) }
					begin() // everything is in memory
					h.Counted()
					at := h.begin(x, c.flow, nil)
					for i, in := range slices.Concat([]obj{{"identification": c.kind, "login_id": loginID}}, c.inputs) {
						if i > 0 {
							h.Wait(2 * time.Second)
						}
						token := at.token()
						a := h.post(x, token, in)
						answers = append(answers, masked(same(a)))
						if a.status == 200 {
							at = a
						}
					}
					return answers, h.Counted()
				}
				// The stranger goes first: what the other walk has left behind in the limits is counted by whom it is about.
				unknown, how := walk(c.unknown)
				known, how2 := walk(c.known)
				for i := range known {
					if known[i] != unknown[i] {
						t.Errorf("answer %d, known:\n%s\nunknown:\n%s", i, known[i], unknown[i])
					}
				}
				if !slices.Equal(how, how2) {
					t.Errorf("statements, known:\n%v\nunknown:\n%v", how2, how)
				}
			})
		})
	}
}

// masked hides the run's id, and the addresses that are somebody's, which are
// plausible for anybody: tests of the core hold them to that.
func masked(s string) string {
	return runID.ReplaceAllString(address.ReplaceAllString(s, `"somebody"`), "flow_id=...")
}

var (
	address = regexp.MustCompile(`"[^" ]{1,6}\*\*\*\*@[a-z.]+"|"\+[0-9]+\*\*\*\*"`)
	runID   = regexp.MustCompile(`flow_id=[0-9a-z]{32}`)
)

// codes leaves a user codes to an address for a first factor, and no password.
func (h *house) codes(x *tenant.Tenant, u *tenant.UserRecord, address string) {
	h.T.Helper()
	h.Change(x, func(tx tenant.Tx) error {
		a := tenant.Authenticator{
			TenantID: x.ID, ID: secret.NewID(), UserID: u.ID, Type: "primary_oob_otp_email", Secret: address, CreatedAt: h.Now(), UpdatedAt: h.Now(),
		}
		if err := tx.RemoveAuthenticator(x.ID, u.Authenticators[0].ID); err != nil {
			return err
		}
		return tx.PutAuthenticator(&a)
	})
}

// verified marks a user's addresses as theirs.
func (h *house) verified(x *tenant.Tenant, u *tenant.UserRecord) {
	h.T.Helper()
	h.Change(x, func(tx tenant.Tx) error {
		for i := range u.Identities {
			id := u.Identities[i]
			if err := tx.RemoveIdentity(x.ID, id.ID); err != nil {
				return err
			}
			id.VerifiedAt = h.Now()
			if err := tx.AddIdentity(&id); err != nil {
				return err
			}
		}
		return nil
	})
}
