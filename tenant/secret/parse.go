package secret

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // of PBKDF2 in imported hashes, where its collisions don't matter
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/scrypt"
)

// The algorithms, as hashes and metrics name them.
const (
	algArgon2id     = "argon2id"
	algArgon2i      = "argon2i"
	algBcrypt       = "bcrypt"
	algBcryptSHA512 = "bcrypt-sha512"
	algScrypt       = "scrypt"
	algPBKDF2SHA1   = "pbkdf2-sha1"
	algPBKDF2SHA256 = "pbkdf2-sha256"
	algPBKDF2SHA512 = "pbkdf2-sha512"
)

// Algorithms lists every algorithm that OnHash can name.
func Algorithms() []string {
	return []string{
		algArgon2id, algArgon2i, algBcrypt, algBcryptSHA512, algScrypt,
		algPBKDF2SHA1, algPBKDF2SHA256, algPBKDF2SHA512,
	}
}

// What a hash may ask for. Whoever imports users chooses these numbers, and
// whoever knows a login id can make the server pay for them; the bounds are
// above what other products use and keep one hash under about 2 s and 128 MiB.
const (
	maxEncoded     = 1024      // bytes of the whole hash
	minSalt        = 8         // bytes
	maxSalt        = 256       // bytes
	minTag         = 16        // bytes; a shorter one is too easily met by chance
	maxTag         = 128       // bytes
	maxMemory      = 128 << 10 // KiB
	maxMemoryTime  = 1 << 20   // KiB times passes of argon2
	maxScryptWork  = 1 << 20   // KiB times lanes of scrypt
	maxLanes       = 16
	minBcryptCost  = 4
	maxBcryptCost  = 15
	maxPBKDF2Works = 5_000_000 // iterations times blocks of output
)

// ErrHash is wrapped by every refusal of an encoded hash.
var ErrHash = errors.New("secret: unusable password hash")

// CheckHash says why a hash can't be imported, wrapping [ErrHash]; nil when
// [Hasher.Verify] will take it. These are known:
//
//	$argon2id$v=19$m=19456,t=2,p=1$salt$tag     PHC string (RFC 9106); also argon2i
//	$2b$12$...                                  bcrypt; also $2a$ and $2y$
//	$bcrypt-sha512$$2a$10$...                   bcrypt of the raw SHA-512 (Authgear)
//	$scrypt$ln=17,r=8,p=1$salt$tag              PHC string (RFC 7914); ln may be N itself (Kratos)
//	$pbkdf2-sha256$i=600000,l=32$salt$tag       PHC string (RFC 8018); also sha1 and sha512
//	$pbkdf2-sha256$29000$salt$tag               Passlib; also sha512, and $pbkdf2$ for sha1
//
// The error never quotes the hash.
func CheckHash(encoded string) error {
	_, err := parse(encoded)
	return err
}

// parsed is an encoded hash taken apart. Depending on the algorithm it is to be
// compared as bcrypt, or by deriving a tag.
type parsed struct {
	algorithm string
	bcrypt    string // the modular crypt form
	cost      int    // of bcrypt
	argon     argonParams
	salt, tag []byte
	derive    func(password []byte) ([]byte, error)
}

type argonParams struct {
	memory, passes uint32
	lanes          uint8
}

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHash, fmt.Sprintf(format, args...))
}

func parse(encoded string) (*parsed, error) {
	if len(encoded) > maxEncoded {
		return nil, unusable("longer than %d bytes", maxEncoded)
	}
	if rest, ok := strings.CutPrefix(encoded, "$"+algBcryptSHA512+"$"); ok {
		p, err := parseBcrypt(rest)
		if err != nil {
			return nil, err
		}
		p.algorithm = algBcryptSHA512
		return p, nil
	}
	if strings.HasPrefix(encoded, "$2") {
		return parseBcrypt(encoded)
	}
	fields := strings.Split(encoded, "$")
	if len(fields) < 5 || fields[0] != "" {
		return nil, unusable("not in PHC or modular crypt form")
	}
	switch fields[1] {
	case algArgon2id, algArgon2i:
		return parseArgon2(fields[1], fields[2:])
	case algScrypt:
		return parseScrypt(fields[2:])
	case "pbkdf2", algPBKDF2SHA1:
		return parsePBKDF2(algPBKDF2SHA1, sha1.New, sha1.Size, fields[2:])
	case algPBKDF2SHA256:
		return parsePBKDF2(algPBKDF2SHA256, sha256.New, sha256.Size, fields[2:])
	case algPBKDF2SHA512:
		return parsePBKDF2(algPBKDF2SHA512, sha512.New, sha512.Size, fields[2:])
	}
	return nil, unusable("unknown algorithm")
}

const bcryptLength = len("$2b$10$") + 22 + 31

// parseBcrypt refuses $2$ and $2x$, which mark hashes made with known faults.
func parseBcrypt(encoded string) (*parsed, error) {
	if len(encoded) != bcryptLength || !strings.Contains("aby", encoded[2:3]) ||
		encoded[:2] != "$2" || encoded[3] != '$' || encoded[6] != '$' {
		return nil, unusable("not a bcrypt hash of the kind 2a, 2b or 2y")
	}
	for _, c := range []byte(encoded[7:]) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '/') {
			return nil, unusable("not base64 as bcrypt writes it")
		}
	}
	cost, err := number(encoded[4:6], maxBcryptCost)
	if err != nil || cost < minBcryptCost {
		return nil, unusable("the cost of bcrypt must be %d to %d", minBcryptCost, maxBcryptCost)
	}
	return &parsed{algorithm: algBcrypt, bcrypt: encoded, cost: cost}, nil
}

