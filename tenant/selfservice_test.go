package tenant

import (
	"strings"
	"testing"
)

func TestReturns(t *testing.T) {
	listed := []string{"https://app.example.com/welcome", "https://www.example.com", "myapp://callback", "http://localhost:3000/x/"}
	for to, want := range map[string]bool{
		"https://app.example.com/welcome":              true,
		"https://app.example.com/welcome/":             true,
		"https://app.example.com/welcome/back?a=b#c":   true,
		"https://APP.example.com/welcome":              true,
		"https://app.example.com/welcomes":             false,
		"https://app.example.com/":                     false,
		"http://app.example.com/welcome":               false,
		"https://app.example.com:8443/welcome":         false,
		"https://app.example.com.evil.example/welcome": false,
		"https://www.example.com":                      true,
		"https://www.example.com/anything":             true,
		"https://www.example.com/a/../b":               false,
		"https://www.example.com/%2e%2e/b":             false,
		"https://www.example.com/a%2fb":                false,
		"https://www.example.com\\@evil.example":       false,
		"https://www.example.com@evil.example/":        false,
		"https://user@www.example.com/":                false,
		"https://www.example.com/\tx":                  false,
		" https://www.example.com/":                    false,
		"//www.example.com/":                           false,
		"/welcome":                                     false,
		"javascript://www.example.com/%0aalert(1)":     false,
		"myapp://callback":                             true,
		"myapp://callback/done":                        true,
		"myapp://other":                                false,
		"http://localhost:3000/x":                      true,
		"http://localhost:3000/x/y":                    true,
		"":                                             false,
	} {
		if Returns(to, listed...) != want {
			t.Errorf("%q: %v", to, !want)
		}
	}
}

func TestSelfServiceIsChecked(t *testing.T) {
	cfg := DefaultConfig()
	cfg.SelfService.LoginURL, cfg.SelfService.ErrorURL, cfg.SelfService.SettingsURL = "/login", "myapp://error", "https://app.example.com/settings#x"
	cfg.Web.ReturnURLs = []string{"https://app.example.com/ok", "https://app.example.com/?x=1", "app.example.com", "myapp://callback"}
	var at []string
	for _, p := range CheckConfig(cfg) {
		at = append(at, p.Pointer)
	}
	if got := strings.Join(at, " "); got != "/self_service/login_url /self_service/settings_url /self_service/error_url /web/return_urls/1 /web/return_urls/2" {
		t.Error(got)
	}
}
