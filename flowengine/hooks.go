package flowengine

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/tenant"
)

func (w *world) Hook(event tenant.HookEventType, user *tenant.HookUser, facts map[string]any) (map[string]json.RawMessage, error) {
	return w.engine.hooks.Ask(w.ctx, w.tenant, w.config, hook.Question{Type: event, User: user, Facts: facts, Context: w.client.toHooks()})
}

// toHooks is what hooks hear of a client.
func (c *Client) toHooks() hook.Context {
	return hook.Context{
		RequestID: c.RequestID, IP: c.IP.String(), Language: clip(c.Language, 200),
		Client: hook.Client{Surface: c.Surface, UserAgent: clip(c.UserAgent, 512)},
	}
}

// tell puts into a commit what the tenant's hooks are told of it. It reads
// something only when one of them wants to know.
func (e *Engine) tell(m *move, c *tenant.Commit) error {
	hooks := &m.world.config.Hooks
	if len(hooks.Endpoints) == 0 {
		return nil
	}
	unwanted := func(h hook.Event) bool { return len(hooks.For(h.Type)) == 0 }
	events := slices.DeleteFunc(m.happened(c), unwanted)
	if len(events) == 0 {
		return nil
	}
	user, verified, err := m.afterwards(c)
	if err != nil {
		return err
	}
	var all []hook.Event
	for _, h := range events {
		if h.Type != tenant.HookIdentityVerified {
			all = append(all, h)
			continue
		}
		for _, i := range verified {
			all = append(all, hook.Event{Type: h.Type, Facts: map[string]any{"identity": i}})
		}
	}
	for i := range all {
		if all[i].Facts == nil {
			all[i].Facts = map[string]any{}
		}
		all[i].Facts["user"] = user
	}
	c.Hooks, err = hook.Tell(m.tenant, m.world.config, m.client.toHooks(), m.now, all...)
	return err
}

// happened lists what a commit makes happen.
func (m *move) happened(c *tenant.Commit) []hook.Event {
	var events []hook.Event
	add := func(t tenant.HookEventType, facts map[string]any) {
		events = append(events, hook.Event{Type: t, Facts: facts})
	}
	if c.User != nil {
		add(tenant.HookUserCreated, nil)
	}
	if c.Promotes {
		add(tenant.HookUserPromoted, nil)
	}
	if len(c.Verified)+len(c.Identities) > 0 {
		add(tenant.HookIdentityVerified, nil) // those that are, one by one
	}
	for _, a := range c.Authenticators {
		if a.Type != deviceTokenType && a.Type != tenant.OldPassword {
			add(tenant.HookAuthenticatorCreated, map[string]any{"authenticator": tenant.HookAuthenticator{ID: a.ID, Type: a.Type}})
		}
	}
	for _, effect := range m.result.Effects {
		f, ok := effect.(flow.Create)
		if !ok {
			continue
		}
		for _, a := range m.removed(c, f.Remove) {
			add(tenant.HookAuthenticatorRemoved, map[string]any{"authenticator": a})
		}
		if c.Attributes != nil {
			add(tenant.HookProfileUpdated, map[string]any{"changed": slices.Sorted(maps.Keys(f.Profile))})
		}
		switch {
		case f.NewPassword == "":
		case m.run.Flow.Type == tenant.AccountRecovery:
			add(tenant.HookPasswordReset, nil)
		default:
			add(tenant.HookPasswordChanged, nil)
		}
	}
	if c.RevokeSessions {
		add(tenant.HookSessionRevoked, map[string]any{"session_id": nil, "all": true})
	}
	session := map[string]any{"id": m.run.SessionID, "amr": append([]string{}, m.run.Factors...)}
	if c.Session != nil {
		add(tenant.HookUserAuthenticated, map[string]any{"session": session})
	}
	if c.Renewed != nil {
		session["amr"] = c.Renewed.AMR
		add(tenant.HookUserReauthenticated, map[string]any{"session": session})
	}
	return events
}

// removed are the authenticators that a user loses, but for those that hooks
// aren't told of.
func (m *move) removed(c *tenant.Commit, types []string) []tenant.HookAuthenticator {
	var out []tenant.HookAuthenticator
	if before := m.world.known[m.run.UserID]; before != nil {
		for _, a := range before.Authenticators {
			lost := slices.ContainsFunc(c.RemovePasskeys, func(p tenant.LostPasskey) bool { return p.AuthenticatorID == a.ID })
			if lost || a.Type != deviceTokenType && slices.Contains(types, a.Type) {
				out = append(out, tenant.HookAuthenticator{ID: a.ID, Type: a.Type})
			}
		}
	}
	return out
}

// afterwards is the user of a commit once it is made, and which of their login
// ids it verifies.
func (m *move) afterwards(c *tenant.Commit) (*tenant.HookUser, []tenant.HookIdentity, error) {
	var user tenant.User
	var identities []tenant.Identity
	if c.User != nil {
		user = *c.User
	} else {
		account, err := m.world.Account(c.Run.UserID)
		if err != nil {
			return nil, nil, err
		}
		if account == nil {
			return nil, nil, tenant.ErrUserNotFound
		}
		user = account.User
		if identities, err = m.world.Identities(user.ID); err != nil {
			return nil, nil, err
		}
	}
	if c.Attributes != nil {
		user.Attributes, user.UpdatedAt = *c.Attributes, m.now
	}
	if c.Promotes {
		user.Anonymous, user.UpdatedAt = false, m.now
	}
	var verified []tenant.HookIdentity
	for i := range identities {
		id := &identities[i]
		if id.VerifiedAt.IsZero() && slices.Contains(c.Verified, id.Claim) {
			id.VerifiedAt = m.now
			verified = append(verified, tenant.NewHookIdentity(id))
		}
	}
	for i := range c.Identities {
		if !c.Identities[i].VerifiedAt.IsZero() {
			verified = append(verified, tenant.NewHookIdentity(&c.Identities[i]))
		}
	}
	return tenant.NewHookUser(&user, append(identities, c.Identities...)), verified, nil
}

// tellRevoked is what hooks are told when a user ends sessions.
func (e *Engine) tellRevoked(ctx context.Context, t *tenant.Tenant, c Client, userID string, which tenant.SessionSelector, now time.Time) ([]tenant.HookDelivery, error) {
	cfg, err := e.Config(ctx, t)
	if err != nil || len(cfg.Hooks.For(tenant.HookSessionRevoked)) == 0 {
		return nil, err
	}
	u, err := e.store.User(ctx, t.ID, userID)
	if err != nil {
		return nil, err
	}
	facts := map[string]any{"user": tenant.NewHookUser(&u.User, u.Identities), "session_id": which.ID, "all": which.ID == ""}
	if which.ID == "" {
		facts["session_id"] = nil
	}
	return hook.Tell(t, cfg, c.toHooks(), now, hook.Event{Type: tenant.HookSessionRevoked, Facts: facts})
}
