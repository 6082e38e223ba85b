package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/tenant"
)

// toHooks is what hooks hear of an admin's request.
func (a Actor) toHooks() hook.Context {
	return hook.Context{RequestID: a.RequestID, IP: a.IP, Client: hook.Client{Surface: "admin"}}
}

// tell has the tenant's hooks told of something when the change is made. facts
// may be nil.
func (c *change) tell(t tenant.HookEventType, u *tenant.UserRecord, facts map[string]any) {
	c.told = append(c.told, telling{t, u, facts})
}

// telling is something to be told of a user, as they are at the end of the change.
type telling struct {
	event tenant.HookEventType
	user  *tenant.UserRecord
	facts map[string]any
}

// tellHooks puts into the outbox what hooks are told of a change.
func (s *Service) tellHooks(ctx context.Context, a Actor, c *change) error {
	if len(c.told) == 0 {
		return nil
	}
	cfg, err := s.Published(ctx, c.t)
	if err != nil || len(cfg.Hooks.Endpoints) == 0 {
		return err
	}
	events := make([]hook.Event, len(c.told))
	for i, n := range c.told {
		facts := map[string]any{"user": tenant.NewHookUser(&n.user.User, n.user.Identities)}
		for name, v := range n.facts {
			facts[name] = v
		}
		events[i] = hook.Event{Type: n.event, Facts: facts}
	}
	ds, err := hook.Tell(c.t, cfg, a.toHooks(), s.now(), events...)
	if err != nil {
		return err
	}
	return c.TellHooks(ds)
}

func (s *Service) wakeHooks() {
	if s.Hooks != nil {
		s.Hooks.Wake()
	}
}

// tellMade tells of a new user and of what they have.
func (c *change) tellMade(u *tenant.UserRecord) {
	c.tell(tenant.HookUserCreated, u, nil)
	for i := range u.Identities {
		if !u.Identities[i].VerifiedAt.IsZero() {
			c.tell(tenant.HookIdentityVerified, u, map[string]any{"identity": tenant.NewHookIdentity(&u.Identities[i])})
		}
	}
	for i := range u.Authenticators {
		c.tell(tenant.HookAuthenticatorCreated, u, shownAuthenticator(&u.Authenticators[i]))
	}
}

func shownAuthenticator(a *tenant.Authenticator) map[string]any {
	return map[string]any{"authenticator": tenant.HookAuthenticator{ID: a.ID, Type: a.Type}}
}

// tellRevoked tells of sessions that ended: one, or with session "" all of the
// user's; of none it tells nothing.
func (c *change) tellRevoked(u *tenant.UserRecord, session string, ended int) {
	if ended == 0 {
		return
	}
	facts := map[string]any{"session_id": nil, "all": session == ""}
	if session != "" {
		facts["session_id"] = session
	}
	c.tell(tenant.HookSessionRevoked, u, facts)
}

// ask asks the tenant's hooks whether something may happen to a user, and
// answers with the attributes that they set, by pointer. Who sits at the machine
// needs nobody's leave.
func (s *Service) ask(ctx context.Context, a Actor, t *tenant.Tenant, cfg *tenant.Config, event tenant.HookEventType, u *tenant.UserRecord, facts map[string]any) (map[string]json.RawMessage, error) {
	switch {
	case len(cfg.Hooks.For(event)) == 0, a.Kind == tenant.ActorSystem, a.Kind == tenant.ActorCLI:
		return nil, nil
	case s.Hooks == nil:
		return nil, tenant.ErrHookUnavailable
	}
	return s.Hooks.Ask(ctx, t, cfg, hook.Question{Type: event, User: tenant.NewHookUser(&u.User, u.Identities), Facts: facts, Context: a.toHooks()})
}

