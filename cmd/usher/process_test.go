package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the real binary, built once for all tests.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "usher-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "usher")
		build := exec.Command("go", append(append([]string{"build"}, raceFlags...), "-o", program, ".")...)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the program:", err)
			return 1
		}
		return m.Run()
	}())
}

// patience bounds what a test waits for. It is generous: nothing here judges speed.
const patience = 60 * time.Second

// node is a running server.
type node struct {
	Listen, Metrics string // addresses
	cmd             *exec.Cmd
	out             *output
	ended           chan struct{}
	err             error // of the process, once ended
}

// output keeps what a process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// startNode starts the program and waits until it says that it serves. Both
// listeners are on free ports unless args say otherwise.
func startNode(ctx context.Context, dir string, environ []string, args ...string) (*node, error) {
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-format", "json"}, args...)
	n := &node{cmd: exec.CommandContext(ctx, program, args...), out: &output{}, ended: make(chan struct{})}
	n.cmd.Dir, n.cmd.Env = dir, environ
	said, write, err := os.Pipe() // one for both, so that lines keep their order
	if err != nil {
		return nil, err
	}
	n.cmd.Stdout, n.cmd.Stderr = write, write
	err = n.cmd.Start()
	write.Close()
	if err != nil {
		return nil, err
	}
	ready := make(chan [2]string, 1)
	go func() {
		n.follow(said, ready)
		n.err = n.cmd.Wait()
		close(n.ended)
	}()
	select {
	case addresses := <-ready:
		n.Listen, n.Metrics = addresses[0], addresses[1]
		return n, nil
	case <-n.ended:
		return nil, fmt.Errorf("it ended before it was ready: %w\n%s", n.err, n.out)
	case <-time.After(patience):
		n.kill()
		return nil, fmt.Errorf("it is not ready:\n%s", n.out)
	}
}

// follow keeps what it says and looks for the line that says where it listens.
func (n *node) follow(said io.ReadCloser, ready chan<- [2]string) {
	defer said.Close()
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(n.out, lines.Text())
		var line struct{ Listening, Metrics string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Listening != "" {
			ready <- [2]string{line.Listening, line.Metrics}
		}
	}
}

func (n *node) signal(s os.Signal) { _ = n.cmd.Process.Signal(s) }

// kill ends it at once, as kill -9 does.
func (n *node) kill() {
	n.signal(syscall.SIGKILL)
	<-n.ended
}

// stop ends it gracefully and gives what the process ended with.
func (n *node) stop() error {
	n.signal(syscall.SIGTERM)
	select {
	case <-n.ended:
		return n.err
	case <-time.After(patience):
		n.kill()
		return fmt.Errorf("it did not stop:\n%s", n.out)
	}
}

// serveNode is startNode for a Go test.
func serveNode(t *testing.T, environ []string, args ...string) *node {
	t.Helper()
	n, err := startNode(context.Background(), t.TempDir(), append(cleanEnviron(), environ...), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.kill()
		if strings.Contains(n.out.String(), "DATA RACE") {
			t.Errorf("the server has a data race:\n%s", n.out)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", n.out)
		}
	})
	return n
}

// cleanEnviron is the environment without settings of ours.
func cleanEnviron() []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "USHER_") || strings.HasPrefix(v, "USHER_TEST_") {
			out = append(out, v)
		}
	}
	return out
}

// client calls *.localhost at 127.0.0.1, as browsers do, without keeping cookies.
var client = &http.Client{
	Timeout: patience,
	Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err == nil && strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".localhost") {
				address = net.JoinHostPort("127.0.0.1", port)
			}
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// reply is an answer, read whole.
type reply struct {
	Status int
	Header http.Header
	Body   []byte
	JSON   any // nil when the body isn't JSON
}

func call(method, url string, header map[string]string, body string) (*reply, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		r.Header.Set(k, v)
		if k == "Host" {
			r.Host = v
		}
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	out := &reply{Status: res.StatusCode, Header: res.Header}
	if out.Body, err = io.ReadAll(res.Body); err != nil {
		return nil, err
	}
	_ = json.Unmarshal(out.Body, &out.JSON)
	return out, nil
}

// at walks into JSON: result.action.data.options.0.identification.
func at(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			var i int
			if _, err := fmt.Sscanf(key, "%d", &i); err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// eventually waits until something holds.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
