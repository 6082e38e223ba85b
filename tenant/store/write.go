package store

import (
	"context"
	"errors"
	"slices"
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

// pipeline sends the transaction to PostgreSQL in one go. What is sent at once is
// a transaction by itself; where a statement may be refused that the database
// accepts, it is begun, and its COMMIT comes after the judgement.
func (w *write) pipeline(ctx context.Context, c *pgx.Conn) (err error) {
	batch := &pgx.Batch{}
	judged := slices.ContainsFunc(w.steps, func(t *writeStep) bool { return t.none != nil })
	if judged {
		batch.Queue("BEGIN")
	}
	for _, t := range w.steps {
		text := w.s.textOf(t.statement)
		if !t.once {
			if _, err := c.Prepare(ctx, text, text); err != nil { // once on every connection
				return err
			}
		}
		batch.Queue(text, t.args...)
	}
	results := c.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	last := time.Now()
	heard := func(g group, err error) error {
		w.s.observe(g, last, err)
		last = time.Now()
		return err
	}
	if judged {
		_, err := results.Exec()
		if heard(begin, err) != nil {
			return err
		}
	}
	for _, t := range w.steps {
		tag, err := results.Exec()
		if err := t.judge(tag.RowsAffected(), heard(t.group, err)); err != nil {
			return err
		}
	}
	err = results.Close()
	if judged && err == nil {
		_, err = c.Exec(ctx, "COMMIT")
	}
	return heard(commit, err)
}
