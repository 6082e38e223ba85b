package flowengine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/usher-id/usher/flowengine/botcheck"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/ldap"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Options is what an engine works with. All of it is needed but Now.
type Options struct {
	Store     tenant.Store
	Directory *tenant.Directory
	Limiter   limit.Limiter
	Master    *secret.Master
	Hasher    *secret.Hasher
	Metrics   *Metrics
	Log       *slog.Logger
	Outbox    Outbox
	Hooks     *hook.Hooks
	Bots      *botcheck.Checker
	LDAP      *ldap.Directories
	// PublicURL makes a URL on a host of a tenant, from settings alone.
	PublicURL func(scheme Scheme, host, path string) string
	Now       func() time.Time // nil for time.Now
	// ForgetDue forgets the users whose time has come; nil where another process does.
	ForgetDue func(context.Context) error

	MaxListeners int // clients of this process that listen for news at once; 0 for 10,000
}

// Outbox is told that a message waits; it must not block.
type Outbox interface{ Wake() }

// Scheme says what a URL is for.
type Scheme string

// The schemes, which are https and wss, or without TLS in development http and ws.
const (
	HTTP      Scheme = "http"
	WebSocket Scheme = "ws"
)

// Engine runs the flows of all tenants.
type Engine struct {
	store     tenant.Store
	directory *tenant.Directory
	limiter   limit.Limiter
	master    *secret.Master
	hasher    *secret.Hasher
	metrics   *Metrics
	log       *slog.Logger
	outbox    Outbox
	hooks     *hook.Hooks
	bots      *botcheck.Checker
	ldap      *ldap.Directories
	publicURL func(scheme Scheme, host, path string) string
	clock     func() time.Time

	programs *programs
	noted    *otter.Cache[note, struct{}] // refusals that were written down lately
	unsealed atomic.Bool                  // something waits to be chained

	listeners *listeners
	refunds   *refunds
	verifier  *verifier
	forgetDue func(context.Context) error
}

// New makes an engine. Its jobs run while [Engine.Run] does.
func New(o Options) (*Engine, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	p, err := newPrograms(o.Store, o.Metrics)
	if err != nil {
		return nil, err
	}
	noted, err := otter.New(&otter.Options[note, struct{}]{
		MaximumSize: maxNotes, ExpiryCalculator: otter.ExpiryWriting[note, struct{}](noteFor),
	})
	if err != nil {
		return nil, err
	}
	e := &Engine{
		store: o.Store, directory: o.Directory, limiter: o.Limiter, master: o.Master, hasher: o.Hasher,
		metrics: o.Metrics, log: o.Log, clock: o.Now, outbox: o.Outbox, hooks: o.Hooks, bots: o.Bots, ldap: o.LDAP, publicURL: o.PublicURL, programs: p, noted: noted,
		refunds: newRefunds(o.Metrics.refundsDropped), forgetDue: o.ForgetDue,
	}
	e.listeners = &listeners{
		max: cmp.Or(o.MaxListeners, maxListeners), metrics: o.Metrics.listen,
		byRun: map[string]map[*Listener]chan<- struct{}{}, byNetwork: map[string]int{},
	}
	e.verifier = &verifier{store: o.Store, metrics: o.Metrics.chains, log: o.Log}
	e.unsealed.Store(true) // of the process before this one, perhaps
	return e, nil
}

// Client is who sends a request, as far as the surface can tell.
type Client struct {
	IP           netip.Addr
	UserAgent    string
	RequestID    string
	DeviceID     string // identifies the browser and proves nothing
	SessionToken string // of who is signed in already; "" for nobody
	DeviceToken  string // lets the device pass second factors; "" for none
	Language     string // Accept-Language (RFC 9110 section 12.5.4)
	Surface      string // the door's name

	About func(runID string) // hears which run the request is about, once that is known; nil for nobody
}

func (c *Client) about(runID string) {
	if c.About != nil {
		c.About(runID)
	}
}

// Start is a run to begin.
type Start struct {
	Flow    tenant.FlowRef
	Inputs  []flow.Input       // answers given at once, in order
	Session tenant.SessionKind // how the client wants its session

	ReturnURL string // where the client goes afterwards; the door has checked that it may
	Held      bool   // the client knows the run by its id, and no state token
	Data      any    // what the door keeps with a held run, as JSON; nil for nothing
}

// Answer is where a run stands.
type Answer struct {
	Token   string // names the state
	RunID   string
	Flow    tenant.FlowRef // another one than was begun, once a signup_login has switched
	Action  flow.Action
	Kind    tenant.SessionKind // how the client wants its session
	Session *NewSession        // opened by this move; nil when none was

	DeviceToken string // made by this move; "" when none was

	program *flow.Program
	state   flow.State
}

