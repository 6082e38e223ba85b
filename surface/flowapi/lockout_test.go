package flowapi_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

// lockout locks out on the third failed try, for a minute, two, four, five.
func lockout(kind tenant.LockoutType) func(*tenant.Config) {
	return func(c *tenant.Config) {
		c.Lockout = tenant.DefaultLockout()
		c.Lockout.MaxAttempts, c.Lockout.MinimumSeconds, c.Lockout.MaximumSeconds, c.Lockout.Type = 3, 60, 300, kind
		free := tenant.Rate{PeriodSeconds: 60}
		c.Limits.PasswordPerIP, c.Limits.PasswordPerUserPerIP, c.Limits.IdentifyPerIP = free, free, free
	}
}

// from logs in from an address in one request.
func (h *house) from(x *tenant.Tenant, ip, email, password string) answer {
	h.T.Helper()
	return h.do(request{host: x.Hosts[0], path: "/authentication_flows", headers: map[string]string{"X-Forwarded-For": ip}, body: obj{
		"type": "login", "batch_input": []obj{identify(email), authenticate(password)},
	}})
}

// Each lockout lasts exactly as long as the tenant says, for a stranger as for a
// user, whatever is tried meanwhile.
func TestLockout(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", lockout(tenant.LockoutPerUser))
		h.User(x, "correct horse", "email:known@example.com")
		var answers [2][]string
		begun := h.Now()
		for i, email := range []string{"known@example.com", "nobody@example.com"} {
			h.Wait(begun.Sub(h.Now()))
			try := func(ip, password string) answer {
				a := h.from(x, ip, email, password)
				answers[i] = append(answers[i], same(a))
				return a
			}
			for range 2 {
				try("192.0.2.1", "wrong").refuses(401, "InvalidCredentials")
			}
			for failed, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute} {
				try("192.0.2.2", "wrong").refuses(401, "InvalidCredentials") // this one locks out
				for range 3 {
					a := try("192.0.2.3", "correct horse").refuses(429, "AccountLockout")
					end := h.Now().Add(want).UTC().Add(time.Second - 1).Truncate(time.Second)
					if got := a.str("error", "info", "until"); got != end.Format(time.RFC3339) || a.header.Get("Retry-After") != fmt.Sprint(int(want.Seconds())) {
						t.Errorf("%s: lockout %d until %s (Retry-After %s), want %v", email, failed, got, a.header.Get("Retry-After"), end)
					}
				}
				h.Wait(want - time.Millisecond)
				try("192.0.2.3", "correct horse").refuses(429, "AccountLockout")
				h.Wait(time.Millisecond)
			}
		}
		if fmt.Sprint(answers[0]) != fmt.Sprint(answers[1]) {
			t.Errorf("a stranger is locked out otherwise:\n%v\n%v", answers[0], answers[1])
		}
		if n := h.Metric("usher_lockouts_total", "scope=per_user"); n != 10 {
			t.Errorf("%v lockouts were counted, want 10", n)
		}
		h.from(x, "192.0.2.3", "known@example.com", "correct horse").asks("finished")
	})
}

// Whoever gets in has no failed tries any more; what others have failed stays.
func TestLockoutIsForgiven(t *testing.T) {
	onBoth(t, func(h *house) {
		for _, kind := range []tenant.LockoutType{tenant.LockoutPerUser, tenant.LockoutPerUserPerIP} {
			x := h.Tenant(string("t-"+kind[len(kind)-2:]), lockout(kind))
			h.User(x, "correct horse", "email:a@example.com")
			try := func(ip, password string) answer { return h.from(x, ip, "a@example.com", password) }
			for range 4 {
				try("192.0.2.1", "wrong").refuses(401, "InvalidCredentials")
				try("192.0.2.1", "wrong").refuses(401, "InvalidCredentials")
				try("192.0.2.1", "correct horse").asks("finished") // on the last try, in one request
				h.Engine.Settle(t.Context())
			}
			try("192.0.2.2", "wrong").refuses(401, "InvalidCredentials")
			try("192.0.2.2", "wrong").refuses(401, "InvalidCredentials")
			try("192.0.2.1", "correct horse").asks("finished")
			h.Engine.Settle(t.Context())
			try("192.0.2.2", "wrong").refuses(401, "InvalidCredentials")
			try("192.0.2.2", "correct horse").refuses(429, "AccountLockout")
			owner := try("192.0.2.1", "correct horse") // somebody else's guesses lock out the owner, or don't
			if kind == tenant.LockoutPerUser {
				owner.refuses(429, "AccountLockout")
			} else {
				owner.asks("finished")
			}
		}
	})
}

