// Package maildomain knows the domains where anybody gets a mailbox for free,
// and those of throw-away mailboxes.
//
// It owns the two lists, as binary fuse filters (Graf and Lemire, "Binary Fuse
// Filters", 2022) of 16-bit fingerprints: a listed domain and what is below it
// are always found, any other domain is taken for listed in 1 of 65,536 cases.
// Nothing of them is in memory before the first question; after that they are
// 0.3 MiB.
//
// It does not own what is done about such a domain (tenant.EmailRules), and it
// does no input or output, so the core of flows may ask it.
//
// The lists are published by the npm packages free-email-domains and
// disposable-email-domains, both under the MIT licence (see NOTICE).
// "go generate" fetches them, checks that they are the ones named in
// internal/build, and writes the filters anew.
package maildomain
