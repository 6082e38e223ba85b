// Package flowengine runs flows for clients: it loads a state, lets
// flowengine/flow move it, and keeps what came of it, in one short transaction.
//
// It owns runs and their tokens, which program a run goes by, sessions as users
// see them (checked, kept alive, revoked), what is counted against the limits,
// what the audit log says of sign-ins, the jobs that clear up, and the engine's
// metrics.
//
//	engine.go    Start, Submit, Get: load, step, commit
//	held.go      the same for doors whose clients know a run by its id
//	programs.go  (tenant, version) -> a compiled program
//	world.go     what a run may look at, for one request
//	outside.go   whom a run may ask: a provider of bot protection, a directory
//	commit.go    effects and a state become one tenant.Commit
//	sessions.go  check and revoke
//	janitor.go   what happens by itself
//	verifier.go  whether the audit log is as it was written
//	audit.go     refusals, as the audit log keeps them
//	metrics.go   every metric of the engine; tenantlabel.go bounds the one with tenants
//
// It does not own what a flow does (flowengine/flow), how anything is kept
// (tenant/store), hashed or sealed (tenant/secret), or what a client's wire
// format looks like (surface).
package flowengine
