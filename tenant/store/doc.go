// Package store keeps everything that [tenant.Store] names, in SQLite or
// PostgreSQL, through bun.
//
// It owns the connections, the transactions, the statements and how the errors
// of two drivers become the refusals of package tenant. There is one file per
// noun. open.go alone knows how the databases differ; errors.go knows how their
// errors do.
//
// Two kinds of write. A fast one survives the death of the process; a durable
// one, which everything is that a user or an admin was told has happened, also
// survives the loss of power (SQLite: synchronous=NORMAL, and then the log is
// synced; PostgreSQL: synchronous_commit off and on). Both go through one log,
// so a durable write makes the fast ones before it durable too.
//
// The few statements that run on every request are written out, prepared once
// per connection and scanned by position, on PostgreSQL in the driver's own
// interface (query.go, write.go); everything else is built by bun.
//
// It does not own the schema (migrations), who may do what (flowengine, graph),
// when a session is live (tenant), how values are sealed or hashed
// (tenant/secret), or the buckets of rate limits (flowengine/limit), which
// share its connections.
package store
