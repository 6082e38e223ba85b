package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

// NewID makes a UUIDv7 (RFC 9562 section 5.7) of the present moment.
// Ids of one process sort in the order they were made, within a millisecond too
// (RFC 9562 section 6.2, method 1).
func NewID() string { return ids.next(time.Now().UnixMilli()) }

var ids sequence

// sequence counts the ids of a millisecond in rand_a, from a random start.
type sequence struct {
	mu    sync.Mutex
	at    int64 // unix milliseconds
	count uint16
}

func (s *sequence) next(now int64) string {
	random := random10()
	s.mu.Lock()
	if now > s.at {
		s.at, s.count = now, binary.BigEndian.Uint16(random[:])&0x7ff
	} else if s.count++; s.count > 0xfff {
		s.at, s.count = s.at+1, 0
	}
	binary.BigEndian.PutUint16(random[:], s.count)
	at := s.at
	s.mu.Unlock()
	return tenant.UUIDv7(time.UnixMilli(at), random)
}

// NewPFID makes the id of a run in a tenant's partition: that of a new UUIDv7, by
// which dialects that want UUIDs know the run.
func NewPFID(partition uint32) string {
	p, err := tenant.PFIDOf(NewID(), partition)
	if err != nil {
		panic(err) // it was made just now
	}
	return p.String()
}

// NewToken makes a bearer token: the prefix, then 160 bits of chance in 32
// characters of Crockford's base32.
func NewToken(prefix string) string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + tenant.Base32(b[:])
}

// TokenHash is how a token is kept and found: base64url, without padding, of
// its SHA-256. A token is 160 random bits, so the hash needs neither salt nor
// cost.
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func random10() (b [10]byte) {
	_, _ = rand.Read(b[:]) // never fails
	return b
}

// Random is chance from the operating system.
func Random(n int) []byte {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		panic(err) // never, by crypto/rand's promise
	}
	return b
}
