package flowapi_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/botcheck/bottest"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv/housetest"
)

const botSecret = "0x4AAAAAAA-the-secret-key"

// guarded makes a tenant whose users show at sign-up and login that they are
// human, with a user a@example.com, and its provider.
func (h *house) guarded(kind string, change ...func(*tenant.Config)) (*tenant.Tenant, *bottest.Provider) {
	h.T.Helper()
	p := bottest.New(h.T, kind, botSecret, "the-site-key")
	change = append([]func(*tenant.Config){func(c *tenant.Config) {
		b := &c.BotProtection
		b.Enabled, b.VerifyURL, b.Provider = true, p.URL, tenant.BotProvider{Type: kind, SiteKey: "the-site-key"}
		b.Requirements.SignupOrLogin.Mode = tenant.BotAlways
		c.Limits.BotProtectionPerIP.Burst = 1000
	}}, change...)
	x := h.Tenant(kind, change...)
	h.Secret(x, tenant.BotSecretName, botSecret)
	h.User(x, "correct horse", "email:a@example.com")
	return x, p
}

// solved is an input with a response of the widget.
func solved(kind, response string, in obj) obj {
	out := obj{"bot_protection": obj{"type": kind, "response": response}}
	for k, v := range in {
		out[k] = v
	}
	return out
}

// Each provider is asked as it wants to be, at the right moment, and what it says
// goes.
func TestBotProtection(t *testing.T) {
	onBoth(t, func(h *house) {
		for _, kind := range tenant.BotProviders {
			h.Sub(kind, func(t *testing.T) {
				x, p := h.guarded(kind)
				p.Asked = func() { // on SQLite this would wait forever for an open transaction
					h.Change(x, func(tx tenant.Tx) error { _, err := tx.Tenant(kind); return err })
				}
				outcome := func(o string) float64 {
					return h.Metric("usher_bot_challenges_total", "outcome="+o, "provider="+kind)
				}
				start := h.begin(x, "login", nil).asks("identify")
				widget, _ := start.at("result", "action", "data", "options", 0, "bot_protection").(map[string]any)
				if provider, _ := widget["provider"].(map[string]any); widget["enabled"] != true || provider["type"] != kind || provider["site_key"] != "the-site-key" {
					t.Errorf("the widget: %v", widget)
				}
				h.Counted()
				unmoved := func(a answer) {
					t.Helper()
					if a.str("result", "state_token") != start.token() || a.str("result", "action", "type") != "identify" {
						t.Error("the run moved:", a.raw)
					}
					if s := h.Counted(); slices.Contains(s, "account_by_claim") {
						t.Error("a login id was looked up for a bot:", s)
					}
				}
				unmoved(h.post(x, start.token(), identify("a@example.com")).refuses(403, "BotProtectionRequired"))
				if n := len(p.Calls()); n != 0 {
					t.Error(n, "calls about no response")
				}
				unmoved(h.post(x, start.token(), solved(kind, "made up", identify("a@example.com"))).refuses(403, "BotProtectionVerificationFailed"))

				response := p.Solve("login.example.com")
				a := h.do(request{
					host: x.Hosts[0], path: "/authentication_flows/states/input", headers: map[string]string{"X-Forwarded-For": "203.0.113.7"},
					body: obj{"state_token": start.token(), "input": solved(kind, response, identify("a@example.com"))},
				}).asks("authenticate")
				calls := p.Calls()
				if last := calls[len(calls)-1]; last.Response != response || last.RemoteIP != "203.0.113.7" || last.SiteKey != map[string]string{"hcaptcha": "the-site-key"}[kind] {
					t.Errorf("asked about %+v", last)
				}
				h.Counted()
				unmoved(h.post(x, start.token(), solved(kind, response, identify("a@example.com"))).refuses(403, "BotProtectionVerificationFailed")) // once is all
				h.post(x, a.token(), authenticate("correct horse")).asks("finished")
				if outcome("passed") != 1 || outcome("refused") != 2 || outcome("failed") != 0 {
					t.Error("counted:", outcome("passed"), outcome("refused"), outcome("failed"))
				}
				h.login(x, "a@example.com", "correct horse", obj{"batch_input": []obj{solved(kind, p.Solve("x"), identify("a@example.com")), authenticate("correct horse")}}).asks("finished")
				h.begin(x, "signup", obj{"input": identify("new@example.com")}).refuses(403, "BotProtectionRequired")
				if log := h.Log.String(); strings.Contains(log, botSecret) || strings.Contains(log, response) {
					t.Error("a secret is in the log")
				}
			})
		}
	})
}

