package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-id/usher/tenant"
)

// Run runs the suite. open gives an empty store that is migrated and closed
// after the test.
func Run(t *testing.T, open func(t testing.TB) tenant.Store) {
	for _, group := range []struct {
		name string
		test func(*house)
	}{
		{"tenants", testTenants},
		{"configuration", testConfiguration},
		{"users", testUsers},
		{"ways in", testWaysIn},
		{"runs", testRuns},
		{"runs explained", testExplained},
		{"runs known by id", testHeld},
		{"how runs end", testEnds},
		{"anonymous users", testAnonymous},
		{"purge", testPurge},
		{"codes", testCodes},
		{"messages", testMessages},
		{"hooks", testHooks},
		{"sessions", testSessions},
		{"keys and grants", testAdmins},
		{"audit", testAudit},
		{"errors to be shown", testShownErrors},
		{"change", testChange},
		{"watch", testWatch},
		{"isolation", testIsolation},
		{"races", testRaces},
		{"paging", testPaging},
	} {
		t.Run(group.name, func(t *testing.T) { group.test(&house{T: t, s: open(t), at: time.UnixMilli(1_800_000_000_000).UTC()}) })
	}
}

// house is a store under test with a clock of its own.
type house struct {
	*testing.T
	s  tenant.Store
	at time.Time
}

var partitions atomic.Uint32

// step is one part of a group.
func (h *house) step(name string, test func(h *house)) {
	h.Helper()
	h.Run(name, func(t *testing.T) { test(&house{T: t, s: h.s, at: h.at}) })
}

func (h *house) ctx() context.Context { return h.Context() }

var lastID atomic.Int64

// id makes an identifier that sorts behind all made before it.
func id() string {
	now := time.Now().UnixMilli()
	for {
		last := lastID.Load()
		now = max(now, last+1)
		if lastID.CompareAndSwap(last, now) {
			break
		}
	}
	var random [10]byte
	rand.Read(random[:])
	return tenant.UUIDv7(time.UnixMilli(now), random)
}

// ids makes some, in their order.
func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = id()
	}
	return out
}

func word() string { return strings.ToLower(rand.Text()[:12]) }

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// refused checks for one refusal.
func (h *house) refused(err error, want *tenant.Error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("got %v, want the refusal %s", err, want.Reason)
	}
}

// same compares two values; no list is as good as an empty one.
func (h *house) same(got, want any, more ...cmp.Option) {
	h.Helper()
	if d := cmp.Diff(want, got, append(more, cmpopts.EquateEmpty())...); d != "" {
		h.Errorf("want -, got +:\n%s", d)
	}
}

// change runs fn as one audited change by a tenant's admin.
func (h *house) change(tenantID string, fn func(tenant.Tx) error) error {
	return h.s.Change(h.ctx(), func(tx tenant.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Audit(h.event(tenantID))
	})
}

func (h *house) event(tenantID string) *tenant.AuditEvent {
	return &tenant.AuditEvent{
		TenantID: tenantID, ID: id(), At: h.at, Category: tenant.AuditAdmin, Action: "test.change", Outcome: "success",
		ActorKind: tenant.ActorKey, ActorID: "key", IP: "192.0.2.1", RequestID: "req", Detail: []byte(`{"a":"ü"}`),
	}
}

// newTenant is a tenant that isn't in the store yet.
func (h *house) newTenant() *tenant.Tenant {
	name := word()
	return &tenant.Tenant{
		ID: id(), Slug: name, Name: "The " + name, State: tenant.Active, Hosts: []string{name + ".test", "www." + name + ".test"},
		Partition: partitions.Add(1), Key: []byte{0, 1, 0xff}, Version: 1, CreatedAt: h.at,
	}
}

// tenant is one that is.
func (h *house) tenant() *tenant.Tenant {
	h.Helper()
	t := h.newTenant()
	h.must(h.change(t.ID, func(tx tenant.Tx) error { return tx.CreateTenant(t) }))
	return t
}

