package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Question is something that is about to happen.
type Question struct {
	Type    tenant.HookEventType
	User    *tenant.HookUser // whom it is about; nil when nobody is known
	Facts   map[string]any   // beside the user
	Context Context
}

// How many may wait for one endpoint at once, and how long those who are turned
// away should, in seconds.
const (
	maxAsking = 128
	retryIn   = 5
)

// reply is what an endpoint answers when it is asked.
type reply struct {
	Allowed   *bool  `json:"is_allowed"`
	Title     string `json:"title"`
	Reason    string `json:"reason"`
	Mutations struct {
		User struct {
			Standard map[string]json.RawMessage `json:"standard_attributes"`
			Custom   map[string]json.RawMessage `json:"custom_attributes"`
		} `json:"user"`
	} `json:"mutations"`
}

// Ask asks the tenant's endpoints whether something may happen, one after the
// other, and answers with the attributes of the user that they set, by pointer; a
// null removes one. tenant.ErrHookDisallowed when one of them says no,
// tenant.ErrHookUnavailable when one that has to be asked can't be. Nobody may
// hold a transaction meanwhile.
func (h *Hooks) Ask(ctx context.Context, t *tenant.Tenant, cfg *tenant.Config, q Question) (map[string]json.RawMessage, error) {
	endpoints := cfg.Hooks.For(q.Type)
	if len(endpoints) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tenant.HookTotalTimeout)
	defer cancel()
	id, set := secret.NewID(), map[string]json.RawMessage{}
	for _, e := range endpoints {
		facts := map[string]any{"user": q.User}
		maps.Copy(facts, q.Facts)
		body, err := seal(t, q.Context, h.o.Now(), id, 0, Event{q.Type, facts})
		if err != nil {
			return nil, err
		}
		r, changed, err := h.ask(ctx, t, e, &q, letter{id: id, typ: q.Type, body: body})
		switch {
		case err != nil && e.OnFailure == tenant.HookAllow:
			h.o.Log.WarnContext(ctx, "a hook could not be asked; going on without it", "tenant", t.Slug, "hook", e.Name, "event", q.Type, "err", err)
			continue
		case err != nil:
			h.o.Log.WarnContext(ctx, "a hook could not be asked", "tenant", t.Slug, "hook", e.Name, "event", q.Type, "err", err)
			return nil, tenant.ErrHookUnavailable.With("endpoint", e.Name).With("retry_after_seconds", retryIn).Because(err)
		case !*r.Allowed:
			return nil, tenant.ErrHookDisallowed.With("endpoint", e.Name).With("title", line(r.Title, 200)).With("reason", line(r.Reason, 1000))
		}
		if len(changed) > 0 {
			q.User = mutated(q.User, changed)
			maps.Copy(set, changed)
		}
	}
	return set, nil
}

// ask asks one endpoint.
func (h *Hooks) ask(ctx context.Context, t *tenant.Tenant, e *tenant.HookEndpoint, q *Question, l letter) (r reply, set map[string]json.RawMessage, err error) {
	lane := tenant.HookLane{TenantID: t.ID, Endpoint: e.Name}
	if !h.asked.enter(lane, maxAsking) {
		h.o.Metrics.called(q.Type, failed, 0)
		return r, nil, errors.New("too many wait for its answer")
	}
	defer h.asked.leave(lane)
	a := h.call(ctx, t, e, l)
	outcome := allowed
	switch err = a.failure(); {
	case a.timeout:
		outcome = timedOut
	case err != nil:
		outcome = failed
	default:
		if r, set, err = readReply(&a, q); err != nil {
			outcome = failed
		} else if !*r.Allowed {
			outcome = denied
		}
	}
	h.o.Metrics.called(q.Type, outcome, a.took)
	return r, set, err
}

// readReply reads what an endpoint said. What can't be read is no answer.
func readReply(a *answer, q *Question) (r reply, set map[string]json.RawMessage, err error) {
	if err := json.Unmarshal(a.body, &r); err != nil || r.Allowed == nil {
		return r, nil, errors.New(`its answer is no JSON object with a boolean "is_allowed"`)
	}
	if !*r.Allowed || q.User == nil || q.Type != tenant.HookPreCreate && q.Type != tenant.HookProfilePreUpdate {
		return r, nil, nil // there is nothing that it could change
	}
	set = map[string]json.RawMessage{}
	for _, part := range []struct {
		at     string
		custom bool
		has    json.RawMessage
		want   map[string]json.RawMessage
	}{
		{"standard_attributes", false, q.User.Standard, r.Mutations.User.Standard},
		{"custom_attributes", true, q.User.Custom, r.Mutations.User.Custom},
	} {
		has := map[string]json.RawMessage{}
		if err := json.Unmarshal(part.has, &has); err != nil {
			return r, nil, fmt.Errorf("%s of the user: %w", part.at, err)
		}
		for name, value := range part.want {
			pointer := "/" + name
			if same(has[name], value) {
				continue // whoever sends all of them back changes what is different
			}
			fits := part.custom == strings.HasPrefix(name, "x_") && (isNull(value) || tenant.CheckAttribute(pointer, value) == "")
			if !fits {
				return r, nil, fmt.Errorf("its answer sets %s/%s, which is no attribute or doesn't take this value", part.at, line(name, 64))
			}
			set[pointer] = value
		}
	}
	return r, set, nil
}

func isNull(value json.RawMessage) bool { return string(bytes.TrimSpace(value)) == "null" }

// same says whether two values are the same JSON but for white space and the
// order of keys.
func same(a, b json.RawMessage) bool {
	if len(a) == 0 {
		return isNull(b) // it isn't there
	}
	x, y := canonical(a), canonical(b)
	return x != nil && bytes.Equal(x, y)
}

func canonical(raw json.RawMessage) []byte {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}

// mutated is the user as the next endpoint sees them.
func mutated(u *tenant.HookUser, set map[string]json.RawMessage) *tenant.HookUser {
	fresh := *u
	for pointer, value := range set {
		into := &fresh.Standard
		if strings.HasPrefix(pointer, "/x_") {
			into = &fresh.Custom
		}
		object := map[string]json.RawMessage{}
		if json.Unmarshal(*into, &object) != nil {
			continue
		}
		if object[pointer[1:]] = value; isNull(value) {
			delete(object, pointer[1:])
		}
		if out, err := json.Marshal(object); err == nil {
			*into = out
		}
	}
	return &fresh
}

// line is text for people on one line, of at most so many characters.
func line(s string, most int) string {
	out := []rune(strings.ToValidUTF8(s, ""))
	for i, r := range out {
		if unicode.IsControl(r) {
			out[i] = ' '
		}
	}
	return string(out[:min(len(out), most)])
}
