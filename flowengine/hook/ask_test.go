package hook_test

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/hook/hooktest"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

// Nobody is asked where there is nobody to ask, and nothing is needed for it.
func TestNobodyToAsk(t *testing.T) {
	var none *hook.Hooks
	set, err := none.Ask(t.Context(), nil, tenant.DefaultConfig(), hook.Question{Type: tenant.HookPreCreate})
	if set != nil || err != nil {
		t.Error(set, err)
	}
}

// What an endpoint answers, and what it comes to.
func TestAnswers(t *testing.T) {
	to := receiver(t)
	allowing := asked("a", to, tenant.HookPreCreate, tenant.HookPreAuthenticated)
	r := newRig(t, testenv.SQLite(t), allowing)
	n := r.node(r.store)
	no := tenant.ErrHookDisallowed
	unusable := tenant.ErrHookUnavailable
	for _, c := range []struct {
		name, body string
		want       *tenant.Error
		set        map[string]string
	}{
		{"yes", `{"is_allowed":true}`, nil, nil},
		{"no", `{"is_allowed":false,"title":"Closed","reason":"come\nback"}`, no, nil},
		{"no, with mutations that count for nothing", `{"is_allowed":false,"mutations":{"user":{"standard_attributes":{"sub":"x"}}}}`, no, nil},
		{"sets", `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"given_name":"Pia","nickname":null},"custom_attributes":{"x_plan":"gold"}}}}`, nil,
			map[string]string{"/given_name": `"Pia"`, "/nickname": `null`, "/x_plan": `"gold"`}},
		{"sends all back", `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"given_name":"Sam","nickname":"T"},"custom_attributes":{"x_plan":{"b":2,"a":1}}}}}`, nil,
			map[string]string{"/nickname": `"T"`}},
		{"removes what isn't there", `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"family_name":null}}}}`, nil, nil},
		{"an attribute that there isn't", `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"sub":"x"}}}}`, unusable, nil},
		{"a value of another type", `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"given_name":1}}}}`, unusable, nil},
		{"a custom attribute without x_", `{"is_allowed":true,"mutations":{"user":{"custom_attributes":{"plan":1}}}}`, unusable, nil},
		{"a custom attribute among the others", `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"x_plan":1}}}}`, unusable, nil},
		{"mutations of another type", `{"is_allowed":true,"mutations":{"user":{"standard_attributes":[]}}}`, unusable, nil},
		{"nothing", ``, unusable, nil},
		{"null", `null`, unusable, nil},
		{"no word", `{}`, unusable, nil},
		{"a word of another type", `{"is_allowed":"true"}`, unusable, nil},
		{"too much", `{"is_allowed":true,"reason":"` + strings.Repeat("x", 65<<10) + `"}`, unusable, nil},
	} {
		to.Always(hooktest.Answer{Body: c.body})
		var set map[string]json.RawMessage
		err := r.ask(n, tenant.HookPreCreate, &set)
		if c.want == nil && err != nil || c.want != nil && tenant.AsError(err).Reason != c.want.Reason {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.set != nil && !maps.EqualFunc(c.set, set, func(a string, b json.RawMessage) bool { return a == string(b) }) || c.set == nil && len(set) > 0 {
			t.Errorf("%s: sets %s, want %v", c.name, text(set), c.set)
		}
		// Where there is nothing to change, what would be changed isn't looked at.
		if err := r.ask(n, tenant.HookPreAuthenticated, &set); len(set) > 0 || strings.HasPrefix(c.body, `{"is_allowed":true,"mutations":{"user"`) && !strings.Contains(c.body, "[]") && err != nil {
			t.Errorf("%s: %v %v", c.name, set, err)
		}
	}
	to.Always(hooktest.Answer{Body: `{"is_allowed":false,"title":"Closed","reason":"come\nback"}`})
	info := refused(t, r.ask(n, tenant.HookPreCreate, nil), no).Info
	if text(info) != `{"endpoint":"a","reason":"come back","title":"Closed"}` {
		t.Error(text(info))
	}
	to.Always(hooktest.Answer{Status: 500, Body: `{"is_allowed":true}`})
	e := refused(t, r.ask(n, tenant.HookPreCreate, nil), unusable)
	if text(e.Info) != `{"endpoint":"a","retry_after_seconds":5}` || e.Kind != tenant.Unavailable {
		t.Error(text(e))
	}
}

// Endpoints are asked in their order, each hears of what those before it set, and
// the first no is the answer.
func TestOrder(t *testing.T) {
	first, second, third := receiver(t), receiver(t), receiver(t)
	first.Always(hooktest.Answer{Body: `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"given_name":"Pia"},"custom_attributes":{"x_plan":null}}}}`})
	second.Always(hooktest.Answer{Body: `{"is_allowed":true,"mutations":{"user":{"custom_attributes":{"x_plan":"gold"}}}}`})
	third.Always(hooktest.Allow)
	r := newRig(t, testenv.SQLite(t), asked("first", first, tenant.HookPreCreate), asked("second", second, tenant.HookPreCreate), asked("third", third, tenant.HookPreCreate))
	n := r.node(r.store)
	var set map[string]json.RawMessage
	must(t, r.ask(n, tenant.HookPreCreate, &set))
	if text(set) != `{"/given_name":"Pia","/x_plan":"gold"}` {
		t.Error(text(set))
	}
	c := third.Calls("")[0]
	if text(c.Fact("user", "standard_attributes")) != `{"given_name":"Pia","nickname":"S"}` || text(c.Fact("user", "custom_attributes")) != `{"x_plan":"gold"}` ||
		c.Fact("flow", "type") != "login" || c.Envelope.ID != first.Calls("")[0].Envelope.ID {
		t.Error(c.Body)
	}
	if got := text(second.Calls("")[0].Fact("user", "custom_attributes")); got != `{}` {
		t.Error(got)
	}
	second.Always(hooktest.Answer{Body: `{"is_allowed":false}`})
	refused(t, r.ask(n, tenant.HookPreCreate, nil), tenant.ErrHookDisallowed)
	if got := len(third.Calls("")); got != 1 {
		t.Error(got, "calls after a no")
	}
}

// An endpoint that hangs, or isn't there, is what its fail mode says.
func TestFailModes(t *testing.T) {
	hangs, next := receiver(t), receiver(t)
	hangs.Always(hooktest.Answer{Hang: true})
	next.Always(hooktest.Answer{Body: `{"is_allowed":true,"mutations":{"user":{"standard_attributes":{"given_name":"Pia"}}}}`})
	slow := asked("slow", hangs, tenant.HookPreCreate)
	slow.TimeoutMS = 100
	gone := asked("gone", next, tenant.HookPreCreate)
	gone.URL = "http://127.0.0.1:1/"
	slow.OnFailure, gone.OnFailure = tenant.HookAllow, tenant.HookAllow
	r := newRig(t, testenv.SQLite(t), slow, gone, asked("next", next, tenant.HookPreCreate))
	n := r.node(r.store)
	var set map[string]json.RawMessage
	must(t, r.ask(n, tenant.HookPreCreate, &set))
	if text(set) != `{"/given_name":"Pia"}` {
		t.Error(text(set))
	}
	for _, mode := range []tenant.HookFailure{tenant.HookDeny, ""} {
		r.config.Hooks.Endpoints[0].OnFailure = mode
		e := refused(t, r.ask(n, tenant.HookPreCreate, nil), tenant.ErrHookUnavailable)
		if e.Info["endpoint"] != "slow" || e.RetryAfter() == 0 || strings.Contains(e.Error(), "127.0.0.1") {
			t.Error(e)
		}
	}
	for outcome, want := range map[string]float64{"timeout": 3, "failed": 1, "allowed": 1, "denied": 0} {
		if got := n.counted(t, "blocking", tenant.HookPreCreate, outcome); got != want {
			t.Errorf("%s: counted %v, want %v", outcome, got, want)
		}
	}
}

// The first key is made when it is needed, once, whoever needs it at once; a key
// that was replaced signs on beside the new one for a day.
func TestKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		to := receiver(t)
		to.Always(hooktest.Allow)
		r := newRig(t, url)
		r.config.Hooks.Endpoints = []tenant.HookEndpoint{asked("a", to, tenant.HookPreCreate)}
		one, two := r.node(r.store), r.node(r.store)
		to.Quiet()
		var all sync.WaitGroup
		for range 8 {
			for _, n := range []*node{one, two} {
				all.Go(func() { _ = r.ask(n, tenant.HookPreCreate, nil) })
			}
		}
		all.Wait()
		name := tenant.HookSecretName("a")
		made := r.secret(name)
		if !strings.HasPrefix(made, "usherhook_") || len(made) != len("usherhook_")+32 {
			t.Fatalf("the key is %q", made)
		}
		log, err := r.store.AuditLog(t.Context(), r.tenant.ID, tenant.AuditFilter{Action: "hook.create_key"}, tenant.Page{Limit: 9})
		must(t, err)
		if len(log) != 1 || strings.Contains(string(log[0].Detail), made) {
			t.Errorf("%d events: %v", len(log), log)
		}
		to.Knows(made)
		must(t, r.ask(one, tenant.HookPreCreate, nil))
		must(t, r.ask(two, tenant.HookPreCreate, nil))

		clock, replaced := time.Now(), now()
		later := r.node(r.store, func(o *hook.Options) { o.Now = func() time.Time { return clock } })
		r.putKey(tenant.PreviousHookSecretName("a"), made, replaced)
		r.putKey(name, key, replaced)
		for _, knows := range []string{made, key} {
			to.Knows(knows)
			must(t, r.ask(later, tenant.HookPreCreate, nil))
		}
		signature := to.Calls("")[len(to.Calls(""))-1].Header.Get("Usher-Signature")
		if !strings.Contains(signature, ",kid="+hook.KeyID([]byte(key))+",v1=") || !strings.Contains(signature, ",kid="+hook.KeyID([]byte(made))+",v1=") {
			t.Error(signature)
		}
		clock = clock.Add(tenant.HookKeyOverlap + time.Second)
		to.At(func() time.Time { return clock })
		must(t, r.ask(later, tenant.HookPreCreate, nil))
		if signature := to.Calls("")[len(to.Calls(""))-1].Header.Get("Usher-Signature"); strings.Count(signature, "kid=") != 1 || strings.Contains(signature, hook.KeyID([]byte(made))) {
			t.Error(signature)
		}
	})
}

