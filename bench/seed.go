package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
)

// password is everybody's.
const password = "correct horse battery"

// site is a tenant with users that follow from their number, so that a million
// of them need no list.
type site struct {
	slug, host, id string
	users          int
	more           func(user string, i int) (tenant.Authenticator, error) // what they have beside a password; nil for nothing
}

func (s *site) login(i int) string { return fmt.Sprintf("user%d@%s.example", i, s.slug) }

func (s *site) digest(what string, i int) [32]byte {
	return sha256.Sum256([]byte(what + " " + s.slug + " " + fmt.Sprint(i)))
}

// rowID is a UUIDv7; those of later numbers sort later.
func (s *site) rowID(what string, i int) string {
	d := s.digest(what, i)
	return tenant.UUIDv7(seedTime.Add(time.Duration(i)*time.Millisecond), [10]byte(d[:10]))
}

func (s *site) user(i int) string { return s.rowID("user", i) }

// session is the token of the session that user i has from the start.
func (s *site) session(i int) string {
	d := s.digest("session", i)
	return "ushersession_" + tenant.Base32(d[:20])
}

var seedTime = time.Now().Add(-time.Hour).Truncate(time.Second)

// seeder fills a database. No server runs on it meanwhile.
type seeder struct {
	url    string
	store  *store.Store
	admin  *admin.Service
	hashes map[string]string // by algorithm
}

func (b *bench) newSeeder(ctx context.Context, db *database) (*seeder, error) {
	st, err := store.Open(ctx, db.url, store.Options{})
	if err != nil {
		return nil, err
	}
	master, err := secret.LoadMaster("", b.masterKey)
	if err != nil {
		return nil, err
	}
	return &seeder{url: db.url, store: st, admin: &admin.Service{Store: st, Master: master, Now: time.Now}, hashes: b.hashes}, nil
}

// counted are limits that are counted as any others and never reached.
var counted = tenant.Rate{Burst: 1_000_000, PeriodSeconds: 1}

// unlimited is the default configuration with limits of that kind.
func unlimited() *tenant.Config {
	cfg := tenant.DefaultConfig()
	l := &cfg.Limits
	for _, rate := range []*tenant.Rate{
		&l.SignupPerIP, &l.IdentifyPerIP, &l.PasswordPerIP, &l.PasswordPerUserPerIP, &l.TOTPPerIP, &l.TOTPPerUserPerIP,
		&l.OTPPerIP, &l.OTPPerUserPerIP, &l.SendEmailPerTarget, &l.SendEmailPerIP, &l.SendEmailPerTenant,
	} {
		*rate = counted
	}
	return cfg
}

// site makes a tenant with users; each has a login id, a password and a session.
func (s *seeder) site(ctx context.Context, slug string, cfg *tenant.Config, users int) (*site, error) {
	t, err := s.admin.CreateTenant(ctx, admin.System, admin.NewTenant{Slug: slug, Hosts: []string{slug + ".localhost"}, Config: cfg})
	if err != nil {
		return nil, fmt.Errorf("tenant %s: %w", slug, err)
	}
	out := &site{slug: slug, host: t.Hosts[0], id: t.ID, users: users}
	return out, s.people(ctx, out, s.hashes[cfg.Authenticators.Password.Algorithm])
}

// cheapCost is the least cost that bcrypt has. No configuration may ask for it.
const cheapCost = 4

// cheapSite makes a tenant whose passwords cost as little as can be: of a login
// there everything but the hash can be weighed exactly.
func (s *seeder) cheapSite(ctx context.Context, slug string, users int) (*site, error) {
	cfg := unlimited()
	cfg.Authenticators.Password.Algorithm = "bcrypt"
	cfg.Sessions.LifetimeSeconds++ // equal configurations share a program
	t, err := s.site(ctx, slug, cfg, 0)
	if err != nil {
		return nil, err
	}
	t.users = users
	allowed := fmt.Sprintf(`"bcrypt_cost":%d`, cfg.Authenticators.Password.BcryptCost)
	r, err := s.store.DB().ExecContext(ctx, "UPDATE config_version SET document = replace(document, ?, ?) WHERE tenant_id = ? AND document LIKE ?",
		allowed, fmt.Sprintf(`"bcrypt_cost":%d`, cheapCost), t.id, "%"+allowed+"%")
	if err != nil {
		return nil, err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return nil, fmt.Errorf("the configuration of %s: %d rows, %w", slug, n, err)
	}
	return t, s.people(ctx, t, s.hashes[cheap])
}

