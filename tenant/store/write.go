package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
)

// write is one short transaction, put together before it begins. PostgreSQL is
// sent all of it at once: a statement costs as much on the way there and back as
// it costs there.
type write struct {
	s     *Store
	steps []*writeStep
}

// writeStep is one statement of a write, and how its outcome is judged.
type writeStep struct {
	group  group
	hot    *statement       // prepared, with args; or
	query  *bun.InsertQuery // written out by bun
	args   []any
	none   error             // when no row was changed; nil when that is as good
	failed func(error) error // what an error of the database means; nil for itself
}

// do adds a hot statement.
func (w *write) do(q *statement, args ...any) *writeStep {
	step := &writeStep{group: q.group, hot: q, args: args}
	w.steps = append(w.steps, step)
	return step
}

// add adds a statement that is written out.
func (w *write) add(g group, q *bun.InsertQuery) *writeStep {
	step := &writeStep{group: g, query: q}
	w.steps = append(w.steps, step)
	return step
}

func (t *writeStep) judge(changed int64, err error) error {
	switch {
	case err != nil && t.failed != nil:
		return t.failed(err)
	case err != nil:
		return err
	case changed == 0:
		return t.none
	}
	return nil
}

// text is the statement as the database reads it.
func (t *writeStep) text(s *Store) string {
	if t.hot != nil {
		return s.textOf(t.hot)
	}
	return t.query.String()
}

// commit runs the transaction, again when the database asks for it.
func (w *write) commit(ctx context.Context, durable bool) error {
	ctx, cancel := context.WithTimeout(ctx, w.s.o.Timeout)
	defer cancel()
	if w.s.postgres() {
		return w.s.persist(ctx, func() error { return w.send(ctx, durable) })
	}
	for _, t := range w.steps { // the one connection is taken once the transaction has begun
		if t.hot != nil {
			if _, err := w.s.prepare(ctx, w.s.fast, t.hot); err != nil {
				return refuse(err)
			}
		}
	}
	return w.s.persist(ctx, func() error {
		return w.s.transact(ctx, durable, func(tx bun.Tx) error {
			for _, t := range w.steps {
				if err := w.exec(ctx, tx, t); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// exec runs one statement in SQLite.
func (w *write) exec(ctx context.Context, tx bun.Tx, t *writeStep) (err error) {
	start := time.Now()
	var changed int64
	defer func() { err = t.judge(changed, err) }()
	if t.hot == nil {
		r, err := tx.ExecContext(in(ctx, t.group), t.query.String())
		if err == nil {
			changed, err = r.RowsAffected()
		}
		return err
	}
	defer func() { w.s.observe(t.group, start, err) }()
	stmt, err := w.s.prepare(ctx, w.s.fast, t.hot)
	if err != nil {
		return err
	}
	r, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, t.args...)
	if err == nil {
		changed, err = r.RowsAffected()
	}
	return err
}

// send sends the transaction to PostgreSQL in one go, and its COMMIT with it
// where no statement can be refused that the database accepts.
func (w *write) send(ctx context.Context, durable bool) error {
	db := w.s.fast
	if durable {
		db = w.s.durable
	}
	conn, err := db.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		c := driver.(*stdlib.Conn).Conn()
		err := w.pipeline(ctx, c)
		if err != nil && !c.IsClosed() {
			w.s.undo(ctx, c)
		}
		return err
	})
}

func (w *write) pipeline(ctx context.Context, c *pgx.Conn) (err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	judged := false
	for _, t := range w.steps {
		text := t.text(w.s)
		if t.hot != nil { // once on every connection
			if _, err := c.Prepare(ctx, text, text); err != nil {
				return err
			}
		}
		batch.Queue(text, t.args...)
		judged = judged || t.none != nil
	}
	if !judged {
		batch.Queue("COMMIT")
	}
	results := c.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	last := time.Now()
	next := func(g group) (changed int64, err error) {
		tag, err := results.Exec()
		w.s.observe(g, last, err)
		last = time.Now()
		return tag.RowsAffected(), err
	}
	if _, err := next(begin); err != nil {
		return err
	}
	for _, t := range w.steps {
		if err := t.judge(next(t.group)); err != nil {
			return err
		}
	}
	if judged {
		err = results.Close()
		last = time.Now()
		if err == nil {
			_, err = c.Exec(ctx, "COMMIT")
			w.s.observe(commit, last, err)
		}
		return err
	}
	_, err = next(commit)
	return err
}

// undo rolls back what failed. A connection that can't is closed: nobody must go
// on in a transaction of somebody else's.
func (s *Store) undo(ctx context.Context, c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Timeout)
	defer cancel()
	start := time.Now()
	_, err := c.Exec(ctx, "ROLLBACK")
	s.observe(rollback, start, err)
	if err != nil {
		_ = c.Close(ctx) // it is lost either way
	}
}

// alone runs one hot statement as a transaction of its own.
func (s *Store) alone(ctx context.Context, durable bool, q *statement, args ...any) (changed int64, err error) {
	if durable && !s.postgres() {
		w := &write{s: s}
		w.do(q, args...).none = errNothing
		if err = w.commit(ctx, durable); errors.Is(err, errNothing) {
			return 0, nil
		}
		return 1, err // of how many nobody asks
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

var errNothing = errors.New("no row was changed")
