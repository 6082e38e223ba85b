package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

func migrated(t testing.TB, url string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func audited(s *Store, tenantID string, fn func(tenant.Tx) error) error {
	return s.Change(context.Background(), func(tx tenant.Tx) error {
		return errors.Join(fn(tx), tx.Audit(&tenant.AuditEvent{
			TenantID: tenantID, ID: tenant.UUIDv7(time.Now(), [10]byte{byte(time.Now().Nanosecond()), byte(time.Now().Nanosecond() >> 8)}),
			Category: tenant.AuditAdmin, Action: "test", ActorKind: tenant.ActorCLI,
		}))
	})
}

var hot = []*statement{
	selectAccountByClaim, selectAccount, loadState, insertRun, moveRun, completeRun, insertState, insertSession, updateSecret, verifyIdentity, removeOfType, endSessions, renewSession,
	selectCode, selectCodeByLink, tryCode, approveCode, endCodes, useCode,
	selectSession, touchSession, selectKey, touchKey, insertAudit,
}

// Every hot statement finds its rows by an index, on both databases.
func TestHotStatementsUseIndexes(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		s := migrated(t, url, Options{})
		conn, err := s.fast.DB.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		explain := "EXPLAIN QUERY PLAN "
		if s.postgres() {
			explain = "EXPLAIN "
			// An empty table is read whole unless told not to.
			if _, err := conn.ExecContext(t.Context(), "SET enable_seqscan = off"); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range hot {
			text := explain + strings.ReplaceAll(q.text, "?", "'0'")
			rows, err := conn.QueryContext(t.Context(), text)
			if err != nil {
				t.Fatal(q.group, err)
			}
			plan := planOf(t, rows)
			if strings.Contains(plan, "Seq Scan") || regexp.MustCompile(`(?m)^SCAN`).MatchString(plan) {
				t.Errorf("%s reads a whole table:\n%s", q.group, plan)
			}
		}
	})
}

func planOf(t *testing.T, rows interface {
	Next() bool
	Scan(...any) error
	Columns() ([]string, error)
	Close() error
	Err() error
}) string {
	t.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		if err := rows.Scan(cells...); err != nil {
			t.Fatal(err)
		}
		last, _ := (*cells[len(cells)-1].(*any)).(string)
		plan = append(plan, last)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}

