package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/store"
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

func TestKilledAtAnyMoment(t *testing.T) {
	const kills, clients = 50, 4
	testenv.Databases(t, func(t *testing.T, databaseURL string) {
		environ := dev(t, databaseURL)
		first := serveNode(t, environ)
		usher(t, environ, unlimited, "tenant", "apply", "demo", "-")
		first.kill()

		var mu sync.Mutex
		var acknowledged []string
		for i := range kills {
			n := serveNode(t, environ)
			enough, left := make(chan struct{}), 1+rand.IntN(6) // so many are answered before it dies
			var working sync.WaitGroup
			for c := range clients {
				working.Go(func() {
					for k := 0; ; k++ {
						name := fmt.Sprintf("user-%d-%d-%d", i, c, k)
						r, err := signup(n, name)
						if err != nil {
							return // the server has gone
						}
						if r.Status != 200 {
							t.Errorf("%s: %d %s", name, r.Status, r.Body)
							return
						}
						mu.Lock()
						acknowledged = append(acknowledged, name)
						if left--; left == 0 {
							close(enough)
						}
						mu.Unlock()
					}
				})
			}
			select {
			case <-enough:
			case <-time.After(patience):
				t.Error("nobody could sign up")
			}
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
			n.kill()
			working.Wait()
		}

		n := serveNode(t, environ)
		t.Logf("%d sign-ups acknowledged before %d kills", len(acknowledged), kills)
		for _, name := range acknowledged {
			if r, err := login(n, name); err != nil || r.Status != 200 {
				t.Fatalf("%s was acknowledged and can't log in: %v %s", name, err, r.Body)
			}
		}
		checkWhole(t, databaseURL, len(acknowledged))
		usher(t, environ, "", "audit", "verify")
	})
}

// checkWhole sees that every user of the demo has an identity and an authenticator.
func checkWhole(t *testing.T, databaseURL string, least int) {
	t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, databaseURL, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	demo, err := db.TenantBySlug(ctx, demoSlug)
	if err != nil {
		t.Fatal(err)
	}
	users, err := db.Users(ctx, demo.ID, tenant.UserFilter{}, tenant.Page{Limit: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	if len(users) < least {
		t.Errorf("%d users, but %d were acknowledged", len(users), least)
	}
	for _, u := range users {
		if len(u.Identities) == 0 || len(u.Authenticators) == 0 {
			t.Errorf("user %s is half made: %+v", u.ID, u)
		}
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
	stop()
	if n := <-cut; n < 2 {
		t.Errorf("only %d listeners were cut off", n)
	}
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

func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	const requests = 12
	environ := dev(t, testenv.SQLite(t))
	n := serveNode(t, environ, "--hash-workers", "1")
	usher(t, environ, unlimited, "tenant", "apply", "demo", "-")
	eventually(t, promised, "no limits", func() bool { _, err := login(n, "ada"); return err == nil })
	must(t, 200)(signup(n, "ada"))

	answers := make(chan error, requests)
	for range requests {
		go func() {
			r, err := login(n, "ada")
			if err == nil && r.Status != 200 {
				err = fmt.Errorf("%d %s", r.Status, r.Body)
			}
			answers <- err
		}()
	}
	eventually(t, promised, "all under way", func() bool {
		r := must(t, 200)(call("GET", "http://"+n.Metrics+"/metrics", nil, ""))
		var now int
		for line := range strings.Lines(string(r.Body)) {
			_, _ = fmt.Sscanf(line, `usher_http_requests_in_flight{surface="flowapi"} %d`, &now)
		}
		return now+len(answers) == requests
	})
	if err := n.stop(); err != nil {
		t.Errorf("it stopped with %v", err)
	}
	for range requests {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

func TestDrainingServesOnAndASecondSignalEndsAtOnce(t *testing.T) {
	n := serveNode(t, dev(t, testenv.SQLite(t)), "--shutdown-delay", "10m")
	must(t, 200)(call("GET", "http://"+n.Listen+"/healthz/ready", nil, ""))
	n.signal(syscall.SIGTERM)
	eventually(t, promised, "draining", func() bool {
		r, err := call("GET", "http://"+n.Listen+"/healthz/ready", nil, "")
		return err == nil && r.Status == 503
	})
	must(t, 200)(signup(n, "ada"))
	n.signal(syscall.SIGTERM)
	select {
	case <-n.ended:
	case <-time.After(promised):
		t.Fatal("it goes on")
	}
	if s, ok := n.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v", n.cmd.ProcessState)
	}
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

func TestPrometheus(t *testing.T) {
	prometheus, promtool := tool(t, "USHER_TEST_PROMETHEUS"), tool(t, "USHER_TEST_PROMTOOL")
	n := serveNode(t, dev(t, testenv.SQLite(t)))
	must(t, 200)(signup(n, "ada"))

	scrape := must(t, 200)(call("GET", "http://"+n.Metrics+"/metrics", nil, ""))
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(string(scrape.Body))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	text, err := os.ReadFile("../../deploy/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text = []byte(strings.NewReplacer("127.0.0.1:9464", n.Metrics, "15s", "1s").Replace(string(text)))
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "config", config).CombinedOutput(); err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
	address := freeAddress(t)
	server := exec.Command(prometheus, "--config.file="+config, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address, "--log.level=warn")
	log := &output{}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	for query, want := range map[string]string{
		`up{job="usher"}`: "1",
		`sum(usher_flows_finished_total{flow_type="signup",outcome="success"})`: "1",
		`count(usher_build_info)`: "1",
	} {
		eventually(t, patience, query+" is "+want, func() bool {
			r, err := call("GET", "http://"+address+"/api/v1/query?query="+url.QueryEscape(query), nil, "")
			return err == nil && at(r.JSON, "data.result.0.value.1") == want
		})
	}
}

// tool is a program that scripts/services.sh has found or installed.
func tool(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set", variable)
		}
		t.Skipf("SKIPPED: %s is not set; scripts/services.sh prints it", variable)
	}
	return path
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
