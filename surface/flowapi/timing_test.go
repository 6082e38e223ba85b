package flowapi_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

var timing = flag.Int("timing", 0, "compare the time of answers about users and about strangers, with so many samples of each")

// TestTiming says how well the time of an answer tells users from strangers:
//
//	go test ./surface/flowapi -run TestTiming -timing 600 -v
//
// It prints, for each step, the chance that an answer about a user takes longer
// than one about a stranger (Mann-Whitney; 0.5 is no difference), how many
// standard errors that lies from 0.5, and the ratio of the medians. It judges
// nothing: a busy machine would fail it.
func TestTiming(t *testing.T) {
	n := *timing
	if n == 0 {
		t.Skip("a measurement, made with -timing")
	}
	onBoth(t, func(h *house) {
		x := h.tenant("acme", func(c *tenant.Config) {
			c.Identifications.Enabled = []string{"email", "username"}
			c.Authenticators.Primary = []string{"primary_password", "primary_oob_otp_email"}
			counted := tenant.Rate{Burst: 1_000_000, PeriodSeconds: 1} // as always, and never reached
			c.Limits = tenant.Limits{
				SignupPerIP: counted, IdentifyPerIP: counted, PasswordPerIP: counted, PasswordPerUserPerIP: counted, OTPPerIP: counted, OTPPerUserPerIP: counted,
				SendEmailPerTarget: counted, SendEmailPerIP: counted, SendEmailPerTenant: counted,
			}
		})
		h.crowd(x, n)
		took := map[string]*[2][]float64{}
		var steps []string
		measure := func(step string, stranger int, do func() answer) answer {
			begun := time.Now()
			a := do()
			if took[step] == nil {
				took[step], steps = &[2][]float64{}, append(steps, step)
			}
			took[step][stranger] = append(took[step][stranger], float64(time.Since(begun).Nanoseconds()))
			return a
		}
		walk := func(i, stranger int) {
			name := fmt.Sprintf("user%d", i)
			if stranger == 1 {
				name = fmt.Sprintf("nobody%d", i)
			}
			post := func(step string, at answer, in obj) answer {
				return measure(step, stranger, func() answer { return h.post(x, at.token(), in) })
			}
			at := post("login: identify", h.begin(x, "login", nil), identify(name+"@example.com")).asks("authenticate")
			post("login: wrong password", at, authenticate("wrong")).refuses(401, "InvalidCredentials")
			sent := post("login: send a code", at, obj{"authentication": "primary_oob_otp_email"}).asks("authenticate")
			post("login: wrong code", sent, obj{"code": "x"}).refuses(401, "InvalidCredentials")
			h.wait(2 * time.Minute) // the cooldown
			at = post("recovery: identify", h.begin(x, "account_recovery", nil), identify(name+"@example.com")).asks("select_destination")
			post("recovery: send a code", at, obj{"index": 0}).asks("verify_account_recovery_code")
			post("recovery: username", h.begin(x, "account_recovery", nil), obj{"identification": "username", "login_id": name}).asks("select_destination")
			h.wait(2 * time.Minute)
		}
		for i := range n {
			first := rand.IntN(2)
			walk(i, first)
			walk(i, 1-first)
		}
		for _, s := range steps {
			users, strangers := took[s][0], took[s][1]
			p, sigmas := rank(users, strangers)
			h.t.Logf("%-24s P(user slower) %.3f (%+.1f standard errors), medians %.3f ms / %.3f ms = %.3f", s, p, sigmas,
				median(users)/1e6, median(strangers)/1e6, median(users)/median(strangers))
		}
	})
}

// crowd makes users with a password, an e-mail address and a username.
func (h *house) crowd(x *tenant.Tenant, n int) {
	h.t.Helper()
	one := h.user(x, "correct horse", "email:one@example.com")
	var all []*tenant.UserRecord
	for i := range n {
		u := &tenant.UserRecord{User: tenant.User{TenantID: x.ID, ID: secret.NewID(), State: tenant.UserActive, CreatedAt: h.now(), UpdatedAt: h.now()}}
		name := fmt.Sprintf("user%d", i)
		for kind, value := range map[string]string{"email": name + "@example.com", "username": name} {
			u.Identities = append(u.Identities, tenant.Identity{
				TenantID: x.ID, ID: secret.NewID(), UserID: u.ID, Claim: tenant.Claim{Kind: kind, Value: value}, Shown: value, CreatedAt: h.now(), VerifiedAt: h.now(),
			})
		}
		a := one.Authenticators[0]
		a.ID, a.UserID = secret.NewID(), u.ID
		u.Authenticators = []tenant.Authenticator{a}
		all = append(all, u)
	}
	h.change(x, func(tx tenant.Tx) error { return tx.CreateUsers(all) })
}

// rank is the chance that a sample of a is greater than one of b, and how many
// standard errors of the null hypothesis it lies from one half.
func rank(a, b []float64) (p, sigmas float64) {
	sorted := slices.Sorted(slices.Values(b))
	greater := 0.0
	for _, v := range a {
		low, _ := slices.BinarySearch(sorted, v)
		high := low
		for high < len(sorted) && sorted[high] == v {
			high++
		}
		greater += float64(low) + float64(high-low)/2
	}
	n, m := float64(len(a)), float64(len(b))
	p = greater / (n * m)
	return p, (p - 0.5) / math.Sqrt((n+m+1)/(12*n*m))
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }
