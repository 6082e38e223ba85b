package admin

import (
	"context"
	"encoding/json"
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
	Accepted SignInOutcome = "accepted" // the step took the input
	Sent     SignInOutcome = "sent"     // a code or link was handed to delivery
	Refused  SignInOutcome = "refused"
	Approved SignInOutcome = "approved" // a link was followed and approved
	Ended    SignInOutcome = "finished" // the run has ended well; at a login the user was let in
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
	log, err := s.Store.AuditLog(ctx, t.ID, tenant.AuditFilter{Category: tenant.AuditSignIn, SupportCode: code}, tenant.Page{Limit: maxExplained})
	if err != nil {
		return nil, err
	}
	x := &Explanation{}
	if len(runs) > 0 {
		x.Run = runs[0]
		x.timeline()
	}
	for _, e := range log {
		x.audited(e)
	}
	if x.Run == nil && len(x.Events) == 0 {
		return nil, tenant.ErrNotFound
	}
	slices.SortStableFunc(x.Events, func(a, b SignInEvent) int { return a.At.Compare(b.At) })
	return x, nil
}

func (x *Explanation) timeline() {
	for _, e := range x.Run.Timeline {
		outcome := Accepted
		if e.Step == tenant.SentEvent {
			outcome, e.Step = Sent, ""
		}
		x.Events = append(x.Events, SignInEvent{At: e.At, Outcome: outcome, Step: e.Step, Method: e.Method})
	}
	if !x.Run.FinishedAt.IsZero() {
		x.Events = append(x.Events, SignInEvent{At: x.Run.FinishedAt, Outcome: Ended})
	}
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
