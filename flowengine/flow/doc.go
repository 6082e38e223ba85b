// Package flow runs authentication flows.
//
// A flow is a tree: steps, each of which may offer branches (one_of), each of
// which may nest more steps. A run of a flow is a walk over that tree. [State]
// says where the walk is and what it has learnt so far; it is plain data.
// [Program.Step] moves a State by the client's inputs:
//
//	(Program, World, State, inputs) -> (State', Action, effects) or a refusal
//
// The package decides and never does. It reads through [World] and returns what
// should happen as [Effect] values; the caller commits them and the new State
// together. Nothing is made before the flow ends: what a sign-up collects waits
// in [Draft].
//
// Who decides what:
//
//	definition.go  compiles a tenant's configuration into a [Program]
//	check.go       proves, before publishing, what a flow can't do at run time
//	builtin.go     derives the default flows from the settings
//	run.go         walks the tree                      (knows no step, no method)
//	input.go       one answer of the client, key by key
//	branches.go    what the steps with one_of share
//	human.go       branches that bot protection guards
//	step_*.go      one file per step type              (knows no method)
//	id_*.go        one file per way to identify        (knows no step)
//	auth_*.go      one file per way to authenticate    (knows no step)
//	linking.go     a sign-up that comes upon somebody's claim
//	settings.go    what a change_setting step changes
//	ahead.go       what can be answered at once
//	methods.go     the table of all of them
//
// It does not own where states are kept, how they are sealed, what a token
// looks like (flowengine), or any wire format (surface). It has no network, no
// database, no clock, no chance and no log.
package flow
