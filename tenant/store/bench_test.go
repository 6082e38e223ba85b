package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

// Beside each operation stands a yardstick of the same database: one native
// read by key, one native insert.
func BenchmarkStore(b *testing.B) {
	for _, database := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", testenv.SQLite}, {"postgres", testenv.Postgres}} {
		b.Run(database.name, func(b *testing.B) { benchmark(b, migrated(b, database.url(b), Options{})) })
	}
}

const benchUsers = 20_000

func benchmark(b *testing.B, s *Store) {
	ctx, now := b.Context(), time.Now()
	if err := audited(s, "t", func(tx tenant.Tx) error {
		return tx.CreateTenant(&tenant.Tenant{ID: "t", Slug: "t", State: tenant.Active, Hosts: []string{"t.test"}})
	}); err != nil {
		b.Fatal(err)
	}
	fill(b, s, benchUsers)
	user := func() string { return fmt.Sprintf("u%07d", rand.IntN(benchUsers)) }
	n := 0
	next := func() string { n++; return fmt.Sprintf("%s%d-%d", b.Name(), b.N, n) }
	start := func() *tenant.Commit {
		id := next()
		return &tenant.Commit{New: true, Run: tenant.Run{
			TenantID: "t", ID: id, Flow: tenant.FlowRef{Type: tenant.Login, Name: "default"}, Status: tenant.RunNew,
			CreatedAt: now, ExpiresAt: now.Add(time.Hour), FirstSeen: tenant.Seen{At: now, IP: "192.0.2.1", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)"},
		}, State: tenant.FlowState{TenantID: "t", TokenHash: id, RunID: id, Data: make([]byte, 400), CreatedAt: now}}
	}
	var states []string
	for range 1000 {
		c := start()
		c.State.UserID = user()
		states = append(states, c.State.TokenHash)
		if err := s.Commit(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.Purge(ctx, now, 1); err != nil { // counts tables
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"yardstick read", func() error {
			var state string
			return s.read.DB.QueryRowContext(ctx, s.textOf(&statement{text: "SELECT state FROM user_account WHERE tenant_id = ? AND id = ?"}), "t", user()).Scan(&state)
		}},
		{"yardstick insert", func() error {
			_, err := s.fast.DB.ExecContext(ctx, s.textOf(&statement{text: "INSERT INTO rate_bucket (tenant_id, bucket, tat) VALUES (?, ?, 0)"}), "t", next())
			return err
		}},
		{"SessionByToken", func() error { _, _, err := s.SessionByToken(ctx, "t", "s"+user()); return err }},
		{"AccountByClaim", func() error {
			_, err := s.AccountByClaim(ctx, "t", tenant.Claim{Kind: "email", Value: user() + "@example.com"})
			return err
		}},
		{"LoadState", func() error { _, err := s.LoadState(ctx, "t", states[rand.IntN(len(states))], now); return err }},
		{"Commit start", func() error { return s.Commit(ctx, start()) }},
		{"Commit login", func() error {
			c := start()
			c.Run.Status, c.Run.UserID = tenant.RunFinished, user()
			c.Session = &tenant.Session{TenantID: "t", ID: c.Run.ID, TokenHash: c.Run.ID, UserID: c.Run.UserID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
			return s.Commit(ctx, c)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fill makes users with an e-mail, a password and a session.
func fill(b testing.TB, s *Store, users int) {
	const batch = 1000
	for from := 0; from < users; from += batch {
		us := make([]userRow, batch)
		is := make([]identityRow, batch)
		as := make([]authenticatorRow, batch)
		ss := make([]sessionRow, batch)
		for i := range batch {
			id := fmt.Sprintf("u%07d", from+i)
			us[i] = userRow{TenantID: "t", ID: id, State: "active"}
			is[i] = identityRow{TenantID: "t", ID: id, UserID: id, Kind: "email", Value: id + "@example.com", UniqueKey: id + "@example.com", Shown: id + "@example.com"}
			as[i] = authenticatorRow{TenantID: "t", ID: id, UserID: id, Type: "primary_password", Secret: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo"}
			ss[i] = sessionRow{TenantID: "t", ID: id, TokenHash: "s" + id, UserID: id, AMR: "pwd", ExpiresAt: 1 << 60, IdleExpiresAt: 1 << 60}
		}
		if err := s.transact(context.Background(), false, func(tx bun.Tx) error {
			for _, rows := range []any{&us, &is, &as, &ss} {
				if _, err := tx.NewInsert().Model(rows).Exec(context.Background()); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}
