package store

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
)

// statement is one that runs on every request: written out, and prepared once
// per connection. Its parameters are ?, or ?1, ?2 where one stands twice.
type statement struct {
	group group
	text  string
	once  bool // written out with its values, and so run as it is
}

// scan reads the columns of one row.
type scan = func(dest ...any) error

// each runs a hot lookup and calls row for every row it finds.
func (s *Store) each(ctx context.Context, q *statement, row func(scan) error, args ...any) error {
	if s.postgres() {
		return s.wired(ctx, s.read, func(ctx context.Context, c *pgx.Conn) error { return s.answers(ctx, c, q, row, args) })
	}
	if err := ctx.Err(); err != nil {
		return refuse(err)
	}
	// These connections do nothing else, so there is nothing to wait for.
	return s.rows(ctx, s.byKey, q, row, args)
}

// returning runs a hot statement that changes rows, as a transaction of its own
// that need not be durable, and calls row for every row it returns.
func (s *Store) returning(ctx context.Context, q *statement, row func(scan) error, args ...any) error {
	if s.postgres() {
		return s.wired(ctx, s.fast, func(ctx context.Context, c *pgx.Conn) error { return s.answers(ctx, c, q, row, args) })
	}
	release, err := s.wait(ctx)
	if err != nil {
		return refuse(err)
	}
	defer release()
	return s.wrote(s.rows(ctx, s.fast, q, row, args))
}

// alone runs one hot statement as a transaction of its own.
func (s *Store) alone(ctx context.Context, durable bool, q *statement, args ...any) (changed int64, err error) {
	if s.postgres() {
		db := s.fast
		if durable {
			db = s.durable
		}
		err = s.wired(ctx, db, func(ctx context.Context, c *pgx.Conn) (err error) {
			changed, err = s.changes(ctx, c, q, args)
			return err
		})
		return changed, err
	}
	if changed, err = s.inOrder(ctx, q, args); err == nil && durable {
		err = s.flush()
	}
	return changed, refuse(err)
}

