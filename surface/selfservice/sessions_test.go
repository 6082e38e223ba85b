package selfservice_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/tenant"
)

func TestSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		h.user(x, "bob@example.com", "correct horse")
		in := func(who string) (*client, string) {
			c := h.app(x)
			a := c.submit(c.begin("login", ""), obj{"method": "password", "identifier": who, "password": "correct horse"}).is(200)
			c.token = a.str("session_token")
			return c, a.str("session", "id")
		}
		one, oneID := in("ann@example.com")
		two, twoID := in("ann@example.com")
		three, _ := in("ann@example.com")
		bob, bobID := in("bob@example.com")
		list := one.get("/sessions").is(200)
		if len(list.list) != 2 || list.str(1, "id") != twoID || list.find(0, "identity") != nil {
			t.Fatal(list.raw)
		}
		one.do("DELETE", "/sessions/"+oneID, nil).refuses(400, "")
		one.do("DELETE", "/sessions/"+bobID, nil).refuses(404, "")
		one.do("DELETE", "/sessions/"+twoID, nil).is(204)
		two.get("/sessions/whoami").refuses(401, "session_inactive")
		if a := one.do("DELETE", "/sessions", nil).is(200); a.find("count") != 1.0 {
			t.Error(a.raw)
		}
		three.get("/sessions/whoami").refuses(401, "session_inactive")
		if a := one.do("DELETE", "/auth/sessions", nil).is(200); a.find("count") != 0.0 {
			t.Error(a.raw)
		}
		one.get("/sessions/whoami").is(200)
		bob.get("/sessions/whoami").is(200)
		nobody := h.app(x)
		nobody.get("/sessions").refuses(401, "session_inactive")
		nobody.do("DELETE", "/sessions", nil).refuses(401, "session_inactive")
		// A page elsewhere can't use a browser's cookie.
		nobody.do("DELETE", "/sessions", nil, "Cookie", "ory_kratos_session="+one.token, "Origin", "https://evil.example").refuses(403, "security_csrf_violation")
		nobody.do("GET", "/sessions/whoami", nil, "Cookie", "ory_kratos_session="+one.token).is(200)
		// Nor can another host of the domain put its session before the browser's own.
		if a := nobody.do("GET", "/sessions/whoami", nil, "Cookie", "ory_kratos_session="+bob.token+"; usher_session="+one.token).is(200); a.str("id") != oneID {
			t.Error(a.raw)
		}
	})
}

// Secrets are in no answer that isn't theirs, nor in what is kept of a flow.
func TestNothingSecretIsKept(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.user(x, "ann@example.com", "correct horse")
		c := h.app(x)
		f := c.begin("login", "")
		a := c.submit(f, obj{"method": "password", "identifier": "ann@example.com", "password": "wrong-horse-1"}).is(400)
		g := c.get("/self-service/login/flows?id=" + f.str("id"))
		if strings.Contains(a.raw+g.raw, "wrong-horse-1") {
			t.Error(a.raw)
		}
		id, err := flowengine.RunOfHeld(x, f.str("id"))
		must(t, err)
		run, err := h.Store.Run(context.Background(), x.ID, id)
		must(t, err)
		raw, err := json.Marshal(run)
		must(t, err)
		if bytes.Contains(raw, []byte("ann@example.com")) || run.SurfaceData == "" {
			t.Errorf("what is kept isn't sealed: %s", raw)
		}
		if run.Surface != "selfservice" || run.Status != tenant.RunNew {
			t.Errorf("the record says %s", raw)
		}
		if n := h.requests("/self-service/login"); n != 1 {
			t.Errorf("%v requests were counted", n)
		}
	})
}

// requests counts what the metrics say was asked of a route.
func (h *house) requests(route string) (n float64) {
	families, err := h.Registry.Gather()
	must(h.T, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "usher_http_requests_total" && labels["surface"] == "selfservice" && labels["route"] == route && labels["method"] == http.MethodPost {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
