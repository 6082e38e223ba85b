package tenant

import (
	"context"
	"slices"
	"time"
)

// Store is everything that can be kept. One implementation (tenant/store) serves
// SQLite and PostgreSQL; tenant/storetest is what it has to pass.
//
// Reads are methods of the store. Writes by admins happen inside [Store.Change],
// where none can pass without a row in the audit log; moves of a run go through
// [Store.Commit]. Every method that takes a tenant's id sees rows of that tenant
// alone. A method answers with the refusals that its comment names, with
// [ErrUnavailable] when the database can't be reached, and else with an internal
// error. Lists come in the order that their comment names, after the row whose
// key is Page.After, at most Page.Limit of them.
type Store interface {
	TenantReader
	ConfigReader
	UserReader
	RunStore
	SessionStore
	CodeStore
	MessageStore
	HookStore
	AdminReader
	AuditStore
	ErrorStore

	// Change runs fn in one transaction, which must call Tx.Audit at least once.
	// fn may run again when the database asks for a retry, so it keeps no
	// results of an earlier run. Whatever fn returns is returned, rolled back.
	Change(ctx context.Context, fn func(Tx) error) error

	// Watch calls changed with the id of every tenant whose row, hosts, state,
	// configuration, grants or keys a transaction of any node has changed, soon
	// after its commit, until ctx ends. An empty id means that notifications may
	// have been lost: look again at everything. It returns when ctx ends.
	Watch(ctx context.Context, changed func(tenantID string)) error

	// Ping says whether the database answers.
	Ping(ctx context.Context) error
	Close() error
}

// Page is a slice of a list, by key.
type Page struct {
	After string // the key of the row before the first one; "" from the start
	Limit int    // at most so many
}

// TenantReader reads tenants.
type TenantReader interface {
	TenantByHost(ctx context.Context, host string) (*Tenant, error) // ErrTenantNotFound
	TenantBySlug(ctx context.Context, slug string) (*Tenant, error) // ErrTenantNotFound
	TenantByID(ctx context.Context, id string) (*Tenant, error)     // ErrTenantNotFound
	// Tenants lists by slug; the key is the slug. search matches the beginning
	// of a slug, name or host.
	Tenants(ctx context.Context, search string, state State, page Page) ([]*Tenant, error)
	// CountTenants counts by state.
	CountTenants(ctx context.Context) (map[State]int, error)
	// ChangedSince lists the revisions of the tenants that changed at a time or
	// later, so that a node which missed a notification finds out. Deleted
	// tenants are listed with revision 0.
	ChangedSince(ctx context.Context, at time.Time) (map[string]int64, error)
	// NewestChange is when a tenant last changed; zero when none ever did.
	NewestChange(ctx context.Context) (time.Time, error)
}

// ConfigReader reads configurations.
type ConfigReader interface {
	Version(ctx context.Context, tenantID string, number int64) (*Version, error) // ErrNotFound
	// Versions lists the newest first; the key is the number in decimal.
	Versions(ctx context.Context, tenantID string, page Page) ([]*Version, error)
	Draft(ctx context.Context, tenantID string) (*Draft, error) // ErrNotFound when there is none
	// Secrets lists what is kept sealed, without the values.
	Secrets(ctx context.Context, tenantID string) ([]Secret, error)
	// OpenSecret gives one sealed value; ErrNotFound.
	OpenSecret(ctx context.Context, tenantID, name string) ([]byte, error)
}

// SecretTable is what secrets of a configuration are sealed for, with their name
// as the id (see secret.Master.Seal).
const SecretTable = "secret"

// AuthenticatorTable is what the sealed secrets of authenticators are sealed
// for, with the authenticator's id (see secret.Master.SealText).
const AuthenticatorTable = "authenticator"

// Secret is the outside of a sealed value of a tenant's configuration.
type Secret struct {
	Name      string // such as oauth.<alias>.client_secret
	LastFour  string
	UpdatedAt time.Time
}

// UserFilter narrows a list of users.
type UserFilter struct {
	Search string    // the beginning of a login id, or a user's id
	State  UserState // "" for all
	IDs    []string  // only these users; nil for all
}

// UserReader reads users.
type UserReader interface {
	// AccountByClaim finds whose a claim is, in one statement: by its value, or
	// else by a value or a key that is one of also, the first that is found. At
	// most three of them count. ErrUserNotFound.
	AccountByClaim(ctx context.Context, tenantID string, claim Claim, also ...string) (*Account, error)
	Account(ctx context.Context, tenantID, userID string) (*Account, error) // ErrUserNotFound
	User(ctx context.Context, tenantID, userID string) (*UserRecord, error) // ErrUserNotFound
	// IdentitiesOf lists a user's identities, by id; none for an unknown user.
	IdentitiesOf(ctx context.Context, tenantID, userID string) ([]Identity, error)
	// Users lists by id, which is by age; the key is the id.
	Users(ctx context.Context, tenantID string, filter UserFilter, page Page) ([]*UserRecord, error)
	// UsersDue lists users, over all tenants, whose DeleteAt or AnonymizeAt has
	// come; at most limit of each.
	UsersDue(ctx context.Context, at time.Time, limit int) ([]DueUser, error)
	// CountUsersWithout counts the active users to whom none of the ways in
	// without is open; with narrows them to those to whom one of these is, and
	// is nil for all.
	CountUsersWithout(ctx context.Context, tenantID string, with, without []WayIn) (int, error)
}