func (s *Store) inOrder(ctx context.Context, q *statement, args []any) (changed int64, err error) {
	release, err := s.wait(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	changed, err = s.exec(ctx, nil, q, args)
	return changed, s.wrote(err)
}

// Hot runs a hot statement for what is kept beside the nouns: the buckets of
// rate limits. It is a transaction of its own that need not be durable; row is
// called for every row it returns. Its parameters are ?1, ?2 and so on.
func (s *Store) Hot(ctx context.Context, text string, row func(scan func(dest ...any) error) error, args ...any) error {
	return s.returning(ctx, &statement{group: rateLimit, text: text}, row, args...)
}

// prepared holds what has been prepared of the hot statements.
type prepared struct {
	texts   sync.Map // as they are written: as PostgreSQL reads them
	handles sync.Map // SQLite: of each pool
}

type preparedKey struct {
	db   *bun.DB
	text string
}

func (s *Store) prepare(ctx context.Context, db *bun.DB, q *statement) (*sql.Stmt, error) {
	key := preparedKey{db, q.text}
	if stmt, ok := s.hot.handles.Load(key); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := db.DB.PrepareContext(ctx, q.text)
	if err != nil {
		return nil, err
	}
	if first, loaded := s.hot.handles.LoadOrStore(key, stmt); loaded {
		stmt.Close()
		return first.(*sql.Stmt), nil
	}
	return stmt, nil
}

// known prepares a statement that changes rows in SQLite, if it isn't yet.
func (s *Store) known(ctx context.Context, q *statement) error {
	if q.once {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	_, err := s.prepare(ctx, s.fast, q)
	return err
}

// rows runs a statement in SQLite. Nobody gives it up halfway: it is a lookup by
// key in a file of this machine, and watching for that would cost more than it.
func (s *Store) rows(ctx context.Context, db *bun.DB, q *statement, row func(scan) error, args []any) (err error) {
	ctx = context.WithoutCancel(ctx)
	stmt, err := s.prepare(ctx, db, q)
	if err != nil {
		return refuse(err)
	}
	start := time.Now()
	defer func() { s.observe(q.group, start, err) }()
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return refuse(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return refuse(err)
		}
	}
	return refuse(rows.Err())
}

// exec changes rows in SQLite, in a transaction or without one. Nobody gives it
// up halfway either.
func (s *Store) exec(ctx context.Context, tx *sql.Tx, q *statement, args []any) (changed int64, err error) {
	ctx = context.WithoutCancel(ctx)
	start := time.Now()
	defer func() { s.observe(q.group, start, err) }()
	var stmt *sql.Stmt
	var r sql.Result
	if q.once {
		r, err = tx.ExecContext(ctx, q.text)
	} else if stmt, err = s.prepare(ctx, s.fast, q); err == nil {
		if tx != nil {
			stmt = tx.StmtContext(ctx, stmt)
		}
		r, err = stmt.ExecContext(ctx, args...)
	}
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// wired runs fn on one connection to PostgreSQL, in its own protocol. What it
// sends and reads has to be done within the store's bound on time, or the
// connection is given up; so fn's context needs no watching.
func (s *Store) wired(ctx context.Context, db *bun.DB, fn func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	conn, err := db.DB.Conn(ctx)
	if err != nil {
		return refuse(err)
	}
	defer conn.Close()
	return refuse(conn.Raw(func(d any) error {
		c := d.(*stdlib.Conn).Conn()
		wire := c.PgConn().Conn()
		if err := wire.SetDeadline(time.Now().Add(s.o.Timeout)); err != nil {
			return err
		}
		err := fn(context.WithoutCancel(ctx), c)
		if late := net.Error(nil); errors.As(err, &late) || c.PgConn().IsBusy() {
			_ = c.Close(ctx) // it is lost either way
		}
		if !c.IsClosed() && c.PgConn().TxStatus() != 'I' { // fn failed inside a transaction
			s.undo(context.WithoutCancel(ctx), c)
		}
		if c.IsClosed() {
			return err
		}
		return errors.Join(err, wire.SetDeadline(time.Time{}))
	}))
}

// undo rolls back what failed.
func (s *Store) undo(ctx context.Context, c *pgx.Conn) {
	start := time.Now()
	_, err := c.Exec(ctx, "ROLLBACK")
	s.observe(rollback, start, err)
}

func (s *Store) answers(ctx context.Context, c *pgx.Conn, q *statement, row func(scan) error, args []any) (err error) {
	text := s.textOf(q)
	if _, err := c.Prepare(ctx, text, text); err != nil { // once on every connection
		return err
	}
	start := time.Now()
	defer func() { s.observe(q.group, start, err) }()
	rows, err := c.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *Store) changes(ctx context.Context, c *pgx.Conn, q *statement, args []any) (changed int64, err error) {
	text := s.textOf(q)
	if _, err := c.Prepare(ctx, text, text); err != nil {
		return 0, err
	}
	start := time.Now()
	defer func() { s.observe(q.group, start, err) }()
	tag, err := c.Exec(ctx, text, args...)
	return tag.RowsAffected(), err
}

// textOf is a statement as PostgreSQL reads it: its parameters are $1, $2.
func (s *Store) textOf(q *statement) string {
	if q.once {
		return q.text
	}
	if text, ok := s.hot.texts.Load(q.text); ok {
		return text.(string)
	}
	var b strings.Builder
	rest := q.text
	for n := 1; ; n++ {
		before, after, found := strings.Cut(rest, "?")
		b.WriteString(before)
		if !found {
			break
		}
		b.WriteByte('$')
		if after == "" || after[0] < '0' || after[0] > '9' {
			b.WriteString(strconv.Itoa(n))
		}
		rest = after
	}
	text, _ := s.hot.texts.LoadOrStore(q.text, b.String())
	return text.(string)
}

func (s *Store) observe(g group, start time.Time, err error) {
	if s.o.OnQuery != nil {
		s.o.OnQuery(string(g), time.Since(start), err)
	}
}

// transact runs fn in one transaction. Errors come as they are.
func (s *Store) transact(ctx context.Context, durable bool, fn func(bun.Tx) error) error {
	err := s.wrote(s.inTurn(ctx, durable, fn))
	if err == nil && durable {
		err = s.flush()
	}
	return err
}

func (s *Store) inTurn(ctx context.Context, durable bool, fn func(bun.Tx) error) error {
	release, err := s.wait(ctx)
	if err != nil {
		return err
	}
	defer release()
	db := s.fast
	if durable {
		db = s.durable
	}
	if !s.postgres() {
		ctx = context.WithoutCancel(ctx) // what has begun ends with fn, and nothing watches it meanwhile
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // fn failed or panicked
			tx.Rollback() //nolint:errcheck // the failure that led here counts
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	done = true
	return tx.Commit()
}
