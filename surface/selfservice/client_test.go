package selfservice_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv/housetest"
)

// client is an app, or a browser with its cookies.
type client struct {
	*house
	x      *tenant.Tenant
	prefix string // "/auth", or none
	accept string
	token  string
	http   *http.Client
}

const (
	acceptJSON = "application/json"
	acceptHTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// app is a client without cookies.
func (h *house) app(x *tenant.Tenant) *client {
	return &client{house: h, x: x, accept: acceptJSON, http: h.dialer(nil)}
}

// browser is a client with cookies that follows redirects; scripted, it asks for
// documents instead.
func (h *house) browser(x *tenant.Tenant, scripted bool) *client {
	jar, err := cookiejar.New(nil)
	must(h.T, err)
	c := &client{house: h, x: x, accept: acceptHTML, http: h.dialer(jar)}
	if scripted {
		c.accept = acceptJSON
	}
	return c
}

// dialer finds the server at every host below localhost.
func (h *house) dialer(jar http.CookieJar) *http.Client {
	return &http.Client{Jar: jar, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, h.server.Listener.Addr().String())
		},
	}}
}

// answer is what came back, from where a browser was sent to.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	at     *url.URL
	body   map[string]any
	list   []any
	raw    string
}

func (c *client) get(path string) answer { return c.do(http.MethodGet, path, nil) }

// post sends JSON, or as a browser without scripts does a form.
func (c *client) post(path string, fields obj) answer { return c.do(http.MethodPost, path, fields) }

func (c *client) do(method, path string, fields obj, headers ...string) answer {
	c.T.Helper()
	var body io.Reader
	media := ""
	switch {
	case fields == nil:
	case c.accept == acceptHTML:
		values := url.Values{}
		for k, v := range fields {
			values.Set(k, v.(string))
		}
		body, media = strings.NewReader(values.Encode()), "application/x-www-form-urlencoded"
	default:
		raw, err := json.Marshal(fields)
		must(c.T, err)
		body, media = bytes.NewReader(raw), "application/json"
	}
	if strings.HasPrefix(path, "/") {
		path = c.Origin(c.x.Hosts[0]) + c.prefix + path
	}
	q, err := http.NewRequestWithContext(c.T.Context(), method, path, body)
	must(c.T, err)
	q.Header.Set("Accept", c.accept)
	if media != "" {
		q.Header.Set("Content-Type", media)
	}
	if c.token != "" {
		q.Header.Set("X-Session-Token", c.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	p, err := c.http.Do(q)
	must(c.T, err)
	defer p.Body.Close()
	raw, err := io.ReadAll(p.Body)
	must(c.T, err)
	a := answer{t: c.T, status: p.StatusCode, header: p.Header, at: p.Request.URL, raw: string(raw)}
	if strings.HasPrefix(p.Header.Get("Content-Type"), "application/json") {
		if len(raw) > 0 && raw[0] == '[' {
			must(c.T, json.Unmarshal(raw, &a.list))
		} else {
			must(c.T, json.Unmarshal(raw, &a.body))
		}
	}
	return a
}

// begin begins a flow: for a browser on its page, whose document is read then.
func (c *client) begin(kind, query string) answer {
	c.T.Helper()
	typ := "browser"
	if c.http.Jar == nil {
		typ = "api"
	}
	a := c.get("/self-service/" + kind + "/" + typ + query)
	if c.accept == acceptHTML {
		return c.onPage(a, kind)
	}
	return a.is(200)
}

// onPage reads the flow of the page that a browser was sent to.
func (c *client) onPage(a answer, kind string) answer {
	c.T.Helper()
	if a.status != 200 || a.at.Path != "/ui/"+kind || a.at.Query().Get("flow") == "" {
		c.T.Fatalf("the browser is not on the page %s but at %s: %d %s", kind, a.at, a.status, a.raw)
	}
	return c.get("/self-service/" + kind + "/flows?id=" + a.at.Query().Get("flow")).is(200)
}

// submit fills a flow's form in, with what is hidden in it.
func (c *client) submit(f answer, fields obj) answer {
	c.T.Helper()
	all := obj{}
	for _, n := range f.list0("ui", "nodes") {
		at := n.(obj)["attributes"].(obj)
		if at["type"] == "hidden" {
			all[at["name"].(string)] = at["value"]
		}
	}
	for k, v := range fields {
		all[k] = v
	}
	return c.do(http.MethodPost, f.str("ui", "action"), all)
}

type obj = map[string]any

// find reads a value by keys and indexes.
func (a answer) find(path ...any) any {
	var v any = a.body
	if a.list != nil {
		v = a.list
	}
	return housetest.At(v, path...)
}

func (a answer) str(path ...any) string  { s, _ := a.find(path...).(string); return s }
func (a answer) list0(path ...any) []any { l, _ := a.find(path...).([]any); return l }

// is demands a status.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("want %d, got %d at %s: %s", status, a.status, a.at, a.raw)
	}
	return a
}

// refuses demands an error in the seed document's shape.
func (a answer) refuses(status int, id string) answer {
	a.t.Helper()
	if a.is(status); a.str("error", "id") != id || a.find("error", "code") != float64(status) || a.str("error", "status") != http.StatusText(status) ||
		a.str("error", "message") == "" || a.str("error", "request") != a.header.Get("X-Request-Id") || id != a.header.Get("Ory-Error-Id") {
		a.t.Fatalf("want %d %q, got %s", status, id, a.raw)
	}
	return a
}

// stands demands a flow's state and the messages of its form.
func (a answer) stands(state string, messages ...int) answer {
	a.t.Helper()
	if a.str("state") != state {
		a.t.Fatalf("want the state %s, got %s", state, a.raw)
	}
	return a.tells("", messages...)
}

// tells demands the messages of a node, or of the form.
func (a answer) tells(name string, ids ...int) answer {
	a.t.Helper()
	list := a.list0("ui", "messages")
	if name != "" {
		list, _ = a.node(name)["messages"].([]any)
	}
	if len(list) != len(ids) {
		a.t.Fatalf("want messages %v at %q, got %v", ids, name, list)
	}
	for i, id := range ids {
		if m := list[i].(obj); m["id"] != float64(id) || m["text"] == "" {
			a.t.Fatalf("want messages %v at %q, got %v", ids, name, list)
		}
	}
	return a
}

// node is the first node of a name; empty when there is none.
func (a answer) node(name string) obj {
	for _, n := range a.list0("ui", "nodes") {
		if at := n.(obj)["attributes"].(obj); at["name"] == name || at["id"] == name {
			return n.(obj)
		}
	}
	return obj{}
}

// asks lists the names of the nodes, with the values of buttons.
func (a answer) asks() string {
	var out []string
	for _, n := range a.list0("ui", "nodes") {
		at := n.(obj)["attributes"].(obj)
		name, _ := at["name"].(string)
		if name == "" {
			name, _ = at["id"].(string)
		}
		if at["type"] == "submit" {
			name += "=" + at["value"].(string)
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}
