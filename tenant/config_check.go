package tenant

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// CheckConfig finds what is wrong between settings that are each right by
// themselves. The rules of flows are flow.Compile's.
func CheckConfig(cfg *Config) []Problem {
	var out []Problem
	add := func(pointer, reason, format string, args ...any) {
		out = append(out, Problem{Pointer: pointer, Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
	checkProviders(cfg, add)
	checkLinking(cfg, add)
	checkLDAP(cfg, add)
	checkBotProtection(&cfg.BotProtection, add)
	checkMessaging(&cfg.Messaging, add)
	checkTestMode(&cfg.TestMode, add)
	checkHooks(&cfg.Hooks, add)
	checkSelfService(cfg, add)
	checkPresentation(&cfg.Flows, add)
	if until := cfg.Authenticators.SecondaryGraceUntil; until != "" && cfg.Authenticators.Grace().IsZero() {
		add("/authenticators/secondary_grace_until", "WrongForm", "want a time such as 2027-01-31T00:00:00Z (RFC 3339), or nothing")
	}
	for i, word := range cfg.PasswordPolicy.ExcludedKeywords {
		if strings.TrimSpace(word) == "" {
			add(fmt.Sprintf("/password_policy/excluded_keywords/%d", i), "Empty", "an empty keyword excludes nothing")
		}
	}
	if f := cfg.Flows; f.MaxLifetimeSeconds < f.LifetimeSeconds {
		add("/flows/max_lifetime_seconds", "OutOfOrder", "must be at least lifetime_seconds, %d", f.LifetimeSeconds)
	}
	if l := cfg.Lockout; l.MinimumSeconds > l.MaximumSeconds {
		add("/lockout/minimum_seconds", "OutOfOrder", "must be at most maximum_seconds, %d", l.MaximumSeconds)
	}
	if s := cfg.Sessions; s.IdleTimeoutSeconds > s.LifetimeSeconds {
		add("/sessions/idle_timeout_seconds", "OutOfOrder", "must be at most lifetime_seconds, %d", s.LifetimeSeconds)
	}
	for i, origin := range cfg.Web.AllowedOrigins {
		if !isOrigin(origin) {
			add(fmt.Sprintf("/web/allowed_origins/%d", i), "WrongForm", "an origin is scheme://host or scheme://host:port in lower case, with nothing after it")
		}
	}
	return out
}

func checkProviders(cfg *Config, add func(pointer, reason, format string, args ...any)) {
	if i := slices.Index(cfg.Identifications.Enabled, "oauth"); i >= 0 && len(cfg.OAuthProviders) == 0 {
		add(fmt.Sprintf("/identifications/enabled/%d", i), "NoProvider", "oauth needs at least one entry in oauth_providers")
	}
	first := map[string]int{}
	for i := range cfg.OAuthProviders {
		p, at := &cfg.OAuthProviders[i], fmt.Sprintf("/oauth_providers/%d", i)
		if j, taken := first[p.Alias]; taken {
			add(at+"/alias", "Duplicate", "provider %d has the alias %q already", j+1, p.Alias)
		} else {
			first[p.Alias] = i
		}
		if p.AppType != "" && p.Type != "wechat" {
			add(at+"/app_type", "NotAllowed", "only a provider of type wechat has an app_type")
		}
	}
}

// isOrigin says whether s is the serialization of a web origin (RFC 6454
// section 6.2), as browsers send it.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return false
	}
	if u.Scheme+"://"+u.Host != s || s != strings.ToLower(s) { // no path, query, fragment or user
		return false
	}
	standard := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return u.Port() != standard && !strings.HasSuffix(u.Host, ":") && !strings.Contains(u.Host, "*")
}
