package hooktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// Call is a call that the receiver took.
type Call struct {
	Envelope hook.Envelope
	Header   http.Header
	Body     string
}

// Fact walks into the payload by names; nil where there is nothing.
func (c *Call) Fact(path ...string) any {
	var v any = c.Envelope.Payload
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// Answer is what the receiver says. The zero value is 200 with an empty body.
type Answer struct {
	Status int
	Body   string
	Hang   bool // until the caller gives up
}

// Allow is the answer of a hook that is asked and has nothing against it.
var Allow = Answer{Body: `{"is_allowed":true}`}

// Receiver is a service that is called. It fails the test for a call that isn't
// signed with its key, just now.
type Receiver struct {
	t   testing.TB
	now func() time.Time
	*httptest.Server

	mu     sync.Mutex
	key    string
	calls  []Call
	busy   map[string]int // calls under way, by delivery
	answer func(Call) Answer
	closed chan struct{}
}

// New starts a receiver that takes everything; it stops with the test.
func New(t testing.TB, now func() time.Time, key string) *Receiver {
	r := &Receiver{t: t, now: now, key: key, busy: map[string]int{}, closed: make(chan struct{}), answer: func(Call) Answer { return Answer{} }}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(func() { close(r.closed); r.Close() })
	return r
}

// Answers says how calls are answered from now on.
func (r *Receiver) Answers(f func(Call) Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// Always gives one answer from now on.
func (r *Receiver) Always(a Answer) { r.Answers(func(Call) Answer { return a }) }

// Knows changes the key.
func (r *Receiver) Knows(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = key
}

// At changes the clock.
func (r *Receiver) At(now func() time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = now
}

// Quiet lets calls that are signed with another key be no failure of the test,
// until [Receiver.Knows] says which one it is. They are refused all the same.
func (r *Receiver) Quiet() { r.Knows("") }

// Calls are those taken so far, about one event or, with "", any.
func (r *Receiver) Calls(of tenant.HookEventType) []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Call
	for _, c := range r.calls {
		if of == "" || c.Envelope.Type == of {
			out = append(out, c)
		}
	}
	return out
}

// Wait waits until there are so many.
func (r *Receiver) Wait(of tenant.HookEventType, n int) []Call {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if calls := r.Calls(of); len(calls) >= n {
			return calls
		}
		if time.Now().After(end) {
			r.t.Fatalf("%d calls about %q, want %d", len(r.Calls(of)), of, n)
		}
	}
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	c := Call{Header: req.Header, Body: string(body)}
	r.mu.Lock()
	key, now, answer := r.key, r.now(), r.answer
	r.mu.Unlock()
	if err == nil {
		err = outbound.Verify(req.Header, []byte(key), body, now)
	}
	if err == nil {
		err = json.Unmarshal(body, &c.Envelope)
	}
	if err == nil {
		err = c.check(req)
	}
	if err != nil {
		if key != "" {
			r.t.Errorf("a call of %s: %v", req.URL, err)
		}
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	delivery := req.Header.Get(hook.DeliveryHeader)
	r.mu.Lock()
	r.calls = append(r.calls, c)
	if r.busy[delivery]++; delivery != "" && r.busy[delivery] > 1 {
		r.t.Errorf("delivery %s is here twice at the same time", delivery)
	}
	r.mu.Unlock()
	a := answer(c)
	if a.Hang {
		select {
		case <-req.Context().Done():
		case <-r.closed:
		}
	}
	r.mu.Lock()
	r.busy[delivery]--
	r.mu.Unlock()
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	io.WriteString(w, a.Body) //nolint:errcheck // the caller may have gone
}

// check holds what every call promises.
func (c *Call) check(req *http.Request) error {
	e := &c.Envelope
	for name, pair := range map[string][2]string{
		"method":             {req.Method, http.MethodPost},
		"content type":       {req.Header.Get("Content-Type"), "application/json"},
		hook.EventHeader:     {req.Header.Get(hook.EventHeader), string(e.Type)},
		hook.EventIDHeader:   {req.Header.Get(hook.EventIDHeader), e.ID},
		"version of the id":  {fmt.Sprintf("%.1s", e.ID[min(14, len(e.ID)):]), "7"},
		"tenant":             {fmt.Sprint(e.Tenant == ""), "false"},
		"context":            {fmt.Sprint(e.Context.RequestID == "" && !e.Test), "false"},
		"payload":            {fmt.Sprint(e.Payload == nil), "false"},
		"milliseconds of at": {fmt.Sprint(e.At.Nanosecond() % int(time.Millisecond)), "0"},
	} {
		if pair[0] != pair[1] {
			return fmt.Errorf("%s is %q, want %q", name, pair[0], pair[1])
		}
	}
	return nil
}
