package flowengine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

const (
	stateTable    = "flow_state" // what states are sealed as
	statePrefix   = "authflowstate_"
	sessionPrefix = "ushersession_"
	tokenLength   = 32 // after the prefix
)

// newStateToken makes the name of a state: the seed prints them in upper case.
func newStateToken() string { return statePrefix + strings.ToUpper(secret.NewToken("")) }

func isStateToken(s string) bool {
	return len(s) == len(statePrefix)+tokenLength && strings.HasPrefix(s, statePrefix)
}

// move is one request's work on a run.
type move struct {
	start  bool // it begins the run
	tenant *tenant.Tenant
	client *Client
	now    time.Time
	run    tenant.Run
	user   string // whom the run is about, as it stood before
	world  *world
	result flow.Result
}

func (c *Client) seen(at time.Time) tenant.Seen {
	return tenant.Seen{At: at, IP: c.IP.String(), UserAgent: clip(c.UserAgent, 512)}
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return strings.ToValidUTF8(s, "")
}

// keep commits a move: the new state, where the run stands now, and the effects.
func (e *Engine) keep(ctx context.Context, m *move, moved bool) (*Answer, error) {
	s := &m.result.State
	run := &m.run
	run.Flow, run.LastSeen, run.Factors = s.Ref, m.client.seen(m.now), s.AMR
	if !s.Draft.NewUser {
		run.UserID = s.User
	}
	if moved {
		run.Status = tenant.RunPending
	}
	if s.Done {
		run.Status, run.FinishedAt = tenant.RunFinished, m.now
	}
	run.ExpiresAt = expiry(m.world.config, run.CreatedAt, m.now)

	token := newStateToken()
	c := &tenant.Commit{New: m.start, State: tenant.FlowState{
		TenantID: m.tenant.ID, TokenHash: secret.TokenHash(token), RunID: run.ID, UserID: s.User, CreatedAt: m.now,
	}}
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if c.State.Data, err = e.master.Seal(m.tenant, stateTable, c.State.TokenHash, plain); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	opened := m.apply(c)
	c.Run = *run
	begun := time.Now()
	if err := e.store.Commit(ctx, c); err != nil {
		return nil, err
	}
	if s.Done { // the finished run is the event; SealAudit chains it
		e.metrics.Audited(tenant.AuditSignIn, time.Since(begun), nil)
		e.unsealed.Store(true)
	}
	if opened != nil {
		e.metrics.sessionsCreated.Inc()
	}
	return &Answer{Token: token, RunID: run.ID, Flow: run.Flow, Action: m.result.Action, Kind: run.SessionKind, Session: opened}, nil
}

// expiry is when a run ends that had an input just now.
func expiry(cfg *tenant.Config, created, now time.Time) time.Time {
	end := now.Add(time.Duration(cfg.Flows.LifetimeSeconds) * time.Second)
	if last := created.Add(time.Duration(cfg.Flows.MaxLifetimeSeconds) * time.Second); last.Before(end) {
		return last
	}
	return end
}

// apply puts the effects of a move into its commit.
func (m *move) apply(c *tenant.Commit) (opened *NewSession) {
	for _, effect := range m.result.Effects {
		switch f := effect.(type) {
		case flow.Create:
			m.create(c, f)
		case flow.Rehash:
			a := f.Authenticator // as it was read: the password is the same, only its hash is new
			c.Rehash = &a
		case flow.Open:
			opened = m.open(f)
			c.Session = opened.Session
			m.run.SessionID = opened.ID
		}
	}
	return opened
}

func (m *move) create(c *tenant.Commit, f flow.Create) {
	if f.NewUser {
		c.User = &tenant.User{TenantID: m.tenant.ID, ID: f.User, State: tenant.UserActive, CreatedAt: m.now, UpdatedAt: m.now}
	}
	for _, i := range f.Identities {
		identity := tenant.Identity{
			TenantID: m.tenant.ID, ID: secret.NewID(), UserID: f.User, Claim: i.Claim, Shown: i.Shown, CreatedAt: m.now,
		}
		if i.Verified {
			identity.VerifiedAt = m.now
		}
		c.Identities = append(c.Identities, identity)
	}
	for _, a := range f.Authenticators {
		c.Authenticators = append(c.Authenticators, tenant.Authenticator{
			TenantID: m.tenant.ID, ID: secret.NewID(), UserID: f.User, Type: a.Type, Secret: a.Secret, CreatedAt: m.now, UpdatedAt: m.now,
		})
	}
}

func (m *move) open(f flow.Open) *NewSession {
	token := secret.NewToken(sessionPrefix)
	cfg, seen := m.world.config, m.client.seen(m.now)
	s := &tenant.Session{
		TenantID: m.tenant.ID, ID: secret.NewID(), TokenHash: secret.TokenHash(token), UserID: f.User, RunID: m.run.ID, AMR: f.AMR,
		AuthenticatedAt: m.now, CreatedAt: m.now, LastSeenAt: m.now,
		ExpiresAt: m.now.Add(time.Duration(cfg.Sessions.LifetimeSeconds) * time.Second),
		IP:        seen.IP, UserAgent: seen.UserAgent,
	}
	s.IdleExpiresAt = idleEnd(cfg, s, m.now)
	return &NewSession{s, token}
}
