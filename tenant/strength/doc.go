// Package strength says how hard a password is to guess: the score of zxcvbn,
// 0 to 4 (Daniel Lowe Wheeler, "zxcvbn: Low-Budget Password Strength
// Estimation", USENIX Security 2016).
//
// It owns the library's dictionaries, which no policy asks for unless its admin
// wants a score: they are 8 MB of maps that every garbage collection walks, half
// of what an idle server has in use. Nothing of them stays in memory before the
// first question. The library has no way to ask for that, so this package sets the
// variable behind its API; if that changes its name, the program doesn't link, and
// a test compares it with what the library reads in.
//
// It does not own which score is enough (tenant.PasswordPolicy), and it does no
// input or output, so the core of flows may ask it.
package strength
