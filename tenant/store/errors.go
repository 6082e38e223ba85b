package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/usher-id/usher/tenant"
)

// refuse turns the errors that mean "try again in a moment" into
// [tenant.ErrUnavailable]. Refusals and everything else stay as they are.
func refuse(err error) error {
	if err == nil {
		return nil
	}
	if e := (*tenant.Error)(nil); errors.As(err, &e) {
		return err
	}
	if unavailable(err) {
		return tenant.ErrUnavailable.With("retry_after_seconds", 1).Because(err)
	}
	return err
}

// orRefuse is [refuse] that answers no rows with the refusal given.
func orRefuse(err error, none *tenant.Error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return none
	}
	return refuse(err)
}

// unavailable says whether the database, rather than the statement, is at
// fault: it can't be reached, has no room, or took too long.
func unavailable(err error) bool {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		switch e.Code[:2] {
		case "08", // connection exception
			"53", // insufficient resources: disk, memory, connections
			"58": // system error: the disk
			return true
		case "57": // operator intervention: shutdown, crash, canceled for time
			return true
		}
		return e.Code == "25006" || // read-only: a standby
			tryAgain(err)
	}
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT,
			sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN:
			return true
		}
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.As(err, new(*pgconn.ConnectError)) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) ||
		strings.Contains(err.Error(), "conn closed") // pgconn names no error for it
}

// tryAgain says whether the database asks to run the transaction again.
func tryAgain(err error) bool {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return e.Code == "40001" || e.Code == "40P01" // serialization failure, deadlock
	}
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code()&0xff == sqlite3.SQLITE_BUSY
	}
	return false
}

// taken says whether a statement failed because a unique index of the table
// that ends with the column has the value already; with the column "" whether
// the primary key has.
func taken(err error, table, column string) bool {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		index := table + "_" + column
		if column == "" {
			index = table + "_pkey"
		}
		return e.Code == "23505" && e.ConstraintName == index
	}
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		if column == "" {
			return e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY && strings.Contains(e.Error(), " "+table+".")
		}
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE && strings.Contains(e.Error(), " "+table+"."+column)
	}
	return false
}

// orphan says whether a statement failed because the row it belongs to has gone.
func orphan(err error) bool {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return e.Code == "23503"
	}
	e := (*sqlite.Error)(nil)
	return errors.As(err, &e) && e.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}

// belongs turns the failure of a row's owner into a refusal.
func belongs(err error, owner *tenant.Error) error {
	if orphan(err) {
		return owner.Because(err)
	}
	return err
}