// Ahead is what can be answered together with who the user is, for doors that
// show both on one page (flow.Program.Ahead).
func (a *Answer) Ahead() []flow.Ahead { return a.program.Ahead(a.state) }

// NewSession is a session and the one time that its token is known.
type NewSession struct {
	*tenant.Session
	Token string
}

// now is the present in the store's resolution.
func (e *Engine) now() time.Time { return time.UnixMilli(e.clock().UnixMilli()).UTC() }

// Program is the tenant's flows that are in force.
func (e *Engine) Program(ctx context.Context, t *tenant.Tenant) (*flow.Program, error) {
	return e.programs.of(ctx, t.ID, t.Version)
}

// Config is the tenant's configuration that is in force.
func (e *Engine) Config(ctx context.Context, t *tenant.Tenant) (*tenant.Config, error) {
	p, err := e.Program(ctx, t)
	if err != nil {
		return nil, err
	}
	return p.Config(), nil
}

// admit turns away who comes to a suspended tenant.
func admit(t *tenant.Tenant) error {
	if t.State == tenant.Suspended {
		return tenant.ErrTenantSuspended
	}
	return nil
}

// Start begins a run. When an input given at once is refused there is no run.
func (e *Engine) Start(ctx context.Context, t *tenant.Tenant, c Client, s Start) (*Answer, error) {
	begun, now := time.Now(), e.now()
	m := move{start: true, tenant: t, client: &c, now: now, run: tenant.Run{
		TenantID: t.ID, Flow: s.Flow, ConfigVersion: t.Version, Status: tenant.RunNew, Surface: c.Surface, SessionKind: s.Session,
		DeviceID: c.DeviceID, FirstSeen: c.seen(now), CreatedAt: now, ReturnURL: s.ReturnURL,
	}, held: s.Held}
	if slices.Contains(tenant.FlowTypes, s.Flow.Type) {
		e.metrics.flowStarted(s.Flow.Type, c.Surface)
	}
	a, err := e.start(ctx, &m, s)
	e.count(&m, time.Since(begun), err)
	if err != nil {
		return nil, e.refuse(ctx, &m, "flow.start", err)
	}
	return a, nil
}

func (e *Engine) start(ctx context.Context, m *move, s Start) (*Answer, error) {
	if err := admit(m.tenant); err != nil {
		return nil, err
	}
	program, err := e.programs.of(ctx, m.tenant.ID, m.tenant.Version)
	if err != nil {
		return nil, err
	}
	m.run.ID = secret.NewPFID(m.tenant.Partition)
	m.client.about(m.run.ID)
	if s.Data != nil {
		if m.run.SurfaceData, err = e.sealData(m.tenant, m.run.ID, s.Data); err != nil {
			return nil, err
		}
	}
	m.world = e.world(ctx, m, program)
	user, err := e.signedIn(ctx, m, program)
	if err != nil {
		return nil, err
	}
	m.result, err = program.Start(m.world, s.Flow, user, s.Inputs...)
	if err != nil {
		return nil, err
	}
	return e.keep(ctx, m, len(s.Inputs) > 0)
}

// Submit answers what a state asks for, with one input or several in order. On
// a refusal nothing has moved; the answer beside it says where the run stands,
// and is nil when there is no such run.
func (e *Engine) Submit(ctx context.Context, t *tenant.Tenant, c Client, token string, inputs ...flow.Input) (*Answer, error) {
	return e.submit(ctx, t, c, token, inputs, byHash(e, stateHash(token)))
}

// SubmitByLink answers the state that waits for a recovery link, wherever the
// link was opened, and tells the client that waits there. tenant.ErrOTPExpired
// when the link is unknown, ended or expired.
func (e *Engine) SubmitByLink(ctx context.Context, t *tenant.Tenant, c Client, link string, inputs ...flow.Input) (*Answer, error) {
	code, err := e.liveLink(ctx, t, c, link)
	if err == nil && code.Purpose != tenant.PurposeRecover {
		err = tenant.ErrOTPExpired
	}
	if err != nil {
		e.metrics.refused(tenant.AsError(err))
		return nil, err
	}
	a, err := e.submit(ctx, t, c, "", inputs, byHash(e, code.StateHash))
	if err != nil {
		return nil, err // where the run stands is not for who has no state token
	}
	if err := e.store.TellRun(ctx, t.ID, code.RunID); err != nil {
		e.log.WarnContext(ctx, "the client that waits wasn't told", "tenant", t.Slug, "flow_id_hash", tenant.RunHash(code.RunID), "err", err)
	}
	return a, nil
}