// WayIn is a way to sign in. It is open to those who have an identity of the
// kind and an authenticator of one of the types.
type WayIn struct {
	Kind           string
	Authenticators []string // nil when none is needed
}

// Open says whether whoever has these can take the way.
func (w WayIn) Open(identities []Identity, authenticators []Authenticator) bool {
	return slices.ContainsFunc(identities, func(i Identity) bool { return i.Kind == w.Kind }) &&
		(w.Authenticators == nil || slices.ContainsFunc(authenticators, func(a Authenticator) bool { return slices.Contains(w.Authenticators, a.Type) }))
}

// Within says whether whoever can take the way w can take the other one too.
func (w WayIn) Within(other WayIn) bool {
	if w.Kind != other.Kind || other.Authenticators == nil {
		return w.Kind == other.Kind
	}
	return w.Authenticators != nil && !slices.ContainsFunc(w.Authenticators, func(a string) bool { return !slices.Contains(other.Authenticators, a) })
}

// Loaded is all that a move of a run starts from.
type Loaded struct {
	Run     Run
	State   FlowState
	Account *Account // of State.UserID; nil when it is empty or there is no such user any more
}

// RunFilter narrows a list of runs.
type RunFilter struct {
	Status RunStatus // "" for all
	Type   FlowType  // "" for all
	UserID string    // "" for all

	SupportCode string // as [SupportCode] makes it; "" for all
}

// RunStore keeps runs and their states.
type RunStore interface {
	// LoadState reads a state, its run but for when it was seen, and its user
	// in one statement. It answers ErrFlowNotFound for a token it doesn't know, for one of another
	// tenant, and for one whose run has expired at the time given, unless
	// the run has finished.
	LoadState(ctx context.Context, tenantID, tokenHash string, at time.Time) (*Loaded, error)
	// LoadHead reads a run that is known by its id, with the state it stands on
	// and its user, in one statement; State.TokenHash is "" when its states are
	// forgotten. ErrFlowNotFound for any other run.
	LoadHead(ctx context.Context, tenantID, runID string) (*Loaded, error)
	// NoteRun replaces Run.SurfaceData of a run that is known by its id;
	// ErrFlowConflict when it isn't old any more, or there is no such run.
	NoteRun(ctx context.Context, tenantID, runID, old, data string) error
	// Commit makes one move. ErrFlowConflict when the run was finished by
	// somebody else since it was loaded, ErrDuplicatedIdentity when a claim was
	// taken. A run of a tenant deleted meanwhile is kept until the next purge.
	// What it kept survives the death of the process; when the move
	// finishes the run or makes a user or a session, also the loss of power.
	Commit(ctx context.Context, c *Commit) error
	// CompleteRun notes that what a finished run made was used. It changes
	// nothing about any other run.
	CompleteRun(ctx context.Context, tenantID, id string, at time.Time) error
	Run(ctx context.Context, tenantID, id string) (*Run, error) // ErrNotFound
	// Runs lists the newest first; the key is the id.
	Runs(ctx context.Context, tenantID string, filter RunFilter, page Page) ([]*Run, error)
	// TellRun tells every node that something happened to a run outside of it,
	// such as a link that was approved; WatchRuns hears it until ctx ends. Both
	// ids empty means that news may have been lost.
	TellRun(ctx context.Context, tenantID, runID string) error
	WatchRuns(ctx context.Context, told func(tenantID, runID string)) error
	// CountActive counts, over all tenants, the runs that can be gone on with
	// and the sessions that prove something at a time.
	CountActive(ctx context.Context, at time.Time) (runs, sessions int, err error)
	// Purge forgets, over all tenants and in bounded transactions, what has
	// outlived its use: states of ended runs, runs that nobody finished (they
	// become cancelled and are returned, at most limit of them), sessions long
	// over, codes a day after they expired, messages after 30 days,
	// deliveries to hooks after 7, errors that were to be shown.
	Purge(ctx context.Context, at time.Time, limit int) (expired []Run, err error)
}

