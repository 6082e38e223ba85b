package selfservice_test

import (
	_ "embed"
	"net/http"
	"strings"
	"testing"

	"github.com/usher-id/usher/testenv"
)

//go:embed testdata/page.html
var page []byte

// TestInChromium goes through a registration, the verification of its address, a
// logout and a login, on the smallest page that draws nodes.
func TestInChromium(t *testing.T) {
	browser := testenv.Chromium(t)
	h := build(t, testenv.SQLite(t))
	h.shows(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	x := h.tenant("acme")
	at := h.Origin("acme.localhost")
	run := func(what string, value any) {
		t.Helper()
		if err := browser.Run(what, value); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	onPage := func(kind, says string) {
		t.Helper()
		run("ready", nil)
		var path, told string
		run("location.pathname", &path)
		run("told()", &told)
		if path != "/ui/"+kind || !strings.Contains(told, says) {
			t.Fatalf("want the page %s to say %q, got %s %q", kind, says, path, told)
		}
	}
	browser.Open(at + "/self-service/registration/browser")
	onPage("registration", "")
	browser.Leave(`press({"traits.email": "ann@example.com", "password": "short"}, "method", "password")`)
	onPage("registration", "The password must be at least 8 characters long, but got 5.")
	browser.Leave(`press({"password": "correct horse"}, "method", "password")`) // the address is there still
	onPage("verification", "An email containing a verification code has been sent")
	browser.Leave(`press({"code": "000000"}, "method", "code")`)
	onPage("verification", "The verification code is invalid or has already been used.")
	browser.Leave(`press({"code": "` + h.code(x, "ann@example.com") + `"}, "method", "code")`)
	onPage("verification", "You successfully verified your email address.")
	browser.Leave(`document.querySelector("a#continue").click()`)
	var where string
	if run("location.pathname", &where); where != "/ui/home" {
		t.Errorf("on to %s", where)
	}
	whoami := `fetch("/sessions/whoami").then((r) => r.json()).then((s) => s.identity?.verifiable_addresses[0].verified ?? s.error.id)`
	var verified bool
	if run(whoami, &verified); !verified {
		t.Error("not verified")
	}
	var readable string
	if run("document.cookie", &readable); readable != "" {
		t.Errorf("a script reads cookies: %s", readable)
	}
	run(`fetch("/self-service/logout/browser").then((r) => r.json()).then((out) => { window.out = out.logout_url; })`, nil)
	browser.Leave(`location.href = window.out`)
	var id string
	if run(whoami, &id); id != "session_inactive" {
		t.Errorf("signed in still: %s", id)
	}
	browser.Open(at + "/self-service/login/browser")
	onPage("login", "")
	browser.Leave(`press({"identifier": "ann@example.com", "password": "wrong horse"}, "method", "password")`)
	onPage("login", "The provided credentials are invalid")
	browser.Leave(`press({"password": "correct horse"}, "method", "password")`)
	if run(whoami, &verified); !verified {
		t.Error("not signed in")
	}
}