// An endpoint can be tried out with something made up of every event.
func TestTry(t *testing.T) {
	to := receiver(t)
	to.Always(hooktest.Answer{Body: `{"is_allowed":false}`})
	e := tenant.HookEndpoint{Name: "a", URL: to.URL}
	r := newRig(t, testenv.SQLite(t), asked("a", to, tenant.HookPreCreate))
	n := r.node(r.store)
	for _, event := range append(append([]tenant.HookEventType{}, tenant.BlockingHookEvents...), tenant.ToldHookEvents...) {
		trial, err := n.Try(t.Context(), r.tenant, &e, event, hook.Context{})
		must(t, err)
		if trial.Error != "" || trial.StatusCode != 200 || (trial.Allowed != nil) != event.Blocking() {
			t.Errorf("%s: %s", event, text(trial))
		}
		if c := to.Calls(event); len(c) != 1 || !c[0].Envelope.Test {
			t.Errorf("%s: %s", event, text(c))
		}
	}
	to.Always(hooktest.Answer{Status: 500, Body: "oops"})
	trial, err := n.Try(t.Context(), r.tenant, &e, tenant.HookUserCreated, hook.Context{})
	must(t, err)
	if trial.Error != "it answered with status 500" || trial.Response != "oops" {
		t.Error(text(trial))
	}
}
