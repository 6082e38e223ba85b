package admin

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// Plan is what publishing would do.
type Plan struct {
	Tenant   *tenant.Tenant
	Base     int64             // the version in force
	Config   *tenant.Config    // as it would be; nil when the document can't be read
	Changes  []document.Change // from what is in force
	Flows    []FlowChange      // derived flows included; none while there are problems
	Problems []tenant.Problem  // while there are any it can't be published
	Users    UserImpact

	MissingSecrets []string // names of those that it can't work without, and that aren't there
}

// Empty says that publishing would change nothing.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 && len(p.Problems) == 0 }

// FlowChange is what would become of one flow.
type FlowChange struct {
	Flow  tenant.FlowRef
	Kind  document.ChangeKind
	Steps []string // what changes, step by step, in words
}

// UserImpact counts real users.
type UserImpact struct {
	LockedOutNow  int  // active users with no way in under the version in force
	LockedOutThen int  // and once this is published
	Losing        int  // those who have a way in now and would have none
	LastAdmin     bool // no operator could sign in any more; of the admin tenant only
}

// Refused says that publishing needs a reason to force it.
func (u UserImpact) Refused() bool { return u.Losing > 0 || u.LastAdmin }

func (u UserImpact) refusal() error {
	words := "users would lose their last way in; to publish all the same give the reason in force"
	if u.LastAdmin {
		words = "the last operator would lose their way in; to publish all the same give the reason in force"
	}
	return tenant.ErrLastWayIn.Says("%s", words).With("losing", u.Losing).With("last_admin", u.LastAdmin)
}

// Plan says what publishing the draft would do; an empty plan without one.
func (s *Service) Plan(ctx context.Context, t *tenant.Tenant) (*Plan, error) {
	st, err := s.standing(ctx, t.Slug)
	if err != nil {
		return nil, err
	}
	return s.plan(ctx, st, st.cfg, nil)
}

func (s *Service) plan(ctx context.Context, st *standing, cfg *tenant.Config, given []NamedSecret) (*Plan, error) {
	p := &Plan{Tenant: st.t, Base: st.t.Version, Config: cfg, Changes: document.Diff(st.published, cfg)}
	program, problems := check(cfg, st.t.Hosts)
	strayed, err := s.strayed(ctx, st, cfg, given)
	if err != nil {
		return nil, err
	}
	problems = append(problems, strayed...)
	p.Problems = problems
	if p.MissingSecrets, err = s.missing(ctx, st.t, cfg, given); err != nil || len(problems) > 0 {
		return p, err
	}
	before, _ := flow.Compile(st.published) // nil when an older Usher let it pass
	p.Flows = flowChanges(before, program)
	p.Users, err = s.impact(ctx, st, before, program)
	return p, err
}

// flowChanges compares all flows of two configurations.
func flowChanges(before, after *flow.Program) []FlowChange {
	var refs []tenant.FlowRef
	if before != nil {
		refs = before.Flows()
	}
	var out []FlowChange
	for _, ref := range union(after.Flows(), refs) {
		var was *tenant.Flow
		if before != nil {
			was = before.Flow(ref)
		}
		is := after.Flow(ref)
		change := FlowChange{Flow: ref, Kind: document.Changed}
		for _, c := range document.DiffValues(flowJSON(was), flowJSON(is)) {
			change.Steps = append(change.Steps, c.Words)
		}
		switch {
		case was == nil:
			change.Kind = document.Added
		case is == nil:
			change.Kind = document.Removed
		case len(change.Steps) == 0:
			continue
		}
		out = append(out, change)
	}
	return out
}

func flowJSON(f *tenant.Flow) json.RawMessage {
	if f == nil {
		return nil
	}
	text, err := json.Marshal(map[string]any{"steps": f.Steps})
	if err != nil {
		panic(err) // plain values
	}
	return text
}

// impact counts who would be locked out.
func (s *Service) impact(ctx context.Context, st *standing, before, after *flow.Program) (UserImpact, error) {
	now, then := before.WaysIn(), after.WaysIn()
	u, err := s.risk(ctx, st.t, now, then)
	if err != nil {
		return u, err
	}
	if u.LockedOutNow, err = s.Store.CountUsersWithout(ctx, st.t.ID, nil, now); err != nil {
		return u, err
	}
	u.LockedOutThen, err = s.Store.CountUsersWithout(ctx, st.t.ID, nil, then)
	return u, err
}

// risk is what publishing may be refused for. It reads users only when a way in
// is closed, which most changes don't.
func (s *Service) risk(ctx context.Context, t *tenant.Tenant, now, then []tenant.WayIn) (u UserImpact, err error) {
	closed := slices.ContainsFunc(now, func(w tenant.WayIn) bool { return !slices.ContainsFunc(then, w.Within) })
	if !closed {
		return u, nil
	}
	if u.Losing, err = s.Store.CountUsersWithout(ctx, t.ID, now, then); err == nil && t.Slug == tenant.AdminSlug {
		u.LastAdmin, err = s.lastAdminLoses(ctx, t, now, then)
	}
	return u, err
}

// lastAdminLoses says whether an operator can sign in now and none could then.
func (s *Service) lastAdminLoses(ctx context.Context, admin *tenant.Tenant, now, then []tenant.WayIn) (bool, error) {
	operators, err := s.operators(ctx, admin)
	if err != nil {
		return false, err
	}
	could := false
	for _, u := range operators {
		if open(then, u) {
			return false, nil
		}
		could = could || open(now, u)
	}
	return could, nil
}

// operators are the active users who may do everything.
func (s *Service) operators(ctx context.Context, admin *tenant.Tenant) ([]*tenant.UserRecord, error) {
	grants, err := s.Store.GrantsIn(ctx, tenant.PlatformDomain)
	if err != nil {
		return nil, err
	}
	var out []*tenant.UserRecord
	for _, g := range grants {
		if g.Role != tenant.Operator {
			continue
		}
		u, err := s.Store.User(ctx, admin.ID, g.UserID)
		if err == nil && u.MayEnter(s.now()) == nil {
			out = append(out, u)
		} else if err != nil && tenant.AsError(err).Kind != tenant.NotFound {
			return nil, err
		}
	}
	return out, nil
}

func open(ways []tenant.WayIn, u *tenant.UserRecord) bool {
	return slices.ContainsFunc(ways, func(w tenant.WayIn) bool { return w.Open(u.Identities, u.Authenticators) })
}

// union is the names in either list, in the order of the first.
func union(a, b []tenant.FlowRef) []tenant.FlowRef {
	out := slices.Clone(a)
	for _, ref := range b {
		if !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out
}
