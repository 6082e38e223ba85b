package selfservice_test

import (
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/tenant"
)

// An app verifies an address, at both prefixes.
func TestVerifyInApp(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		for _, prefix := range []string{"", "/auth"} {
			email := "ann" + strings.TrimPrefix(prefix, "/") + "@example.com"
			u, c := h.user(x, email, "correct horse"), h.app(x)
			c.prefix = prefix
			f := c.begin("verification", "").stands("choose_method")
			if f.str("type") != "api" || f.str("active") != "code" || f.asks() != "email method=code" || f.find("return_to") != nil || f.find("ui", "messages") != nil ||
				f.str("ui", "action") != h.Origin("acme.localhost")+prefix+"/self-service/verification?flow="+f.str("id") ||
				f.str("request_url") != h.Origin("acme.localhost")+prefix+"/self-service/verification/api" {
				t.Fatal(f.raw)
			}
			f = c.submit(f, obj{"method": "code", "email": email}).is(200).stands("sent_email", 1080003)
			if f.asks() != "method code method=code email="+email {
				t.Fatal(f.raw)
			}
			if again := c.get("/self-service/verification/flows?id=" + f.str("id")).is(200); again.raw != f.raw {
				t.Errorf("what is read is not what was answered:\n%s\n%s", again.raw, f.raw)
			}
			code := h.code(x, email)
			f = c.submit(f, obj{"code": "000000"}).is(200).stands("sent_email", 4070006)
			if h.verified(u) {
				t.Fatal("verified by a wrong code")
			}
			f = c.submit(f, obj{"code": code}).is(200).stands("passed_challenge", 1080002)
			home := h.Origin("acme.localhost") + "/ui/home"
			if f.str("ui", "method") != "GET" || f.str("ui", "action") != home || f.node("continue")["attributes"].(obj)["href"] != home || !h.verified(u) {
				t.Fatal(f.raw)
			}
			// It is done; another flow takes its place.
			a := c.post("/self-service/verification?flow="+f.str("id"), obj{"method": "code", "email": email}).refuses(410, "self_service_flow_replaced")
			next := c.get("/self-service/verification/flows?id="+a.str("use_flow_id")).is(200).stands("choose_method", 4070002)
			h.Wait(2 * time.Second)
			c.submit(next, obj{"method": "code", "email": email}).is(200).stands("sent_email", 1080003)
		}
	})
}

// A browser does, by forms and redirects alone, and by scripts.
func TestVerifyInBrowser(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		for _, scripted := range []bool{false, true} {
			email := map[bool]string{false: "forms@example.com", true: "scripts@example.com"}[scripted]
			u, c := h.user(x, email, "correct horse"), h.browser(x, scripted)
			shown := func(a answer) answer {
				t.Helper()
				if scripted {
					return a.is(200)
				}
				return c.onPage(a, "verification")
			}
			back := h.Origin("acme.localhost") + "/ui/welcome/back?x=1"
			f := c.begin("verification", "?return_to="+url.QueryEscape(back)).stands("choose_method")
			if f.str("return_to") != back || f.asks() != "csrf_token email method=code" || f.str("type") != "browser" {
				t.Fatal(f.raw)
			}
			f = c.submit(f, obj{"method": "code"})
			if !scripted {
				f = c.onPage(f, "verification")
			}
			f.stands("choose_method").tells("email", 4000002)
			f = shown(c.submit(f, obj{"method": "code", "email": email})).stands("sent_email", 1080003)
			first := h.code(x, email)
			h.Wait(2 * time.Second)
			f = shown(c.submit(f, obj{"email": email})).stands("sent_email", 1080003) // the button
			second := h.code(x, email)
			if f = shown(c.submit(f, obj{"code": first})).stands("sent_email", 4070006); first == second {
				t.Fatal("the same code again")
			}
			f = shown(c.submit(f, obj{"code": second})).stands("passed_challenge", 1080002)
			if f.str("ui", "action") != back || !h.verified(u) {
				t.Fatal(f.raw)
			}
		}
	})
}

