// Package migrations owns the database schema: one SQL file for every step of
// it, the same for SQLite and PostgreSQL, and the runner that applies them.
//
// A file is NNNN_name.sql and is never changed once released. It uses TEXT,
// BIGINT and BOOLEAN only. On PostgreSQL the runner writes TEXT as TEXT COLLATE
// "C", so that both databases compare and sort by bytes: the beginning of a
// value can be looked up in a plain index, keyset paging sorts the same way
// everywhere, and an upgrade of the C library can't break an index.
//
// Each step is one transaction that also records it, begun by taking a lock
// (PostgreSQL: an advisory lock of the transaction; SQLite: the write lock). So
// nodes that start together take turns, and one that is killed halfway leaves
// neither half a step nor a lock behind. That is why this isn't bun/migrate: it
// records a step apart from the step, and its lock is a row that stays when its
// holder dies.
//
// It does not own what the tables mean (tenant) or how they are read and
// written (tenant/store).
package migrations
