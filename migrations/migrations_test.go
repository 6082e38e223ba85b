package migrations_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/migrations"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// exempt are the platform's tables.
var exempt = []string{"tenant", "tenant_host", "tenant_gone", "role_grant", "schema_migration"}

// reads of the real schema: a row for every primary key, unique index and
// foreign key, with its first column.
var keysOf = map[string]string{
	"sqlite": `
		SELECT m.name AS tab, 'primary key' AS kind, c.name AS first
			FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.pk = 1
		UNION ALL SELECT m.name, 'unique index ' || l.name, c.name
			FROM sqlite_master m JOIN pragma_index_list(m.name) l JOIN pragma_index_info(l.name) c
			WHERE m.type = 'table' AND l."unique" AND l.origin <> 'pk' AND c.seqno = 0
		UNION ALL SELECT m.name, 'foreign key to ' || f."table", f."from"
			FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND f.seq = 0`,
	"postgres": `
		SELECT c.relname AS tab, CASE WHEN i.indisprimary THEN 'primary key' ELSE 'unique index ' || x.relname END AS kind, a.attname AS first
			FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
			WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace
		UNION ALL SELECT c.relname, 'foreign key to ' || r.relname, a.attname
			FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] WHERE k.contype = 'f'`,
}

var tablesOf = map[string]string{
	"sqlite":   `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
	"postgres": `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
}

// A tenant is a shard: every key begins with it.
func TestKeysBeginWithTheTenant(t *testing.T) {
	var schemas [][]string
	testenv.Databases(t, func(t *testing.T, url string) {
		s := open(t, url)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		name := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		var tables []string
		if err := s.DB().NewRaw(tablesOf[name]).Scan(t.Context(), &tables); err != nil {
			t.Fatal(err)
		}
		var keys []struct{ Tab, Kind, First string }
		if err := s.DB().NewRaw(keysOf[name]).Scan(t.Context(), &keys); err != nil {
			t.Fatal(err)
		}
		slices.Sort(tables)
		keyed := map[string]bool{}
		for _, k := range keys {
			keyed[k.Tab] = keyed[k.Tab] || k.Kind == "primary key"
			if k.First != "tenant_id" && !slices.Contains(exempt, k.Tab) {
				t.Errorf("the %s of %s begins with %s", k.Kind, k.Tab, k.First)
			}
		}
		for _, table := range tables {
			if !keyed[table] {
				t.Errorf("%s has no primary key", table)
			}
		}
		if len(tables) < 15 || len(keys) < 25 {
			t.Errorf("that is not the whole schema: %v %v", tables, keys)
		}
		schemas = append(schemas, tables)
	})
	if len(schemas) == 2 && !slices.Equal(schemas[0], schemas[1]) {
		t.Errorf("the databases differ:\n%v\n%v", schemas[0], schemas[1])
	}
}

func TestUp(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		s := open(t, url)
		want := int64(len(migrations.All()))
		version := func(have int64) {
			t.Helper()
			if h, w, err := s.SchemaVersion(t.Context()); err != nil || h != have || w != want {
				t.Errorf("version %d of %d (%v), want %d of %d", h, w, err, have, want)
			}
			if p, err := s.PendingMigrations(t.Context()); err != nil || int64(len(p)) != max(0, want-have) {
				t.Errorf("pending %v (%v)", p, err)
			}
		}
		version(0)
		// Nodes that start together.
		var wg sync.WaitGroup
		for range 6 {
			node := open(t, url)
			wg.Go(func() {
				if err := node.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		version(want)
		if err := s.Migrate(t.Context()); err != nil {
			t.Error("again:", err)
		}
		if _, err := s.DB().NewRaw("INSERT INTO schema_migration (number, name, applied_at) VALUES (?, 'later', 0)", want+1).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(t.Context()); !errors.Is(err, migrations.ErrNewerSchema) {
			t.Error("a newer schema was accepted:", err)
		}
		version(want + 1)
	})
}

// A node that is killed while it migrates leaves nothing half done and nothing
// locked.
func TestKilled(t *testing.T) {
	if url := os.Getenv("USHER_TEST_MIGRATE"); url != "" { // the node
		os.Stdout.WriteString("up\n")
		if err := open(t, url).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	testenv.Databases(t, func(t *testing.T, first string) {
		for i := range 8 {
			url := first
			if i > 0 {
				if strings.HasPrefix(first, "sqlite:") {
					url = testenv.SQLite(t)
				} else {
					url = testenv.Postgres(t)
				}
			}
			killed(t, url, time.Duration(i)*4*time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			s := open(t, url)
			if err := s.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			have, want, err := s.SchemaVersion(ctx)
			if err != nil || have != want {
				t.Fatal(have, want, err)
			}
			cancel()
		}
	})
}

// killed starts a node and kills it some time after it has begun.
func killed(t *testing.T, url string, after time.Duration) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	c.Env = append(os.Environ(), "USHER_TEST_MIGRATE="+url)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	c.Process.Kill()
	c.Wait()
}
