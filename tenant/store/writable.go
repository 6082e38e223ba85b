package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// disk is what is known of SQLite's. When it is full, or has turned read-only,
// lookups are answered as if nothing had happened and only a write meets it; so
// what the last one met is kept until another one goes through. PostgreSQL's disk
// is watched where it is.
type disk struct{ refused atomic.Pointer[error] }

func (d *disk) refuses(err error) { d.refused.Store(&err) }

// wrote takes note of how a write to SQLite ended, and passes that on.
func (s *Store) wrote(err error) error {
	e := (*sqlite.Error)(nil)
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
			s.disk.refuses(e)
		}
	}
	return err
}

// Writable says why nothing can be written, as far as is known; nil for nothing.
// It writes only when something else couldn't, to see whether that is over: who
// is told that this server isn't ready sends it nothing that would show it.
func (s *Store) Writable(ctx context.Context) error {
	refused := s.disk.refused.Load()
	if refused == nil {
		return nil
	}
	ctx = in(ctx, ping)
	if err := s.transact(ctx, true, func(tx bun.Tx) error {
		// Nobody reads this number. Unlike a row that stays as it is, it is written
		// whatever it was.
		_, err := tx.NewRaw("PRAGMA user_version = ?", time.Now().Unix()%(1<<31)).Exec(ctx)
		return err
	}); err != nil {
		return *refused
	}
	s.disk.refused.CompareAndSwap(refused, nil) // unless it has happened again
	return nil
}
