// Package hooktest is a service that hooks call, for tests: it is as strict as
// docs/hooks.md tells real ones to be, and can say no, fail, hang and recover.
//
// It does not own the hooks themselves (flowengine/hook).
package hooktest
