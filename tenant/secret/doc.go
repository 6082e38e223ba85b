// Package secret hashes passwords and seals values: the two ways in which
// Usher keeps what it must not be able to lose in the clear.
//
// It owns the pool that bounds how many passwords are hashed at once
// ([Hasher]), the encodings of password hashes that it makes and those that it
// only verifies because users were imported with them ([CheckHash]), the master
// key and the data keys of tenants that it wraps ([Master]), and where the
// product's identifiers and tokens get their chance from ([NewID], [NewToken]).
//
// It does not own where any of it is kept (tenant/store), which passwords are
// good enough (tenant.PasswordPolicy, tenant/breached), or who may try how often
// (flowengine/limit).
package secret
