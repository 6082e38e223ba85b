// Package hooktest is a service that hooks call, for tests.
//
// It owns a receiver that is as strict as docs/hooks.md tells real ones to be,
// and that can say no, fail, hang and recover. It does not own the calls
// (flowengine/hook).
package hooktest
