package store_test

import (
	"testing"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/tenant/storetest"
	"github.com/usher-id/usher/testenv"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t testing.TB) tenant.Store { return open(t, testenv.SQLite(t), store.Options{}) })
}

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t testing.TB) tenant.Store { return open(t, testenv.Postgres(t), store.Options{}) })
}

func open(t testing.TB, url string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, o)
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