// How many statements each operation costs, BEGIN and COMMIT aside.
func TestStatementCounts(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		var mu sync.Mutex
		var heard []string
		s := migrated(t, url, Options{OnQuery: func(g string, _ time.Duration, err error) {
			if err != nil {
				t.Error(g, err)
			}
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, g)
		}})
		if err := audited(s, "t", func(tx tenant.Tx) error {
			return tx.CreateTenant(&tenant.Tenant{ID: "t", Slug: "t", State: tenant.Active, Hosts: []string{"t.test"}})
		}); err != nil {
			t.Fatal(err)
		}
		ctx, now := t.Context(), time.Now()
		run := tenant.Run{TenantID: "t", ID: "r", Flow: tenant.FlowRef{Type: tenant.Signup, Name: "default"}, Status: tenant.RunNew, ExpiresAt: now.Add(time.Hour)}
		state := func(hash string) tenant.FlowState {
			return tenant.FlowState{TenantID: "t", TokenHash: hash, RunID: run.ID}
		}
		finished := func(id string) tenant.Run { r := run; r.ID, r.Status, r.UserID = id, tenant.RunFinished, "u"; return r }
		session := func(id string) *tenant.Session {
			return &tenant.Session{TenantID: "t", ID: id, TokenHash: id, UserID: "u"}
		}
		claim := tenant.Claim{Kind: "email", Value: "a@b.c"}
		password := tenant.Authenticator{TenantID: "t", ID: "a", UserID: "u", Type: "primary_password", Secret: "$x"}

		for _, c := range []struct {
			name string
			run  func() error
			want []string
		}{
			{"start", func() error { return s.Commit(ctx, &tenant.Commit{Run: run, New: true, State: state("1")}) }, []string{"begin", "run_start", "state_keep", "commit"}},
			{"load", func() error { _, err := s.LoadState(ctx, "t", "1", now); return err }, []string{"run_load"}},
			{"step", func() error { return s.Commit(ctx, &tenant.Commit{Run: run, State: state("2")}) }, []string{"begin", "run_move", "state_keep", "commit"}},
			{"sign-up", func() error {
				return s.Commit(ctx, &tenant.Commit{
					Run: finished("r"), State: state("3"), Session: session("s1"), User: &tenant.User{TenantID: "t", ID: "u", State: tenant.UserActive},
					Identities: []tenant.Identity{
						{TenantID: "t", ID: "i1", UserID: "u", Claim: claim}, {TenantID: "t", ID: "i2", UserID: "u", Claim: tenant.Claim{Kind: "username", Value: "a"}},
					},
					Authenticators: []tenant.Authenticator{password, {TenantID: "t", ID: "b", UserID: "u", Type: "secondary_totp"}},
				})
			}, []string{"begin", "run_move", "state_keep", "user_write", "user_write", "user_write", "session_open", "commit", "flush"}},
			{"by claim", func() error { _, err := s.AccountByClaim(ctx, "t", claim); return err }, []string{"account_by_claim"}},
			{"by id", func() error { _, err := s.Account(ctx, "t", "u"); return err }, []string{"account_by_id"}},
			{"login in one request", func() error {
				return s.Commit(ctx, &tenant.Commit{Run: finished("r2"), New: true, State: tenant.FlowState{TenantID: "t", TokenHash: "4", RunID: "r2"}, Session: session("s2"), Updates: []tenant.SecretUpdate{{Authenticator: password, Was: password.Secret}}})
			}, []string{"begin", "run_start", "state_keep", "secret_update", "session_open", "commit", "flush"}},
			{"session", func() error { _, _, err := s.SessionByToken(ctx, "t", "s2"); return err }, []string{"session_check"}},
			{"touch", func() error { return s.TouchSession(ctx, "t", "s2", now, now) }, []string{"session_touch"}},
			{"key", func() error {
				if _, err := s.APIKeyByHash(ctx, "t", "x"); !errors.Is(err, tenant.ErrNotFound) {
					return err
				}
				return nil
			}, []string{"api_key_check"}},
			{"host", func() error { _, err := s.TenantByHost(ctx, "t.test"); return err }, []string{"tenant_read", "tenant_read"}},
			{"users", func() error { _, err := s.Users(ctx, "t", tenant.UserFilter{}, tenant.Page{Limit: 50}); return err }, []string{"user_read", "user_read", "user_read", "user_read"}},
		} {
			mu.Lock()
			heard = nil
			mu.Unlock()
			if err := c.run(); err != nil {
				t.Fatal(c.name, err)
			}
			if s.postgres() { // which flushes by itself, and need not begin what can't be refused
				refusable := slices.Contains(c.want, "run_move")
				c.want = slices.DeleteFunc(c.want, func(g string) bool { return g == "flush" || g == "begin" && !refusable })
			}
			if !slices.Equal(heard, c.want) {
				t.Errorf("%s: %v, want %v", c.name, heard, c.want)
			}
		}
		for _, g := range heard {
			if !slices.Contains(Groups(), g) {
				t.Error("not among the groups:", g)
			}
		}
	})
}

// Whoever asks is served by work that began afterwards, and is told how it went.
func TestShared(t *testing.T) {
	var s shared
	var begun, failed atomic.Int64
	work := func() error {
		n := begun.Add(1)
		time.Sleep(time.Millisecond)
		if n%2 == 0 {
			return fmt.Errorf("number %d", n)
		}
		return nil
	}
	const callers, times = 16, 20
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range times {
				before := begun.Load()
				err := s.do(work)
				if begun.Load() == before {
					t.Error("nothing was done for this caller")
				}
				var n int64
				if err == nil {
					continue
				}
				failed.Add(1)
				if _, bad := fmt.Sscanf(err.Error(), "number %d", &n); bad != nil || n <= before {
					t.Errorf("work begun before number %d answers %v", before+1, err)
				}
			}
		})
	}
	group.Wait()
	if n := begun.Load(); n >= callers*times/2 || n < times {
		t.Errorf("%d calls did the work %d times", callers*times, n)
	}
	if failed.Load() == 0 {
		t.Error("nobody was told of a failure")
	}
}

