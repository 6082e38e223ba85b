package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// node is one running Usher.
type node struct {
	door    *door // where users and admins are served
	metrics *door
	meter   meter
	cmd     *exec.Cmd
	log     string
	begun   time.Time
	ended   chan error
}

const (
	startPatience = time.Minute
	adminHost     = "admin.localhost"
	demoHost      = "demo.localhost"
)

// startNode starts the program on a database and waits for its ready line. It
// logs to a file, as it would to journald: what that costs is a part of what is
// measured.
func (b *bench) startNode(ctx context.Context, db *database) (*node, error) {
	log, err := os.CreateTemp(b.dir, "node-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	n := &node{log: log.Name(), ended: make(chan error, 1)}
	n.cmd = exec.Command(b.program, "serve", "--dev", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", //nolint:gosec // what was built
		"--database-url", db.url, "--admin-host", adminHost, "--trusted-proxies", "127.0.0.1/32", "--log-format", "json")
	n.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "USHER_MASTER_KEY=" + b.masterKey, "USHER_BOOTSTRAP_API_KEY=" + b.apiKey}
	n.cmd.Stderr = log
	n.begun = time.Now()
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { n.ended <- n.cmd.Wait() }()
	n.meter = meter{pid: n.cmd.Process.Pid, database: db.backends}
	for end := time.Now().Add(startPatience); time.Now().Before(end); time.Sleep(500 * time.Microsecond) {
		select {
		case err := <-n.ended:
			n.ended <- err
			return nil, fmt.Errorf("the server ended: %w\n%s", err, tail(n.log))
		case <-ctx.Done():
			n.kill()
			return nil, ctx.Err()
		default:
		}
		listening, metrics, err := readyLine(n.log)
		if err != nil {
			return nil, err
		}
		if listening != "" {
			n.door, n.metrics = newDoor(listening), newDoor(metrics)
			return n, nil
		}
	}
	n.kill()
	return nil, fmt.Errorf("the server was not ready after %s\n%s", startPatience, tail(n.log))
}

// readyLine finds where a server listens, once its log says so.
func readyLine(file string) (listening, metrics string, err error) {
	text, err := os.ReadFile(file) //nolint:gosec // ours
	if err != nil || !bytes.Contains(text, []byte(`"listening"`)) {
		return "", "", err
	}
	for line := range bytes.Lines(text) {
		var ready struct{ Msg, Listening, Metrics string }
		if json.Unmarshal(line, &ready) == nil && ready.Msg == "ready" {
			return ready.Listening, ready.Metrics, nil
		}
	}
	return "", "", nil // not written to its end yet
}

func tail(file string) string {
	text, _ := os.ReadFile(file) //nolint:gosec // ours
	return string(text[max(0, len(text)-2000):])
}

func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.ended //nolint:errcheck // killed, as it was told
}

// stop ends the server and says what it logged as an error meanwhile: a server
// that fails inside has measured nothing.
func (n *node) stop() error {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-n.ended:
		if err != nil {
			return fmt.Errorf("the server ended with %w\n%s", err, tail(n.log))
		}
	case <-time.After(startPatience):
		n.kill()
		return errors.New("the server did not end")
	}
	text, err := os.ReadFile(n.log)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte(`"level":"ERROR"`)) || bytes.Contains(line, []byte(`"status":500`)) {
			return fmt.Errorf("the server logged: %s", bytes.TrimSpace(line))
		}
	}
	return nil
}

// resident is the memory of the server in MiB, now and at most.
func (n *node) resident() (now, peak float64, err error) { return residentOf(n.cmd.Process.Pid) }

// scrape reads the metrics of the server.
func (n *node) scrape(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.metrics.address+"/metrics", nil)
	if err != nil {
		return "", err
	}
	a, err := n.metrics.http.Do(r)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	return string(text), err
}

// build builds the program the way it is shipped.
func build(ctx context.Context, root string) error {
	c := exec.CommandContext(ctx, "make", "-s", "-C", root, "build") //nolint:gosec // our own Makefile
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("building the program: %w", err)
	}
	return nil
}
