package flow

import (
	"maps"
	"slices"

	"github.com/usher-id/usher/tenant"
)

// Start begins a run, walks to the first thing worth asking, and feeds it the
// inputs, in order. user is who is already signed in, if the flow is about
// them. It refuses with tenant.ErrNoSuchFlow, tenant.ErrNoPublicSignup, or as
// [Program.Step] does; then there is no run.
func (p *Program) Start(w World, ref tenant.FlowRef, user string, inputs ...Input) (Result, error) {
	if !ref.Type.NeedsSession() {
		user = "" // the others ask who it is
	}
	c := &Cursor{World: w, State: State{Ref: ref, At: []int{0}, User: user}, program: p}
	if err := p.open(ref, user); err != nil {
		return c.result(nil), err
	}
	if err := c.promotable(); err != nil {
		return c.result(nil), err
	}
	if err := c.hook(tenant.HookPreInitialize); err != nil {
		return c.result(nil), err
	}
	return c.walk(inputs)
}

// Step feeds inputs, in order, and walks to the next thing worth asking. On a
// refusal nothing has moved, whatever the earlier inputs were: the caller keeps
// the old state. The result's Trace is filled either way.
func (p *Program) Step(w World, s State, inputs ...Input) (Result, error) {
	c := &Cursor{World: w, State: s.clone(), program: p}
	if err := c.promotable(); err != nil && !s.Done { // elsewhere, meanwhile
		return c.result(nil), err
	}
	return c.walk(inputs)
}

// Show says what a state asks for.
func (p *Program) Show(w World, s State) (Action, error) {
	c := &Cursor{World: w, State: s.clone(), program: p}
	a, err := c.settle()
	if err != nil {
		return Action{}, err
	}
	return *a, nil
}

// open says whether anybody may run a flow.
func (p *Program) open(ref tenant.FlowRef, user string) error {
	switch {
	case p.flows[ref] == nil:
		return tenant.ErrNoSuchFlow
	case ref.Type == tenant.Signup && !p.config.Accounts.PublicSignup:
		return tenant.ErrNoPublicSignup
	case ref.Type.NeedsSession() && user == "":
		return tenant.ErrFlowNotAllowed.Says("sign in first: this flow is about whoever is signed in")
	}
	return nil
}

// Cursor is a run being moved: what a step or a method may see and change.
type Cursor struct {
	World
	State
	program *Program
	effects []Effect
	trace   []Trace
	hashed  bool
	called  bool // somebody outside
	isHuman bool // shown in this request
	method  string
}

// Config is the configuration that the run goes by.
func (c *Cursor) Config() *tenant.Config { return c.program.config }

// Do asks for an effect.
func (c *Cursor) Do(e Effect) { c.effects = append(c.effects, e) }

// Hash notes that hashing took its time.
func (c *Cursor) Hash(password string) (string, error) {
	c.hashed = true
	return c.World.Hash(password)
}

// Matches notes that hashing took its time.
func (c *Cursor) Matches(hash, password string) (ok, stale bool, err error) {
	c.hashed = true
	return c.World.Matches(hash, password)
}

// walk settles, and then feeds and settles once for each input.
func (c *Cursor) walk(inputs []Input) (Result, error) {
	a, err := c.settle()
	for _, in := range inputs {
		if err != nil {
			break
		}
		a, err = c.feed(in)
	}
	return c.result(a), err
}

// feed gives an input to the step the run stands on, and what is left of it to
// the steps after that, as long as they understand a key of it.
func (c *Cursor) feed(in Input) (*Action, error) {
	answer, err := parse(in)
	if err != nil {
		return nil, err
	}
	for {
		s := c.step()
		if s == nil {
			return nil, tenant.ErrFlowFinished
		}
		c.hashed, c.called, c.method = false, false, ""
		err := stepTypes[s.Type].Take(c, s, answer)
		var a *Action
		if err == nil {
			a, err = c.settle()
		}
		t := Trace{StepType: s.Type, Method: c.method, Hashed: c.hashed, Called: c.called}
		if err != nil {
			t.Reason = tenant.AsError(err).Reason
		}
		c.trace = append(c.trace, t)
		if err != nil {
			return nil, err
		}
		next := c.step()
		if next == nil || !stepTypes[next.Type].Understands(c, next, answer) {
			return a, nil
		}
	}
}

// step is the step the run stands on; nil at the end of the tree.
func (c *Cursor) step() *tenant.Step {
	steps, at := c.program.flows[c.Ref].Steps, c.At
	for ; len(at) > 1; at = at[2:] {
		steps = steps[at[0]].OneOf[at[1]].Steps
	}
	if at[0] == len(steps) {
		return nil
	}
	return &steps[at[0]]
}

// settle walks until a step has something to ask, or the flow ends.
func (c *Cursor) settle() (*Action, error) {
	for {
		s := c.step()
		switch {
		case s == nil && len(c.At) > 1: // the end of a branch: go on after the step above
			c.At = c.At[:len(c.At)-2]
			c.At[len(c.At)-1]++
		case s == nil:
			return c.end()
		default:
			a, err := stepTypes[s.Type].Offer(c, s)
			if err != nil || a != nil {
				return a, err
			}
			c.At[len(c.At)-1]++ // nothing to ask
		}
	}
}

// pass leaves a step that has no branches.
func (c *Cursor) pass() {
	c.leave()
	c.At[len(c.At)-1]++
}