// people makes a site's users as an import does, and a session for each.
func (s *seeder) people(ctx context.Context, t *site, hash string) error {
	const each = 500 // in a transaction
	for from := 0; from < t.users; from += each {
		users := make([]*tenant.UserRecord, 0, each)
		for i := from; i < min(from+each, t.users); i++ {
			u := t.record(i, hash)
			if t.more != nil {
				more, err := t.more(u.ID, i)
				if err != nil {
					return err
				}
				u.Authenticators = append(u.Authenticators, more)
			}
			users = append(users, u)
		}
		err := s.store.Change(ctx, func(tx tenant.Tx) error {
			if err := tx.CreateUsers(users); err != nil {
				return err
			}
			return tx.Audit(&tenant.AuditEvent{
				TenantID: t.id, ID: secret.NewID(), At: seedTime, Category: tenant.AuditSystem, Action: "user.import", Outcome: "success",
				ActorKind: tenant.ActorSystem,
			})
		})
		if err != nil {
			return fmt.Errorf("users of %s: %w", t.slug, err)
		}
	}
	if err := s.sessions(ctx, t); err != nil {
		return fmt.Errorf("sessions of %s: %w", t.slug, err)
	}
	return nil
}

func (s *site) record(i int, hash string) *tenant.UserRecord {
	id := s.user(i)
	return &tenant.UserRecord{
		User: tenant.User{
			TenantID: s.id, ID: id, State: tenant.UserActive, CreatedAt: seedTime, UpdatedAt: seedTime,
			Attributes: tenant.UserAttributes{Standard: []byte(`{"name":"A User"}`)},
		},
		Identities: []tenant.Identity{{
			TenantID: s.id, ID: s.rowID("identity", i), UserID: id, Claim: tenant.Claim{Kind: "email", Value: s.login(i)},
			Shown: s.login(i), VerifiedAt: seedTime, CreatedAt: seedTime,
		}},
		Authenticators: []tenant.Authenticator{{
			TenantID: s.id, ID: s.rowID("authenticator", i), UserID: id, Type: "primary_password", Secret: hash,
			CreatedAt: seedTime, UpdatedAt: seedTime,
		}},
	}
}

// sessions writes rows of sessions as they stand in migrations: only a login
// opens one.
func (s *seeder) sessions(ctx context.Context, t *site) error {
	at := seedTime.UnixMilli()
	// Nobody's last use is long enough ago to be noted again: that happens once a
	// minute, and how many of the checks that is would depend on how many users
	// there are.
	year := time.Now().Add(365 * 24 * time.Hour).UnixMilli()
	columns := []string{
		"tenant_id", "id", "token_hash", "user_id", "run_id", "amr", "authenticated_at", "created_at", "last_seen_at",
		"expires_at", "idle_expires_at", "ip", "user_agent", "revoked_at",
	}
	return s.bulk(ctx, "session", columns, t.users, func(i int) []any {
		return []any{
			t.id, t.rowID("session", i), secret.TokenHash(t.session(i)), t.user(i), "", "pwd", at, at, year, year, year, "10.0.0.1", "bench", int64(0),
		}
	})
}

// bulk inserts n rows the fastest way the database has.
func (s *seeder) bulk(ctx context.Context, table string, columns []string, n int, row func(i int) []any) error {
	if path, ok := strings.CutPrefix(s.url, "sqlite:"); ok {
		return bulkSQLite(ctx, path, table, columns, n, row)
	}
	c, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	// The rows refer to each other as they should; checking a million would take minutes.
	if _, err := c.Exec(ctx, "SET session_replication_role = replica"); err != nil {
		return err
	}
	i := -1
	_, err = c.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		if i++; i == n {
			return nil, nil
		}
		return row(i), nil
	}))
	return err
}

func bulkSQLite(ctx context.Context, path, table string, columns []string, n int, row func(i int) []any) error {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "synchronous(0)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after the commit there is nothing to roll back
	one := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	const each = 40 // rows in a statement
	text := func(rows int) string {
		return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + one + strings.Repeat(", "+one, rows-1)
	}
	many, err := tx.PrepareContext(ctx, text(each))
	if err != nil {
		return err
	}
	defer many.Close()
	for i := 0; i < n; {
		var args []any
		rows := min(each, n-i)
		for range rows {
			args = append(args, row(i)...)
			i++
		}
		if rows == each {
			_, err = many.ExecContext(ctx, args...)
		} else {
			_, err = tx.ExecContext(ctx, text(rows), args...)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// close leaves the database as one that has settled.
func (s *seeder) close(ctx context.Context) error {
	statement := "PRAGMA wal_checkpoint(TRUNCATE)"
	if !strings.HasPrefix(s.url, "sqlite:") {
		statement = "VACUUM (ANALYZE)"
	}
	_, err := s.store.DB().ExecContext(ctx, statement)
	if closed := s.store.Close(); err == nil {
		err = closed
	}
	return err
}

// numbered is the slug of one of many tenants.
func numbered(i int) string { return fmt.Sprintf("t%05d", i) }

// distinct is a configuration that no other tenant has.
func distinct(i int) *tenant.Config {
	cfg := unlimited()
	cfg.Sessions.LifetimeSeconds = 1_000_000 + i
	return cfg
}
