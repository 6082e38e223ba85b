package flowapi_test

import (
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/surface/pages"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

func addr(ip string) netip.Addr { return netip.MustParseAddr(ip) }

// page asks for the page of a link, or sends its form.
func (h *house) page(method, host, code string, form url.Values, languages ...string) answer {
	h.T.Helper()
	target, body := h.server.URL+pages.Path, io.Reader(nil)
	if method == http.MethodPost {
		if form == nil {
			form = url.Values{}
		}
		form.Set("code", code)
		body = strings.NewReader(form.Encode())
	} else {
		target += "?" + url.Values{"code": {code}, "purpose": {"x"}}.Encode()
	}
	q, err := http.NewRequest(method, target, body)
	must(h.T, err)
	q.Host = host
	q.Header.Set("X-Forwarded-Proto", "https")
	q.Header["Accept-Language"] = languages
	if body != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	p, err := h.server.Client().Do(q)
	must(h.T, err)
	defer p.Body.Close()
	raw, err := io.ReadAll(p.Body)
	must(h.T, err)
	a := answer{t: h.T, status: p.StatusCode, header: p.Header, raw: string(raw)}
	for header, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
		if a.header.Get(header) != want {
			h.T.Errorf("%s %s: %s: %q", method, host, header, a.header.Get(header))
		}
	}
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") &&
		!regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$`).MatchString(a.header.Get("Content-Security-Policy")) {
		h.T.Errorf("the policy is %q", a.header.Get("Content-Security-Policy"))
	}
	return a
}

// says demands words on a page.
func (a answer) says(status int, words ...string) answer {
	a.t.Helper()
	for _, w := range words {
		if a.status != status || !strings.Contains(a.raw, w) {
			a.t.Fatalf("want %d and %q, got %d %s", status, w, a.status, a.raw)
		}
	}
	return a
}

func TestAPageAsksBeforeItApproves(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", byLink)
		h.User(x, "correct horse", "email:jonathan@example.com")
		a := h.linked(x, "jonathan@example.com")
		code := h.link(x)
		if strings.Contains(a.raw, code) {
			h.T.Fatal("the client is told the link")
		}
		for range 3 { // mail scanners look
			p := h.page("GET", "acme.test", code, nil).says(200, "Sign in to acme?", "jona****@example.com", "127.0.0.1", "Go-http-client", `<button>`, code, `lang="en"`)
			if strings.Contains(p.raw, "jonathan") {
				h.T.Error("the page shows the whole address")
			}
		}
		if p := h.page("HEAD", "acme.test", code, nil); p.status != 200 || p.raw != "" {
			h.T.Errorf("HEAD: %d %q", p.status, p.raw)
		}
		h.post(x, a.token(), obj{"check": true}).refuses(401, "InvalidCredentials")
		h.page("POST", "acme.test", code, nil).says(200, "approved")
		h.page("POST", "acme.test", code, nil).says(200, "approved") // twice is once
		h.post(x, a.token(), obj{"check": true}).asks("finished")
		h.page("GET", "acme.test", code, nil).says(410, "no longer works")

		// Typed on another device it works as well.
		a = h.linked(x, "jonathan@example.com")
		h.post(x, a.token(), obj{"code": strings.ToLower(h.link(x))}).asks("finished")

		for _, bad := range []string{"", "short", strings.Repeat("0", 33), "<script>"} {
			h.page("GET", "acme.test", bad, nil).says(404, "Nothing here")
			h.page("POST", "acme.test", bad, nil).says(404, "Nothing here")
		}
		h.page("GET", "acme.test", strings.Repeat("0", 32), nil).says(410, "no longer works")
		h.page("GET", "nobody.test", code, nil).says(404, "TenantNotFound")
		h.page("PUT", "acme.test", code, nil).says(405, "MethodNotAllowed")

		// An expired one, one that was replaced, and one of a suspended tenant.
		a = h.linked(x, "jonathan@example.com")
		first := h.link(x)
		h.Wait(61 * time.Second)
		h.post(x, a.token(), obj{"resend": true}).asks("authenticate")
		h.page("GET", "acme.test", first, nil).says(410, "no longer works")
		second := h.link(x)
		h.page("GET", "acme.test", second, nil).says(200, "<button>")
		h.Wait(21 * time.Minute)
		h.page("POST", "acme.test", second, nil).says(410, "no longer works")
		h.page("POST", "acme.test", second, url.Values{"x": {strings.Repeat("x", 9<<10)}}).says(400, "could not be read")
	})
}

// Pages speak the language of who opens them, else the tenant's, as messages do.
func TestPagesSpeakTheLanguageOfTheirReader(t *testing.T) {
	h := build(t, testenv.SQLite(t))
	x := h.Tenant("acme", byLink)
	h.User(x, "correct horse", "email:a@example.com")
	h.recovering(x, "a@example.com")
	code := h.link(x)
	german := "de-AT,de;q=0.9,en;q=0.1"
	h.page("GET", "acme.test", code, nil, german).says(200, `lang="de"`, "Neues Passwort wählen", "Für Ihr Konto bei acme.", "Noch einmal", "Angefordert am")
	h.page("GET", "acme.test", code, nil, "fr, ja").says(200, `lang="en"`, "Choose a new password")
	send := func(password, again string) answer {
		return h.page("POST", "acme.test", code, url.Values{"password": {password}, "again": {again}}, german)
	}
	send("", "").says(400, "Geben Sie ein Passwort ein.")
	send("eins", "zwei").says(400, "verschieden")
	send("kurz", "kurz").says(400, "mindestens 8 Zeichen")
	send("ein schönes langes", "ein schönes langes").says(200, "Ihr Passwort ist gesetzt")
	send("ein schönes langes", "ein schönes langes").says(410, "gilt nicht mehr")
	h.page("GET", "acme.test", "short", nil, german).says(404, "Hier ist nichts")

	y := h.Tenant("beispiel", func(c *tenant.Config) { c.Messaging.Language = "de" })
	h.page("GET", y.Hosts[0], "short", nil, "fr").says(404, "Hier ist nichts")
	h.page("GET", y.Hosts[0], "short", nil, "en-GB").says(404, "Nothing here")
}

// The tenant's own page approves through the API.
func TestTheTenantsOwnPageApproves(t *testing.T) {
	h := build(t, testenv.SQLite(t))
	x := h.Tenant("acme", byLink)
	h.User(x, "correct horse", "email:a@example.com")
	approve := func(code string) answer {
		return h.do(request{host: "acme.test", path: "/authentication_flows/links/approve", body: obj{"code": code}})
	}
	a := h.linked(x, "a@example.com")
	approve("").refuses(400, "ValidationFailed").because("/code", "required")
	approve("nonsense").refuses(401, "OTPExpired")
	approve(strings.Repeat("0", 32)).refuses(401, "OTPExpired")
	if b := approve(h.link(x)); b.status != 200 || b.raw != "{}\n" {
		t.Fatalf("%d %q", b.status, b.raw)
	}
	h.post(x, a.token(), obj{"check": true}).asks("finished")
	log, err := h.Store.AuditLog(t.Context(), x.ID, tenant.AuditFilter{Action: "link.approve"}, tenant.Page{Limit: 10})
	must(t, err)
	if len(log) != 1 || log[0].RunID != a.str("result", "id") {
		t.Errorf("the audit log: %+v", log)
	}
}

// recovering begins a recovery that waits for a link.
func (h *house) recovering(x *tenant.Tenant, email string) answer {
	h.T.Helper()
	h.Wait(61 * time.Second) // since the message before
	return h.begin(x, "account_recovery", obj{"batch_input": []obj{{"identification": "email", "login_id": email}, {"index": 0}}}).
		asks("verify_account_recovery_code")
}

func TestARecoveryLinkWorksAnywhere(t *testing.T) {
	onBoth(t, func(h *house) {
		x := h.Tenant("acme", byLink)
		h.User(x, "correct horse", "email:a@example.com")
		old := h.signIn(x, "a@example.com", "correct horse")
		input := func(in ...obj) answer {
			return h.do(request{host: "acme.test", path: "/authentication_flows/states/input", body: obj{"batch_input": in}})
		}
		// In an app, without the state token.
		h.recovering(x, "a@example.com")
		input(obj{"account_recovery_code": "123456"}).refuses(400, "ValidationFailed").because("/state_token", "required")
		input(obj{"account_recovery_code": strings.Repeat("0", 32)}).refuses(401, "OTPExpired")
		a := input(obj{"account_recovery_code": h.link(x)}).asks("reset_password")
		h.post(x, a.token(), obj{"new_password": "another horse"}).asks("finished")
		h.session(x, old, 401) // as the tenant has it by default
		old = h.signIn(x, "a@example.com", "another horse")
		input(obj{"account_recovery_code": h.link(x)}).refuses(401, "OTPExpired")

		// On the page, and the app that began it sees that it is over.
		b := h.recovering(x, "a@example.com")
		code := h.link(x)
		h.page("GET", "acme.test", code, nil).says(200, "Choose a new password", `type="password"`, `name="code" value="`+code)
		send := func(password, again string) answer {
			return h.page("POST", "acme.test", code, url.Values{"password": {password}, "again": {again}})
		}
		send("", "").says(400, "Type a password", code)
		send("a fine long one", "another").says(400, "differ", code)
		for range 10 { // what breaks the policy costs no try
			send("short", "short").says(400, "at least 8 characters", code)
		}
		h.do(request{host: "acme.test", path: "/authentication_flows/links/approve", body: obj{"code": code}}).refuses(401, "OTPExpired") // nobody else may use it
		send("a fine long one", "a fine long one").says(200, "password is set")
		send("a fine long two", "a fine long two").says(410, "no longer works")
		h.session(x, old, 401)
		h.signIn(x, "a@example.com", "a fine long one")
		h.post(x, b.token(), obj{"account_recovery_code": code}).refuses(400, "AuthenticationFlowFinished")

		// A link of another purpose opens no account.
		h.linked(x, "a@example.com")
		input(obj{"account_recovery_code": h.link(x)}).refuses(401, "OTPExpired")
	})
}