// leave forgets what belongs to the step alone.
func (c *Cursor) leave() {
	c.Branch, c.Pending, c.Passkey, c.Linking, c.TOTP = 0, nil, nil, nil, ""
}

// amr notes what was proved, once.
func (c *Cursor) amr(method string) {
	if !slices.Contains(c.AMR, method) {
		c.AMR = append(c.AMR, method)
	}
}

// enter goes into branch i; settle leaves it again when it is empty.
func (c *Cursor) enter(i int) {
	c.leave()
	c.At = append(c.At, i, 0)
}

// restart walks another flow from its start, keeping what was learnt. The run
// has to stand where that flow begins: on its identify step.
func (c *Cursor) restart(to tenant.FlowRef) error {
	if err := c.program.open(to, c.User); err != nil {
		return err
	}
	c.leave()
	c.Ref, c.At = to, []int{0}
	return nil
}

// mark leaves a claim under the name of the step, for target_step to find.
func (c *Cursor) mark(s *tenant.Step, claim tenant.Claim) {
	if s.Name == "" {
		return
	}
	if c.Marks == nil {
		c.Marks = map[string]tenant.Claim{}
	}
	c.Marks[s.Name] = claim
}

// end finishes the run, once: what it drafted is made, and the user is in.
func (c *Cursor) end() (*Action, error) {
	finished := &Action{Type: Finished, Data: map[string]any{}}
	if c.Done {
		return finished, nil
	}
	if !c.Draft.NewUser {
		if err := c.mayEnter(); err != nil {
			return nil, err
		}
	}
	if err := c.stillSignedIn(); err != nil {
		return nil, err
	}
	if c.Draft.credentials() {
		if err := c.mayChange(); err != nil {
			return nil, err
		}
	}
	if err := c.askAtEnd(); err != nil {
		return nil, err
	}
	c.Done = true
	if !c.Draft.Empty() || len(c.Proved) > 0 {
		c.Do(Create{User: c.User, Draft: c.Draft, Proved: c.Proved, Promotes: c.Ref.Type == tenant.Promote})
	}
	if c.Draft.NewPassword != "" {
		c.Do(Forget{User: c.User, Sessions: c.Ref.Type == tenant.AccountRecovery && c.Config().Recovery.RevokeSessions ||
			c.Ref.Type == tenant.Settings && c.Config().Sessions.EndOthersOnPasswordChange})
	}
	lost := len(c.Draft.RemovePasskeys) > 0 && c.Config().Sessions.EndOthersOnPasswordChange
	if c.EndOthers || lost || c.Ref.Type == tenant.Promote { // an anonymous session's token doesn't become a full user's
		c.Do(EndOthers{c.User})
	}
	switch {
	case !c.Ref.Type.SignsIn():
	case c.Selected != "":
		c.Do(Resume{Session: c.Selected, AMR: c.AMR, Renewed: c.Renews})
	default:
		c.Do(Open{c.User, c.AMR})
	}
	if c.Device {
		c.Do(Remember{c.User})
	}
	c.Draft = Draft{} // it is no longer a draft, and a finished state keeps no hash
	return finished, nil
}

// askAtEnd asks the tenant's hooks about what the run is about to do.
func (c *Cursor) askAtEnd() error {
	switch {
	case c.Draft.NewUser:
		if err := c.hook(tenant.HookPreCreate); err != nil {
			return err
		}
	case len(c.Draft.Profile) > 0:
		if err := c.hook(tenant.HookProfilePreUpdate); err != nil {
			return err
		}
	}
	if !c.Ref.Type.SignsIn() { // no session opens
		return nil
	}
	return c.hook(tenant.HookPreAuthenticated)
}

// promotable refuses to promote a user who is a full one already.
func (c *Cursor) promotable() error {
	if c.Ref.Type != tenant.Promote {
		return nil
	}
	account, err := c.Account(c.User)
	if err == nil && (account == nil || !account.Anonymous) {
		err = tenant.ErrFlowNotAllowed.Says("only an anonymous user can be promoted")
	}
	return err
}

// mayEnter looks at the account itself, at the last moment, when the user has
// proved to be its owner: what it says is nobody else's business.
func (c *Cursor) mayEnter() error {
	account, err := c.Account(c.User)
	switch {
	case err != nil:
		return err
	case c.Decoy || account == nil: // Compile lets no run come here unproved
		return tenant.ErrInvalidCredentials
	}
	return account.MayEnter(c.Now())
}

func (c *Cursor) result(a *Action) Result {
	r := Result{State: c.State, Effects: c.effects, Trace: c.trace}
	if a != nil {
		r.Action = *a
	}
	return r
}

// clone copies a state so deeply that moving the copy leaves the original alone.
func (s State) clone() State {
	s.At = slices.Clone(s.At)
	s.Pending = slices.Clone(s.Pending)
	s.Marks = maps.Clone(s.Marks)
	s.AMR = slices.Clone(s.AMR)
	s.Proved = slices.Clone(s.Proved)
	s.Draft.Profile = maps.Clone(s.Draft.Profile)
	s.Draft.Identities = slices.Clone(s.Draft.Identities)
	s.Draft.Authenticators = slices.Clone(s.Draft.Authenticators)
	s.Draft.Remove = slices.Clone(s.Draft.Remove)
	s.Draft.RemovePasskeys = slices.Clone(s.Draft.RemovePasskeys)
	return s
}