func parseArgon2(algorithm string, fields []string) (*parsed, error) {
	if len(fields) != 4 || fields[0] != "v=19" {
		return nil, unusable("not a PHC string of argon2 version 19")
	}
	m, t, lanes := 0, 0, 0
	if err := params(fields[1], param{"m", maxMemory, &m}, param{"t", maxMemoryTime, &t}, param{"p", maxLanes, &lanes}); err != nil {
		return nil, err
	}
	if m < 8*lanes || m*t > maxMemoryTime {
		return nil, unusable("m must be at least 8p, and m times t at most %d", maxMemoryTime)
	}
	salt, tag, err := saltAndTag(fields[2:])
	if err != nil {
		return nil, err
	}
	p := &parsed{algorithm: algorithm, salt: salt, tag: tag,
		argon: argonParams{uint32(m), uint32(t), uint8(lanes)}}
	key := argon2.IDKey
	if algorithm == algArgon2i {
		key = argon2.Key
	}
	p.derive = func(password []byte) ([]byte, error) {
		return key(password, salt, p.argon.passes, p.argon.memory, p.argon.lanes, uint32(len(tag))), nil //nolint:gosec // bounded
	}
	return p, nil
}

func parseScrypt(fields []string) (*parsed, error) {
	if len(fields) != 3 {
		return nil, unusable("not a PHC string of scrypt")
	}
	ln, r, lanes := 0, 0, 0
	if err := params(fields[0], param{"ln", maxMemory << 10, &ln}, param{"r", maxMemory, &r}, param{"p", maxLanes, &lanes}); err != nil {
		return nil, err
	}
	n := ln // Kratos writes N
	if ln < 32 {
		n = 1 << ln
	} else if bits.OnesCount(uint(n)) != 1 {
		return nil, unusable("N must be a power of two")
	}
	memory := n / 8 * r // KiB: N blocks of 128 r bytes
	if n < 16 || memory > maxMemory || memory*lanes > maxScryptWork {
		return nil, unusable("scrypt may take at most %d KiB", maxMemory)
	}
	salt, tag, err := saltAndTag(fields[1:])
	if err != nil {
		return nil, err
	}
	return &parsed{algorithm: algScrypt, salt: salt, tag: tag, derive: func(password []byte) ([]byte, error) {
		return scrypt.Key(password, salt, n, r, lanes, len(tag))
	}}, nil
}

func parsePBKDF2(algorithm string, newHash func() hash.Hash, size int, fields []string) (*parsed, error) {
	if len(fields) != 3 {
		return nil, unusable("not a PHC string of PBKDF2")
	}
	salt, tag, err := saltAndTag(fields[1:])
	if err != nil {
		return nil, err
	}
	iterations, length := 0, len(tag)
	switch {
	case strings.Contains(fields[0], ",l="):
		err = params(fields[0], param{"i", maxPBKDF2Works, &iterations}, param{"l", maxTag, &length})
	case strings.HasPrefix(fields[0], "i="):
		err = params(fields[0], param{"i", maxPBKDF2Works, &iterations})
	default:
		iterations, err = number(fields[0], maxPBKDF2Works)
	}
	if err != nil {
		return nil, err
	}
	if length != len(tag) {
		return nil, unusable("l is not the length of the tag")
	}
	if blocks := (len(tag) + size - 1) / size; iterations*blocks > maxPBKDF2Works {
		return nil, unusable("PBKDF2 may take at most %d iterations", maxPBKDF2Works)
	}
	return &parsed{algorithm: algorithm, salt: salt, tag: tag, derive: func(password []byte) ([]byte, error) {
		return pbkdf2.Key(newHash, string(password), salt, iterations, len(tag))
	}}, nil
}

type param struct {
	name string
	most int
	to   *int
}

// params reads "a=1,b=2" with exactly these names in this order, each from 1 to
// its most.
func params(s string, want ...param) error {
	got := strings.Split(s, ",")
	if len(got) != len(want) {
		return unusable("unexpected parameters")
	}
	for i, w := range want {
		value, ok := strings.CutPrefix(got[i], w.name+"=")
		if !ok {
			return unusable("parameter %s is missing", w.name)
		}
		n, err := number(value, w.most)
		if err != nil {
			return err
		}
		*w.to = n
	}
	return nil
}

// number reads a decimal from 1 to most, written without sign.
func number(s string, most int) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n < 1 || int(n) > most {
		return 0, unusable("a parameter is not a number from 1 to %d", most)
	}
	return int(n), nil
}

var plus = strings.NewReplacer(".", "+")

// saltAndTag reads two fields of base64, padded or not, in the standard
// alphabet or with Passlib's "." for "+".
func saltAndTag(fields []string) (salt, tag []byte, err error) {
	out := [2][]byte{}
	for i := range out {
		out[i], err = base64.RawStdEncoding.DecodeString(plus.Replace(strings.TrimRight(fields[i], "=")))
		if err != nil {
			return nil, nil, unusable("the salt or the tag is not base64")
		}
	}
	salt, tag = out[0], out[1]
	if len(salt) < minSalt || len(salt) > maxSalt || len(tag) < minTag || len(tag) > maxTag {
		return nil, nil, unusable("the salt must have %d to %d bytes, the tag %d to %d", minSalt, maxSalt, minTag, maxTag)
	}
	return salt, tag, nil
}
