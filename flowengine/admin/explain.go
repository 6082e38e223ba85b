package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/usher-id/usher/tenant"
)

// maxExplained bounds the refusals of one explanation.
const maxExplained = 200

// Explanation is what happened when somebody tried to sign in, in order.
type Explanation struct {
	Run    *tenant.Run // nil when it was refused at once, and never kept
	Events []SignInEvent
}

// SignInEvent is one thing that happened. It holds no secret.
type SignInEvent struct {
	At      time.Time
	Outcome SignInOutcome
	Step    string        // the type of the step; may be empty
	Method  string        // the identification, authentication or channel; may be empty
	Reason  tenant.Reason // of a refusal
	IP      string        // of a refusal or an approval
}

// SignInOutcome says what came of something.
type SignInOutcome string

// The outcomes.
const (
	Accepted  SignInOutcome = "accepted" // the step took the input
	Sent      SignInOutcome = "sent"     // a code or link was handed to delivery
	Refused   SignInOutcome = "refused"
	Approved  SignInOutcome = "approved"  // a link was followed and approved
	Ended     SignInOutcome = "finished"  // the run has ended well; at a login the user was let in
	Completed SignInOutcome = "complete"  // what the run made was used
	Cancelled SignInOutcome = "cancelled" // by an admin
	Expired   SignInOutcome = "expired"   // nobody went on with it
)

// ExplainSignIn says what happened under a support code that a user was shown.
// ErrNotFound when nothing did at this tenant.
func (s *Service) ExplainSignIn(ctx context.Context, slug, code string) (*Explanation, error) {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	if _, ok := tenant.ParseSupportCode(code); !ok {
		return nil, tenant.Invalidf("/code", "format", "a support code looks like 7K2M-9QXD")
	}
	runs, err := s.Store.Runs(ctx, t.ID, tenant.RunFilter{SupportCode: code}, tenant.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	var run *tenant.Run
	if len(runs) > 0 {
		run = runs[0]
	}
	x, err := s.explain(ctx, t.ID, code, run)
	if err == nil && x.Run == nil && len(x.Events) == 0 {
		return nil, tenant.ErrNotFound
	}
	return x, err
}

// explain joins what a run keeps, if there is one, with what the audit log has
// under its support code.
func (s *Service) explain(ctx context.Context, tenantID, code string, run *tenant.Run) (*Explanation, error) {
	log, err := s.Store.AuditLog(ctx, tenantID, tenant.AuditFilter{Category: tenant.AuditSignIn, SupportCode: code}, tenant.Page{Limit: maxExplained})
	if err != nil {
		return nil, err
	}
	if run == nil && len(log) > 0 { // nothing was taken, so the run isn't found by its code
		run, err = s.Store.Run(ctx, tenantID, log[0].RunID)
		if err != nil && !errors.Is(err, tenant.ErrNotFound) {
			return nil, err
		}
	}
	x := &Explanation{Run: run}
	if run != nil {
		x.timeline()
	}
	for _, e := range log {
		if run == nil || e.RunID == run.ID {
			x.audited(e)
		}
	}
	slices.SortStableFunc(x.Events, func(a, b SignInEvent) int { return a.At.Compare(b.At) })
	return x, nil
}

// noSteps are the outcomes of the events that are no step.
var noSteps = map[string]SignInOutcome{tenant.SentEvent: Sent, tenant.CompletedEvent: Completed, tenant.CancelledEvent: Cancelled}

func (x *Explanation) timeline() {
	cancelled := false
	for _, e := range x.Run.Timeline {
		event := SignInEvent{At: e.At, Outcome: Accepted, Step: e.Step, Method: e.Method}
		if outcome, ok := noSteps[e.Step]; ok {
			event.Outcome, event.Step = outcome, ""
		}
		if event.Outcome == Completed {
			x.ended()
		}
		cancelled = cancelled || event.Outcome == Cancelled
		x.Events = append(x.Events, event)
	}
	switch x.Run.Status {
	case tenant.RunFinished:
		x.ended()
	case tenant.RunCancelled:
		if !cancelled {
			x.Events = append(x.Events, SignInEvent{At: x.Run.ExpiresAt, Outcome: Expired})
		}
	}
}

func (x *Explanation) ended() {
	x.Events = append(x.Events, SignInEvent{At: x.Run.FinishedAt, Outcome: Ended})
}

// audited adds what the audit log has beside the timeline.
func (x *Explanation) audited(e *tenant.AuditEvent) {
	var d struct {
		Step   string `json:"step_type"`
		Method string `json:"method"`
	}
	_ = json.Unmarshal(e.Detail, &d) // of an older version, perhaps: then it says less
	out := SignInEvent{At: e.At, Step: d.Step, Method: d.Method, IP: e.IP}
	switch e.Action {
	case "flow.start", "flow.input":
		out.Outcome, out.Reason = Refused, tenant.Reason(e.Outcome)
	case "link.approve":
		out.Outcome = Approved
	default: // the end of the run, which is known, or something else
		return
	}
	x.Events = append(x.Events, out)
}
