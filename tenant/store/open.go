package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	"golang.org/x/sync/semaphore"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Options tunes a [Store]. The zero value is fit for use.
type Options struct {
	// Readers bounds the connections that read and that write what need not be
	// durable. 0: PostgreSQL 4 times the cores, at least 16; SQLite the cores, at
	// least 2, for hot lookups and as many for everything else that reads.
	Readers int
	// Writers bounds PostgreSQL's connections for durable writes, each of which
	// waits for the disk. 0: the cores, at least 8. SQLite has one writer.
	Writers int
	// Timeout bounds the wait for a connection or a turn to write, and then what
	// is sent to PostgreSQL and read from it, a short transaction as a whole.
	// 0: 5 seconds. What SQLite has begun isn't given up. Changes and lists by
	// admins have as long as their context.
	Timeout time.Duration
	// OnQuery hears of every statement: its group (one of [Groups]), how long
	// it took and its error.
	OnQuery func(group string, took time.Duration, err error)
	// OnRetry hears of every transaction that is begun again because the
	// database asked for it.
	OnRetry func()
	// OnWatchError hears why the stream of change notifications broke; it is
	// tried again.
	OnWatchError func(err error)
}

// Store is a [tenant.Store].
type Store struct {
	dialect

	read    *bun.DB             // lookups and lists
	byKey   *bun.DB             // SQLite: hot lookups, which no list keeps waiting
	fast    *bun.DB             // writes that survive the process
	durable *bun.DB             // writes that survive the machine
	turn    *semaphore.Weighted // SQLite: the one writer, first come, first served
	flushes shared              // SQLite: of the log
	disk    disk                // SQLite: whether it takes writes
	hot     prepared
	local   fanout       // SQLite: who watches changes
	runs    fanout       // SQLite: who watches runs
	deaf    atomic.Int32 // PostgreSQL: how many watchers have lost their connection
	o       Options
}

// dialect is what differs between the databases beyond what bun hides.
type dialect struct {
	url        string // PostgreSQL: where to listen for changes; SQLite: ""
	log        string // SQLite: the write-ahead log's file
	forUpdate  string // FOR what: keeps others from changing the rows read; "" where one write excludes all others
	skipLocked string // FOR what: takes only rows that nobody else is at
}

func (d *dialect) postgres() bool { return d.url != "" }

// Open opens "sqlite:PATH" or "postgres://...". It makes SQLite's file, readable
// by its owner alone, but no table (see [Store.Migrate]), and doesn't wait for
// PostgreSQL to be there (see [Store.Ping]).
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	s := &Store{o: o}
	var err error
	switch scheme, rest, _ := strings.Cut(address, ":"); scheme {
	case "sqlite":
		err = s.openSQLite(ctx, rest)
	case "postgres", "postgresql":
		err = s.openPostgres(address)
	default:
		err = fmt.Errorf("database URL: want sqlite:PATH or postgres://..., got the scheme %q", scheme)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) openSQLite(ctx context.Context, path string) error {
	if path == "" || strings.HasPrefix(path, ":") {
		return fmt.Errorf("database URL: want sqlite:PATH with the path of a file, got %q", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// Made here for its mode; the write-ahead log inherits it.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	known := sqlitedialect.New() // one, because it holds what bun knows of all tables
	open := func(conns int, settings ...string) (*bun.DB, error) {
		q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{
			"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)", "temp_store(2)",
			// 32 MB of the log are copied into the file at a time: most pages have changed more than once by then.
			"journal_size_limit(67108864)", "wal_autocheckpoint(8000)",
		}, settings...)}
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
		if err != nil {
			return nil, err
		}
		return s.pool(db, known, conns, 0), nil
	}
	if s.fast, err = open(1, "synchronous(1)"); err != nil {
		return err
	}
	// Also what turns the file to WAL, before any reader opens it.
	if err := s.fast.PingContext(ctx); err != nil {
		return err
	}
	// A reader's cache is void after every write, so it is small.
	readers := orElse(s.o.Readers, max(2, runtime.NumCPU()))
	if s.read, err = open(readers, "query_only(1)", "cache_size(-512)"); err != nil {
		return err
	}
	if s.byKey, err = open(readers, "query_only(1)", "cache_size(-512)"); err != nil {
		return err
	}
	s.durable, s.turn, s.log = s.fast, semaphore.NewWeighted(1), path+"-wal"
	return nil
}

func (s *Store) openPostgres(address string) error {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return err
	}
	// bun writes arguments into the text, so preparing each text would double
	// the work; what is hot is prepared by hand.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.RuntimeParams["standard_conforming_strings"] = "on" // bun's quoting relies on it
	// What is prepared looks up by key: the plan is the same for all values,
	// and making it anew takes longer than following it.
	config.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "usher"
	}
	known := pgdialect.New() // one, because it holds what bun knows of all tables
	open := func(commit string, conns int) *bun.DB {
		c := config.Copy()
		c.RuntimeParams["synchronous_commit"] = commit
		return s.pool(stdlib.OpenDB(*c), known, conns, 5*time.Minute)
	}
	s.fast = open("off", orElse(s.o.Readers, max(16, 4*runtime.NumCPU())))
	s.durable = open("on", orElse(s.o.Writers, max(8, runtime.NumCPU())))
	s.read = s.fast
	s.dialect = dialect{
		url:       address,
		forUpdate: "NO KEY UPDATE", skipLocked: "UPDATE SKIP LOCKED",
	}
	return nil
}

func (s *Store) pool(db *sql.DB, d schema.Dialect, conns int, idle time.Duration) *bun.DB {
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(idle)
	b := bun.NewDB(db, d, bun.WithDiscardUnknownColumns())
	if s.o.OnQuery != nil {
		b = b.WithQueryHook(observer(s.o.OnQuery))
	}
	return b
}

// wait queues for SQLite's one writer, first come, first served, which
// database/sql wouldn't promise.
func (s *Store) wait(ctx context.Context) (release func(), err error) {
	if s.turn == nil {
		return func() {}, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.turn.TryAcquire(1) {
		ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
		defer cancel()
		if err := s.turn.Acquire(ctx, 1); err != nil {
			return nil, err
		}
	}
	return func() { s.turn.Release(1) }, nil
}

// Close closes every connection.
func (s *Store) Close() error {
	var errs []error
	for _, db := range s.pools() {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// pools are the distinct ones.
func (s *Store) pools() []*bun.DB {
	if s.postgres() {
		return []*bun.DB{s.fast, s.durable}
	}
	return []*bun.DB{s.byKey, s.read, s.fast}
}

func orElse(n, standard int) int {
	if n > 0 {
		return n
	}
	return standard
}
