package authflows

import (
	"strings"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
)

const success = "success"

// summary is a record (the seed document's Authflow_Summary).
type summary struct {
	AccountID   string           `json:"account_id"`
	DeviceID    string           `json:"device_id"`
	DomainID    string           `json:"domain_id"`
	FactorNames []string         `json:"factor_names"` // RFC 8176
	FirstSeen   *interaction     `json:"first_seen"`
	ID          string           `json:"id"`
	LastSeen    *interaction     `json:"last_seen"`
	PlanName    string           `json:"plan_name"`
	PoolID      string           `json:"pool_id"`
	ReturnURL   string           `json:"return_url"`
	SessionID   string           `json:"session_id"`
	Status      tenant.RunStatus `json:"status"`
	Title       string           `json:"title"`
	Type        string           `json:"type"`
}

// interaction is when and from where a run was seen.
type interaction struct {
	At        int64  `json:"at"` // unix seconds
	RemoteIP  string `json:"remote_ip"`
	UserAgent string `json:"user_agent"`
}

func summaryOf(t *tenant.Tenant, r *tenant.Run) *summary {
	s := &summary{
		AccountID: accountID(t).String(), DeviceID: deviceID(t, r).String(), DomainID: domainID(t).String(), FactorNames: r.Factors,
		FirstSeen: interactionOf(r.FirstSeen), ID: r.ID, LastSeen: interactionOf(r.LastSeen), PlanName: r.Flow.Name, PoolID: poolID(t).String(),
		ReturnURL: r.ReturnURL, SessionID: sessionID(t, r).String(), Status: r.Status, Title: titleOf(r.Flow), Type: "authflow",
	}
	if s.FactorNames == nil {
		s.FactorNames = []string{}
	}
	return s
}

func interactionOf(s tenant.Seen) *interaction {
	if s.At.IsZero() {
		return nil
	}
	return &interaction{s.At.Unix(), s.IP, s.UserAgent}
}

var titles = map[tenant.FlowType]string{
	tenant.Signup:          "Sign up",
	tenant.Login:           "Log in",
	tenant.SignupLogin:     "Sign up or log in",
	tenant.Reauth:          "Confirm it is you",
	tenant.AccountRecovery: "Recover an account",
	tenant.Promote:         "Complete an account",
	tenant.Verify:          "Verify an address",
	tenant.Settings:        "Change an account",
}

// titleOf says for people what a flow is for.
func titleOf(f tenant.FlowRef) string {
	if title, ok := titles[f.Type]; ok {
		return title
	}
	words := strings.ReplaceAll(string(f.Type), "_", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

// timelineOut is what happened in a run, in order.
type timelineOut struct {
	Status   string `json:"status"`
	Timeline struct {
		AuthflowID string  `json:"authflow_id"`
		Events     []event `json:"events"`
	} `json:"timeline"`
}

// event is one thing that happened. What it doesn't have is null.
type event struct {
	At       int64               `json:"at"` // unix seconds
	Outcome  admin.SignInOutcome `json:"outcome"`
	Step     *string             `json:"step"`
	Method   *string             `json:"method"`
	Reason   *string             `json:"reason"` // of a refusal
	RemoteIP *string             `json:"remote_ip"`
}

func timelineOf(x *admin.Explanation) *timelineOut {
	out := &timelineOut{Status: success}
	out.Timeline.AuthflowID, out.Timeline.Events = x.Run.ID, []event{}
	for _, e := range x.Events {
		out.Timeline.Events = append(out.Timeline.Events, event{
			At: e.At.Unix(), Outcome: e.Outcome, Step: some(e.Step), Method: some(e.Method), Reason: some(string(e.Reason)), RemoteIP: some(e.IP),
		})
	}
	return out
}

// some is nil for what isn't there.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
