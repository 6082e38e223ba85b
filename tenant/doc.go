// Package tenant holds the nouns of Usher: what a tenant is, what its admins
// configure, who its users are, and what a run of a flow leaves behind.
//
// It owns the types, the catalogue of refusals ([Error]), the rules that can be
// checked with the value alone (a password policy, the shape of an address, a
// configuration document), and [Store], which names everything that can be kept.
//
// It does not own how things are kept (tenant/store), how secrets are hashed and
// sealed (tenant/secret), how a configuration is read from a file
// (tenant/document), or what happens in a flow (flowengine). It imports the
// standard library only, and of that nothing that reads the world: no network,
// no clock, no chance.
package tenant
