package flowapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
	"github.com/usher-id/usher/testenv/housetest"
)

// listen opens a socket as a page of a tenant would.
func (h *house) listen(host, flow, origin string) (*websocket.Conn, *http.Response, error) {
	headers := http.Header{"X-Forwarded-Proto": {"https"}}
	if origin != "" {
		headers.Set("Origin", origin)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, r, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(h.server.URL, "http")+"/api/v1/authentication_flows/ws?flow_id="+flow,
		&websocket.DialOptions{Host: host, HTTPHeader: headers})
	if c != nil {
		h.T.Cleanup(func() { _ = c.CloseNow() })
	}
	return c, r, err
}

func (h *house) listening(host, flow, origin string) *websocket.Conn {
	h.T.Helper()
	c, _, err := h.listen(host, flow, origin)
	must(h.T, err)
	return c
}

// hears waits for one message.
func (h *house) hears(c *websocket.Conn) string {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, text, err := c.Read(ctx)
	must(h.T, err)
	return string(text)
}

// deaf makes sure that a socket has heard nothing: the next thing it hears is
// the end.
func (h *house) deaf(c *websocket.Conn) {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Ping(c.CloseRead(ctx)); err != nil {
		h.T.Errorf("it heard something: %v", err)
	}
}

const refresh = `{"type":"refresh","kind":"refresh"}`

func TestTheClientHearsThatItsLinkWasApproved(t *testing.T) {
	onBoth(t, func(h *house) {
		h.bring(h.T)
		x, other := h.Tenant("acme", byLink), h.Tenant("other", byLink)
		h.User(x, "correct horse", "email:a@example.com")
		a := h.linked(x, "a@example.com")
		id, data := a.str("result", "id"), a.at("result", "action", "data").(obj)
		if data["websocket_url"] != "wss://acme.test/api/v1/authentication_flows/ws?flow_id="+id || data["otp_form"] != "link" ||
			data["code_length"] != 32.0 || data["can_check"] != false || data["channel"] != "email" {
			h.T.Fatalf("the client is told %s", a.raw)
		}
		b := h.linked(x, "a@example.com")
		code := h.link(x) // of b
		mine, its := h.listening("acme.test", b.str("result", "id"), "https://acme.test"), h.listening("acme.test", id, "")
		h.Eventually(func() bool { return h.Metric("usher_flow_listeners") == 2 })

		h.post(x, b.token(), obj{"check": true}).refuses(401, "InvalidCredentials")
		if p := h.page("POST", "other.test", code, nil); p.status != 410 {
			h.T.Errorf("at another tenant: %d", p.status)
		}
		h.page("GET", "acme.test", code, nil)
		h.post(x, b.token(), obj{"check": true}).refuses(401, "InvalidCredentials")
		if p := h.page("POST", "acme.test", code, nil); p.status != 200 {
			h.T.Fatalf("approved: %d %s", p.status, p.raw)
		}
		if got := h.hears(mine); got != refresh {
			h.T.Errorf("heard %s", got)
		}
		h.deaf(its)
		again := h.do(request{host: "acme.test", path: "/authentication_flows/states", body: obj{"state_token": b.token()}})
		if again.at("result", "action", "data", "can_check") != true {
			h.T.Errorf("asked again: %s", again.raw)
		}
		h.post(x, b.token(), obj{"check": true}).asks("finished")
		if p := h.page("POST", "acme.test", code, nil); p.status != 410 {
			h.T.Errorf("approved once more: %d", p.status)
		}

		// Of another tenant's run nobody hears, nor of one that is over.
		for _, bad := range [][2]string{{"other.test", id}, {"acme.test", b.str("result", "id")}, {"acme.test", "nonsense"}, {"acme.test", ""}} {
			if _, r, err := h.listen(bad[0], bad[1], ""); err == nil || r.StatusCode != 404 {
				h.T.Errorf("%v: %v", bad, err)
			}
		}
		_ = other
	})
}