// A phone number is verified in the same field; of several ways the first is taken.
func TestVerifyPhone(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", func(c *tenant.Config) {
			c.Identifications.Enabled = []string{"email", "phone"}
			c.OTP.Phone.Channels = []string{"sms", "whatsapp"}
		})
		u := h.user(x, "+14155550123", "correct horse", func(u *tenant.UserRecord) { u.Identities[0].Kind = "phone" })
		c := h.app(x)
		f := c.begin("verification", "")
		if at := f.node("email")["attributes"].(obj); at["type"] != "text" || f.node("email")["meta"].(obj)["label"].(obj)["id"] != 1070018.0 {
			t.Error(f.raw)
		}
		c.submit(f, obj{"method": "code", "email": "+1"}).is(400).tells("email", 4000041)
		f = c.submit(f, obj{"method": "code", "email": "+14155550123"}).is(200).stands("sent_email", 1080004)
		c.submit(f, obj{"code": h.code(x, "+14155550123")}).is(200).stands("passed_challenge", 1080005)
		if !h.verified(u) {
			t.Error("not verified")
		}
		// Too soon: nobody stands where nobody can be asked.
		f = c.submit(c.begin("verification", ""), obj{"method": "code", "email": "+14155550123"}).is(400).stands("choose_method", 4000001)
		h.Wait(2 * time.Second)
		c.submit(f, obj{"method": "code", "email": "+14155550123"}).is(200).stands("sent_email", 1080004)
	})
}

// Who has an address can't be found out, and nothing is sent to strangers.
func TestVerifyTellsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		var seen []string
		for _, email := range []string{"ann@example.com", "bob@example.com"} {
			f := c.begin("verification", "")
			f = c.submit(f, obj{"method": "code", "email": email}).is(200).stands("sent_email", 1080003)
			wrong := c.submit(f, obj{"code": "000000"}).is(200).stands("sent_email", 4070006)
			varies := strings.NewReplacer(f.str("id"), "ID", email, "EMAIL", f.str("expires_at"), "", f.str("issued_at"), "")
			seen = append(seen, varies.Replace(f.raw)+varies.Replace(wrong.raw))
		}
		if seen[0] != seen[1] {
			t.Errorf("a stranger is told apart:\n%s\n%s", seen[0], seen[1])
		}
		if h.code(x, "bob@example.com") != "" {
			t.Error("a stranger was written to")
		}
	})
}

func TestVerifyTooOften(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		u := h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		f := c.submit(c.begin("verification", ""), obj{"method": "code", "email": "ann@example.com"}).is(200)
		for range 5 {
			f = c.submit(f, obj{"code": "000000"}).is(200).stands("sent_email", 4070006)
		}
		a := c.submit(f, obj{"code": h.code(x, "ann@example.com")}).refuses(410, "self_service_flow_replaced")
		c.get("/self-service/verification/flows?id="+a.str("use_flow_id")).is(200).stands("choose_method", 4000001)
		if h.verified(u) {
			t.Error("verified by a dead code")
		}
		b := h.browser(x, false)
		h.user(x, "bob@example.com", "correct horse")
		p := b.onPage(b.submit(b.begin("verification", ""), obj{"method": "code", "email": "bob@example.com"}), "verification").stands("sent_email", 1080003)
		p = b.onPage(b.submit(p, obj{"email": "bob@example.com"}), "verification").stands("sent_email", 4000001) // too soon
		h.Wait(5 * time.Minute)
		p = b.onPage(b.submit(p, obj{"email": "bob@example.com"}), "verification").stands("sent_email", 1080003)
		for range 5 {
			p = b.onPage(b.submit(p, obj{"code": "000000"}), "verification").stands("sent_email", 4070006)
		}
		if n := b.onPage(b.submit(p, obj{"code": "000000"}), "verification").stands("choose_method", 4000001); n.str("id") == p.str("id") {
			t.Error("the same flow goes on")
		}
	})
}

