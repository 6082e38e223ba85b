package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-id/usher/testenv"
)

// What happens when processes die, databases go and notifications are lost. The
// bounds on time are what is promised to operators, with room for a busy machine.
const promised = 10 * time.Second

const password = "correct horse battery"

// unlimited lifts the limits that would meet a test before anything else does.
const unlimited = `
identifications: {enabled: [email, username]}
limits:
  signup_per_ip: {burst: 0, period_seconds: 60}
  identify_per_ip: {burst: 0, period_seconds: 60}
  password_per_ip: {burst: 0, period_seconds: 60}
  password_per_user_per_ip: {burst: 0, period_seconds: 60}
`

// dev is the environment of nodes that share a database and a master key.
func dev(t *testing.T, databaseURL string) []string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "master.key")
	environ := []string{"USHER_DEV=true", "USHER_DATABASE_URL=" + databaseURL, "USHER_MASTER_KEY_FILE=" + key}
	usher(t, environ, "", "master-key", key)
	return environ
}

// usher runs a command and gives its output.
func usher(t *testing.T, environ []string, stdin string, args ...string) string {
	t.Helper()
	c := exec.Command(program, args...)
	c.Env = append(cleanEnviron(), environ...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("usher %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// demo is a URL of the demo tenant on a node.
func (n *node) demo(path string) string {
	_, port, _ := net.SplitHostPort(n.Listen)
	return "http://demo.localhost:" + port + path
}

func signup(n *node, name string) (*reply, error) {
	return call("POST", n.demo(flowsPath), nil, fmt.Sprintf(`{"type":"signup","session":"token","batch_input":[
		{"identification":"username","login_id":%q},{"authentication":"primary_password","new_password":%q}]}`, name, password))
}

func login(n *node, name string) (*reply, error) {
	return call("POST", n.demo(flowsPath), nil, fmt.Sprintf(`{"type":"login","session":"token","batch_input":[
		{"identification":"username","login_id":%q},{"authentication":"primary_password","password":%q}]}`, name, password))
}

// must is an answer with a status, or the end of the test.
func must(t *testing.T, status int) func(*reply, error) *reply {
	return func(r *reply, err error) *reply {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != status {
			t.Fatalf("%d instead of %d: %s", r.Status, status, r.Body)
		}
		return r
	}
}

// wire is a TCP proxy that a test can cut.
type wire struct {
	net.Listener
	to    string
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	return newWireAt(t, "127.0.0.1:0", to)
}

func newWireAt(t *testing.T, address, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: to}
	t.Cleanup(func() { l.Close(); w.cut(true) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.join(c)
		}
	}()
	return w
}

func (w *wire) join(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer up.Close()
	w.mu.Lock()
	if w.isCut {
		w.mu.Unlock()
		return
	}
	w.conns = append(w.conns, c, up)
	w.mu.Unlock()
	go func() { _, _ = io.Copy(up, c); up.Close() }()
	_, _ = io.Copy(c, up)
}

func (w *wire) cut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = cut
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func TestDatabaseGone(t *testing.T) {
	direct, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, direct.Host)
	direct.Host = w.Addr().String()
	environ := dev(t, direct.String())
	n := serveNode(t, environ)
	health := func(listener, probe string) int {
		r, err := call("GET", "http://"+listener+"/healthz/"+probe, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		return r.Status
	}
	token := at(must(t, 200)(signup(n, "ada")).JSON, "result.action.data.session_token").(string)
	check := func() (*reply, error) {
		return call("GET", n.demo("/api/v1/session"), map[string]string{"Authorization": "Bearer " + token}, "")
	}
	must(t, 200)(check())

	w.cut(true)
	eventually(t, promised, "not ready", func() bool { return health(n.Listen, "ready") == 503 })
	for what, ask := range map[string]func() (*reply, error){
		"login": func() (*reply, error) { return login(n, "ada") }, "sign-up": func() (*reply, error) { return signup(n, "bob") }, "session": check,
	} {
		r := must(t, 503)(ask())
		if r.Header.Get("Retry-After") == "" || at(r.JSON, "error.reason") != "ServiceUnavailable" {
			t.Errorf("%s: %v %s", what, r.Header, r.Body)
		}
	}
	if live := health(n.Listen, "live"); live != 200 {
		t.Errorf("live: %d", live)
	}
	if live := health(n.Metrics, "live"); live != 200 {
		t.Errorf("live on the telemetry listener: %d", live)
	}
	if r := must(t, 503)(call("GET", "http://"+n.Metrics+"/healthz/ready", nil, "")); !strings.Contains(string(r.Body), "database") {
		t.Errorf("no reason: %s", r.Body)
	}

	w.cut(false)
	eventually(t, promised, "ready again", func() bool { return health(n.Listen, "ready") == 200 })
	must(t, 200)(check())
	must(t, 200)(login(n, "ada"))
	must(t, 200)(signup(n, "bob"))

	// What changes afterwards is followed again.
	usher(t, environ, brief, "tenant", "apply", "demo", "-")
	eventually(t, promised, "the change", func() bool { return knowsBrief(t, n) })
}

// brief has a login flow that the demo doesn't.
const brief = unlimited + `
flows:
  login_flows:
    - name: brief
      steps:
        - {type: identify, name: who, one_of: [{identification: username}]}
        - {type: authenticate, one_of: [{authentication: primary_password, target_step: who}]}
`

func knowsBrief(t *testing.T, n *node) bool {
	t.Helper()
	r, err := call("POST", n.demo(flowsPath), nil, `{"type":"login","name":"brief"}`)
	if err != nil {
		t.Fatal(err)
	}
	return r.Status == 200
}

func TestTwoNodes(t *testing.T) {
	databaseURL := testenv.Postgres(t)
	environ := dev(t, databaseURL)
	a, b := serveNode(t, environ), serveNode(t, environ)

	// A session opened on one node is known on the other, and so is its end.
	bearer := map[string]string{"Authorization": "Bearer " + at(must(t, 200)(signup(a, "ada")).JSON, "result.action.data.session_token").(string)}
	must(t, 200)(call("GET", b.demo("/api/v1/session"), bearer, ""))
	must(t, 200)(call("POST", a.demo("/api/v1/session/revoke"), bearer, `{}`))
	must(t, 401)(call("GET", b.demo("/api/v1/session"), bearer, ""))

	// A run begun on one node goes on on the other.
	begun := must(t, 200)(call("POST", a.demo(flowsPath), nil, `{"type":"login"}`))
	must(t, 200)(call("POST", b.demo(flowsPath+"/states/input"), nil, fmt.Sprintf(
		`{"state_token":%q,"batch_input":[{"identification":"username","login_id":"ada"},{"authentication":"primary_password","password":%q}]}`,
		at(begun.JSON, "result.state_token"), password)))

	if knowsBrief(t, a) || knowsBrief(t, b) {
		t.Fatal("the flow is there before it was published")
	}
	usher(t, environ, brief, "tenant", "apply", "demo", "-")
	eventually(t, promised, "published on both", func() bool { return knowsBrief(t, a) && knowsBrief(t, b) })

	// Whoever listens for notifications is cut off, again and again.
	deaf, stop := context.WithCancel(context.Background())
	defer stop()
	cut := make(chan int, 1)
	go func() { cut <- cutListeners(deaf, t, databaseURL) }()
	usher(t, environ, unlimited, "tenant", "apply", "demo", "-")
	eventually(t, promised, "published on both although nobody was told", func() bool { return !knowsBrief(t, a) && !knowsBrief(t, b) })
	polling := func() float64 { return a.metric(t, `usher_degraded{mode="polling"}`) }
	eventually(t, patience, "the metrics say so", func() bool { return polling() == 1 })
	stop()
	if n := <-cut; n < 2 {
		t.Errorf("only %d listeners were cut off", n)
	}
	eventually(t, patience, "the metrics say that it is over", func() bool { return polling() == 0 })
}

// cutListeners ends every connection that listens, until ctx ends, and says how
// many it were.
func cutListeners(ctx context.Context, t *testing.T, databaseURL string) (n int) {
	conn, err := pgx.Connect(context.Background(), databaseURL)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer conn.Close(context.Background())
	for ctx.Err() == nil {
		tag, err := conn.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ILIKE 'listen%'`)
		if err != nil {
			t.Error(err)
			return n
		}
		n += int(tag.RowsAffected())
		time.Sleep(5 * time.Millisecond)
	}
	return n
}

func TestRedisKeepsTheLimits(t *testing.T) {
	address, err := url.Parse(testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, address.Host)
	address.Host = w.Addr().String()
	environ := append(dev(t, testenv.SQLite(t)), "USHER_REDIS_URL="+address.String())
	n := serveNode(t, environ)
	must(t, 200)(signup(n, "ada"))

	// Ten passwords a minute may be tried, the one at the sign-up included; the
	// next isn't looked at.
	guess := func() *reply {
		r, err := call("POST", n.demo(flowsPath), nil, `{"type":"login","batch_input":[
			{"identification":"username","login_id":"ada"},{"authentication":"primary_password","password":"a guess"}]}`)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	refused := func(within int) bool { // a slow machine is given another try every six seconds
		for range within {
			if r := guess(); r.Status == 429 && r.Header.Get("Retry-After") != "" {
				return true
			}
		}
		return false
	}
	if guess().Status != 401 || !refused(30) {
		t.Error("nobody was ever refused, or the first one was")
	}

	// Without Redis nobody guesses, and it shows.
	w.cut(true)
	eventually(t, promised, "not ready", func() bool {
		r, err := call("GET", "http://"+n.Metrics+"/healthz/ready", nil, "")
		return err == nil && r.Status == 503 && strings.Contains(string(r.Body), "Redis")
	})
	if r := guess(); r.Status != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
	}
	w.cut(false)
	eventually(t, promised, "ready again", func() bool {
		r, err := call("GET", "http://"+n.Metrics+"/healthz/ready", nil, "")
		return err == nil && r.Status == 200
	})
	// The guesses of before still count. Some connections may have yet to notice.
	eventually(t, promised, "the limit is remembered", func() bool { return guess().Status != 503 })
	if !refused(5) {
		t.Error("the limit was forgotten")
	}
}

// A server whose Redis isn't there starts, says what is missing and where it
// looked, and is ready once it is there.
func TestRedisNotThereAtStart(t *testing.T) {
	there, err := url.Parse(testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	missing := *there
	missing.Host = freeAddress(t)
	n := serveNode(t, append(dev(t, testenv.SQLite(t)), "USHER_REDIS_URL="+missing.String()))
	log := n.out.String()
	for _, says := range []string{`"msg":"serving, and not ready yet"`, `"reasons":["Redis does not answer"]`, `"dependency":"redis"`, "Redis at " + missing.Host, "connection refused"} {
		if !strings.Contains(log, says) {
			t.Errorf("the log doesn't say %s", says)
		}
	}
	ready := func(listener string) *reply {
		r, err := call("GET", "http://"+listener+"/healthz/ready", nil, "")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ready(n.Metrics); r.Status != 503 || !strings.Contains(string(r.Body), "Redis does not answer") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := ready(n.Listen); r.Status != 503 || strings.Contains(string(r.Body), "Redis") {
		t.Errorf("where everybody can ask: %d %s", r.Status, r.Body)
	}
	for probe, want := range map[string]int{"live": 200, "startup": 200} {
		must(t, want)(call("GET", "http://"+n.Metrics+"/healthz/"+probe, nil, ""))
	}
	must(t, 503)(signup(n, "ada"))
	closed := func() float64 { return n.metric(t, `usher_degraded{mode="limits_closed"}`) }
	eventually(t, promised, "the metrics say so", func() bool { return closed() == 1 })
	if n.metric(t, `usher_cache_operations_total{op="take",outcome="error"}`) == 0 {
		t.Error("an operation that failed wasn't counted")
	}

	w := newWireAt(t, missing.Host, there.Host)
	eventually(t, promised, "ready", func() bool { return ready(n.Listen).Status == 200 })
	must(t, 200)(signup(n, "ada"))
	eventually(t, promised, "a word of it", func() bool { return strings.Contains(n.out.String(), `"msg":"a dependency is back"`) })
	eventually(t, promised, "the metrics say so", func() bool { return closed() == 0 })
	if n.metric(t, `usher_cache_operations_total{op="take",outcome="ok"}`) == 0 {
		t.Error("an operation wasn't counted")
	}
	if r := must(t, 200)(call("GET", "http://"+n.Metrics+"/metrics", nil, "")); strings.Contains(string(r.Body), "usher_locked_subjects") {
		t.Error("it says how many are locked out, which it can't know")
	}
	w.cut(true)
	eventually(t, promised, "not ready", func() bool { return ready(n.Listen).Status == 503 })
}

func TestHugeHeadersAreRefused(t *testing.T) {
	n := serveNode(t, dev(t, testenv.SQLite(t)))
	must(t, 431)(call("GET", n.demo("/api/v1/session"), map[string]string{"X-Huge": strings.Repeat("x", 64<<10)}, ""))
	must(t, 401)(call("GET", n.demo("/api/v1/session"), nil, ""))
}

// A taken port costs nothing: what a first start shows once is shown by the next.
func TestTakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	environ := dev(t, testenv.SQLite(t))
	if n, err := startNode(context.Background(), t.TempDir(), append(cleanEnviron(), environ...), "--listen", taken.Addr().String()); err == nil {
		n.kill()
		t.Fatal("it started")
	} else if !strings.Contains(err.Error(), "address already in use") {
		t.Error(err)
	}
	if n := serveNode(t, environ); !strings.Contains(n.out.String(), "(shown this once)") {
		t.Errorf("the operator's password was lost:\n%s", n.out)
	}
}