func TestWhoMayListen(t *testing.T) {
	h := build(t, testenv.SQLite(t))
	x := h.Tenant("acme", byLink, func(c *tenant.Config) { c.Web.AllowedOrigins = []string{"https://app.example.com"} })
	h.Change(x, func(tx tenant.Tx) error {
		fresh, err := tx.Tenant("acme")
		if err != nil {
			return err
		}
		fresh.Hosts = append(fresh.Hosts, "www.acme.test")
		return tx.UpdateTenant(fresh)
	})
	h.User(x, "correct horse", "email:a@example.com")
	id := h.linked(x, "a@example.com").str("result", "id")
	h.Eventually(func() bool {
		c, _, err := h.listen("acme.test", id, "https://www.acme.test")
		return err == nil && c.Close(websocket.StatusNormalClosure, "") == nil
	})
	for origin, status := range map[string]int{
		"https://acme.test": 101, "https://app.example.com": 101, "https://acme.test:8443": 101,
		"https://evil.example": 403, "http://acme.test": 403, "null": 403, "https://acme.test.evil.example": 403, "https://xacme.test": 403,
	} {
		if _, r, err := h.listen("acme.test", id, origin); r == nil || r.StatusCode != status {
			t.Errorf("a page of %s: %v, want %d", origin, err, status)
		}
	}
	// Who talks is sent away.
	c := h.listening("acme.test", id, "")
	must(t, c.Write(t.Context(), websocket.MessageText, []byte("hello")))
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) == -1 {
		t.Errorf("who talks hears %v", err)
	}
	// A plain request is no socket.
	a := h.do(request{method: "HEAD", host: "acme.test", path: "/authentication_flows/ws?flow_id=" + id})
	if a.status != 405 {
		t.Errorf("HEAD: %d", a.status)
	}
}

func TestListenersAreBounded(t *testing.T) {
	h := build(t, testenv.SQLite(t), func(s *housetest.Options) { s.Listeners = 40 })
	x := h.Tenant("acme", byLink)
	h.User(x, "correct horse", "email:a@example.com")
	id := h.linked(x, "a@example.com").str("result", "id")
	client := func(ip string) flowengine.Client { return flowengine.Client{IP: addr(ip)} }
	var open []*flowengine.Listener
	listen := func(ip string) error {
		l, err := h.Engine.Listen(t.Context(), x, client(ip), id)
		if err == nil {
			open = append(open, l)
		}
		return err
	}
	for range 32 {
		must(t, listen("192.0.2.1"))
	}
	if err := listen("192.0.2.1"); !errors.Is(err, tenant.ErrRateLimited) {
		t.Errorf("one address's 33rd: %v", err)
	}
	for i := range 8 {
		must(t, listen([]string{"2001:db8::1", "2001:db8:0:1::1"}[i%2]))
	}
	if err := listen("192.0.2.2"); !errors.Is(err, tenant.ErrUnavailable) {
		t.Errorf("the process's 41st: %v", err)
	}
	if n := h.Metric("usher_flow_listeners"); n != 40 {
		t.Errorf("%v listeners", n)
	}
	if a, b := h.Metric("usher_flow_listeners_refused_total", "reason=per_network"), h.Metric("usher_flow_listeners_refused_total", "reason=per_process"); a != 1 || b != 1 {
		t.Errorf("%v and %v were refused", a, b)
	}
	open[0].Close()
	open[0].Close()
	must(t, listen("192.0.2.2"))
	h.Engine.StopListening()
	if _, more := <-open[5].News; more {
		t.Error("it hears of no end")
	}
	for _, l := range open {
		l.Close()
	}
	if n := h.Metric("usher_flow_listeners"); n != 0 {
		t.Errorf("%v listeners are left", n)
	}
	if err := listen("192.0.2.1"); !errors.Is(err, tenant.ErrUnavailable) {
		t.Errorf("of a process that stops: %v", err)
	}
}

// Approved at one node, heard at another; a node that stops says so.
func TestListenersOfOtherNodesHear(t *testing.T) {
	url := testenv.Postgres(t)
	one, two := build(t, url), build(t, url)
	one.bring(t)
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- two.Engine.Run(ctx) }()
	x := one.Tenant("acme", byLink)
	one.User(x, "correct horse", "email:a@example.com")
	a := one.linked(x, "a@example.com")
	c := two.listening("acme.test", a.str("result", "id"), "")
	// Told until heard: the other node may not listen to the database yet.
	heard := make(chan string, 1)
	go func() { heard <- two.hears(c) }()
	if p := one.page("POST", "acme.test", one.link(x), nil); p.status != 200 {
		t.Fatalf("approved: %d", p.status)
	}
	select {
	case got := <-heard:
		if got != refresh {
			t.Errorf("heard %s", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it isn't heard")
	}
	c = two.listening("acme.test", a.str("result", "id"), "")
	two.Eventually(func() bool { return two.Metric("usher_flow_listeners") >= 1 })
	stop()
	must(t, <-stopped)
	_, _, err := c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the end of the node is heard as %v", err)
	}
}
