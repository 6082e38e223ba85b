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

// prepared holds the statements of each pool that have been prepared.
type prepared struct{ m sync.Map }

type preparedKey struct {
	db *bun.DB
	q  *statement
}

func (s *Store) prepare(ctx context.Context, db *bun.DB, q *statement) (*sql.Stmt, error) {
	key := preparedKey{db, q}
	if stmt, ok := s.hot.m.Load(key); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := db.DB.PrepareContext(ctx, s.text(q.text))
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
func (s *Store) each(ctx context.Context, q *statement, row func(*sql.Rows) error, args ...any) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	stmt, err := s.prepare(ctx, s.read, q)
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

// write is one short transaction of hot statements.
type write struct {
	bun.Tx
	ctx context.Context // lives as long as the transaction
	s   *Store
	hot map[*statement]*sql.Stmt
}

// do runs one hot statement and says how many rows it changed.
func (w *write) do(q *statement, args ...any) (changed int64, err error) {
	start := time.Now()
	defer func() { w.s.observe(q.group, start, err) }()
	r, err := w.StmtContext(w.ctx, w.hot[q]).ExecContext(w.ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// shortly runs fn in a transaction that uses the hot statements named. They are
// prepared first: SQLite's one connection is taken once the transaction begins.
func (s *Store) shortly(ctx context.Context, durable bool, hot []*statement, fn func(*write) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	w := &write{ctx: ctx, s: s, hot: make(map[*statement]*sql.Stmt, len(hot))}
	db := s.fast
	if durable {
		db = s.durable
	}
	for _, q := range hot {
		stmt, err := s.prepare(ctx, db, q)
		if err != nil {
			return refuse(err)
		}
		w.hot[q] = stmt
	}
	return s.persist(ctx, func() error {
		return s.transact(ctx, durable, func(tx bun.Tx) error {
			w.Tx = tx
			return fn(w)
		})
	})
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

// alone runs one hot statement as a transaction of its own.
func (s *Store) alone(ctx context.Context, durable bool, q *statement, args ...any) (changed int64, err error) {
	if durable && !s.postgres() {
		err = s.shortly(ctx, durable, []*statement{q}, func(w *write) error {
			changed, err = w.do(q, args...)
			return err
		})
		return changed, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	db := s.fast
	if durable {
		db = s.durable
	}
	stmt, err := s.prepare(ctx, db, q)
	if err != nil {
		return 0, refuse(err)
	}
	release, err := s.wait(ctx)
	if err != nil {
		return 0, refuse(err)
	}
	defer release()
	start := time.Now()
	defer func() { s.observe(q.group, start, err) }()
	r, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, refuse(err)
	}
	return r.RowsAffected()
}
