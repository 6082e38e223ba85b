package argon2_test

import (
	"bytes"
	"testing"

	xargon2 "golang.org/x/crypto/argon2"
	"pgregory.net/rapid"

	"github.com/usher-id/usher/tenant/secret/internal/argon2"
)

func key(t testing.TB, kib int, uses int, password, salt []byte, passes, length uint32) []byte {
	m, err := argon2.New(kib)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	var got []byte
	for range uses { // memory that was used before makes no difference
		got = m.IDKey(password, salt, passes, length)
	}
	return got
}

func TestSameAsXCrypto(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		kib := 4 * rapid.IntRange(2, 300).Draw(r, "kib/4")
		passes := rapid.Uint32Range(1, 4).Draw(r, "passes")
		length := rapid.Uint32Range(4, 130).Draw(r, "length")
		password := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(r, "password")
		salt := rapid.SliceOfN(rapid.Byte(), 8, 64).Draw(r, "salt")
		got := key(t, kib, 2, password, salt, passes, length)
		want := xargon2.IDKey(password, salt, passes, uint32(kib), 1, length)
		if !bytes.Equal(got, want) {
			r.Fatalf("%x, want %x", got, want)
		}
	})
}

func TestSameAsXCryptoAtFullSize(t *testing.T) {
	got := key(t, 19*1024, 2, []byte("password"), []byte("somesaltsomesalt"), 2, 32)
	if want := xargon2.IDKey([]byte("password"), []byte("somesaltsomesalt"), 2, 19*1024, 1, 32); !bytes.Equal(got, want) {
		t.Fatalf("%x, want %x", got, want)
	}
}
