package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
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
	*statement
	args   []any
	none   error             // when no row was changed; nil when that is as good
	failed func(error) error // what an error of the database means; nil for itself
}

// do adds a hot statement.
func (w *write) do(q *statement, args ...any) *writeStep {
	step := &writeStep{statement: q, args: args}
	w.steps = append(w.steps, step)
	return step
}

// add adds a statement that bun writes out.
func (w *write) add(g group, q *bun.InsertQuery) *writeStep {
	return w.do(&statement{group: g, text: q.String(), once: true})
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

// commit runs the transaction, again when the database asks for it. SQLite runs
// it statement by statement.
func (w *write) commit(ctx context.Context, durable bool) error {
	s := w.s
	if s.postgres() {
		db := s.fast
		if durable {
			db = s.durable
		}
		return s.persist(ctx, func() error { return s.wired(ctx, db, w.pipeline) })
	}
	for _, t := range w.steps { // the one connection is taken once the transaction has begun
		if err := s.known(ctx, t.statement); err != nil {
			return refuse(err)
		}
	}
	return s.persist(ctx, func() error {
		return s.transact(ctx, durable, func(tx bun.Tx) error {
			for _, t := range w.steps {
				if err := t.judge(s.exec(ctx, tx.Tx, t.statement, t.args)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// pipeline sends the transaction to PostgreSQL in one go, and its COMMIT with it
// where no statement can be refused that the database accepts.
func (w *write) pipeline(ctx context.Context, c *pgx.Conn) (err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	judged := false
	for _, t := range w.steps {
		text := w.s.textOf(t.statement)
		if !t.once {
			if _, err := c.Prepare(ctx, text, text); err != nil { // once on every connection
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
