// Package argon2 is golang.org/x/crypto/argon2 with memory that is used again.
//
// x/crypto takes fresh memory from the garbage collector for every hash. During a
// login storm that is 19 MiB per login: the heap grows to twice what is in use,
// and a tenth of the time goes into faulting pages in. The API has no way to
// lend it memory (golang/go#36634, open since 2020), so this package lends it to
// the unexported functions behind it. The algorithm itself is x/crypto's, none
// of it is copied, and the tests compare every result with x/crypto's own; if
// these functions change their names, the program doesn't link.
//
// It owns one lane of Argon2id and the memory for it, outside of the garbage
// collector's. It does not own parameters, salts or encodings (package secret).
package argon2
