package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// yardRows is how many rows R finds its own among.
const yardRows = 10_000

// chance is a random number below n, for keys; nothing secret is made of it.
func chance(n int) int {
	return rand.IntN(n) //nolint:gosec // spreads load
}

// yardDatabase is R and W: a read and a committed insert of 1 KiB, with the
// database's native driver and nothing else.
type yardDatabase struct {
	one   func(ctx context.Context, key int64) error // R
	put   func(ctx context.Context, key int64) error // W
	next  atomic.Int64
	close func()
}

func (y *yardDatabase) read(ctx context.Context, _ int) error {
	return y.one(ctx, int64(chance(yardRows)))
}

func (y *yardDatabase) insert(ctx context.Context, _ int) error { return y.put(ctx, y.next.Add(1)) }

const yardTable = "CREATE TABLE yard (id TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL)"

// yardKey scatters, as the hashes of tokens do.
func yardKey(key int64) string {
	return fmt.Sprintf("%016x%016x", uint64(key)*0x9E3779B97F4A7C15, uint64(key)*0xC2B2AE3D27D4EB4F) //nolint:gosec // any bits will do
}

func openYardDatabase(ctx context.Context, database string) (*yardDatabase, error) {
	y := &yardDatabase{}
	var err error
	if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
		err = y.openSQLite(ctx, path)
	} else {
		err = y.openPostgres(ctx, database)
	}
	if err != nil {
		return nil, fmt.Errorf("the yardstick's database: %w", err)
	}
	for range yardRows {
		if err := y.insert(ctx, 0); err != nil {
			return nil, err
		}
	}
	return y, nil
}

var yardBody = strings.Repeat("0123456789abcdef", 64)

func (y *yardDatabase) openSQLite(ctx context.Context, path string) error {
	open := func(conns int) (*sql.DB, error) {
		q := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(1)"}}
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
		if err == nil {
			db.SetMaxOpenConns(conns)
			db.SetMaxIdleConns(conns)
		}
		return db, err
	}
	writer, err := open(1)
	if err != nil {
		return err
	}
	if _, err := writer.ExecContext(ctx, yardTable); err != nil {
		return err
	}
	reader, err := open(max(4, 2*runtime.NumCPU()))
	if err != nil {
		return err
	}
	insert, err := writer.PrepareContext(ctx, "INSERT INTO yard (id, body) VALUES (?, ?)")
	if err != nil {
		return err
	}
	read, err := reader.PrepareContext(ctx, "SELECT body FROM yard WHERE id = ?")
	if err != nil {
		return err
	}
	y.put = func(ctx context.Context, key int64) error {
		_, err := insert.ExecContext(ctx, yardKey(key), yardBody)
		return err
	}
	y.one = func(ctx context.Context, key int64) error {
		var body string
		return read.QueryRowContext(ctx, yardKey(key+1)).Scan(&body)
	}
	y.close = func() {
		_ = reader.Close() // the process ends
		_ = writer.Close()
	}
	return nil
}

func (y *yardDatabase) openPostgres(ctx context.Context, address string) error {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return err
	}
	cfg.MaxConns = 16
	cfg.ConnConfig.RuntimeParams["synchronous_commit"] = "off" // as for the states of a flow
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, yardTable); err != nil {
		return err
	}
	y.put = func(ctx context.Context, key int64) error {
		_, err := pool.Exec(ctx, "INSERT INTO yard (id, body) VALUES ($1, $2)", yardKey(key), yardBody)
		return err
	}
	y.one = func(ctx context.Context, key int64) error {
		var body string
		return pool.QueryRow(ctx, "SELECT body FROM yard WHERE id = $1", yardKey(key+1)).Scan(&body)
	}
	y.close = pool.Close
	return nil
}
