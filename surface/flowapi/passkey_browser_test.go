package flowapi_test

import (
	_ "embed"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

//go:embed testdata/passkey.html
var passkeyPage []byte

// TestPasskeysInChromium signs up and in on a page, with the browser's own
// WebAuthn and an authenticator that is part of the (virtual) device.
func TestPasskeysInChromium(t *testing.T) {
	browser := testenv.Chromium(t)
	h := build(t, testenv.SQLite(t))
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			r.Header.Set("X-Forwarded-Proto", "https") // localhost is a secure context without it
			h.server.Config.Handler.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(passkeyPage)
	}))
	t.Cleanup(site.Close)
	at, err := url.Parse(site.URL)
	must(t, err)
	h.Origin = func(host string) string { return "http://" + host + ":" + at.Port() }
	x := h.Tenant("acme", withPasskeys)
	fresh := *x
	fresh.Hosts = []string{"login.acme.localhost", "acme.localhost"}
	h.Change(x, func(tx tenant.Tx) error { return tx.UpdateTenant(&fresh) })
	h.Publish(&fresh, 2, func(c *tenant.Config) {
		withPasskeys(c)
		c.PasswordPolicy.BreachedCheck = false
		c.Passkeys.RPID = "acme.localhost" // the parent of both
	})
	h.Eventually(func() bool {
		return h.do(request{host: "login.acme.localhost", path: "/authentication_flows", body: obj{"type": "login", "name": "default"}}).status == 200
	})

	browser.Do("WebAuthn.enable", nil, nil)
	var authenticator struct{ AuthenticatorID string }
	browser.Do("WebAuthn.addVirtualAuthenticator", obj{"options": obj{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true,
		"automaticPresenceSimulation": true,
	}}, &authenticator)
	browser.Open(h.Origin("login.acme.localhost") + "/")

	var amr []string
	run := func(what string) {
		t.Helper()
		if err := browser.Run(what, &amr); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if strings.Join(amr, " ") != "hwk user mfa" {
			t.Errorf("%s: proved by %q", what, amr)
		}
	}
	run(`signUp("ann@example.com")`)
	var kept struct {
		Credentials []struct {
			IsResidentCredential bool
			RpID                 string
			UserHandle           string
		}
	}
	browser.Do("WebAuthn.getCredentials", obj{"authenticatorId": authenticator.AuthenticatorID}, &kept)
	if len(kept.Credentials) != 1 || !kept.Credentials[0].IsResidentCredential || kept.Credentials[0].RpID != "acme.localhost" {
		t.Fatalf("the authenticator keeps %+v", kept)
	}
	run(`logInWithoutName()`)
	run(`logInAs("ann@example.com")`)

	// A passkey of the parent works on the tenant's other host.
	browser.Open(h.Origin("acme.localhost") + "/")
	run(`logInWithoutName()`)

	// At the end of a sign-up with a password one is offered.
	if err := browser.Run(`signUpWithPassword("bob@example.com", "correct horse")`, &amr); err != nil || strings.Join(amr, " ") != "pwd" {
		t.Fatalf("a sign-up with a password: %v %v", amr, err)
	}
	run(`logInAs("bob@example.com")`)

	// What the device refuses never comes to us.
	browser.Do("WebAuthn.setUserVerified", obj{"authenticatorId": authenticator.AuthenticatorID, "isUserVerified": false}, nil)
	if err := browser.Run(`logInWithoutName()`, nil); err == nil || !strings.Contains(err.Error(), "NotAllowedError") {
		t.Errorf("without user verification: %v", err)
	}
	browser.Do("WebAuthn.setUserVerified", obj{"authenticatorId": authenticator.AuthenticatorID, "isUserVerified": true}, nil)

	// A page of somebody else is given the tenant's options.
	a := h.do(request{host: "acme.localhost", path: "/authentication_flows", body: obj{"type": "login", "name": "default"}}).asks("identify")
	browser.Open(h.Origin("evil.localhost") + "/")
	if err := browser.Run("get("+optionsOf(a, "request_options")+")", nil); err == nil || !strings.Contains(err.Error(), "SecurityError") {
		t.Errorf("on a page of somebody else: %v", err)
	}
}