// newUser is a user with two factors and an identity of each kind given.
func (h *house) newUser(tenantID string, claims ...tenant.Claim) *tenant.UserRecord {
	u := &tenant.UserRecord{User: tenant.User{
		TenantID: tenantID, ID: id(), State: tenant.UserActive, CreatedAt: h.at, UpdatedAt: h.at,
		Attributes: tenant.UserAttributes{Standard: []byte(`{"name":"Zoë O'Neil"}`), Custom: []byte(`{"n":1}`)},
	}}
	for _, c := range claims {
		u.Identities = append(u.Identities, tenant.Identity{
			TenantID: tenantID, ID: id(), UserID: u.ID, Claim: c, Shown: strings.ToUpper(c.Value), VerifiedAt: h.at, CreatedAt: h.at,
		})
	}
	for _, kind := range []string{"primary_password", "secondary_totp"} {
		u.Authenticators = append(u.Authenticators, tenant.Authenticator{
			TenantID: tenantID, ID: id(), UserID: u.ID, Type: kind, Secret: "$secret$" + word(), CreatedAt: h.at, UpdatedAt: h.at,
		})
	}
	return u
}

func email(name string) tenant.Claim {
	return tenant.Claim{Kind: "email", Value: name + "@example.com"}
}

// user is one that is in the store.
func (h *house) user(tenantID string, claims ...tenant.Claim) *tenant.UserRecord {
	h.Helper()
	u := h.newUser(tenantID, claims...)
	h.must(h.change(tenantID, func(tx tenant.Tx) error { return tx.CreateUser(u) }))
	return u
}

// newRun is the first move of a run.
func (h *house) newRun(tenantID string) *tenant.Commit {
	run := id()
	seen := tenant.Seen{At: h.at, IP: "192.0.2.7", UserAgent: "agent/1 \x00\xff 'quoted'"}
	return &tenant.Commit{
		New: true,
		Run: tenant.Run{
			TenantID: tenantID, ID: run, Flow: tenant.FlowRef{Type: tenant.Login, Name: "default"}, ConfigVersion: 3, Status: tenant.RunNew,
			Surface: "flowapi", SessionKind: tenant.CookieSession, DeviceID: "device", FirstSeen: seen, LastSeen: seen,
			CreatedAt: h.at, ExpiresAt: h.at.Add(20 * time.Minute),
		},
		State: tenant.FlowState{TenantID: tenantID, TokenHash: word(), RunID: run, Data: []byte{1, 0, 0xfe}, CreatedAt: h.at},
	}
}

// next is the move after another.
func (h *house) next(c *tenant.Commit, status tenant.RunStatus) *tenant.Commit {
	n := &tenant.Commit{Run: c.Run, State: c.State}
	n.Run.Status = status
	n.Run.LastSeen.At = c.Run.LastSeen.At.Add(time.Second)
	n.State.TokenHash = word()
	if status == tenant.RunFinished {
		n.Run.FinishedAt = n.Run.LastSeen.At
	}
	return n
}

// login is the move that signs a user in.
func (h *house) login(c *tenant.Commit, userID string) *tenant.Commit {
	n := h.next(c, tenant.RunFinished)
	n.Run.UserID, n.State.UserID = userID, userID
	n.Run.Factors = []string{"pwd"}
	n.Session = h.newSession(c.Run.TenantID, userID, c.Run.ID)
	n.Run.SessionID = n.Session.ID
	return n
}

func (h *house) newSession(tenantID, userID, runID string) *tenant.Session {
	return &tenant.Session{
		TenantID: tenantID, ID: id(), TokenHash: word(), UserID: userID, RunID: runID, AMR: []string{"pwd", "otp", "mfa"},
		AuthenticatedAt: h.at, CreatedAt: h.at, LastSeenAt: h.at, ExpiresAt: h.at.Add(24 * time.Hour), IdleExpiresAt: h.at.Add(time.Hour),
		IP: "192.0.2.7", UserAgent: "agent/1",
	}
}

// signedIn runs a whole login.
func (h *house) signedIn(u *tenant.UserRecord) *tenant.Session {
	h.Helper()
	first := h.newRun(u.TenantID)
	h.must(h.s.Commit(h.ctx(), first))
	last := h.login(first, u.ID)
	h.must(h.s.Commit(h.ctx(), last))
	return last.Session
}

// ignoreAgents is for runs whose user agents the database can't hold.
// unseen is a run as it comes with one of its states.
func unseen(r tenant.Run) tenant.Run {
	r.FirstSeen, r.LastSeen = tenant.Seen{}, tenant.Seen{}
	return r
}

var ignoreAgents = cmpopts.IgnoreFields(tenant.Seen{}, "UserAgent")
