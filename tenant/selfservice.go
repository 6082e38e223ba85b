package tenant

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// SelfService is about the self-service API: the pages of the tenant's own that
// show its flows.
type SelfService struct {
	LoginURL        string `json:"login_url" jsonschema:"maxLength=2048" jsonschema_description:"The page for logins; browsers come with ?flow=ID. Empty for none: they are sent to the flow's document."`
	RegistrationURL string `json:"registration_url" jsonschema:"maxLength=2048" jsonschema_description:"The page for registrations."`
	RecoveryURL     string `json:"recovery_url" jsonschema:"maxLength=2048" jsonschema_description:"The page for recoveries."`
	VerificationURL string `json:"verification_url" jsonschema:"maxLength=2048" jsonschema_description:"The page on which an address is verified."`
	SettingsURL     string `json:"settings_url" jsonschema:"maxLength=2048" jsonschema_description:"The page on which users change what is theirs, and set a new password after a recovery."`
	ErrorURL        string `json:"error_url" jsonschema:"maxLength=2048" jsonschema_description:"The page for errors; browsers come with ?id=ID. Empty for none: they are shown the error's document."`

	DefaultReturnURL string `json:"default_return_url" jsonschema:"maxLength=2048" jsonschema_description:"Where browsers go after a flow that names no return_to; empty for the root of the tenant's primary host."`

	VerifyAfterRegistration bool `json:"verify_after_registration" jsonschema_description:"Whether a new user is sent a code for an address that isn't verified yet."`
}

// Pages lists the URLs that are set.
func (s *SelfService) Pages() []string {
	return slices.DeleteFunc([]string{
		s.LoginURL, s.RegistrationURL, s.RecoveryURL, s.VerificationURL, s.SettingsURL, s.ErrorURL, s.DefaultReturnURL,
	}, func(page string) bool { return page == "" })
}

// Returns says whether a URL is one that a browser may be sent back to: one of
// those listed, or below one of them. Scheme, host and port must be the same,
// and the path the same or below it, segment by segment.
func Returns(to string, listed ...string) bool {
	u, ok := parseReturn(to)
	return ok && slices.ContainsFunc(listed, func(l string) bool {
		p, ok := parseReturn(l)
		if !ok || u.Scheme != p.Scheme || !strings.EqualFold(u.Host, p.Host) {
			return false
		}
		under := strings.TrimSuffix(p.Path, "/")
		return u.Path == p.Path || u.Path == under || strings.HasPrefix(u.Path, under+"/")
	})
}

var (
	returnForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^\s\\\x00-\x1f\x7f]+$`)
	hiddenPath = regexp.MustCompile(`(?i)%2e|%2f|%5c`)
)

// parseReturn reads an absolute URL of which every reader understands the same:
// nothing that one browser or proxy would resolve otherwise than another.
func parseReturn(s string) (*url.URL, bool) {
	if !returnForm.MatchString(s) {
		return nil, false
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || hiddenPath.MatchString(u.EscapedPath()) {
		return nil, false
	}
	dots := func(segment string) bool { return segment == "." || segment == ".." }
	return u, !slices.ContainsFunc(strings.Split(u.Path, "/"), dots)
}

func checkSelfService(cfg *Config, add addProblem) {
	const page = "want an absolute https or http URL without a fragment"
	s := &cfg.SelfService
	for _, p := range []struct{ name, url string }{
		{"login_url", s.LoginURL}, {"registration_url", s.RegistrationURL}, {"recovery_url", s.RecoveryURL}, {"verification_url", s.VerificationURL},
		{"settings_url", s.SettingsURL}, {"error_url", s.ErrorURL}, {"default_return_url", s.DefaultReturnURL},
	} {
		if u, ok := parseReturn(p.url); p.url != "" && (!ok || u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "") {
			add("/self_service/"+p.name, "WrongForm", page)
		}
	}
	for i, to := range cfg.Web.ReturnURLs {
		if u, ok := parseReturn(to); !ok || u.RawQuery != "" || u.Fragment != "" {
			add(fmt.Sprintf("/web/return_urls/%d", i), "WrongForm", "want an absolute URL without query and fragment, such as https://app.example.com/welcome")
		}
	}
}

// ShownError is what went wrong, kept for a page that shows it.
type ShownError struct {
	TenantID  string
	ID        string // UUIDv7
	Document  []byte // JSON, as the door's dialect has it
	CreatedAt time.Time
	ExpiresAt time.Time
}
