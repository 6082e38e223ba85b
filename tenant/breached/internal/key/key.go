package key

import (
	"hash/fnv"
	"strings"
)

// Of folds the case of a password and hashes it with 64-bit FNV-1a.
func Of(password string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.ToLower(password))) // never fails
	return h.Sum64()
}