// What is durable waits for the disk, and what is fast doesn't.
func TestDurability(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		flushes := 0
		s := migrated(t, url, Options{OnQuery: func(g string, _ time.Duration, _ error) {
			if g == string(flush) {
				flushes++
			}
		}})
		boom := errors.New("boom")
		for _, durable := range []bool{false, true, false} {
			for _, end := range []error{nil, boom} {
				flushes = 0
				err := s.transact(t.Context(), durable, func(tx bun.Tx) error {
					setting := "PRAGMA synchronous"
					want := "1"
					if s.postgres() {
						setting, want = "SHOW synchronous_commit", map[bool]string{false: "off", true: "on"}[durable]
					}
					var got string
					if err := tx.QueryRowContext(t.Context(), setting).Scan(&got); err != nil || got != want {
						t.Errorf("durable %v: %s (%v), want %s", durable, got, err, want)
					}
					return end
				})
				if !errors.Is(err, end) {
					t.Error(err)
				}
				want := 0
				if durable && end == nil && !s.postgres() {
					want = 1
				}
				if flushes != want {
					t.Errorf("durable %v, ends with %v: %d flushes, want %d", durable, end, flushes, want)
				}
			}
		}
		if s.postgres() {
			return
		}
		s.log += "-elsewhere" // the disk is gone
		if err := s.transact(t.Context(), true, func(bun.Tx) error { return nil }); !errors.Is(err, tenant.ErrUnavailable) {
			t.Errorf("a log that can't be written: %v", err)
		}
	})
	for _, c := range []struct {
		name string
		c    tenant.Commit
		want bool
	}{
		{"a state", tenant.Commit{Run: tenant.Run{Status: tenant.RunPending}}, false},
		{"a secret", tenant.Commit{Updates: make([]tenant.SecretUpdate, 1)}, true},
		{"a message", tenant.Commit{Messages: make([]tenant.Message, 1)}, true},
		{"the end", tenant.Commit{Run: tenant.Run{Status: tenant.RunFinished}}, true},
		{"a user", tenant.Commit{User: &tenant.User{}}, true},
		{"an identity", tenant.Commit{Identities: make([]tenant.Identity, 1)}, true},
		{"a credential", tenant.Commit{Authenticators: make([]tenant.Authenticator, 1)}, true},
		{"a session", tenant.Commit{Session: &tenant.Session{}}, true},
	} {
		if got := acknowledged(&c.c); got != c.want {
			t.Errorf("%s: durable %v", c.name, got)
		}
	}
}

// Two changes that lock two tenants in opposite order: PostgreSQL kills one,
// which runs again.
func TestDeadlock(t *testing.T) {
	var mu sync.Mutex
	retries := 0
	s := migrated(t, testenv.Postgres(t), Options{OnRetry: func() { mu.Lock(); retries++; mu.Unlock() }})
	for i, slug := range []string{"a", "b"} {
		if err := audited(s, slug, func(tx tenant.Tx) error {
			return tx.CreateTenant(&tenant.Tenant{ID: slug, Slug: slug, State: tenant.Active, Partition: uint32(i)})
		}); err != nil {
			t.Fatal(err)
		}
	}
	var both, done sync.WaitGroup
	both.Add(2)
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		done.Go(func() {
			met := false
			if err := audited(s, order[0], func(tx tenant.Tx) error {
				_, err := tx.Tenant(order[0])
				if !met {
					met = true
					both.Done()
					both.Wait()
				}
				if err != nil {
					return err
				}
				_, err = tx.Tenant(order[1])
				return err
			}); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if retries == 0 {
		t.Error("no deadlock, or none that the hook heard of")
	}
}