func TestVerifyExpired(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		c, b := h.app(x), h.browser(x, false)
		f, p := c.begin("verification", ""), b.begin("verification", "")
		if until, err := time.Parse(time.RFC3339, f.str("expires_at")); err != nil || until.Sub(h.Now()).Round(time.Minute) != time.Hour {
			t.Errorf("a flow lives until %s", f.str("expires_at"))
		}
		h.Wait(61 * time.Minute)
		a := c.get("/self-service/verification/flows?id="+f.str("id")).refuses(410, "self_service_flow_expired")
		if a.str("error", "details", "redirect_to") != h.Origin("acme.localhost")+"/self-service/verification/api" {
			t.Error(a.raw)
		}
		a = c.submit(f, obj{"method": "code", "email": "ann@example.com"}).refuses(410, "self_service_flow_expired")
		n := c.get("/self-service/verification/flows?id="+a.str("use_flow_id")).is(200).stands("choose_method", 4070005)
		if !strings.Contains(n.str("ui", "messages", 0, "text"), "expired 1.00 minutes ago") || n.str("type") != "api" {
			t.Error(n.raw)
		}
		b.onPage(b.submit(p, obj{"method": "code", "email": "ann@example.com"}), "verification").stands("choose_method", 4070005)

		// A code that is too old is a wrong one; its flow lives as long.
		h.user(x, "ann@example.com", "correct horse")
		f = c.submit(c.begin("verification", ""), obj{"method": "code", "email": "ann@example.com"}).is(200)
		for i := range 100 {
			if expired, err := h.Store.Purge(t.Context(), h.Now().Add(25*time.Hour), 1000); err != nil || i > 90 {
				t.Fatal(err)
			} else if len(expired) == 0 {
				break
			}
		}
		c.get("/self-service/verification/flows?id="+f.str("id")).refuses(410, "self_service_flow_expired")
	})
}

// A link in a message fills the code in and verifies nothing.
func TestVerifyByLink(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		u := h.user(x, "ann@example.com", "correct horse")
		b := h.browser(x, false)
		f := b.onPage(b.submit(b.begin("verification", ""), obj{"method": "code", "email": "ann@example.com"}), "verification")
		link := "/self-service/verification?flow=" + f.str("id") + "&code=" + h.code(x, "ann@example.com")
		h.browser(x, true).get(link).refuses(403, "security_csrf_violation") // a scanner, or whoever else has the link
		p := b.onPage(b.get(link), "verification").stands("sent_email", 1080003)
		code := p.node("code")["attributes"].(obj)["value"]
		if h.verified(u) || code != h.code(x, "ann@example.com") {
			t.Fatal(p.raw)
		}
		b.onPage(b.submit(f, obj{"code": code}), "verification").stands("passed_challenge", 1080002) // by the form of before
		if !h.verified(u) {
			t.Error("not verified")
		}
		app := h.app(x)
		f = app.begin("verification", "")
		app.get("/self-service/verification?flow=" + f.str("id") + "&code=123456").is(200).stands("choose_method")
		h.app(x).get("/self-service/verification?flow="+f.str("id")).refuses(400, "")
		h.app(x).get("/self-service/verification?flow="+f.str("id")[1:]+"0&code=123456").refuses(404, "")
	})
}

