package deliver_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/tenant"
)

// TestWorkerDies: a message that a process had claimed when it died, handed over
// or not, is sent by another one once the lease has ended: the same code.
func TestWorkerDies(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	acme := p.tenant("acme", byWebhook(r))
	p.secret(acme, hookSecret, r.key)
	m, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "121212"})
	dead, err := p.store.ClaimMessages(t.Context(), p.now(), time.Minute, 10, nil)
	p.must(err)
	if len(dead) != 1 || dead[0].ID != m.ID {
		t.Fatalf("claimed %v", dead)
	}
	w, _ := p.worker()
	other, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "343434"})
	w.Wake()
	p.await(other, tenant.MessageSent)
	if got := p.message(m); got.Status != tenant.MessageQueued {
		t.Fatalf("%s while another process has it", got.Status)
	}
	p.ahead.Add(int64(time.Minute))
	if got := p.await(m, tenant.MessageSent); got.Attempts != 2 {
		t.Errorf("%d attempts", got.Attempts)
	}
	if got := r.take(); len(got) != 2 || got[1].ID != m.ID || got[1].Code != "121212" {
		t.Errorf("received %+v", got)
	}
	// The first process wasn't dead after all. What is settled stays so.
	dead[0].Status, dead[0].Error = tenant.MessageFailed, "too late"
	p.must(p.store.SettleMessage(t.Context(), dead[0]))
	if got := p.message(m); got.Status != tenant.MessageSent {
		t.Errorf("%s", got.Status)
	}
}

// TestWorkerStops: what is under way when a worker is told to stop is finished,
// and what waits is left to the next one.
func TestWorkerStops(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.before = func(http.ResponseWriter, *http.Request, deliver.HookMessage) bool {
		once.Do(func() { close(begun) })
		<-release
		return false
	}
	acme := p.tenant("acme", byWebhook(r))
	p.secret(acme, hookSecret, r.key)
	m, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "565656"})
	_, stop := p.worker()
	<-begun
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(release)
	<-stopped
	if got := p.message(m); got.Status != tenant.MessageSent {
		t.Errorf("%s", got.Status)
	}
	later, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "787878"})
	p.worker()
	p.await(later, tenant.MessageSent)
}

// TestTwoWorkers: of two nodes one sends each message.
func TestTwoWorkers(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	acme := p.tenant("acme", byWebhook(r))
	p.secret(acme, hookSecret, r.key)
	var all []*tenant.Message
	a, _ := p.worker()
	b, _ := p.worker()
	for range 60 {
		m, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "909090"})
		all = append(all, m)
		a.Wake()
		b.Wake()
	}
	for _, m := range all {
		p.await(m, tenant.MessageSent)
	}
	ids := map[string]int{}
	for _, m := range r.take() {
		ids[m.ID]++
	}
	if len(ids) != 60 {
		t.Errorf("%d received", len(ids))
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
}

// TestNoUse: what no longer works isn't sent any more.
func TestNoUse(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	acme := p.tenant("acme", byWebhook(r))
	p.secret(acme, hookSecret, r.key)
	replaced, commit := p.send(acme, parcel{channel: "sms", to: jane, plain: "100001"})
	newer, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "100002", commit: commit})
	late, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "100003"})
	_, stop := p.worker()
	if got := p.await(replaced, tenant.MessageExpired); got.Payload != nil {
		t.Error("the payload of what has expired is kept")
	}
	p.await(newer, tenant.MessageSent)
	p.await(late, tenant.MessageSent)
	stop()

	late, _ = p.send(acme, parcel{channel: "sms", to: jane, plain: "100004"})
	p.ahead.Add(int64(5 * time.Minute))
	w, _ := p.worker()
	w.Wake()
	p.await(late, tenant.MessageExpired)

	// A gateway that is away until there is no use in it any more.
	r.Close()
	gone, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "100005"})
	p.until("it was tried", func() bool { return p.message(gone).Attempts > 1 })
	p.ahead.Add(int64(5*time.Minute) - int64(10*time.Millisecond))
	p.until("it was given up", func() bool {
		s := p.message(gone).Status
		return s == tenant.MessageFailed || s == tenant.MessageExpired
	})
	if got := p.message(gone); got.Payload != nil {
		t.Error("the payload of what was given up is kept")
	}
	for _, m := range r.take() {
		if m.Code != "100002" && m.Code != "100003" {
			t.Errorf("%s was sent", m.Code)
		}
	}
}

// TestNoGateway: without a gateway a message has failed; in development the
// inbox takes it and it stays readable.
func TestNoGateway(t *testing.T) {
	p := newPost(t)
	acme := p.tenant("acme", nil)
	w, stop := p.worker()
	m, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "200001"})
	if got := p.await(m, tenant.MessageFailed); !strings.Contains(got.Error, "no gateway") || got.Provider != "none" {
		t.Errorf("settled as %+v", got)
	}
	if r, err := w.Read(acme, p.configs[acme.ID], p.message(m)); r != nil || err != nil {
		t.Errorf("read %v, %v", r, err)
	}
	stop()

	p.o.Dev = true
	w, _ = p.worker()
	for _, channel := range tenant.Channels {
		m, _ := p.send(acme, parcel{channel: channel, to: "jane@example.org", plain: "200002"})
		got := p.await(m, tenant.MessageSent)
		if got.Provider != "inbox" {
			t.Errorf("sent by %s", got.Provider)
		}
		r, err := w.Read(acme, p.configs[acme.ID], got)
		p.must(err)
		if r == nil || r.Code != "200002" || !strings.Contains(r.Text, "200002") || (r.Subject != "") != (channel == "email") {
			t.Errorf("%s reads %+v", channel, r)
		}
	}
}

