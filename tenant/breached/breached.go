package breached

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/FastFilter/xorfilter"

	"github.com/usher-id/usher/tenant/breached/internal/key"
)

//go:generate go run ./internal/build passwords.fuse

//go:embed passwords.fuse
var file string

var filter = sync.OnceValue(func() *xorfilter.BinaryFuse[uint16] {
	f, err := xorfilter.LoadBinaryFuse[uint16](strings.NewReader(file))
	if err != nil {
		panic("breached: passwords.fuse: " + err.Error()) // embedded, and read by the tests
	}
	return f
})

// Contains says whether a password is one of those that are tried first.
// Letters count in either case: attackers try "Password" as soon as "password".
func Contains(password string) bool {
	return password != "" && filter().Contains(key.Of(password))
}
