package selfservice_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		h.user(x, "bob@example.com", "correct horse")
		signIn := func(c *client, who string) *client {
			a := c.submit(c.begin("login", ""), obj{"method": "password", "identifier": who, "password": "correct horse"}).is(200)
			if c.http.Jar == nil {
				c.token = a.str("session_token")
			}
			return c
		}
		h.app(x).get("/self-service/settings/api").refuses(401, "session_inactive")
		if a := h.browser(x, false).get("/self-service/settings/browser"); a.at.Path != "/ui/login" {
			t.Error(a.at)
		}
		c := signIn(h.app(x), "ann@example.com")
		f := c.begin("settings", "").stands("show_form")
		if f.str("identity", "traits", "email") != "ann@example.com" || !strings.Contains(f.asks(), "traits.name") || !strings.Contains(f.asks(), "password method=password") ||
			!strings.Contains(f.asks(), "totp_qr totp_secret_key totp_code method=totp") || !strings.HasPrefix(f.node("totp_qr")["attributes"].(obj)["src"].(string), "data:image/png;base64,") {
			t.Fatal(f.raw)
		}
		c.submit(f, obj{}).is(400).stands("show_form", 4010004)
		saved := c.submit(f, obj{"method": "profile", "traits": obj{"name": "Ann", "email": "ann@example.com"}}).is(200).stands("success", 1050001)
		if saved.str("identity", "traits", "name") != "Ann" || saved.node("traits.name")["attributes"].(obj)["value"] != "Ann" {
			t.Fatal(saved.raw)
		}
		// The old id leads to the flow that goes on.
		if g := c.get("/self-service/settings/flows?id=" + f.str("id")).is(200); g.str("id") != saved.str("id") {
			t.Error(g.raw)
		}
		bob := signIn(h.app(x), "bob@example.com")
		bob.get("/self-service/settings/flows?id="+saved.str("id")).refuses(403, "security_identity_mismatch")
		bob.post("/self-service/settings?flow="+saved.str("id"), obj{"method": "profile", "traits": obj{"name": "Bob"}}).refuses(403, "security_identity_mismatch")
		nobody := h.app(x)
		nobody.get("/self-service/settings/flows?id="+saved.str("id")).refuses(401, "session_inactive")

		// A second factor: set up, asked for at the next login, removed.
		secret := saved.node("totp_secret_key")["attributes"].(obj)["text"].(obj)["context"].(obj)["secret"].(string)
		c.submit(saved, obj{"method": "totp", "totp_code": "000000"}).is(400).tells("totp_code", 4000008)
		g := c.submit(saved, obj{"method": "totp", "totp_code": totp(secret, h.Now())}).is(200).stands("success", 1050001)
		if !strings.Contains(g.asks(), "totp_unlink=true") || !strings.Contains(g.asks(), "lookup_secret_regenerate=true") {
			t.Fatal(g.asks())
		}
		codes := c.submit(g, obj{"method": "lookup_secret", "lookup_secret_regenerate": true}).is(200).stands("show_form")
		if codes.asks() != "lookup_secret_codes lookup_secret_confirm=true" {
			t.Fatal(codes.raw)
		}
		list := codes.node("lookup_secret_codes")["attributes"].(obj)["text"].(obj)["context"].(obj)["secrets"].([]any)
		g = c.submit(codes, obj{"method": "lookup_secret", "lookup_secret_confirm": true}).is(200).stands("success", 1050001)
		if !strings.Contains(g.asks(), "lookup_secret_disable=true") || len(list) != 16 {
			t.Fatal(g.asks())
		}
		h.Wait(time.Minute)
		d := h.app(x)
		two := d.submit(d.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(400).stands("choose_method", 1010004)
		if two.str("requested_aal") != "aal2" || two.asks() != "totp_code method=totp lookup_secret method=lookup_secret" {
			t.Fatal(two.raw)
		}
		d.submit(two, obj{"method": "totp", "totp_code": "000000"}).is(400).tells("totp_code", 4000008)
		d.submit(two, obj{"method": "lookup_secret", "lookup_secret": "nonsense"}).is(400).tells("lookup_secret", 4000016)
		a := d.submit(two, obj{"method": "totp", "totp_code": totp(secret, h.Now())}).is(200)
		if a.str("session", "authenticator_assurance_level") != "aal2" || a.str("session", "authentication_methods", 1, "method") != "totp" {
			t.Error(a.raw)
		}
		two = d.submit(d.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(400)
		a = d.submit(two, obj{"method": "lookup_secret", "lookup_secret": list[0]}).is(200)
		d.token = a.str("session_token")
		// The session of before has one factor; the second can be added to it.
		h.Wait(time.Minute)
		up := c.begin("login", "?aal=aal2").stands("choose_method")
		if up.str("requested_aal") != "aal2" || up.asks() != "totp_code method=totp" {
			t.Fatal(up.raw)
		}
		a = c.submit(up, obj{"method": "totp", "totp_code": totp(secret, h.Now())}).is(200)
		if a.str("session", "authenticator_assurance_level") != "aal2" || a.str("session_token") != c.token {
			t.Error(a.raw)
		}

		// A session that was left alone is asked again; then it is changed.
		h.Wait(20 * time.Minute)
		b := h.browser(x, false)
		two = b.onPage(b.submit(b.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}), "login").stands("choose_method", 1010004)
		b.submit(two, obj{"method": "totp", "totp_code": totp(secret, h.Now())}).is(200)
		h.Wait(20 * time.Minute)
		f = b.begin("settings", "").stands("show_form")
		login := b.onPage(b.submit(f, obj{"method": "password", "password": "other horse"}), "login").stands("choose_method", 1010003)
		back := b.submit(login, obj{"method": "password", "password": "correct horse"})
		f = b.onPage(back, "settings").stands("show_form")
		f = b.onPage(b.submit(f, obj{"method": "password", "password": "other horse"}), "settings").stands("success", 1050001)
		c.get("/sessions/whoami").refuses(401, "session_inactive") // which ends the others
		b.onPage(b.submit(f, obj{"totp_unlink": "true"}), "settings").stands("success", 1050001)
		scripted := h.browser(x, true)
		scripted.http.Jar = b.http.Jar
		h.Wait(20 * time.Minute)
		f = scripted.begin("settings", "")
		r := scripted.submit(f, obj{"method": "password", "password": "newer horse"}).refuses(403, "session_refresh_required")
		if !strings.HasPrefix(r.str("redirect_browser_to"), h.Origin("acme.localhost")+"/self-service/login/browser?refresh=true&return_to=") {
			t.Error(r.raw)
		}
	})
}

// Settings that were saved lead on, but not without end.
func TestSettingsLeadOn(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		c.token = c.submit(c.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "correct horse"}).is(200).str("session_token")
		first := c.begin("settings", "").str("id")
		read := func(id string) answer { t.Helper(); return c.get("/self-service/settings/flows?id=" + id) }
		for i := range 10 {
			f := read(first)
			if i == 9 {
				f = read(f.refuses(410, "self_service_flow_replaced").str("use_flow_id"))
			}
			c.submit(f.is(200), obj{"method": "profile", "traits": obj{"name": fmt.Sprint("Ann ", i)}}).is(200).stands("success", 1050001)
		}
	})
}

// totp is RFC 6238, as an authenticator app computes it.
func totp(secret string, at time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return ""
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/30))
	mac := hmac.New(sha1.New, key)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	o := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[o:])&0x7fffffff%1_000_000)
}
