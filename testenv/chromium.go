package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Browser is a tab of a headless Chromium, driven by the DevTools protocol.
type Browser struct {
	t       testing.TB
	socket  *websocket.Conn
	session string

	mu      sync.Mutex
	next    int
	waiting map[int]chan<- reply
	events  map[string]chan struct{} // of the methods somebody waits for
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// browserPatience is how long one command may take. Starting the first Chromium
// on a busy machine is slow.
const browserPatience = 2 * time.Minute

// Chromium starts a browser with a profile of its own, which ends with the test.
// Hosts below localhost are this machine. The program is USHER_TEST_CHROMIUM.
func Chromium(t testing.TB) *Browser {
	t.Helper()
	program := need(t, "USHER_TEST_CHROMIUM")
	profile := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	//nolint:gosec // the developer names it
	c := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
		"--remote-debugging-port=0", "--user-data-dir="+profile, "about:blank")
	out := &strings.Builder{}
	c.Stderr = out
	c.WaitDelay = 5 * time.Second // its children hold the pipe
	if err := c.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait()
		for range 50 { // the children are still writing there
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	b := &Browser{t: t, waiting: map[int]chan<- reply{}, events: map[string]chan struct{}{}}
	b.dial(ctx, filepath.Join(profile, "DevToolsActivePort"))
	go b.listen(ctx)
	var target struct{ TargetID string }
	b.Do("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.Do("Page.enable", nil, nil)
	return b
}

// dial waits for the browser to say where it listens.
func (b *Browser) dial(ctx context.Context, file string) {
	b.t.Helper()
	for end := time.Now().Add(browserPatience); ; time.Sleep(50 * time.Millisecond) {
		port, path, ok := strings.Cut(read(file), "\n")
		if ok && path != "" {
			socket, _, err := websocket.Dial(ctx, "ws://127.0.0.1:"+port+strings.TrimSpace(path), nil) //nolint:bodyclose // closed by Dial
			if err == nil {
				socket.SetReadLimit(64 << 20)
				b.socket = socket
				b.t.Cleanup(func() { _ = socket.CloseNow() })
				return
			}
		}
		if time.Now().After(end) {
			b.t.Fatal("Chromium doesn't start")
		}
	}
}

func read(file string) string {
	text, _ := os.ReadFile(file) //nolint:gosec // in the test's own directory
	return string(text)
}

func (b *Browser) listen(ctx context.Context) {
	for {
		_, message, err := b.socket.Read(ctx)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			reply
		}
		if json.Unmarshal(message, &m) != nil {
			continue
		}
		b.mu.Lock()
		if answer := b.waiting[m.ID]; answer != nil {
			delete(b.waiting, m.ID)
			answer <- m.reply
		}
		if happened := b.events[m.Method]; happened != nil {
			delete(b.events, m.Method)
			close(happened)
		}
		b.mu.Unlock()
	}
}

// Do runs a command of the protocol and reads its result.
func (b *Browser) Do(method string, params, result any) {
	b.t.Helper()
	if params == nil {
		params = struct{}{}
	}
	answer := make(chan reply, 1)
	b.mu.Lock()
	b.next++
	id := b.next
	b.waiting[id] = answer
	b.mu.Unlock()
	command := map[string]any{"id": id, "method": method, "params": params}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	text, err := json.Marshal(command)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), browserPatience)
	defer cancel()
	if err := b.socket.Write(ctx, websocket.MessageText, text); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case r := <-answer:
		err = nil
		if r.Error != nil {
			err = errors.New(r.Error.Message)
		} else if result != nil {
			err = json.Unmarshal(r.Result, result)
		}
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
	case <-ctx.Done():
		b.t.Fatalf("%s: no answer", method)
	}
}

// Open goes to a page and waits until it is loaded.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.loads(url, func() {
		b.t.Helper()
		var page struct{ ErrorText string }
		b.Do("Page.navigate", map[string]any{"url": url}, &page)
		if page.ErrorText != "" {
			b.t.Fatalf("%s: %s", url, page.ErrorText)
		}
	})
}

// Leave runs an expression that leads to another page, such as a click, and
// waits until that is loaded.
func (b *Browser) Leave(expression string) {
	b.t.Helper()
	b.loads(expression, func() {
		b.t.Helper()
		if err := b.Run(expression, nil); err != nil {
			b.t.Fatalf("%s: %v", expression, err)
		}
	})
}

// loads waits until the page is loaded that do leads to.
func (b *Browser) loads(what string, do func()) {
	b.t.Helper()
	loaded := make(chan struct{})
	b.mu.Lock()
	b.events["Page.loadEventFired"] = loaded
	b.mu.Unlock()
	do()
	select {
	case <-loaded:
	case <-time.After(browserPatience):
		b.t.Fatalf("%s doesn't load", what)
	}
}

// Run runs an expression in the page, waits for it if it is a promise, and reads
// its value. What it throws is an error.
func (b *Browser) Run(expression string, value any) error {
	b.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.Do("Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &out)
	if e := out.ExceptionDetails; e != nil {
		return fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(out.Result.Value, value)
}