func TestVerifyRefusals(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x, other := h.tenant("acme"), h.tenant("other")
		off := h.tenant("off", func(c *tenant.Config) { c.Identifications.Enabled = []string{"username"} })
		h.user(x, "ann@example.com", "correct horse")
		c, b := h.app(x), h.browser(x, true)
		f, p := c.begin("verification", ""), b.begin("verification", "")

		for _, prefix := range []string{"", "/auth"} { // the seed's 404 and 403
			c.prefix = prefix
			for _, id := range []string{"", "x", "01890000-0000-7000-8000-000000000000", "3fa85f64-5717-4562-b3fc-2c963f66afa6"} {
				c.get("/self-service/verification/flows?id="+id).refuses(404, "")
			}
			a := c.get("/self-service/verification/flows?id="+p.str("id")).refuses(403, "security_csrf_violation")
			if a.str("error", "details", "hint") == "" || a.str("error", "details", "docs") == "" || a.str("error", "details", "reject_reason") == "" {
				t.Error(a.raw)
			}
			h.browser(x, true).get(prefix+"/self-service/verification/flows?id="+p.str("id")).refuses(403, "security_csrf_violation")
		}
		c.prefix = ""
		// Of another tenant, of another flow, of another door.
		h.app(other).get("/self-service/verification/flows?id="+f.str("id")).refuses(404, "")
		c.get("/self-service/login/flows?id="+f.str("id")).refuses(404, "")
		run := c.post("/api/v1/authentication_flows", obj{"type": "login", "name": "default"}).is(200).str("result", "id")
		id, err := flowengine.HeldID(x, run)
		must(t, err)
		c.get("/self-service/login/flows?id="+id).refuses(404, "")
		// Nor by the id of its run, which admins see.
		run, err = flowengine.RunOfHeld(x, f.str("id"))
		must(t, err)
		pfid, err := tenant.ParsePFID(run)
		must(t, err)
		id, err = pfid.UUID()
		must(t, err)
		c.get("/self-service/verification/flows?id="+id).refuses(404, "")
		c.get("/self-service/verification/flows?id="+run).refuses(404, "")

		// What the form can't be read for leaves the flow usable.
		c.submit(f, obj{}).is(400).stands("choose_method", 4010006)
		c.submit(f, obj{"method": "link", "email": "ann@example.com"}).is(400).stands("choose_method", 4010006)
		c.submit(f, obj{"method": "code", "email": "ann"}).is(400).tells("email", 4000040)
		for header, value := range map[string]string{"Origin": "https://evil.example", "Cookie": "a=b"} {
			a := c.do("POST", f.str("ui", "action"), obj{"method": "code", "email": "ann@example.com"}, header, value).is(400).stands("choose_method", 4000001)
			if !strings.Contains(a.str("ui", "messages", 0, "text"), header) {
				t.Error(a.raw)
			}
		}
		c.submit(f, obj{"method": "code", "email": "ann@example.com"}).is(200).stands("sent_email", 1080003)
		c.submit(f, obj{"code": ""}).is(400).stands("sent_email", 4010006)
		c.submit(f, obj{"method": "code"}).is(400).stands("sent_email", 1080003).tells("code", 4000002)
		h.Wait(2 * time.Second)
		// Another address begins anew; the code of the first is dead.
		first := h.code(x, "ann@example.com")
		h.user(x, "bob@example.com", "correct horse")
		g := c.submit(f, obj{"method": "code", "email": "bob@example.com"}).is(200).stands("sent_email", 1080003)
		if g.str("id") != f.str("id") || g.asks() != "method code method=code email=bob@example.com" {
			t.Error(g.raw)
		}
		c.submit(g, obj{"code": first}).is(200).stands("sent_email", 4070006)
		c.submit(g, obj{"code": h.code(x, "bob@example.com")}).is(200).stands("passed_challenge", 1080002)

		// Without the token of the form, or with another browser's.
		b.post("/self-service/verification?flow="+p.str("id"), obj{"method": "code", "email": "ann@example.com"}).refuses(403, "security_csrf_violation")
		stranger := h.browser(x, true)
		q := stranger.begin("verification", "")
		b.submit(p, obj{"method": "code", "email": "ann@example.com", "csrf_token": q.node("csrf_token")["attributes"].(obj)["value"]}).refuses(403, "security_csrf_violation")
		again := b.get("/self-service/verification/flows?id=" + p.str("id")).is(200)
		if token := func(f answer) any { return f.node("csrf_token")["attributes"].(obj)["value"] }; token(again) == token(p) {
			t.Error("the same pad again")
		}
		b.submit(p, obj{"method": "code", "email": "ann@example.com"}).is(200)
		// A browser without scripts is sent to the page for errors, which reads it.
		plain := h.browser(x, false)
		pf := plain.begin("verification", "")
		a := plain.submit(pf, obj{"method": "code", "email": "ann@example.com", "csrf_token": "x"})
		if a.at.Path != "/ui/error" {
			t.Fatal(a.at)
		}
		shown := plain.get("/self-service/errors?id=" + a.at.Query().Get("id")).is(200)
		if shown.str("error", "id") != "security_csrf_violation" || shown.find("error", "code") != 403.0 || shown.str("id") != a.at.Query().Get("id") {
			t.Error(shown.raw)
		}
		h.app(other).get("/self-service/errors?id="+shown.str("id")).refuses(404, "")
		h.Wait(11 * time.Minute)
		plain.get("/self-service/errors?id=" + shown.str("id")).is(404)

		h.app(off).get("/self-service/verification/api").refuses(400, "self_service_flow_disabled")
		for _, to := range []string{
			"https://evil.example/", "//evil.example", "/ui/welcome", h.Origin("acme.localhost") + "/ui/welcomes", "javascript://acme.localhost/ui/welcome",
			h.Origin("acme.localhost") + "/ui/welcome/../evil", h.Origin("acme.localhost") + "/ui/welcome/%2e%2e/evil", "http://acme.localhost@evil.example:" + h.port + "/ui/welcome",
			h.Origin("acme.localhost") + `\@evil.example/ui/welcome`,
			h.Origin("acme.localhost") + "/ui/welcome/" + strings.Repeat("x", 2048),
		} {
			c.get("/self-service/verification/api?return_to="+url.QueryEscape(to)).refuses(400, "self_service_flow_return_to_forbidden")
		}
		if a := plain.get("/self-service/verification/browser?return_to=" + url.QueryEscape("https://evil.example")); a.at.Path != "/ui/error" {
			t.Error(a.at)
		}
		c.do("POST", f.str("ui", "action"), obj{}, "Content-Type", "text/plain").refuses(415, "")
		c.do("PUT", "/self-service/verification", nil).is(405)
		if u := c.begin("verification", "?x="+strings.Repeat("x", 4096)).str("request_url"); len(u) != 2048 {
			t.Errorf("%d bytes of the request's URL are kept", len(u))
		}
	})
}

