// Package storetest is the conformance suite of [tenant.Store]: every method and
// every refusal that its comment names, the isolation of tenants method by
// method, and the races that a store has to decide.
//
// It does not own how things are kept, nor where: tenant/store's tests run it on
// each database.
package storetest