// The password being right doesn't buy guesses at the second factor.
func TestLockoutOfASecondFactor(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", lockout(tenant.LockoutPerUser), func(c *tenant.Config) {
			c.Authenticators.Secondary = []string{"secondary_password"}
		})
		u := h.User(x, "correct horse", "email:a@example.com")
		second := u.Authenticators[0]
		second.ID, second.Type = "second", "secondary_password"
		h.Change(x, func(tx tenant.Tx) error { return tx.PutAuthenticator(&second) })
		guess := func() answer {
			a := h.login(x, "a@example.com", "correct horse", nil)
			h.Engine.Settle(t.Context())
			if a.status != 200 {
				return a
			}
			return h.post(x, a.asks("authenticate").token(), obj{"authentication": "secondary_password", "password": "wrong"})
		}
		for range 3 {
			guess().refuses(401, "InvalidCredentials")
		}
		guess().refuses(429, "AccountLockout")
		h.Wait(time.Minute)
		h.begin(x, "login", obj{"batch_input": []obj{
			identify("a@example.com"), authenticate("correct horse"), {"authentication": "secondary_password", "password": "correct horse"},
		}}).asks("finished")
	})
}

// Of guesses at once no more are looked at than of guesses one by one, whoever
// they are about.
func TestGuessesAtOnce(t *testing.T) {
	onBoth(t, func(h *house) {
		locks := h.Tenant("locks", lockout(tenant.LockoutPerUser))
		limited := h.Tenant("limited", func(c *tenant.Config) {
			c.Limits.PasswordPerUserPerIP = tenant.Rate{Burst: 7, PeriodSeconds: 60}
		})
		for _, x := range []*tenant.Tenant{locks, limited} {
			h.User(x, "correct horse", "email:known@example.com")
			want := map[string]int{"InvalidCredentials": 3, "AccountLockout": 17}
			if x == limited {
				want = map[string]int{"InvalidCredentials": 7, "RateLimited": 13}
			}
			for _, email := range []string{"known@example.com", "nobody@example.com"} {
				token := h.begin(x, "login", obj{"input": identify(email)}).asks("authenticate").token()
				got := map[string]int{}
				var all sync.WaitGroup
				var mu sync.Mutex
				for range 20 {
					all.Go(func() {
						a := h.post(x, token, authenticate("wrong"))
						mu.Lock()
						defer mu.Unlock()
						got[a.str("error", "reason")]++
					})
				}
				all.Wait()
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s, %s: %v, want %v", x.Slug, email, got, want)
				}
			}
		}
	})
}

// Only failures count: whoever knows the password may use it as often as they
// like.
func TestRightTriesAreGivenBack(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", func(c *tenant.Config) { c.Limits.PasswordPerUserPerIP = tenant.Rate{Burst: 2, PeriodSeconds: 3600} })
		h.User(x, "correct horse", "email:a@example.com")
		for range 6 {
			h.login(x, "a@example.com", "correct horse", nil).asks("finished")
			h.Engine.Settle(t.Context())
		}
		h.login(x, "a@example.com", "wrong", nil).refuses(401, "InvalidCredentials")
		h.login(x, "a@example.com", "correct horse", nil).asks("finished")
		h.Engine.Settle(t.Context())
		h.login(x, "a@example.com", "wrong", nil).refuses(401, "InvalidCredentials")
		h.login(x, "a@example.com", "correct horse", nil).refuses(429, "RateLimited")
		if n := h.Metric("usher_rate_limit_refunds_dropped_total"); n != 0 {
			t.Errorf("%v refunds were dropped", n)
		}
	})
}

// A lockout costs no statement more.
func TestStatementsWithLockout(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", lockout(tenant.LockoutPerUser))
		h.User(x, "correct horse", "email:a@example.com")
		h.signIn(x, "a@example.com", "correct horse")
		h.Engine.Settle(t.Context())
		h.Counted()
		a := h.begin(x, "login", obj{"input": identify("a@example.com")}).asks("authenticate")
		h.Counted()
		h.post(x, a.token(), authenticate("correct horse")).asks("finished")
		if s := h.Counted(); len(s) > 5 {
			t.Errorf("a step: %d statements: %v", len(s), s)
		}
		h.signIn(x, "a@example.com", "correct horse")
		if s := h.Counted(); len(s) > 8 {
			t.Errorf("a login in one request: %d statements: %v", len(s), s)
		}
	})
}