// askUpdate asks about a change of attributes, and answers with the change as
// the hooks want it.
func (s *Service) askUpdate(ctx context.Context, a Actor, slug, userID string, in UserChange) (UserChange, error) {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return in, err
	}
	cfg, err := s.Published(ctx, t)
	if err != nil || len(cfg.Hooks.For(tenant.HookProfilePreUpdate)) == 0 {
		return in, err
	}
	u, err := s.Store.User(ctx, t.ID, userID)
	if err != nil {
		return in, err
	}
	changed, err := in.apply(u)
	if err != nil || len(changed) == 0 {
		return in, err
	}
	set, err := s.ask(ctx, a, t, cfg, tenant.HookProfilePreUpdate, u, map[string]any{"changed": attributesOf(changed)})
	if err != nil || len(set) == 0 {
		return in, err
	}
	for _, part := range []struct {
		patch  *json.RawMessage
		custom bool
	}{{&in.Standard, false}, {&in.Custom, true}} {
		patch := map[string]json.RawMessage{}
		if len(*part.patch) > 0 {
			if err := json.Unmarshal(*part.patch, &patch); err != nil {
				return in, err
			}
		}
		for pointer, value := range set {
			if strings.HasPrefix(pointer, "/x_") == part.custom {
				patch[pointer[1:]] = value
			}
		}
		if len(patch) == 0 {
			continue
		}
		if *part.patch, err = json.Marshal(patch); err != nil {
			return in, err
		}
	}
	return in, nil
}

// attributesOf are pointers into a user's attributes, as hooks hear of them.
func attributesOf(pointers []string) []string {
	out := make([]string, len(pointers))
	for i, p := range pointers {
		out[i] = strings.TrimPrefix(strings.TrimPrefix(p, "/standard"), "/custom")
	}
	slices.Sort(out)
	return out
}

// HookKey is a signing key that was just made.
type HookKey struct {
	ID            string
	Secret        string    // shown once
	PreviousUntil time.Time // until then the key before it signs too; zero when there was none
}

