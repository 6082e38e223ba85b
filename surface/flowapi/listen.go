package flowapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/surface"
)

// How long a client that listens may stay silent, and how long it may take to
// hear something.
const (
	pingEvery  = 30 * time.Second
	hearWithin = 10 * time.Second
)

// refresh says that the state should be asked for again. Both keys, because
// clients of either edition of the reference listen.
const refresh = `{"type":"refresh","kind":"refresh"}`

// listen keeps a WebSocket (RFC 6455) on which a client hears that its run
// changed elsewhere. The client has nothing to say.
func (a *api) listen(q *surface.Request, w http.ResponseWriter) error {
	if err := checkPage(q); err != nil {
		return err
	}
	l, err := a.engine.Listen(q.Context(), q.Tenant, q.Client(Name), q.URL.Query().Get("flow_id"))
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := websocket.Accept(w, q.Request, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // of the origin, which checkPage has seen to: it knows the tenant
	})
	if err != nil {
		return nil // it has been answered
	}
	defer c.CloseNow() //nolint:errcheck // whoever is there has been told, or has gone
	status, why := tell(c.CloseRead(q.Context()), c, l)
	_ = c.Close(status, why)
	return nil
}

// tell passes news on until there is no use in it.
func tell(ctx context.Context, c *websocket.Conn, l *flowengine.Listener) (websocket.StatusCode, string) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	end := time.NewTimer(time.Until(l.Until))
	defer end.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return websocket.StatusNormalClosure, ""
		case <-end.C:
			return websocket.StatusNormalClosure, "the flow is over"
		case _, open := <-l.News:
			if !open {
				return websocket.StatusGoingAway, "this server is stopping: connect again"
			}
			err = within(ctx, func(ctx context.Context) error { return c.Write(ctx, websocket.MessageText, []byte(refresh)) })
		case <-ping.C:
			err = within(ctx, c.Ping)
		}
		if err != nil {
			return websocket.StatusPolicyViolation, "nobody listens"
		}
	}
}

func within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, hearWithin)
	defer cancel()
	return do(ctx)
}

// checkPage refuses pages that aren't the tenant's. The URL of the socket is on
// the primary host, and its page may be on another of the tenant's hosts.
func checkPage(q *surface.Request) error {
	u, err := url.Parse(q.Header.Get("Origin"))
	if err == nil && slices.Contains(q.Tenant.Hosts, u.Hostname()) && (u.Scheme == "https" || u.Scheme == "http" && !q.Secure) {
		return nil
	}
	return q.CheckOrigin()
}