// The seed document's own example: its keys and the types of its values are what
// comes back, at its own path; and so are those of its error.
func TestSeed(t *testing.T) {
	text, err := os.ReadFile("testdata/kratos-get-verification-flow.txt")
	must(t, err)
	seed := string(text)
	path := regexp.MustCompile(`GET 'https://apis\.<domain>(/[^']+)'`).FindStringSubmatch(seed)[1]
	var examples []obj
	for at := strings.Index(seed, "\n{\n"); at >= 0; {
		d := json.NewDecoder(strings.NewReader(seed[at:]))
		var e obj
		must(t, d.Decode(&e))
		examples = append(examples, e)
		after := at + int(d.InputOffset())
		if at = strings.Index(seed[after:], "\n{\n"); at >= 0 {
			at += after
		}
	}
	if len(examples) != 4 || path != "/auth/self-service/verification/flows" {
		t.Fatalf("%d examples, at %s", len(examples), path)
	}
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		f := c.begin("verification", "?return_to="+url.QueryEscape(h.Origin("acme.localhost")+"/ui/welcome"))
		f = c.submit(f, obj{"method": "code", "email": "ann@example.com"}).is(200)
		f = c.submit(f, obj{"method": "code"}).is(400) // with a message at a node
		got := c.get(path + "?id=" + f.str("id")).is(200)
		like(t, "", examples[0], got.body)
		b := h.browser(x, true).begin("verification", "")
		for i, id := range []string{b.str("id"), "01890000-0000-7000-8000-000000000000"} {
			status := []int{403, 404}[i]
			got := c.get(path + "?id=" + id).is(status)
			want := examples[1+i]["error"].(obj)
			for _, optional := range []string{"debug", "details", "id"} { // debug is never told; the others where there is something to tell
				if got.find("error", optional) == nil {
					delete(want, optional)
				}
			}
			like(t, "/error", want, got.find("error"))
		}
	})
}

// like demands every key of an example, with a value of the same type.
func like(t *testing.T, at string, want, got any) {
	t.Helper()
	switch w := want.(type) {
	case obj:
		g, ok := got.(obj)
		if !ok {
			t.Errorf("%s: want an object, got %v", at, got)
			return
		}
		for k, v := range w {
			if _, ok := g[k]; !ok && !optionalInSeed(at, k) {
				t.Errorf("%s/%s is missing: %v", at, k, g)
			} else if ok {
				like(t, at+"/"+k, v, g[k])
			}
		}
	case []any:
		g, _ := got.([]any)
		if strings.HasSuffix(at, "/nodes") { // each, and one that has a message
			if !slices.ContainsFunc(g, func(n any) bool { l, _ := n.(obj)["messages"].([]any); return len(l) > 0 }) {
				t.Errorf("%s: none has a message", at)
			}
			for _, n := range g {
				like(t, at+"/0", w[0], n)
			}
			return
		}
		if len(g) > 0 {
			like(t, at+"/0", w[0], g[0])
		}
	case string:
		if _, ok := got.(string); !ok {
			t.Errorf("%s: want a string, got %v", at, got)
		}
	case float64:
		if _, ok := got.(float64); !ok {
			t.Errorf("%s: want a number, got %v", at, got)
		}
	}
}

// optionalInSeed are the keys that the document's schema doesn't demand, and that
// aren't sent where there is nothing to say.
func optionalInSeed(at, key string) bool {
	return key == "context" || key == "label" && strings.HasSuffix(at, "/meta")
}
