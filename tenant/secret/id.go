package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/usher-id/usher/tenant"
)

// NewID makes a UUIDv7 (RFC 9562 section 5.7) of the present moment.
func NewID() string { return tenant.UUIDv7(time.Now(), random10()) }

// NewPFID makes the id of a run in a tenant's partition.
func NewPFID(partition uint32) string {
	return tenant.PFID{At: time.Now().UnixMilli(), Partition: partition, Random: random10()}.String()
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
