// Package admin holds the verbs of admins: what is done to tenants, their
// configurations, their users, and to who may do it. The GraphQL API and the
// command line are thin shells over it.
//
// Each verb is one [tenant.Store] change with its audit event in the same
// transaction; the event carries a semantic difference and never a secret.
// Passwords are hashed and configurations compiled before the transaction
// begins. Every verb takes the [Actor] that asks and the slug of the tenant it
// is about, and answers with refusals of the catalogue in package tenant.
//
// It does not own who may call what (graph), how things are kept
// (tenant/store), how a document is read (tenant/document), or what users do
// themselves (flowengine).
package admin
