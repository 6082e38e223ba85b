package flowapi_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
)

// byCode configures a tenant whose users log in by codes.
func byCode(c *tenant.Config) {
	c.Identifications.Enabled = []string{"email", "phone"}
	c.Authenticators.Primary = []string{"primary_oob_otp_email", "primary_oob_otp_sms", "primary_password"}
	c.OTP.Phone.Channels = []string{"sms", "whatsapp"}
}

// coded begins a login that asks for a code, from an address.
func (h *house) coded(x *tenant.Tenant, ip, email string) answer {
	h.T.Helper()
	return h.do(request{host: x.Hosts[0], path: "/authentication_flows", headers: map[string]string{"X-Forwarded-For": ip}, body: obj{
		"type": "login", "input": obj{"identification": "email", "login_id": email, "authentication": "primary_oob_otp_email"},
	}})
}

// TestSendingIsCapped: by the cooldown, the target, who asks and the tenant;
// whoever is refused learns when to come back, and strangers count alike.
func TestSendingIsCapped(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", byCode, func(c *tenant.Config) {
			c.Limits.SendEmailPerTarget = tenant.Rate{Burst: 3, PeriodSeconds: 3600}
			c.Limits.SendEmailPerIP = tenant.Rate{Burst: 5, PeriodSeconds: 3600}
			c.Limits.SendEmailPerTenant = tenant.Rate{Burst: 9, PeriodSeconds: 86400}
		})
		for _, who := range []string{"a", "b", "c"} {
			h.User(x, "correct horse", "email:"+who+"@example.com")
		}
		for _, who := range []string{"a@example.com", "stranger@example.com"} {
			h.Sub(who, func(t *testing.T) {
				ip := "192.0.2." + map[bool]string{true: "1", false: "2"}[who[0] == 'a']
				h.coded(x, ip, who).asks("authenticate")
				r := h.coded(x, ip, who).refuses(429, "RateLimited")
				if at, err := time.Parse(time.RFC3339, r.str("error", "info", "retry_at")); err != nil || at.Sub(h.Now()) > 61*time.Second || at.Before(h.Now()) {
					t.Errorf("when to come back: %s, now %s", r.raw, h.Now())
				}
				for range 2 {
					h.Wait(61 * time.Second)
					h.coded(x, ip, who).asks("authenticate")
				}
				h.Wait(61 * time.Second)
				h.coded(x, ip, who).refuses(429, "RateLimited") // the fourth in an hour
			})
		}
		h.coded(x, "192.0.2.1", "b@example.com").asks("authenticate")
		h.coded(x, "192.0.2.1", "c@example.com").asks("authenticate")
		h.Wait(61 * time.Second)
		h.coded(x, "192.0.2.1", "b@example.com").refuses(429, "RateLimited") // the sixth from there
		h.coded(x, "192.0.2.3", "b@example.com").asks("authenticate")        // the ninth of the tenant
		h.coded(x, "192.0.2.4", "c@example.com").refuses(429, "RateLimited")
		if n := h.Metric("usher_rate_limited_total", "bucket=send_email"); n != 6 {
			t.Errorf("counted %v", n)
		}
	})
}

// TestTestMode: a fixed code lets whoever matches in, nothing is sent to whom
// sending is suppressed, and nobody else is touched.
func TestTestMode(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", byCode, func(c *tenant.Config) {
			c.TestMode = tenant.TestMode{
				Enabled:    true,
				FixedCodes: []tenant.FixedCode{{Pattern: `@test\.example$`, Code: "246810"}},
				Suppressed: []tenant.Suppression{{Pattern: `@test\.example$`, Channels: []string{"email"}}},
			}
		})
		h.User(x, "correct horse", "email:a@test.example")
		h.User(x, "correct horse", "email:a@real.example")
		tested := h.coded(x, "192.0.2.1", "a@test.example").asks("authenticate")
		real := h.coded(x, "192.0.2.1", "a@real.example").asks("authenticate")
		stranger := h.coded(x, "192.0.2.1", "b@test.example").asks("authenticate")
		for a, want := range map[*answer]string{&tested: "suppressed", &real: "queued", &stranger: "suppressed"} {
			if got := a.str("result", "action", "data", "delivery_status"); got != want {
				t.Errorf("delivery_status is %q, want %q", got, want)
			}
		}
		if code := h.code(x); code == "246810" { // the newest that admins see is the real one
			t.Error("the fixed code for somebody whom no pattern matches")
		}
		h.post(x, real.token(), obj{"code": "246810"}).refuses(401, "InvalidCredentials")
		h.post(x, stranger.token(), obj{"code": "246810"}).refuses(401, "InvalidCredentials")
		h.post(x, tested.token(), obj{"code": "246810"}).asks("finished")
		if n := h.Metric("usher_messages_total", "channel=email", "outcome=suppressed", "provider=none", "purpose=authentication"); n != 1 {
			t.Errorf("%v messages counted as suppressed", n)
		}
		for outcome, want := range map[string]float64{"right": 1, "wrong": 2} {
			if n := h.Metric("usher_otp_verifications_total", "channel=email", "outcome="+outcome); n != want {
				t.Errorf("%v codes counted as %s, want %v", n, outcome, want)
			}
		}
	})
}

// TestDeliveryStatus tells the user the truth, and the same of a stranger.
func TestDeliveryStatus(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", byCode)
		h.User(x, "correct horse", "email:a@example.com")
		known := h.coded(x, "192.0.2.1", "a@example.com").asks("authenticate")
		stranger := h.coded(x, "192.0.2.1", "b@example.com").asks("authenticate")
		status := func(a answer) string {
			h.T.Helper()
			return h.do(request{host: x.Hosts[0], path: "/authentication_flows/states", body: obj{"state_token": a.token()}}).
				asks("authenticate").str("result", "action", "data", "delivery_status")
		}
		if k, s := status(known), status(stranger); k != "queued" || s != "queued" {
			t.Errorf("%s and %s", k, s)
		}
		w := deliver.New(deliver.Options{
			Store: h.Store, Master: h.Master, Limiter: limit.SQL(h.Store), Log: slog.New(slog.DiscardHandler), Now: h.Now, Poll: 5 * time.Millisecond,
			Tenant: h.Store.TenantByID, Config: h.Engine.Config, PublicURL: func(host, path string) string { return "https://" + host + path },
		})
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		t.Cleanup(func() { stop(); must(t, <-done) })
		// There is no gateway: that is a failure, whoever it is.
		h.Eventually(func() bool { return status(known) == "failed" && status(stranger) == "failed" })
	})
}