// A provider that gives no answer that could be used lets nobody in, and the run
// goes on once it does.
func TestBotProtectionWithoutAnAnswer(t *testing.T) {
	onBoth(t, func(h *house) {
		x, p := h.guarded("cloudflare")
		start := h.begin(x, "login", nil).asks("identify")
		try := func() answer {
			h.T.Helper()
			a := h.post(x, start.token(), solved("cloudflare", p.Solve("x"), identify("a@example.com")))
			if a.status != 200 {
				a.refuses(503, "BotProtectionVerificationServiceUnavailable")
				if a.header.Get("Retry-After") == "" || a.str("result", "action", "type") != "identify" {
					h.T.Error(a.header, a.raw)
				}
			}
			return a
		}
		faults := []bottest.Fault{bottest.Breaks, bottest.Errs, bottest.HTML, bottest.Nonsense, bottest.Redirect, bottest.Huge, bottest.Hangs}
		for _, f := range faults {
			p.Fails(f)
			if a := try(); a.status != 503 {
				h.T.Errorf("%s: %s", f, a.raw)
			}
		}
		if n := h.Metric("usher_bot_challenges_total", "outcome=timeout", "provider=cloudflare"); n != 1 {
			h.T.Error(n, "timeouts")
		}
		if n := h.Metric("usher_bot_challenges_total", "outcome=failed", "provider=cloudflare"); n != float64(len(faults)-1) {
			h.T.Error(n, "failed")
		}
		if n := h.Metric("usher_flow_step_duration_seconds", "cost=external", "step_type=identify"); n != float64(len(faults)) {
			h.T.Error(n, "steps that called out")
		}
		p.Fails(bottest.None)
		for name, value := range map[string]string{"another key": "0x4BBBBBBB-another-secret-key", "the key": botSecret} {
			h.Secret(x, tenant.BotSecretName, value)
			if a := try(); (a.status == 200) != (value == botSecret) {
				h.T.Errorf("with %s: %s", name, a.raw)
			}
		}
		h.Change(x, func(tx tenant.Tx) error { return tx.DeleteSecret(x.ID, tenant.BotSecretName) })
		if a := try(); a.status != 503 {
			h.T.Error("without a key:", a.raw)
		}
		h.Secret(x, tenant.BotSecretName, botSecret)
		try().asks("authenticate")
	}, func(s *housetest.Options) { s.Patience = 300 * time.Millisecond })
}

// Refused responses are bounded by address, so that nobody makes us call a
// provider all day; right ones are given back.
func TestBotProtectionIsLimited(t *testing.T) {
	onBoth(t, func(h *house) {
		x, p := h.guarded("recaptchav2", func(c *tenant.Config) {
			c.Limits.BotProtectionPerIP = tenant.Rate{Burst: 3, PeriodSeconds: 60}
			c.BotProtection.Hostnames = []string{"login.example.com"}
		})
		start := h.begin(x, "login", nil).asks("identify")
		for range 5 {
			h.post(x, start.token(), solved("recaptchav2", p.Solve("Login.Example.com"), identify("a@example.com"))).asks("authenticate")
			h.Engine.Settle(context.Background())
		}
		// Solved on a page that isn't the tenant's.
		h.post(x, start.token(), solved("recaptchav2", p.Solve("evil.example"), identify("a@example.com"))).refuses(403, "BotProtectionVerificationFailed")
		var code string
		for range 2 {
			code = h.post(x, start.token(), solved("recaptchav2", "bot", identify("a@example.com"))).
				refuses(403, "BotProtectionVerificationFailed").str("error", "info", "support_code")
		}
		n := len(p.Calls())
		h.post(x, start.token(), solved("recaptchav2", p.Solve("login.example.com"), identify("a@example.com"))).refuses(429, "RateLimited")
		if len(p.Calls()) != n {
			h.T.Error("the provider was asked over the limit")
		}
		if n := h.Metric("usher_rate_limited_total", "bucket=bot_protection"); n != 1 {
			h.T.Error(n, "counted as limited")
		}
		why, err := h.admins().ExplainSignIn(h.T.Context(), x.Slug, code)
		must(h.T, err)
		var reasons []tenant.Reason
		for _, e := range why.Events {
			if e.Reason != "" {
				reasons = append(reasons, e.Reason)
			}
		}
		if !slices.Contains(reasons, tenant.ErrBotProtectionFailed.Reason) || !slices.Contains(reasons, tenant.ErrRateLimited.Reason) {
			h.T.Error("support reads", reasons)
		}
		h.Wait(time.Minute)
		h.post(x, start.token(), solved("recaptchav2", p.Solve("login.example.com"), identify("a@example.com"))).asks("authenticate")
	})
}
