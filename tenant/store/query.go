package store

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/uptrace/bun"
)

// statement is one that runs on every request: written out, and prepared once
// per connection.
type statement struct {
	group group
	text  string
}

// prepared holds the statements of each pool that have been prepared, and all as
// the database reads them.
type prepared struct{ m, texts sync.Map }

// textOf is a statement as the database reads it.
func (s *Store) textOf(q *statement) string {
	if text, ok := s.hot.texts.Load(q); ok {
		return text.(string)
	}
	text, _ := s.hot.texts.LoadOrStore(q, s.text(q.text))
	return text.(string)
}

type preparedKey struct {
	db *bun.DB
	q  *statement
}

func (s *Store) prepare(ctx context.Context, db *bun.DB, q *statement) (*sql.Stmt, error) {
	key := preparedKey{db, q}
	if stmt, ok := s.hot.m.Load(key); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := db.DB.PrepareContext(ctx, s.textOf(q))
	if err != nil {
		return nil, err
	}
	if first, loaded := s.hot.m.LoadOrStore(key, stmt); loaded {
		stmt.Close()
		return first.(*sql.Stmt), nil
	}
	return stmt, nil
}

func (s *Store) observe(g group, start time.Time, err error) {
	if s.o.OnQuery != nil {
		s.o.OnQuery(string(g), time.Since(start), err)
	}
}

// each runs a hot lookup and calls row for every row it finds.
func (s *Store) each(ctx context.Context, q *statement, row func(*sql.Rows) error, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	return s.rows(ctx, s.read, q, row, args...)
}

// returning runs a hot statement that changes rows, as a transaction of its own
// that need not be durable, and calls row for every row it returns.
func (s *Store) returning(ctx context.Context, q *statement, row func(*sql.Rows) error, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	release, err := s.wait(ctx)
	if err != nil {
		return refuse(err)
	}
	defer release()
	return s.rows(ctx, s.fast, q, row, args...)
}

func (s *Store) rows(ctx context.Context, db *bun.DB, q *statement, row func(*sql.Rows) error, args ...any) (err error) {
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
		if err := row(rows); err != nil {
			return refuse(err)
		}
	}
	return refuse(rows.Err())
}

// transact runs fn in one transaction. Errors come as they are.
func (s *Store) transact(ctx context.Context, durable bool, fn func(bun.Tx) error) error {
	tx, end, err := s.begin(ctx, durable)
	if err != nil {
		return err
	}
	defer end()
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
