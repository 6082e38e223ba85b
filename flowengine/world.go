package flowengine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/passkey"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// world is what a run may look at, for one request. It remembers the accounts
// and the login ids that it has read, so that no step reads them again.
type world struct {
	ctx     context.Context // of the request, as long as which it lives
	engine  *Engine
	tenant  *tenant.Tenant
	program *flow.Program
	config  *tenant.Config // the program's
	client  *Client
	now     time.Time
	known   map[string]*tenant.Account // by user; nil for nobody
	claims  map[string][]tenant.Identity
	run     string          // the run's id
	session *tenant.Session // who is signed in; nil for nobody
	locking []tried         // tries that lock out, should they stay failed
}

func (e *Engine) world(ctx context.Context, m *move, program *flow.Program) *world {
	return &world{
		ctx: ctx, engine: e, tenant: m.tenant, program: program, config: program.Config(), client: m.client, now: m.now, run: m.run.ID,
		known: map[string]*tenant.Account{}, claims: map[string][]tenant.Identity{},
	}
}

func (w *world) Now() time.Time { return w.now }

func (w *world) NewID() string { return secret.NewID() }

func (w *world) AccountByClaim(claim tenant.Claim, also ...string) (*tenant.Account, error) {
	a, err := w.engine.store.AccountByClaim(w.ctx, w.tenant.ID, claim, also...)
	if errors.Is(err, tenant.ErrUserNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w.known[a.ID] = a
	return a, nil
}

func (w *world) Account(user string) (*tenant.Account, error) {
	if a, ok := w.known[user]; ok {
		return a, nil
	}
	a, err := w.engine.store.Account(w.ctx, w.tenant.ID, user)
	if err != nil && !errors.Is(err, tenant.ErrUserNotFound) {
		return nil, err
	}
	w.known[user] = a
	return a, nil
}

func (w *world) Hash(password string) (string, error) {
	return w.engine.hasher.Hash(w.ctx, w.config.Authenticators.Password, password)
}

func (w *world) Matches(hash, password string) (ok, stale bool, err error) {
	return w.engine.hasher.Verify(w.ctx, w.config.Authenticators.Password, hash, password)
}

func (w *world) Session() *tenant.Session { return w.session }

func (w *world) OtherSessions(user string) (bool, error) {
	// Two, because one of them may be the one that asks.
	list, err := w.engine.store.Sessions(w.ctx, w.tenant.ID, tenant.SessionFilter{UserID: user, LiveAt: w.now}, tenant.Page{Limit: 2})
	for _, s := range list {
		if w.session == nil || s.ID != w.session.ID {
			return true, err
		}
	}
	return false, err
}

func (w *world) DeviceToken() string {
	if w.client.DeviceToken == "" {
		return ""
	}
	return secret.TokenHash(w.client.DeviceToken)
}

func (w *world) SocketURL() string {
	return w.engine.publicURL(WebSocket, w.tenant.PrimaryHost(), "/api/v1/authentication_flows/ws?flow_id="+w.run)
}

func (w *world) Issuer() string { return w.tenant.PrimaryHost() }

func (w *world) Random(n int) []byte { return secret.Random(n) }

func (w *world) Identities(user string) ([]tenant.Identity, error) {
	if known, ok := w.claims[user]; ok {
		return slices.Clone(known), nil // callers mark in theirs what becomes verified
	}
	identities, err := w.engine.store.IdentitiesOf(w.ctx, w.tenant.ID, user)
	if err == nil {
		w.claims[user] = slices.Clone(identities)
	}
	return identities, err
}

func (w *world) Seal(authenticator, plain string) (string, error) {
	return w.engine.master.SealText(w.tenant, tenant.AuthenticatorTable, authenticator, plain)
}

func (w *world) Unseal(authenticator, sealed string) (string, error) {
	return w.engine.master.OpenText(w.tenant, tenant.AuthenticatorTable, authenticator, sealed)
}

func (w *world) Code(id string) (*tenant.Code, error) {
	c, err := w.engine.store.Code(w.ctx, w.tenant.ID, id)
	if errors.Is(err, tenant.ErrNotFound) {
		return nil, nil
	}
	return c, err
}

func (w *world) TryCode(id, code string, decoy bool) (bool, error) {
	c, err := w.engine.store.TryCode(w.ctx, w.tenant.ID, id, w.now)
	if errors.Is(err, tenant.ErrNotFound) {
		err = tenant.ErrOTPExpired
	}
	if err != nil {
		return false, err
	}
	digest, err := w.engine.master.Open(w.tenant, codeTable, id, c.Sealed)
	if err != nil {
		return false, err
	}
	right := subtle.ConstantTimeCompare(digest, codeDigest(id, code)) == 1 && !decoy
	w.engine.metrics.codeTried(c.Channel, right)
	return right, nil
}

// codeDigest binds a code to its id, so that a row can't be put in another's place.
func codeDigest(id, code string) []byte {
	sum := sha256.Sum256([]byte(id + " " + code))
	return sum[:]
}

func (w *world) Passkeys() flow.Passkeys {
	return passkey.New(w.tenant, &w.config.Passkeys, func(host string) string { return w.engine.publicURL(HTTP, host, "") })
}

// Plausible is keyed with the tenant's wrapped key: no client has it, and whoever
// can read the database knows without it who exists.
func (w *world) Plausible(subject string) []byte {
	mac := hmac.New(sha512.New, w.tenant.Key)
	mac.Write([]byte(subject))
	return mac.Sum(nil)
}

func (w *world) ProviderReady(alias string) bool {
	names, err := w.engine.programs.secretNames(w.ctx, w.tenant)
	if err != nil {
		w.engine.log.WarnContext(w.ctx, "secrets of a tenant can't be listed", "tenant", w.tenant.Slug, "err", err)
	}
	return names[tenant.OAuthSecretName(alias)]
}