// Where a second factor stands between the link and the password, the page says
// to go on in the app, and has used nothing up.
func TestARecoveryThatAsksForMore(t *testing.T) {
	h := build(t, testenv.SQLite(t))
	x := h.Tenant("acme", byLink, func(c *tenant.Config) {
		c.Flows.AccountRecoveryFlows = []tenant.Flow{{Name: "default", Steps: []tenant.Step{
			{Type: "identify", OneOf: []tenant.Branch{{Identification: "email"}}},
			{Type: "select_destination"}, {Type: "verify_account_recovery_code"},
			{Type: "authenticate", OneOf: []tenant.Branch{{Authentication: "secondary_password"}}},
			{Type: "reset_password"},
		}}}
	})
	u := h.User(x, "correct horse", "email:a@example.com")
	h.Change(x, func(tx tenant.Tx) error {
		second := u.Authenticators[0]
		second.ID, second.Type = "second", "secondary_password"
		return tx.PutAuthenticator(&second)
	})
	a := h.recovering(x, "a@example.com")
	code := h.link(x)
	h.page("POST", "acme.test", code, url.Values{"password": {"a fine long one"}, "again": {"a fine long one"}}).says(409, "One more step", code)
	b := h.post(x, a.token(), obj{"account_recovery_code": code}).asks("authenticate")
	b = h.post(x, b.token(), obj{"authentication": "secondary_password", "password": "correct horse"}).asks("reset_password")
	h.post(x, b.token(), obj{"new_password": "a fine long one"}).asks("finished")
}
