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

// stateHash is what a state is found by; "" for what is no state token.
func stateHash(token string) string {
	if len(token) != len(statePrefix)+tokenLength || !strings.HasPrefix(token, statePrefix) {
		return ""
	}
	return secret.TokenHash(token)
}

// move is one request's work on a run.
type move struct {
	start  bool // it begins the run
	held   bool // the run is known by its id
	again  bool // it begins anew
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
	run.ExpiresAt = expiry(m.world.config, run, m.now)

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
	if m.held {
		run.Head = c.State.TokenHash
	}
	c.Events = m.events()
	opened, err := e.apply(m, c)
	if err != nil {
		return nil, err
	}
	c.Run = *run
	if err := e.tell(m, c); err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := e.store.Commit(ctx, c); err != nil {
		return nil, err
	}
	if s.Done {
		e.finished(m, time.Since(begun))
	}
	if opened.session != nil {
		e.metrics.sessionsCreated.Inc()
	}
	if len(c.Messages) > 0 {
		e.outbox.Wake()
	}
	if len(c.Hooks) > 0 {
		e.hooks.Wake()
	}
	return &Answer{
		Token: token, RunID: run.ID, Flow: run.Flow, Action: m.result.Action, Kind: run.SessionKind,
		Session: opened.session, DeviceToken: opened.device, program: m.world.program, state: *s,
	}, nil
}

// finished is what follows from a run that has ended well: the run itself is the
// event, which SealAudit chains.
func (e *Engine) finished(m *move, took time.Duration) {
	s := &m.result.State
	if s.Ref.Type.SignsIn() || s.Ref.Type == tenant.AccountRecovery { // the others prove no way in
		m.world.forgive(s.User)
	}
	e.metrics.Audited(tenant.AuditSignIn, took, nil)
	e.unsealed.Store(true)
}

// events are what a move adds to the timeline of its run: the inputs that were
// taken, and what was sent.
func (m *move) events() []tenant.RunEvent {
	var out []tenant.RunEvent
	for _, t := range m.result.Trace {
		out = append(out, tenant.RunEvent{At: m.now, Step: t.StepType, Method: t.Method})
	}
	for _, effect := range m.result.Effects {
		if s, ok := effect.(flow.Send); ok {
			out = append(out, tenant.RunEvent{At: m.now, Step: tenant.SentEvent, Method: s.Code.Channel})
		}
	}
	return out
}

// expiry is when a run ends that had an input just now.
func expiry(cfg *tenant.Config, run *tenant.Run, now time.Time) time.Time {
	if run.Flow.Type == tenant.Verify {
		return run.CreatedAt.Add(time.Duration(cfg.Verification.FlowLifetimeSeconds) * time.Second)
	}
	end := now.Add(time.Duration(cfg.Flows.LifetimeSeconds) * time.Second)
	if last := run.CreatedAt.Add(time.Duration(cfg.Flows.MaxLifetimeSeconds) * time.Second); last.Before(end) {
		return last
	}
	return end
}
