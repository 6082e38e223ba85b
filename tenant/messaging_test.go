package tenant_test

import (
	"testing"

	"github.com/usher-id/usher/tenant"
)

func TestTestMode(t *testing.T) {
	m := tenant.TestMode{
		Enabled:    true,
		FixedCodes: []tenant.FixedCode{{Pattern: `^\+1555`, Code: "111111"}, {Pattern: `@test\.example$`, Code: "222222"}, {Pattern: `^a@test`, Code: "333333"}},
		Suppressed: []tenant.Suppression{{Pattern: `@test\.example$`, Channels: []string{"email"}}, {Pattern: `^\+1555`, Channels: []string{"sms"}}},
	}
	for target, want := range map[string]string{"+15550001": "111111", "a@test.example": "222222", "a@test.example.org": "333333", "b@x.example": "", "x+1555": ""} {
		if code, fixed := m.CodeFor(target); code != want || fixed != (want != "") {
			t.Errorf("%s: %q", target, code)
		}
	}
	for _, c := range []struct {
		channel, target string
		want            bool
	}{
		{"email", "a@test.example", true}, {"email", "a@real.example", false}, {"sms", "+15550001", true}, {"whatsapp", "+15550001", false}, {"sms", "+44155500", false},
	} {
		if got := m.Suppresses(c.channel, c.target); got != c.want {
			t.Errorf("%s %s: %v", c.channel, c.target, got)
		}
	}
	m.Enabled = false
	if _, fixed := m.CodeFor("+15550001"); fixed || m.Suppresses("sms", "+15550001") {
		t.Error("test mode is off, and yet it does something")
	}
}

func TestMessagingProblems(t *testing.T) {
	for pointer, change := range map[string]func(*tenant.Config){
		"/messaging/email/smtp/host":       func(c *tenant.Config) { c.Messaging.Email.Provider, c.Messaging.Email.From = "smtp", "a@b.example" },
		"/messaging/email/from":            func(c *tenant.Config) { c.Messaging.Email.Provider, c.Messaging.Email.SMTP.Host = "smtp", "h" },
		"/messaging/email/dkim":            func(c *tenant.Config) { c.Messaging.Email.DKIM.Domain = "b.example" },
		"/messaging/sms/webhook/url":       func(c *tenant.Config) { c.Messaging.SMS.Provider = "webhook" },
		"/messaging/whatsapp/webhook/url":  func(c *tenant.Config) { c.Messaging.WhatsApp.Webhook.URL = "ftp://x" },
		"/messaging/sms/twilio/base_url":   func(c *tenant.Config) { c.Messaging.SMS.Twilio.BaseURL = "https://user:pw@x" },
		"/messaging/link_url":              func(c *tenant.Config) { c.Messaging.LinkURL = "javascript:alert(1)" },
		"/test_mode/fixed_codes/0/pattern": func(c *tenant.Config) { c.TestMode.FixedCodes = []tenant.FixedCode{{Pattern: "(", Code: "123456"}} },
		"/test_mode/suppressed/0/pattern":  func(c *tenant.Config) { c.TestMode.Suppressed = []tenant.Suppression{{Pattern: "(?=x)"}} },
		"/messaging/sms/twilio/account_sid": func(c *tenant.Config) {
			c.Messaging.SMS = tenant.PhoneSender{Provider: "twilio", Twilio: tenant.TwilioAccount{From: "+1"}}
		},
		"/messaging/whatsapp/twilio/from": func(c *tenant.Config) {
			c.Messaging.WhatsApp = tenant.PhoneSender{Provider: "twilio", Twilio: tenant.TwilioAccount{AccountSID: "AC"}}
		},
		"/messaging/templates/1": func(c *tenant.Config) {
			c.Messaging.Templates = []tenant.MessageTemplate{{Language: "en"}, {Language: "EN"}}
		},
	} {
		cfg := tenant.DefaultConfig()
		change(cfg)
		if problems := tenant.CheckConfig(cfg); len(problems) != 1 || problems[0].Pointer != pointer {
			t.Errorf("%s: %v", pointer, problems)
		}
	}
}
