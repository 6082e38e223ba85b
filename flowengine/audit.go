package flowengine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Refusals that cost the client nothing are written down once in noteFor for
// each (tenant, network, reason, user): otherwise anybody could fill the disk.
// The limits bound the others, so each of those is kept. Metrics count all.
const (
	noteFor  = time.Minute
	maxNotes = 10_000
)

type note struct {
	tenant, network string
	reason          tenant.Reason
	user, run       string
}

// count tells the metrics what became of a request.
func (e *Engine) count(m *move, took time.Duration, err error) {
	var refusal *tenant.Error
	if err != nil {
		refusal = tenant.AsError(err)
	}
	var policy *tenant.PasswordPolicy
	if m.world != nil {
		policy = &m.world.config.PasswordPolicy
		e.metrics.lockouts.WithLabelValues(string(m.world.config.Lockout.Type)).Add(float64(len(m.world.locking)))
	}
	e.metrics.moved(m.result.Trace, policy, took, refusal)
	slug, ref := m.tenant.Slug, m.run.Flow
	switch {
	case refusal == nil && m.result.State.Done:
		e.metrics.flowFinished(slug, ref.Type, m.run.Surface, Succeeded, m.now.Sub(m.run.CreatedAt))
	case refusal != nil && m.start && slices.Contains(tenant.FlowTypes, ref.Type):
		e.metrics.flowFinished(slug, ref.Type, m.run.Surface, endOf(refusal), 0)
	}
}

// refuse writes a refusal down in the tenant's audit log before it is answered.
// When that fails the client hears of the failure and of nothing else.
func (e *Engine) refuse(ctx context.Context, m *move, action string, err error) error {
	refusal := tenant.AsError(err)
	if !e.worthNoting(m, refusal) {
		if m.start {
			return refusal // nothing is kept of it
		}
		return explained(m, refusal)
	}
	detail, err := json.Marshal(detailOf(m))
	if err != nil {
		return err
	}
	event := &tenant.AuditEvent{
		TenantID: m.tenant.ID, ID: secret.NewID(), At: m.now, Category: tenant.AuditSignIn, Action: action, Outcome: string(refusal.Reason),
		ActorKind: tenant.ActorNobody, IP: m.client.IP.String(), RequestID: m.client.RequestID, RunID: m.run.ID, UserID: m.subject(), Detail: detail,
	}
	begun := time.Now()
	err = e.store.RecordSignIn(context.WithoutCancel(ctx), event) // hanging up doesn't hide a guess
	e.metrics.Audited(tenant.AuditSignIn, time.Since(begun), err)
	if err != nil {
		return err
	}
	e.unsealed.Store(true)
	return explained(m, refusal)
}

// explained gives an unlucky user a code that support can find out by what
// happened.
func explained(m *move, refusal *tenant.Error) *tenant.Error {
	switch refusal.Kind {
	case tenant.Invalid, tenant.Internal, tenant.Unavailable:
		return refusal
	}
	if code := tenant.SupportCode(m.run.ID); code != "" {
		return refusal.With("support_code", code)
	}
	return refusal
}

func (e *Engine) worthNoting(m *move, refusal *tenant.Error) bool {
	switch refusal.Kind {
	case tenant.Internal, tenant.Unavailable:
		return false // nothing was decided
	case tenant.Invalid, tenant.Forbidden, tenant.TooMany:
		n := note{m.tenant.ID, networkOf(m.client.IP), refusal.Reason, m.subject(), m.run.ID}
		if m.start {
			n.run = "" // there is a new one each time
		}
		_, fresh := e.noted.SetIfAbsent(n, struct{}{})
		return fresh
	}
	// A token or a flow that doesn't exist is nobody's sign-in.
	return !errors.Is(refusal, tenant.ErrFlowNotFound) && !errors.Is(refusal, tenant.ErrNoSuchFlow)
}

// subject is the user whom a refused request was about, if they exist.
func (m *move) subject() string {
	s := &m.result.State
	if s.User == "" || s.Decoy || s.Draft.NewUser {
		return m.user
	}
	return s.User
}

// detail is what the audit log says about a refusal beside its reason.
type detail struct {
	FlowType tenant.FlowType `json:"flow_type"`
	FlowName string          `json:"flow_name"`
	Surface  string          `json:"surface"`
	StepType string          `json:"step_type,omitempty"`
	Method   string          `json:"method,omitempty"`
}

func detailOf(m *move) detail {
	d := detail{FlowType: m.run.Flow.Type, FlowName: m.run.Flow.Name, Surface: m.client.Surface}
	if n := len(m.result.Trace); n > 0 {
		t := flow.Trace(m.result.Trace[n-1])
		d.StepType, d.Method = t.StepType, t.Method
	}
	return d
}
