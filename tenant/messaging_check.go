package tenant

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

type addProblem = func(pointer, reason, format string, args ...any)

// checkMessaging finds gateways that lack what they need. Addresses and what
// templates say are flowengine/deliver's.
func checkMessaging(m *Messaging, add addProblem) {
	if m.Email.Provider == "smtp" {
		if m.Email.SMTP.Host == "" {
			add("/messaging/email/smtp/host", "Required", "the provider smtp needs a server")
		}
		if m.Email.From == "" {
			add("/messaging/email/from", "Required", "the provider smtp needs a sender")
		}
	}
	if d := m.Email.DKIM; (d.Domain == "") != (d.Selector == "") {
		add("/messaging/email/dkim", "Incomplete", "a signature needs both a domain and a selector")
	}
	for _, channel := range []string{SMSChannel, WhatsAppChannel} {
		checkPhoneSender("/messaging/"+channel, m.Phone(channel), add)
	}
	if m.LinkURL != "" && !isEndpoint(m.LinkURL) {
		add("/messaging/link_url", "WrongForm", "a URL is https://host/path, without user and fragment")
	}
	seen := map[string]int{}
	for i := range m.Templates {
		t, at := &m.Templates[i], fmt.Sprintf("/messaging/templates/%d", i)
		key := strings.ToLower(string(t.Purpose) + " " + t.Channel + " " + t.Language)
		if first, twice := seen[key]; twice {
			add(at, "Duplicate", "template %d is for the same purpose, channel and language", first+1)
		}
		seen[key] = i
		if t.Channel != EmailChannel && t.Subject+t.HTML != "" {
			add(at, "NotAllowed", "only e-mail has a subject and HTML")
		}
	}
}

func checkPhoneSender(at string, p *PhoneSender, add addProblem) {
	switch p.Provider {
	case "webhook":
		if p.Webhook.URL == "" {
			add(at+"/webhook/url", "Required", "the provider webhook needs a URL")
		}
	case "twilio":
		if p.Twilio.AccountSID == "" {
			add(at+"/twilio/account_sid", "Required", "the provider twilio needs an account")
		}
		if (p.Twilio.From == "") == (p.Twilio.MessagingServiceSID == "") {
			add(at+"/twilio/from", "Required", "the provider twilio needs either from or messaging_service_sid")
		}
	}
	for _, u := range []struct{ pointer, url string }{{at + "/webhook/url", p.Webhook.URL}, {at + "/twilio/base_url", p.Twilio.BaseURL}} {
		if u.url != "" && !isEndpoint(u.url) {
			add(u.pointer, "WrongForm", "a URL is https://host/path, without user and fragment")
		}
	}
}

// isEndpoint says whether a URL has the form of one that can be called. Where
// plain HTTP is let out is flowengine/outbound's.
func isEndpoint(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && u.Fragment == ""
}

func checkTestMode(m *TestMode, add addProblem) {
	check := func(pointer, pattern string) {
		if _, err := regexp.Compile(pattern); err != nil {
			add(pointer, "WrongForm", "not a regular expression (RE2): %v", err)
		}
	}
	for i := range m.FixedCodes {
		check(fmt.Sprintf("/test_mode/fixed_codes/%d/pattern", i), m.FixedCodes[i].Pattern)
	}
	for i := range m.Suppressed {
		check(fmt.Sprintf("/test_mode/suppressed/%d/pattern", i), m.Suppressed[i].Pattern)
	}
}