// TestSuppressed: what test mode keeps back is not sent, and admins can read it.
func TestSuppressed(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	acme := p.tenant("acme", byWebhook(r))
	p.secret(acme, hookSecret, r.key)
	w, _ := p.worker()
	kept, _ := p.send(acme, parcel{channel: "sms", to: "+15550000001", plain: "300001", status: tenant.MessageSuppressed})
	sent, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "300002"})
	p.await(sent, tenant.MessageSent)
	got := p.message(kept)
	if got.Status != tenant.MessageSuppressed || got.Attempts != 0 {
		t.Errorf("stands as %+v", got)
	}
	read, err := w.Read(acme, p.configs[acme.ID], got)
	p.must(err)
	if read == nil || read.Code != "300001" {
		t.Errorf("reads %+v", read)
	}
	if got := r.take(); len(got) != 1 || got[0].Code != "300002" {
		t.Errorf("received %+v", got)
	}
}

// TestDecoys: what is sent to nobody stands, for whoever asked for it, as what is
// sent to somebody does.
func TestDecoys(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	var mu sync.Mutex
	away := false
	r.before = func(w http.ResponseWriter, _ *http.Request, _ deliver.HookMessage) bool {
		mu.Lock()
		defer mu.Unlock()
		if away {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return away
	}
	acme, none := p.tenant("acme", byWebhook(r)), p.tenant("none", nil)
	p.secret(acme, hookSecret, r.key)
	p.worker()
	decoy := func(t *tenant.Tenant) *tenant.Message {
		m, _ := p.send(t, parcel{channel: "sms", to: "+85211111111", plain: "400001", decoy: true})
		return m
	}
	real, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "400002"})
	p.await(real, tenant.MessageSent)
	if got := p.await(decoy(acme), tenant.MessageSent); got.To != "" || got.Provider != tenant.DecoyProvider || got.Payload != nil {
		t.Errorf("settled as %+v", got)
	}
	p.await(decoy(none), tenant.MessageFailed) // as anybody's would
	mu.Lock()
	away = true
	mu.Unlock()
	real, _ = p.send(acme, parcel{channel: "sms", to: jane, plain: "400003"})
	p.until("it was tried", func() bool { return p.message(real).Error != "" })
	m := decoy(acme)
	p.until("it was tried as well", func() bool { return p.message(m).Error != "" })
	if got := p.message(m); got.Status != tenant.MessageQueued {
		t.Errorf("%s while the gateway is away", got.Status)
	}
	mu.Lock()
	away = false
	mu.Unlock()
	p.await(real, tenant.MessageSent)
	p.await(m, tenant.MessageSent)
	list, err := p.store.Messages(t.Context(), acme.ID, tenant.MessageFilter{}, tenant.Page{Limit: 10})
	p.must(err)
	if len(list) != 2 {
		t.Errorf("admins see %d messages", len(list))
	}
	if got := r.take(); len(got) != 2 {
		t.Errorf("received %+v", got)
	}
}

// TestTrial: an admin's test message tells what the gateway said, and only so
// often.
func TestTrial(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	acme := p.tenant("acme", byWebhook(r))
	w, _ := p.worker()
	sample := deliver.Sample{Purpose: tenant.PurposeRecover, Channel: "sms", Form: tenant.CodeForm6, Language: "de", To: jane}
	trial, err := w.Test(t.Context(), acme, p.configs[acme.ID], sample)
	p.must(err)
	if trial.Provider != "webhook" || !strings.Contains(trial.Error, hookSecret) {
		t.Errorf("%+v", trial)
	}
	p.secret(acme, hookSecret, r.key)
	trial, err = w.Test(t.Context(), acme, p.configs[acme.ID], sample)
	p.must(err)
	if trial.Error != "" {
		t.Errorf("%+v", trial)
	}
	if got := r.take(); len(got) != 1 || got[0].Code != "000000" || got[0].Language != "de" || got[0].Purpose != "recovery" {
		t.Errorf("received %+v", got)
	}
	for range 18 {
		_, err = w.Test(t.Context(), acme, p.configs[acme.ID], sample)
		p.must(err)
	}
	if _, err = w.Test(t.Context(), acme, p.configs[acme.ID], sample); tenant.AsError(err).Reason != tenant.ErrRateLimited.Reason {
		t.Errorf("the 21st in an hour: %v", err)
	}
}

// TestQueue: what waits is measured.
func TestQueue(t *testing.T) {
	p := newPost(t)
	acme := p.tenant("acme", nil)
	p.send(acme, parcel{channel: "sms", to: jane, plain: "500001"})
	p.ahead.Add(int64(time.Minute))
	type measured struct {
		queued int
		oldest time.Duration
	}
	told := make(chan measured, 1)
	p.o.Queue = func(queued int, oldest time.Duration) { told <- measured{queued, oldest} }
	p.worker()
	if got := <-told; got.queued != 1 || got.oldest < time.Minute || got.oldest > 2*time.Minute {
		t.Errorf("%+v", got)
	}
}
