package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

// tx is one run of a change. Events wait until its end, so that the heads of
// audit chains are locked for the shortest time and always in the same order.
type tx struct {
	bun.Tx
	ctx    context.Context // lives as long as the transaction
	s      *Store
	now    time.Time
	events []*tenant.AuditEvent
	marks  map[string]mark // the tenants that others must hear of
	failed error           // the first failure of a statement; PostgreSQL would refuse the rest
}

// mark says what others must do about a tenant.
type mark int

const (
	tell  mark = iota // hear of it
	raise             // hear of it and see a new revision
	told              // hear of it; the revision was raised, or there is none any more
)

const maxTries = 6

// Change implements [tenant.Store].
func (s *Store) Change(ctx context.Context, fn func(tenant.Tx) error) error {
	return s.persist(ctx, func() error { return s.change(ctx, fn) })
}

// persist runs a transaction again when the database asks for it.
func (s *Store) persist(ctx context.Context, run func() error) error {
	for try := 1; ; try++ {
		err := run()
		if err == nil || try == maxTries || !tryAgain(err) {
			return refuse(err)
		}
		if s.o.OnRetry != nil {
			s.o.OnRetry()
		}
		pause := time.Duration(rand.Int64N(int64(try) * int64(10*time.Millisecond))) //nolint:gosec // it spreads, and hides nothing
		select {
		case <-ctx.Done():
			return refuse(ctx.Err())
		case <-time.After(pause):
		}
	}
}

var errUnaudited = errors.New("store: a change without an audit event")

func (s *Store) change(ctx context.Context, fn func(tenant.Tx) error) error {
	t := &tx{ctx: ctx, s: s, now: time.Now().Truncate(time.Millisecond).UTC(), marks: map[string]mark{}}
	err := s.transact(ctx, true, func(db bun.Tx) error {
		t.Tx = db
		if err := fn(t); err != nil {
			if t.failed != nil && tryAgain(t.failed) {
				return t.failed // whatever fn made of it
			}
			return err
		}
		if t.failed != nil {
			return t.failed
		}
		if len(t.events) == 0 {
			return errUnaudited
		}
		if err := t.raise(); err != nil {
			return err
		}
		if err := t.sealEvents(); err != nil {
			return err
		}
		return t.notify()
	})
	if err == nil && !s.postgres() {
		for id := range t.marks {
			s.local.tell(id)
		}
	}
	return err
}

func (t *tx) in(g group) context.Context { return in(t.ctx, g) }

// note remembers the failure of a statement: any error but a refusal that the
// store came to by itself, without a cause.
func (t *tx) note(err error) error {
	var e *tenant.Error
	if err != nil && t.failed == nil && (!errors.As(err, &e) || e.Unwrap() != nil) {
		t.failed = err
	}
	return err
}

// one checks that a statement changed a row.
func (t *tx) one(r sql.Result, err error, none *tenant.Error) error {
	if err != nil {
		return t.note(err)
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return none
	}
	return t.note(err)
}

// found is [tx.note] that answers no rows with the refusal given.
func (t *tx) found(err error, none *tenant.Error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return none
	}
	return t.note(err)
}

// changed marks a tenant whose row has a new revision, or has gone.
func (t *tx) changed(id string) { t.marks[id] = told }

// touched marks a tenant whose configuration changed beside its row.
func (t *tx) touched(id string) { t.marks[id] = max(t.marks[id], raise) }

// rights marks a tenant whose grants or keys changed.
func (t *tx) rights(id string) { t.marks[id] = max(t.marks[id], tell) }

func (t *tx) raise() error {
	var ids []string
	for id, m := range t.marks {
		if m == raise {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	_, err := t.NewUpdate().Model((*tenantRow)(nil)).Set("revision = revision + 1").Set("changed_at = ?", ms(t.now)).
		Where("id IN (?)", bun.List(ids)).Exec(t.in(tenantWrite))
	return err
}

// notify tells the other nodes, who hear it once the transaction has committed.
func (t *tx) notify() error {
	if len(t.marks) == 0 || !t.s.postgres() {
		return nil
	}
	ids := make([]string, 0, len(t.marks))
	for id := range t.marks {
		ids = append(ids, id)
	}
	_, err := t.NewRaw("SELECT pg_notify(?, id) FROM unnest(ARRAY[?]) AS id", channel, bun.List(ids)).Exec(t.in(notify))
	return err
}
