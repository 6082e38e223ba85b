package maildomain

import (
	_ "embed"
	"hash/fnv"
	"strings"
	"sync"

	"github.com/FastFilter/xorfilter"
)

//go:generate go run ./internal/build free.fuse disposable.fuse

var (
	//go:embed free.fuse
	freeFile string
	//go:embed disposable.fuse
	disposableFile string

	free       = sync.OnceValue(func() *filter { return load(freeFile) })
	disposable = sync.OnceValue(func() *filter { return load(disposableFile) })
)

type filter = xorfilter.BinaryFuse[uint16]

func load(file string) *filter {
	f, err := xorfilter.LoadBinaryFuse[uint16](strings.NewReader(file))
	if err != nil {
		panic("maildomain: " + err.Error()) // embedded, and read by the tests
	}
	return f
}

// Free says whether anybody gets a mailbox at the domain for free. The domain
// is in lower case, in A-labels.
func Free(domain string) bool { return contains(free(), domain) }

// Disposable says whether mailboxes at the domain are thrown away after use.
// The domain is in lower case, in A-labels.
func Disposable(domain string) bool { return contains(disposable(), domain) }

// contains looks for the domain and those above it, but no top-level one.
func contains(f *filter, domain string) bool {
	for strings.Contains(domain, ".") {
		if f.Contains(Key(domain)) {
			return true
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return false
}

// Key is a domain in the filters: its 64-bit FNV-1a.
func Key(domain string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(domain)) // never fails
	return h.Sum64()
}