// RotateHookKey gives an endpoint a new signing key. The one that it had signs
// beside it for a day; the one before that, no more. ErrNotFound for an endpoint
// that neither the draft nor what is in force has.
func (s *Service) RotateHookKey(ctx context.Context, a Actor, slug, endpoint string) (*HookKey, error) {
	st, err := s.standing(ctx, slug)
	if err != nil {
		return nil, err
	}
	if _, err := st.hook(endpoint); err != nil {
		return nil, err
	}
	name, previous := tenant.HookSecretName(endpoint), tenant.PreviousHookSecretName(endpoint)
	fresh := hook.NewKey()
	k := &HookKey{ID: hook.KeyID([]byte(fresh)), Secret: fresh}
	_, err = s.change(ctx, a, slug, "hook.rotate_key", func(c *change) error {
		now := s.now()
		k.PreviousUntil = time.Time{}
		c.detail = detail{"secrets": []string{name}, "key": k.ID}
		put := func(name, value string) error {
			sealed, err := s.Master.Seal(c.t, tenant.SecretTable, name, []byte(value))
			if err != nil {
				return err
			}
			return c.PutSecret(c.t.ID, tenant.Secret{Name: name, LastFour: lastFour(value), UpdatedAt: now}, sealed)
		}
		old, err := s.Store.OpenSecret(ctx, c.t.ID, name) // the tenant is locked, so it is the last one
		switch {
		case errors.Is(err, tenant.ErrNotFound):
			return put(name, fresh)
		case err != nil:
			return err
		}
		plain, err := s.Master.Open(c.t, tenant.SecretTable, name, old)
		if err != nil {
			return err
		}
		k.PreviousUntil = now.Add(tenant.HookKeyOverlap)
		return firstOf(put(previous, string(plain)), put(name, fresh))
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// KnownHookKey is a signing key from the outside.
type KnownHookKey struct {
	Hook          string
	KeyID         string
	LastFour      string // "" of a key that is too short to tell
	CreatedAt     time.Time
	PreviousUntil time.Time // until then the key before it signs too; zero when none does
}

// HookKeys lists the signing keys of the endpoints in the draft and in what is in
// force.
func (s *Service) HookKeys(ctx context.Context, t *tenant.Tenant) ([]*KnownHookKey, error) {
	st, err := s.standing(ctx, t.Slug)
	if err != nil {
		return nil, err
	}
	kept, err := s.Store.Secrets(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	byName := map[string]tenant.Secret{}
	for _, k := range kept {
		byName[k.Name] = k
	}
	var out []*KnownHookKey
	seen := map[string]bool{}
	for _, e := range slices.Concat(st.cfg.Hooks.Endpoints, st.published.Hooks.Endpoints) {
		name := tenant.HookSecretName(e.Name)
		k, ok := byName[name]
		if seen[e.Name] || !ok {
			continue
		}
		seen[e.Name] = true
		plain, err := s.Master.Kept(ctx, s.Store, t, name)
		if err != nil {
			return nil, err
		}
		known := &KnownHookKey{Hook: e.Name, KeyID: hook.KeyID(plain), LastFour: k.LastFour, CreatedAt: k.UpdatedAt}
		if p, ok := byName[tenant.PreviousHookSecretName(e.Name)]; ok {
			if until := p.UpdatedAt.Add(tenant.HookKeyOverlap); until.After(s.now()) {
				known.PreviousUntil = until
			}
		}
		out = append(out, known)
	}
	return out, nil
}

// hook finds an endpoint in the draft, or else in what is in force.
func (st *standing) hook(name string) (*tenant.HookEndpoint, error) {
	for _, cfg := range []*tenant.Config{st.cfg, st.published} {
		if e := cfg.Hooks.Endpoint(name); e != nil {
			return e, nil
		}
	}
	return nil, tenant.ErrNotFound.Says("there is no hook of this name")
}

// TestHook calls an endpoint, as the draft has it, about something made up; event
// "" is the first one that it wants. ErrNotFound, ErrValidation for an event that
// it doesn't want.
func (s *Service) TestHook(ctx context.Context, a Actor, slug, endpoint string, event tenant.HookEventType) (*hook.Trial, error) {
	st, err := s.standing(ctx, slug)
	if err != nil {
		return nil, err
	}
	e, err := st.hook(endpoint)
	if err != nil {
		return nil, err
	}
	if event == "" {
		event = e.Events[0]
	}
	if !slices.Contains(e.Events, event) {
		return nil, tenant.Invalidf("/event", "enum", "this hook is not called about %s", event)
	}
	if s.Hooks == nil {
		return nil, tenant.ErrHookUnavailable
	}
	trial, err := s.Hooks.Try(ctx, st.t, e, event, a.toHooks())
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, a, slug, "hook.test", func(c *change) error {
		c.detail = detail{"hook": endpoint, "event": event, "status_code": trial.StatusCode, "error": trial.Error}
		return nil
	})
	return trial, err
}

// Redeliver has an event delivered to an endpoint once more, as it was then; the
// answer is the new delivery. ErrNotFound.
func (s *Service) Redeliver(ctx context.Context, a Actor, slug, deliveryID string) (*tenant.HookDelivery, error) {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	d, err := s.Store.HookDelivery(ctx, t.ID, deliveryID)
	if err != nil {
		return nil, err
	}
	again := hook.Again(d, s.now())
	_, err = s.change(ctx, a, slug, "hook.redeliver", func(c *change) error {
		c.detail = detail{"hook": d.Endpoint, "event": d.Type, "delivery": d.ID, "again": again.ID}
		return c.TellHooks([]tenant.HookDelivery{again})
	})
	if err != nil {
		return nil, err
	}
	s.wakeHooks()
	return &again, nil
}

// userOfSession is whose a session is, for an admin who names it alone; nil when
// there is none such.
func (s *Service) userOfSession(ctx context.Context, t *tenant.Tenant, which tenant.SessionSelector) (*tenant.UserRecord, error) {
	userID := which.UserID
	if userID == "" {
		// The list is by id, the newest first, and begins behind what sorts just after this one.
		list, err := s.Store.Sessions(ctx, t.ID, tenant.SessionFilter{}, tenant.Page{After: which.ID + "0", Limit: 1})
		if err != nil || len(list) == 0 || list[0].ID != which.ID {
			return nil, err
		}
		userID = list[0].UserID
	}
	u, err := s.Store.User(ctx, t.ID, userID)
	if errors.Is(err, tenant.ErrUserNotFound) {
		return nil, nil
	}
	return u, err
}
