package secret

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/usher-id/usher/tenant"
)

// What argon2id is asked for: the OWASP Password Storage Cheat Sheet's m=19
// MiB, t=2, p=1, with the salt and tag lengths of RFC 9106 section 4.
const (
	argonMemory = 19 * 1024 // KiB
	argonPasses = 2
	argonLanes  = 1
	argonSalt   = 16 // bytes
	argonTag    = 32 // bytes
)

var ourArgon = argonParams{argonMemory, argonPasses, argonLanes}

// bcryptInput is how many bytes of a password bcrypt looks at.
const bcryptInput = 72

// Hash hashes a new password as cfg says.
//
// bcrypt ignores all but the first 72 bytes of its input. A longer password is
// therefore hashed as $bcrypt-sha512$, which is bcrypt of its SHA-512; shorter
// ones get a plain bcrypt hash that other programs understand too.
//
// It answers tenant.ErrUnavailable with the fact retry_after_seconds when too
// many wait, and the context's error when the caller has gone.
func (h *Hasher) Hash(ctx context.Context, cfg tenant.PasswordHashing, password string) (string, error) {
	algorithm, hash := h.newHash(cfg, password)
	var encoded string
	var failed error
	if err := h.do(ctx, algorithm, "hash", func() { encoded, failed = hash() }); err != nil {
		return "", err
	}
	return encoded, failed
}

// Verify compares a password with a hash, in constant time. stale says that the
// hash isn't what [Hasher.Hash] would make of this password now, so that it is
// worth replacing after a good login.
//
// With the hash "", for a user that doesn't exist or has no password, it takes
// as long as with a hash made under cfg and answers false. A hash made under
// other settings takes its own time until it is replaced.
//
// It fails as [Hasher.Hash] does, and for a hash that [CheckHash] refuses.
func (h *Hasher) Verify(ctx context.Context, cfg tenant.PasswordHashing, hash, password string) (ok, stale bool, err error) {
	if hash == "" {
		err = h.decoy(ctx, cfg, password)
		return false, false, err
	}
	p, err := parse(hash)
	if err != nil {
		return false, false, err
	}
	var failed error
	var matches bool
	if err := h.do(ctx, p.algorithm, "verify", func() { matches, failed = h.matches(p, password) }); err != nil {
		return false, false, err
	}
	return matches, !p.current(cfg, password), failed
}

func (h *Hasher) decoy(ctx context.Context, cfg tenant.PasswordHashing, password string) error {
	algorithm, hash := h.newHash(cfg, password)
	return h.do(ctx, algorithm, "verify", func() { _, _ = hash() })
}

// newHash says how a password is hashed under cfg, and does it.
func (h *Hasher) newHash(cfg tenant.PasswordHashing, password string) (algorithm string, hash func() (string, error)) {
	if cfg.Algorithm != algBcrypt {
		return algArgon2id, func() (string, error) { return h.hashArgon2id(password) }
	}
	if len(password) <= bcryptInput {
		return algBcrypt, func() (string, error) { return hashBcrypt([]byte(password), cfg.BcryptCost) }
	}
	return algBcryptSHA512, func() (string, error) {
		sum := sha512.Sum512([]byte(password))
		encoded, err := hashBcrypt(sum[:], cfg.BcryptCost)
		return "$" + algBcryptSHA512 + "$" + encoded, err
	}
}

func (h *Hasher) hashArgon2id(password string) (string, error) {
	var salt [argonSalt]byte
	_, _ = rand.Read(salt[:]) // never fails
	tag, err := h.memory.idKey(password, salt[:], argonTag)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", algArgon2id, argon2.Version,
		argonMemory, argonPasses, argonLanes, b64.EncodeToString(salt[:]), b64.EncodeToString(tag)), nil
}

func hashBcrypt(password []byte, cost int) (string, error) {
	// x/crypto would quietly take its own default for a cost it finds too low.
	if cost < minBcryptCost || cost > maxBcryptCost {
		return "", fmt.Errorf("secret: bcrypt cost %d is not in %d..%d", cost, minBcryptCost, maxBcryptCost)
	}
	encoded, err := bcrypt.GenerateFromPassword(password, cost)
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	return string(encoded), nil
}

// matches derives the password's tag as the hash says and compares.
func (h *Hasher) matches(p *parsed, password string) (bool, error) {
	switch p.algorithm {
	case algBcrypt:
		return matchesBcrypt(p.bcrypt, []byte(password))
	case algBcryptSHA512:
		sum := sha512.Sum512([]byte(password))
		return matchesBcrypt(p.bcrypt, sum[:])
	}
	tag, err := h.derive(p, password)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(tag, p.tag) == 1, nil
}

func (h *Hasher) derive(p *parsed, password string) ([]byte, error) {
	if p.algorithm == algArgon2id && p.argon == ourArgon {
		return h.memory.idKey(password, p.salt, len(p.tag))
	}
	tag, err := p.derive([]byte(password))
	if err != nil {
		return nil, fmt.Errorf("secret: %s: %w", p.algorithm, err)
	}
	return tag, nil
}

func matchesBcrypt(encoded string, password []byte) (bool, error) {
	err := bcrypt.CompareHashAndPassword([]byte(encoded), password)
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("secret: %w", err)
	}
	return true, nil
}

// current says whether newHash would make a hash of this kind.
func (p *parsed) current(cfg tenant.PasswordHashing, password string) bool {
	if cfg.Algorithm != algBcrypt {
		return p.algorithm == algArgon2id && p.argon == ourArgon &&
			len(p.salt) == argonSalt && len(p.tag) == argonTag
	}
	kind := algBcrypt
	if len(password) > bcryptInput {
		kind = algBcryptSHA512
	}
	return p.algorithm == kind && p.cost == cfg.BcryptCost
}
