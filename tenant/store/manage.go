package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/migrations"
	"github.com/usher-id/usher/tenant"
)

var _ tenant.Store = (*Store)(nil)

// Migrate brings the schema to what this program wants. Nodes that start
// together take turns. [migrations.ErrNewerSchema] when a newer program has
// been here: this one must not go on.
func (s *Store) Migrate(ctx context.Context) error {
	return refuse(migrations.Up(in(ctx, schemaGroup), s.durable))
}

// SchemaVersion says which step the schema has reached and which one this
// program wants; it serves only when they are equal.
func (s *Store) SchemaVersion(ctx context.Context) (have, want int64, err error) {
	ctx, cancel := s.within(ctx, schemaGroup)
	defer cancel()
	have, want, err = migrations.Version(ctx, s.read)
	return have, want, refuse(err)
}

// PendingMigrations lists the steps that [Store.Migrate] would apply.
func (s *Store) PendingMigrations(ctx context.Context) ([]migrations.Migration, error) {
	ctx, cancel := s.within(ctx, schemaGroup)
	defer cancel()
	ms, err := migrations.Pending(ctx, s.read)
	return ms, refuse(err)
}

// Ping implements [tenant.Store].
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.within(ctx, ping)
	defer cancel()
	_, err := s.read.NewRaw("SELECT 1").Exec(ctx)
	return refuse(err)
}

// DB is the handle for what tests and measurements do beside the nouns.
func (s *Store) DB() *bun.DB { return s.fast }

// Connections says how many connections are busy and how many there may be.
func (s *Store) Connections() (busy, most int) {
	for _, db := range s.pools() {
		stats := db.Stats()
		busy += stats.InUse
		most += stats.MaxOpenConnections
	}
	return busy, most
}
