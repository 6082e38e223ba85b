package hook_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/hook/hooktest"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

// What happens is delivered, signed, once to each endpoint that wants to know.
func TestDelivery(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		a, b, off := receiver(t), receiver(t), receiver(t)
		a.Always(hooktest.Answer{Status: http.StatusAccepted, Body: "thanks\x00 " + strings.Repeat("é", 2000)})
		switchedOff := told("off", off)
		switchedOff.Enabled = false
		r := newRig(t, url, told("a", a), told("b", b), switchedOff)
		n := r.node(r.store)
		r.run(n)
		ds := r.tell(3, tenant.HookUserCreated)
		if len(ds) != 6 {
			t.Fatal(len(ds), "deliveries")
		}
		r.tell(1, tenant.HookUserDeleted) // nobody wants to know
		for _, to := range []*hooktest.Receiver{a, b} {
			seen := map[string]bool{}
			for _, c := range to.Wait("", 3) {
				seen[c.Envelope.ID] = true
				if c.Header.Get(hook.AttemptHeader) != "1" || c.Envelope.Tenant != "acme" || c.Envelope.Context.IP != "192.0.2.1" {
					t.Error(c.Header, c.Body)
				}
			}
			if len(seen) != 3 {
				t.Error(len(seen), "events")
			}
		}
		d := r.settled(ds[0].ID, tenant.HookDelivered)
		if d.Attempts != 1 || d.StatusCode != http.StatusAccepted || d.Error != "" || !strings.HasPrefix(d.Response, "thanks ") || len(d.Response) > 2100 || d.TriedAt.IsZero() {
			t.Errorf("%+v", d)
		}
		for _, d := range ds {
			r.settled(d.ID, tenant.HookDelivered)
		}
		if got := n.counted(t, "event", tenant.HookUserCreated, "delivered"); got != 6 {
			t.Error("counted", got)
		}
		if got := len(off.Calls("")); got != 0 {
			t.Error("an endpoint that is switched off was called", got, "times")
		}
	})
}

// An endpoint that is down is tried again until it is up; what it got is in the log.
func TestRetry(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		to := receiver(t)
		var answers = []hooktest.Answer{{Status: 500, Body: "oops"}, {Hang: true}, {Status: http.StatusFound}, {Status: 204}}
		tries := make(chan hooktest.Answer, len(answers))
		for _, a := range answers {
			tries <- a
		}
		to.Answers(func(hooktest.Call) hooktest.Answer { return <-tries })
		e := told("a", to)
		e.TimeoutMS = 3000 // long for all but the one that hangs
		r := newRig(t, url, e)
		n := r.node(r.store)
		stop := r.run(n)
		d := r.settled(r.tell(1, tenant.HookUserCreated)[0].ID, tenant.HookDelivered)
		if d.Attempts != 4 || d.StatusCode != 204 {
			t.Errorf("%+v", d)
		}
		calls := to.Calls("")
		if len(calls) != 4 || calls[3].Header.Get(hook.AttemptHeader) != "4" || calls[0].Body != calls[3].Body ||
			calls[0].Header.Get(hook.DeliveryHeader) != calls[3].Header.Get(hook.DeliveryHeader) {
			t.Error(text(calls))
		}
		stop() // so that everything is counted
		for outcome, want := range map[string]float64{"failed": 2, "timeout": 1, "delivered": 1, "given_up": 0} {
			if got := n.counted(t, "event", tenant.HookUserCreated, outcome); got != want {
				t.Errorf("%s: counted %v, want %v", outcome, got, want)
			}
		}
	})
}

// What can't be delivered is given up, and can be delivered anew later.
func TestGivenUpAndDeliveredAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		gone, late, refused := receiver(t), receiver(t), receiver(t)
		gone.Always(hooktest.Answer{Status: http.StatusGone, Body: "never again"})
		late.Always(hooktest.Answer{Status: 503})
		r := newRig(t, url, told("gone", gone), told("late", late), told("refused", refused))
		ds := r.tell(1, tenant.HookUserCreated)
		r.run(r.node(r.store, func(o *hook.Options) { o.Delay = func(int) time.Duration { return 25 * time.Hour } }))
		for i, want := range []string{"it answered with status 410", "it answered with status 503"} {
			if d := r.settled(ds[i].ID, tenant.HookFailed); d.Error != want || d.Attempts != 1 {
				t.Errorf("%+v", d)
			}
		}
		r.settled(ds[2].ID, tenant.HookDelivered)
		gone.Always(hooktest.Answer{})
		again := hook.Again(&ds[0], now())
		r.change(func(tx tenant.Tx) error { return tx.TellHooks([]tenant.HookDelivery{again}) })
		r.settled(again.ID, tenant.HookDelivered)
		calls := gone.Calls("")
		if len(calls) != 2 || calls[0].Envelope.ID != calls[1].Envelope.ID || calls[0].Body != calls[1].Body {
			t.Error(text(calls))
		}
		// An endpoint that was removed or switched off gets nothing any more.
		r.config.Hooks.Endpoints = r.config.Hooks.Endpoints[:1]
		again = hook.Again(&ds[2], now())
		r.change(func(tx tenant.Tx) error { return tx.TellHooks([]tenant.HookDelivery{again}) })
		if d := r.settled(again.ID, tenant.HookFailed); d.Error == "" || d.StatusCode != 0 {
			t.Errorf("%+v", d)
		}
	})
}

