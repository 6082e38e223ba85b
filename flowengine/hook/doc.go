// Package hook calls the services that a tenant wants asked before something
// happens, and told when it has (tenant.Hooks).
//
// It owns the envelope that they get, the keys that sign it, the bounds of a
// call and what an answer means ([Hooks.Ask]), and the worker that delivers,
// again and again for a day, what was put into the outbox ([Hooks.Run]).
//
//	envelope.go  what is sent, and the deliveries of an event ([Tell])
//	call.go      one signed call
//	ask.go       blocking hooks and their answers
//	worker.go    deliveries
//	keys.go      signing keys and their replacement
//	try.go       trying an endpoint out
//	metrics.go   the families usher_hook_*
//
// It does not own when something happens and what is said of it (flowengine,
// flowengine/admin), how deliveries are kept (tenant/store), or which addresses
// may be called (flowengine/outbound).
package hook