// CodeStore keeps one-time codes.
type CodeStore interface {
	Code(ctx context.Context, tenantID, id string) (*Code, error) // ErrNotFound
	// TryCode pays for a try, in one statement, and answers the code as it is
	// then; ErrOTPExpired when it has ended or expired, ErrRateLimited when
	// every try was used up, ErrNotFound.
	TryCode(ctx context.Context, tenantID, id string, at time.Time) (*Code, error)
	// CodeByLink finds a live link by the hash of its secret; ErrNotFound.
	CodeByLink(ctx context.Context, tenantID, linkHash string, at time.Time) (*Code, error)
	// ApproveCode notes that a live link was approved; ErrOTPExpired.
	ApproveCode(ctx context.Context, tenantID, id string, at time.Time) error
}

// MessageFilter narrows a list of messages.
type MessageFilter struct {
	Channel string        // "" for all
	Status  MessageStatus // "" for all
	To      string        // "" for all
}

// MessageStore keeps the outbox.
type MessageStore interface {
	// ClaimMessages takes messages that are due, over all tenants, but those in
	// the lanes given: nobody else gets them until the lease ends, which is also
	// their NextAt. At most limit of them. Each claim counts as an attempt.
	ClaimMessages(ctx context.Context, at time.Time, lease time.Duration, limit int, except []Lane) ([]*Message, error)
	// SettleMessage writes Status, Attempts, NextAt, SentAt, Provider, Error and
	// Payload of a message that was claimed. It changes nothing when somebody
	// else has settled it for good meanwhile.
	SettleMessage(ctx context.Context, m *Message) error
	// Messages lists the newest first, without decoys; the key is the id.
	Messages(ctx context.Context, tenantID string, filter MessageFilter, page Page) ([]*Message, error)
	// MessageOfCode finds the message that carries a code; ErrNotFound.
	MessageOfCode(ctx context.Context, tenantID, codeID string) (*Message, error)
	// CountMessages says how many wait, and since when the oldest does.
	CountMessages(ctx context.Context) (queued int, oldest time.Time, err error)
}

// HookDeliveryFilter narrows a list of deliveries to hooks.
type HookDeliveryFilter struct {
	Endpoint string             // "" for all
	Type     HookEventType      // "" for all
	Status   HookDeliveryStatus // "" for all
	EventID  string             // "" for all
}

// HookStore keeps what hooks are told of. Commits and changes put it in.
type HookStore interface {
	// ClaimHookDeliveries takes deliveries that are due, over all tenants, but
	// those in the lanes given: nobody else gets them until the lease ends,
	// which is also their NextAt. At most limit of them, the longest due first.
	// Each claim counts as an attempt.
	ClaimHookDeliveries(ctx context.Context, at time.Time, lease time.Duration, limit int, except []HookLane) ([]*HookDelivery, error)
	// SettleHookDelivery writes Status, NextAt and what the last try came to, of
	// a delivery that was claimed. It changes nothing when somebody else has
	// settled it for good meanwhile, nor, unless it was delivered, when somebody
	// else has claimed it.
	SettleHookDelivery(ctx context.Context, d *HookDelivery) error
	HookDelivery(ctx context.Context, tenantID, id string) (*HookDelivery, error) // ErrNotFound
	// HookDeliveries lists the newest first; the key is the id.
	HookDeliveries(ctx context.Context, tenantID string, filter HookDeliveryFilter, page Page) ([]*HookDelivery, error)
	// CountHookDeliveries says how many wait, and since when the oldest does.
	CountHookDeliveries(ctx context.Context) (queued int, oldest time.Time, err error)
}

// SessionStore keeps sessions.
type SessionStore interface {
	// SessionByToken reads a session and its user in one statement; ErrNotFound.
	// It says nothing of whether the session is live.
	SessionByToken(ctx context.Context, tenantID, tokenHash string) (*Session, *User, error)
	Session(ctx context.Context, tenantID, id string) (*Session, error) // ErrNotFound
	// Sessions lists the newest first; the key is the id.
	Sessions(ctx context.Context, tenantID string, filter SessionFilter, page Page) ([]*Session, error)
	// TouchSession moves the idle end of a session.
	TouchSession(ctx context.Context, tenantID, id string, seen, idleEnd time.Time) error
}

// ErrorStore keeps what went wrong until a page has shown it.
type ErrorStore interface {
	KeepError(ctx context.Context, e *ShownError) error
	// ShownError reads one that hasn't expired; ErrNotFound.
	ShownError(ctx context.Context, tenantID, id string, at time.Time) (*ShownError, error)
}

// AdminReader reads who may call the admin API.
type AdminReader interface {
	APIKeyByHash(ctx context.Context, tenantID, hash string) (*APIKey, error) // ErrNotFound
	// APIKeys lists the newest first; the key is the id.
	APIKeys(ctx context.Context, tenantID string, page Page) ([]*APIKey, error)
	TouchAPIKey(ctx context.Context, tenantID, id string, at time.Time) error
	// GrantsOf lists what a user of the admin tenant may do, and where.
	GrantsOf(ctx context.Context, userID string) ([]Grant, error)
	// GrantsIn lists who has a role in a domain.
	GrantsIn(ctx context.Context, domain string) ([]Grant, error)
}

