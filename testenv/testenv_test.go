package testenv

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Each caller has a place of its own, empty, and it is gone after the test.
func TestOwnPlaces(t *testing.T) {
	var sqlite, postgres, redis []string
	t.Run("lease", func(t *testing.T) {
		for range 2 {
			sqlite = append(sqlite, SQLite(t))
		}
		if sqlite[0] == sqlite[1] {
			t.Error(sqlite)
		}
	})
	if _, err := os.Stat(strings.TrimPrefix(sqlite[0], "sqlite:")); err == nil {
		t.Error("left behind:", sqlite[0])
	}
	t.Run("postgres", func(t *testing.T) {
		postgres = []string{Postgres(t), Postgres(t)}
		if postgres[0] == postgres[1] {
			t.Error(postgres)
		}
		execute(t, postgres[0], "CREATE TABLE mine (id TEXT)")
		execute(t, postgres[1], "CREATE TABLE mine (id TEXT)")
	})
	for _, url := range postgres {
		if c, err := pgx.Connect(t.Context(), url); err == nil {
			c.Close(t.Context())
			t.Error("left behind:", url)
		}
	}
	for range 2 { // given back, it is leased again, empty
		t.Run("redis", func(t *testing.T) {
			redis = []string{Redis(t), Redis(t)}
			if redis[0] == redis[1] {
				t.Error(redis)
			}
			for _, url := range redis {
				if n := command(t, url, "DBSIZE"); n != int64(0) {
					t.Error(n)
				}
				command(t, url, "SET", "mine", "x")
			}
		})
	}
}
