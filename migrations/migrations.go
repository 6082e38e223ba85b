package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// Migration is one step of the schema.
type Migration struct {
	Number int64  // from 1, without gaps
	Name   string // such as init
	SQL    string
}

// ErrNewerSchema says that the database was migrated by a newer program, which
// this one must not write to.
var ErrNewerSchema = errors.New("the database schema is newer than this program")

//go:embed *.sql
var files embed.FS

var all = read()

// read panics on a file name that doesn't follow the rule: only a build can
// bring one.
func read() []Migration {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	var ms []Migration
	for i, e := range entries { // sorted by name
		number, name, _ := strings.Cut(strings.TrimSuffix(e.Name(), path.Ext(e.Name())), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		text, err2 := files.ReadFile(e.Name())
		if err := errors.Join(err, err2); err != nil || n != int64(i)+1 {
			panic(fmt.Sprint("migrations: ", e.Name(), " is not number ", i+1, ": ", err))
		}
		ms = append(ms, Migration{n, name, string(text)})
	}
	return ms
}

// All lists the steps that this program knows, in order.
func All() []Migration { return append([]Migration(nil), all...) }

// Version says which step the schema has reached, 0 for an empty database, and
// which one this program wants.
func Version(ctx context.Context, db bun.IDB) (have, want int64, err error) {
	want = int64(len(all))
	tables := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migration'"
	if db.Dialect().Name() == dialect.PG {
		tables = "SELECT count(to_regclass('schema_migration'))"
	}
	var n int
	if err := db.QueryRowContext(ctx, tables).Scan(&n); err != nil || n == 0 {
		return 0, want, err
	}
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM schema_migration").Scan(&have)
	return have, want, err
}

// Pending lists the steps that the database still lacks.
func Pending(ctx context.Context, db bun.IDB) ([]Migration, error) {
	have, want, err := Version(ctx, db)
	if err != nil || have >= want {
		return nil, err
	}
	return All()[have:], nil
}

// Up applies the pending steps; [ErrNewerSchema] when the database knows more
// than this program. On SQLite db must begin its transactions as immediate.
func Up(ctx context.Context, db *bun.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if db.Dialect().Name() != dialect.PG {
		var patience int
		if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&patience); err != nil {
			return err
		}
		// Another process may take its time over a step.
		if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 120000"); err != nil {
			return err
		}
		defer conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA busy_timeout = "+strconv.Itoa(patience)) //nolint:errcheck // a longer wait harms nothing
	}
	for more := true; more && err == nil; {
		more, err = step(ctx, conn)
	}
	return err
}

// lock keys the advisory lock; any number that nobody else uses.
const lock = 0x7573686572 // "usher"

// step applies the next step, if there is one, and says whether there was.
func step(ctx context.Context, conn bun.Conn) (applied bool, err error) {
	err = conn.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		pg := tx.Dialect().Name() == dialect.PG
		if pg {
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", lock); err != nil {
				return err
			}
		}
		have, want, err := Version(ctx, tx)
		switch {
		case err != nil || have == want:
			return err
		case have > want:
			return fmt.Errorf("%w: it is at step %d and this program knows %d; run a newer one", ErrNewerSchema, have, want)
		}
		m := all[have]
		if _, err := tx.Tx.ExecContext(ctx, forDialect(record+m.SQL, pg)); err != nil {
			return fmt.Errorf("migration %04d_%s: %w", m.Number, m.Name, err)
		}
		applied = true
		_, err = tx.ExecContext(ctx, "INSERT INTO schema_migration (number, name, applied_at) VALUES (?, ?, ?)",
			m.Number, m.Name, time.Now().UnixMilli())
		return err
	})
	return applied && err == nil, err
}

const record = `CREATE TABLE IF NOT EXISTS schema_migration (
    number     BIGINT NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    applied_at BIGINT NOT NULL
);
`

var textType = regexp.MustCompile(`\bTEXT\b`)

func forDialect(text string, pg bool) string {
	if pg {
		return textType.ReplaceAllString(text, `TEXT COLLATE "C"`)
	}
	return text
}