// loader finds the state that a move starts from, and fills the move in.
type loader func(ctx context.Context, m *move) (flow.State, *flow.Program, error)

func byHash(e *Engine, hash string) loader {
	return func(ctx context.Context, m *move) (flow.State, *flow.Program, error) { return e.load(ctx, m, hash) }
}

func (e *Engine) submit(ctx context.Context, t *tenant.Tenant, c Client, token string, inputs []flow.Input, load loader) (*Answer, error) {
	begun := time.Now()
	m := move{tenant: t, client: &c, now: e.now()}
	var a *Answer
	state, program, err := load(ctx, &m)
	if err == nil {
		a, err = e.step(ctx, &m, program, state, inputs)
	}
	e.count(&m, time.Since(begun), err)
	if err == nil {
		return a, nil
	}
	err = e.refuse(ctx, &m, "flow.input", err)
	if program == nil {
		return nil, err
	}
	unmoved, showErr := e.show(&m, program, state, token)
	if showErr != nil {
		return nil, err
	}
	return unmoved, err
}

func (e *Engine) step(ctx context.Context, m *move, program *flow.Program, s flow.State, inputs []flow.Input) (*Answer, error) {
	if m.run.Status != tenant.RunNew && m.run.Status != tenant.RunPending {
		return nil, tenant.ErrFlowFinished
	}
	user, err := e.signedIn(ctx, m, program)
	if err == nil {
		err = m.mine(&s)
	}
	if err != nil {
		return nil, err
	}
	if m.again {
		m.result, err = program.Start(m.world, s.Ref, user, inputs...)
	} else {
		m.result, err = program.Step(m.world, s, inputs...)
	}
	if err != nil {
		return nil, err
	}
	return e.keep(ctx, m, true)
}

// Get says where a state stands. It changes nothing.
func (e *Engine) Get(ctx context.Context, t *tenant.Tenant, c Client, token string) (*Answer, error) {
	m := move{tenant: t, client: &c, now: e.now()}
	state, program, err := e.load(ctx, &m, stateHash(token))
	if err == nil {
		_, err = e.signedIn(ctx, &m, program)
	}
	if err == nil {
		var a *Answer
		if a, err = e.show(&m, program, state, token); err == nil {
			return a, nil
		}
	}
	refusal := tenant.AsError(err)
	e.metrics.refused(refusal)
	return nil, refusal
}

func (e *Engine) show(m *move, program *flow.Program, s flow.State, token string) (*Answer, error) {
	if err := m.mine(&s); err != nil {
		return nil, err
	}
	action, err := program.Show(m.world, s)
	if err != nil {
		return nil, err
	}
	return &Answer{Token: token, RunID: m.run.ID, Flow: s.Ref, Action: action, Kind: m.run.SessionKind, program: program, state: s}, nil
}

// load reads a state with its run and its user, in one go.
func (e *Engine) load(ctx context.Context, m *move, hash string) (s flow.State, program *flow.Program, err error) {
	if err := admit(m.tenant); err != nil {
		return s, nil, err
	}
	if hash == "" { // no need to ask the database
		return s, nil, tenant.ErrFlowNotFound
	}
	l, err := e.store.LoadState(ctx, m.tenant.ID, hash, m.now)
	if err != nil {
		return s, nil, err
	}
	m.client.about(l.Run.ID)
	s, program, err = e.open(ctx, m, l)
	m.held = false // whoever knows the run by its id goes on from where they stood, and not from what a link was answered elsewhere
	return s, program, err
}

// open makes a state of what was loaded.
func (e *Engine) open(ctx context.Context, m *move, l *tenant.Loaded) (s flow.State, program *flow.Program, err error) {
	plain, err := e.master.Open(m.tenant, stateTable, l.State.TokenHash, l.State.Data)
	if err != nil {
		return s, nil, fmt.Errorf("state of run %s: %w", l.Run.ID, err)
	}
	if err := json.Unmarshal(plain, &s); err != nil {
		return s, nil, fmt.Errorf("state of run %s: %w", l.Run.ID, err)
	}
	m.run, m.user, m.held = l.Run, s.User, l.Run.Head != ""
	if s.Decoy || s.Draft.NewUser {
		m.user = ""
	}
	program, err = e.programs.of(ctx, m.tenant.ID, l.Run.ConfigVersion)
	if err != nil {
		return s, nil, err
	}
	m.world = e.world(ctx, m, program)
	if l.State.UserID != "" {
		m.world.known[l.State.UserID] = l.Account
	}
	return s, program, nil
}