// AuditFilter narrows an audit log.
type AuditFilter struct {
	Category  AuditCategory // "" for all
	Action    string        // "" for all
	UserID    string        // "" for all
	RequestID string        // "" for all

	SupportCode string // of the run; "" for all

	Since time.Time // zero for all
	Until time.Time // zero for all
}

// AuditStore keeps the audit log.
type AuditStore interface {
	// RecordSignIn keeps a sign-in event at once, outside the chain; SealAudit
	// chains it.
	RecordSignIn(ctx context.Context, e *AuditEvent) error
	// SealAudit chains, over all tenants, sign-in events that aren't yet, and
	// the finished runs that have no event yet; at most limit of them. It says
	// how many it chained.
	SealAudit(ctx context.Context, limit int) (int, error)
	// AuditLog lists the newest first, the unsealed before the sealed; the key
	// is the id.
	AuditLog(ctx context.Context, tenantID string, filter AuditFilter, page Page) ([]*AuditEvent, error)
	// AuditChain lists sealed events in the order of the chain, from a place on.
	AuditChain(ctx context.Context, tenantID string, from int64, limit int) ([]*AuditEvent, error)
	// AuditHead is the place and the hash that the chain ends with; 0 and ""
	// for an empty one.
	AuditHead(ctx context.Context, tenantID string) (seq int64, hash string, err error)
}

// Tx is what a change may do. Its reads see its own writes.
type Tx interface {
	// Audit adds an event to a tenant's log: an admin's or the system's at the
	// end of the chain, a sign-in's unsealed. Seq, PrevHash and Hash are set.
	Audit(e *AuditEvent) error

	// Tenant reads a tenant by slug and keeps others from changing it until the
	// transaction ends; ErrTenantNotFound.
	Tenant(slug string) (*Tenant, error)
	CreateTenant(t *Tenant) error // ErrAlreadyExists for the slug, a host or the partition
	// UpdateTenant writes the row and the hosts and raises Revision;
	// ErrAlreadyExists for a host, ErrTenantNotFound.
	UpdateTenant(t *Tenant) error
	// DeleteTenant forgets a tenant and everything that is its; ErrTenantNotFound.
	DeleteTenant(id string) error

	Draft(tenantID string) (*Draft, error) // ErrNotFound when there is none
	PutDraft(d *Draft) error
	DeleteDraft(tenantID string) error
	Version(tenantID string, number int64) (*Version, error) // ErrNotFound
	CreateVersion(v *Version) error                          // ErrVersionConflict when the number is taken
	PutSecret(tenantID string, s Secret, sealed []byte) error
	DeleteSecret(tenantID, name string) error // ErrNotFound

	User(tenantID, id string) (*UserRecord, error) // ErrUserNotFound
	// CreateUser makes a user with identities and authenticators;
	// ErrDuplicatedIdentity.
	CreateUser(u *UserRecord) error
	// UpdateUser writes the user's own row; ErrUserNotFound.
	UpdateUser(u *User) error
	// DeleteUser forgets a user with identities, authenticators and sessions;
	// ErrUserNotFound.
	DeleteUser(tenantID, id string) error
	UserByClaim(tenantID string, claim Claim) (*UserRecord, error) // ErrUserNotFound
	// Owners says whose claims are, by value or by key, as user ids; what is
	// nobody's is absent.
	Owners(tenantID string, claims []Claim) (map[Claim]string, error)
	// CreateUsers makes many users as CreateUser makes one, in a few
	// statements. ErrDuplicatedIdentity, ErrAlreadyExists for an id.
	CreateUsers(us []*UserRecord) error
	AddIdentity(i *Identity) error            // ErrDuplicatedIdentity
	RemoveIdentity(tenantID, id string) error // ErrNotFound
	// PutAuthenticator makes or replaces one by its id.
	PutAuthenticator(a *Authenticator) error
	RemoveAuthenticator(tenantID, id string) error // ErrNotFound

	// CancelRun gives up a run that hasn't ended, and with it all its states;
	// ErrNotFound, ErrFlowFinished.
	CancelRun(tenantID, id string, at time.Time) (*Run, error)

	// TellHooks puts deliveries into the outbox of hooks.
	TellHooks(ds []HookDelivery) error

	// RevokeSessions ends sessions and says how many lived.
	RevokeSessions(tenantID string, which SessionSelector, at time.Time) (int, error)

	CreateAPIKey(k *APIKey) error
	RevokeAPIKey(tenantID, id string, at time.Time) (*APIKey, error) // ErrNotFound
	PutGrant(g Grant) error
	DeleteGrant(g Grant) error // ErrNotFound
}