// Addresses of the machine and its network are refused unless they are let.
func TestPrivateAddressesAreRefused(t *testing.T) {
	to := receiver(t)
	e := asked("b", to, tenant.HookPreCreate)
	open := asked("c", to, tenant.HookPostIdentified)
	open.OnFailure = tenant.HookAllow
	r := newRig(t, testenv.SQLite(t), told("a", to), e, open)
	n := r.node(r.store, func(o *hook.Options) { o.Guard = outbound.Guard{} })
	r.run(n)
	d := r.settled(r.tell(1, tenant.HookUserCreated)[0].ID, tenant.HookFailed)
	if !strings.Contains(d.Error, "--allow-private-outbound") || d.Attempts != 1 || d.StatusCode != 0 {
		t.Errorf("%+v", d)
	}
	refused(t, r.ask(n, tenant.HookPreCreate, nil), tenant.ErrHookUnavailable)
	must(t, r.ask(n, tenant.HookPostIdentified, nil))
	if n := len(to.Calls("")); n != 0 {
		t.Error(n, "calls")
	}
}

// A node dies in the middle of a delivery: another one delivers it once the
// lease of the dead one has ended.
func TestDeathInTheMiddle(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		to := receiver(t)
		r := newRig(t, url, told("a", to))
		d := r.tell(1, tenant.HookUserCreated)[0]
		lost, err := r.store.ClaimHookDeliveries(t.Context(), now(), 300*time.Millisecond, 10, nil) // and never heard of again
		must(t, err)
		if len(lost) != 1 {
			t.Fatal(len(lost), "claimed")
		}
		until := lost[0].NextAt
		r.run(r.node(r.store))
		if d := r.settled(d.ID, tenant.HookDelivered); d.Attempts != 2 || d.TriedAt.Before(until) {
			t.Errorf("%+v, though it was claimed until %v", d, until)
		}
	})
}

// A node that is told to stop ends what is under way and begins nothing more.
func TestStopInTheMiddle(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		to, goOn := receiver(t), make(chan struct{})
		to.Answers(func(hooktest.Call) hooktest.Answer { <-goOn; return hooktest.Answer{} })
		r := newRig(t, url, told("a", to))
		d := r.tell(1, tenant.HookUserCreated)[0]
		stop := r.run(r.node(r.store))
		to.Wait("", 1)
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		close(goOn)
		<-stopped
		if d := r.settled(d.ID, tenant.HookDelivered); d.Attempts != 1 {
			t.Errorf("%+v", d)
		}
		r.tell(1, tenant.HookUserCreated)
		if n := len(to.Calls("")); n != 1 {
			t.Error(n, "calls")
		}
	})
}

// An endpoint that hangs keeps no other waiting.
func TestHangingEndpoint(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		slow, fast := receiver(t), receiver(t)
		slow.Always(hooktest.Answer{Hang: true})
		r := newRig(t, url, told("slow", slow), told("fast", fast))
		r.tell(100, tenant.HookUserCreated)
		r.run(r.node(r.store))
		fast.Wait("", 100)
		if n := len(slow.Calls("")); n > 16 {
			t.Error(n, "calls at once")
		}
		slow.Always(hooktest.Answer{})
		slow.CloseClientConnections()
	})
}

// Two nodes share the work: each delivery is with one of them.
func TestTwoNodes(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		to := receiver(t)
		r := newRig(t, url, told("a", to))
		other := r.store
		if strings.HasPrefix(url, "postgres") {
			other = open(t, url)
		}
		one, two := r.node(r.store), r.node(other)
		ds := r.tell(60, tenant.HookUserCreated)
		r.run(one)
		r.run(two)
		for _, d := range ds {
			if d := r.settled(d.ID, tenant.HookDelivered); d.Attempts != 1 {
				t.Error(d.Attempts, "attempts")
			}
		}
		seen := map[string]int{}
		for _, c := range to.Calls("") {
			seen[c.Envelope.ID]++
		}
		if len(seen) != 60 || len(to.Calls("")) != 60 {
			t.Errorf("%d events in %d calls", len(seen), len(to.Calls("")))
		}
	})
}
