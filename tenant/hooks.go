package tenant

import (
	"fmt"
	"slices"
	"time"
)

// Hooks says which services of the tenant's are asked before something happens,
// and told when it has.
type Hooks struct {
	Endpoints []HookEndpoint `json:"endpoints" jsonschema:"maxItems=20" jsonschema_description:"The services, in the order they are asked."`
}

// HookEndpoint is a service that is called over HTTP with JSON, signed with the
// secret hook.<name>.signing_key.
type HookEndpoint struct {
	Name      string          `json:"name" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9_-]{0\\,38}[a-z0-9])?$" jsonschema_description:"What it is called here; its signing key is the secret hook.<name>.signing_key."`
	URL       string          `json:"url" jsonschema:"required,minLength=1,maxLength=2048" jsonschema_description:"Where it is called, by POST."`
	Events    []HookEventType `json:"events" jsonschema:"required,minItems=1,uniqueItems=true,enum=user.pre_create,enum=authentication.pre_initialize,enum=authentication.post_identified,enum=authentication.pre_authenticated,enum=user.profile.pre_update,enum=user.created,enum=user.authenticated,enum=user.reauthenticated,enum=user.profile.updated,enum=user.disabled,enum=user.enabled,enum=user.deleted,enum=user.anonymous.promoted,enum=identity.verified,enum=authenticator.created,enum=authenticator.removed,enum=session.revoked,enum=password.reset,enum=password.changed" jsonschema_description:"What it is called about: events that are asked about when it is blocking, events that are told of otherwise."`
	Blocking  bool            `json:"blocking,omitempty" jsonschema_description:"Whether it is asked before something happens, and waited for. Otherwise it is told once it has happened."`
	TimeoutMS int             `json:"timeout_ms,omitempty" jsonschema:"minimum=0,maximum=10000" jsonschema_description:"How long an answer is waited for; 0 for 5000. All blocking hooks of one event together have 10 seconds."`
	OnFailure HookFailure     `json:"on_failure,omitempty" jsonschema:"enum=deny,enum=allow" jsonschema_description:"Of a blocking hook: what happens when it gives no answer that can be used. deny, which is the default, or allow."`
	Enabled   bool            `json:"enabled" jsonschema:"required" jsonschema_description:"Whether it is called at all."`
}

// HookFailure says what happens when a blocking hook can't be asked.
type HookFailure string

// The fail modes of a blocking hook.
const (
	HookDeny  HookFailure = "deny" // "" too
	HookAllow HookFailure = "allow"
)

// How long answers are waited for.
const (
	HookTimeout      = 5 * time.Second  // of an endpoint that sets none
	HookTotalTimeout = 10 * time.Second // of all endpoints that are asked about one event
)

// Timeout is how long an answer is waited for.
func (e *HookEndpoint) Timeout() time.Duration {
	if e.TimeoutMS == 0 {
		return HookTimeout
	}
	return time.Duration(e.TimeoutMS) * time.Millisecond
}

// Wants says whether the endpoint is called about an event.
func (e *HookEndpoint) Wants(t HookEventType) bool { return e.Enabled && slices.Contains(e.Events, t) }

// For lists the endpoints that are called about an event, in their order; nil
// when there are none.
func (h *Hooks) For(t HookEventType) []*HookEndpoint {
	var out []*HookEndpoint
	for i := range h.Endpoints {
		if e := &h.Endpoints[i]; e.Wants(t) {
			out = append(out, e)
		}
	}
	return out
}

// Endpoint finds an endpoint by its name; nil when there is none.
func (h *Hooks) Endpoint(name string) *HookEndpoint {
	for i := range h.Endpoints {
		if e := &h.Endpoints[i]; e.Name == name {
			return e
		}
	}
	return nil
}

// SecretNames lists the names of the signing keys.
func (h *Hooks) SecretNames() []string {
	var out []string
	for i := range h.Endpoints {
		out = append(out, HookSecretName(h.Endpoints[i].Name))
	}
	return out
}

// HookSecretName is the name that the signing key of an endpoint is kept under.
func HookSecretName(endpoint string) string { return "hook." + endpoint + ".signing_key" }

// PreviousHookSecretName is the name that the key before that is kept under,
// which signs beside it for [HookKeyOverlap] after the change.
func PreviousHookSecretName(endpoint string) string { return HookSecretName(endpoint) + "_previous" }

// HookKeyOverlap is how long both keys sign after one was replaced.
const HookKeyOverlap = 24 * time.Hour

// checkHooks finds endpoints that can't be called.
func checkHooks(h *Hooks, add addProblem) {
	first := map[string]int{}
	for i := range h.Endpoints {
		e, at := &h.Endpoints[i], fmt.Sprintf("/hooks/endpoints/%d", i)
		if j, taken := first[e.Name]; taken {
			add(at+"/name", "Duplicate", "endpoint %d has the name %q already", j+1, e.Name)
		} else {
			first[e.Name] = i
		}
		if !isEndpoint(e.URL) {
			add(at+"/url", "WrongForm", "a URL is https://host/path, without user and fragment")
		}
		for j, event := range e.Events {
			switch {
			case e.Blocking && !event.Blocking():
				add(fmt.Sprintf("%s/events/%d", at, j), "NotAllowed", "%s is told of once it has happened: it needs an endpoint that is not blocking", event)
			case !e.Blocking && event.Blocking():
				add(fmt.Sprintf("%s/events/%d", at, j), "NotAllowed", "%s is asked about before it happens: it needs an endpoint that is blocking", event)
			}
		}
		if !e.Blocking && e.OnFailure != "" {
			add(at+"/on_failure", "NotAllowed", "only a blocking endpoint has a fail mode")
		}
	}
}
