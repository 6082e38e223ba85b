package secret_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

var (
	argon = tenant.PasswordHashing{Algorithm: "argon2id", BcryptCost: 10}
	fast  = tenant.PasswordHashing{Algorithm: "bcrypt", BcryptCost: 4}
)

func newHasher(t testing.TB, o secret.HasherOptions) *secret.Hasher {
	t.Helper()
	h := secret.NewHasher(o)
	t.Cleanup(h.Close)
	return h
}

// known are hashes of other programs: "who" says whose.
var known = []struct{ who, password, hash string }{
	// github.com/P-H-C/phc-winner-argon2, src/test.c
	{"argon2 reference", "password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
	{"argon2 reference", "password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"},
	{"argon2 reference", "password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
	// jBCrypt, TestBCrypt.java; 2a, 2b and 2y differ in the name alone
	{"jBCrypt", "a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"},
	{"jBCrypt", "abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"},
	{"OpenBSD", "abc", "$2b$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"},
	{"PHP", "abc", "$2y$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"},
	// Authgear, pkg/util/password
	{"Authgear", "password", "$bcrypt-sha512$$2a$10$qQybX3kAJNT2YqYRVmbfjO5EhgWm6vV4cWmXo2ZATAuBmCyJM2fKu"},
	{"Authgear", "password12345678password12345678password12345678password12345678password12345678", "$bcrypt-sha512$$2a$10$zDrD87PynMMSNjLGHu0y.uBZ8qf8j75xiBYmAK9QPqk7zqFvLigQi"},
	// RFC 7914 section 12, third vector
	{"RFC 7914", "pleaseletmein", "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"},
	// Python's hashlib.scrypt, written as Kratos does: ln is N, and padding
	{"Kratos", "correct horse", "$scrypt$ln=16384,r=8,p=1$6Onq6+zt7u/w8fLz9PX29w==$d7IS37ngqZHstWP2pPRE1bwmKGRBE5VWlUJawQvNdjo="},
	// RFC 6070, sixth vector (25 bytes: two blocks)
	{"RFC 6070", "passwordPASSWORDpassword", "$pbkdf2-sha1$i=4096,l=25$c2FsdFNBTFRzYWx0U0FMVHNhbHRTQUxUc2FsdFNBTFRzYWx0$PS7sT+QchJuAyNg2YsDkSospGpZM8vBwOA"},
	// Python's hashlib.pbkdf2_hmac, in PHC form and in Passlib's
	{"hashlib", "correct horse ü", "$pbkdf2-sha1$i=1300,l=20$6Onq6+zt7u/w8fLz9PX29w$rX1A4fM1RPWlOfA/wXhVpfqJNTs"},
	{"hashlib", "correct horse ü", "$pbkdf2-sha256$i=29000,l=32$6Onq6+zt7u/w8fLz9PX29w$FByhTmq2SpANxVuVszXsQaUOtjhYsnxzOaE7VE2ipKM"},
	{"hashlib", "correct horse ü", "$pbkdf2-sha256$i=29000$6Onq6+zt7u/w8fLz9PX29w$FByhTmq2SpANxVuVszXsQaUOtjhYsnxzOaE7VE2ipKM"},
	{"hashlib", "correct horse ü", "$pbkdf2-sha512$i=25000,l=64$6Onq6+zt7u/w8fLz9PX29w$BBXNf/7y6czO58pSMFgrRrbMfb3Zsn9gEcIjYhU1pQ67WhaniZyGivc6CreiTkB6PQnb06eHI2P5MogutB5gfg"},
	{"Passlib", "correct horse ü", "$pbkdf2$1300$6Onq6.zt7u/w8fLz9PX29w$rX1A4fM1RPWlOfA/wXhVpfqJNTs"},
	{"Passlib", "correct horse ü", "$pbkdf2-sha256$29000$6Onq6.zt7u/w8fLz9PX29w$FByhTmq2SpANxVuVszXsQaUOtjhYsnxzOaE7VE2ipKM"},
	{"Passlib", "correct horse ü", "$pbkdf2-sha512$25000$6Onq6.zt7u/w8fLz9PX29w$BBXNf/7y6czO58pSMFgrRrbMfb3Zsn9gEcIjYhU1pQ67WhaniZyGivc6CreiTkB6PQnb06eHI2P5MogutB5gfg"},
}

func TestHashesOfOthers(t *testing.T) {
	h := newHasher(t, secret.HasherOptions{})
	for _, k := range known {
		if err := secret.CheckHash(k.hash); err != nil {
			t.Errorf("%s: CheckHash(%s): %v", k.who, k.hash, err)
		}
		for _, cfg := range []tenant.PasswordHashing{argon, fast} {
			if ok, stale, err := h.Verify(t.Context(), cfg, k.hash, k.password); !ok || !stale || err != nil {
				t.Errorf("%s: Verify(%s) = %t, %t, %v, want true, true", k.who, k.hash, ok, stale, err)
			}
		}
		if ok, _, err := h.Verify(t.Context(), argon, k.hash, k.password+"x"); ok || err != nil {
			t.Errorf("%s: Verify(%s) of another password = %t, %v", k.who, k.hash, ok, err)
		}
	}
}

// bcrypt ignores what follows 72 bytes: hashes of others must go on matching
// what they were made of, and ours must not be like that.
func TestLongPasswordsWithBcrypt(t *testing.T) {
	h := newHasher(t, secret.HasherOptions{})
	long := strings.Repeat("0123456789", 8)
	hash, err := h.Hash(t.Context(), fast, long)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$bcrypt-sha512$$2a$04$") {
		t.Errorf("Hash = %s", hash)
	}
	if ok, stale, err := h.Verify(t.Context(), fast, hash, long); !ok || stale || err != nil {
		t.Errorf("Verify = %t, %t, %v", ok, stale, err)
	}
	if ok, _, err := h.Verify(t.Context(), fast, hash, long[:79]+"x"); ok || err != nil {
		t.Errorf("Verify of another end = %t, %v", ok, err)
	}
	truncated, err := h.Hash(t.Context(), fast, long[:72])
	if err != nil {
		t.Fatal(err)
	}
	if ok, stale, err := h.Verify(t.Context(), fast, truncated, long); !ok || !stale || err != nil {
		t.Errorf("Verify with the hash of a program that truncates = %t, %t, %v, want true, true", ok, stale, err)
	}
}

func TestOwnHashes(t *testing.T) {
	h := newHasher(t, secret.HasherOptions{})
	dear := tenant.PasswordHashing{Algorithm: "bcrypt", BcryptCost: 5}
	for _, c := range []struct {
		cfg    tenant.PasswordHashing
		prefix string
	}{
		{argon, "$argon2id$v=19$m=19456,t=2,p=1$"}, {fast, "$2a$04$"}, {dear, "$2a$05$"},
	} {
		for _, password := range []string{"", "p", "pässwörd", "nul\x00and\xff", strings.Repeat("x", 72)} {
			one, err := h.Hash(t.Context(), c.cfg, password)
			if err != nil {
				t.Fatal(err)
			}
			two, err := h.Hash(t.Context(), c.cfg, password)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(one, c.prefix) || one == two {
				t.Errorf("Hash = %s, %s", one, two)
			}
			if err := secret.CheckHash(one); err != nil {
				t.Errorf("CheckHash of our own: %v", err)
			}
			for _, now := range []tenant.PasswordHashing{argon, fast, dear} {
				if ok, stale, err := h.Verify(t.Context(), now, one, password); !ok || err != nil || stale != (now != c.cfg) {
					t.Errorf("Verify(%s) under %v = %t, %t, %v", one, now, ok, stale, err)
				}
			}
			if ok, _, err := h.Verify(t.Context(), c.cfg, one, password+"."); len(password) < 72 && (ok || err != nil) {
				t.Errorf("Verify(%s) of another password = %t, %v", one, ok, err)
			}
		}
	}
	if _, err := h.Hash(t.Context(), tenant.PasswordHashing{Algorithm: "bcrypt", BcryptCost: 31}, "p"); err == nil {
		t.Error("bcrypt at cost 31 was tried")
	}
}

// A decoy does what a hash under the same settings does, and is seen as a
// verification.
func TestDecoy(t *testing.T) {
	var seen []string
	h := newHasher(t, secret.HasherOptions{OnHash: func(algorithm, op string, took, queued time.Duration) {
		if took <= 0 || queued < 0 {
			t.Errorf("took %v, queued %v", took, queued)
		}
		seen = append(seen, algorithm+" "+op)
	}})
	long := strings.Repeat("x", 73)
	for _, c := range []struct {
		cfg      tenant.PasswordHashing
		password string
	}{{argon, "p"}, {fast, "p"}, {fast, long}} {
		if ok, stale, err := h.Verify(t.Context(), c.cfg, "", c.password); ok || stale || err != nil {
			t.Errorf("Verify of no hash = %t, %t, %v", ok, stale, err)
		}
	}
	if got := strings.Join(seen, ", "); got != "argon2id verify, bcrypt verify, bcrypt-sha512 verify" {
		t.Errorf("OnHash saw %s", got)
	}
}

func TestCheckHashRefuses(t *testing.T) {
	const salt, tag = "$c29tZXNhbHQ$", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h := newHasher(t, secret.HasherOptions{})
	for what, hash := range map[string]string{
		"nothing":               "",
		"a password":            "hunter2",
		"another algorithm":     "$md5$x$y$z",
		"argon2d":               "$argon2d$v=19$m=65536,t=2,p=1" + salt + tag,
		"argon2 version 16":     "$argon2id$v=16$m=65536,t=2,p=1" + salt + tag,
		"argon2 of 4 GiB":       "$argon2id$v=19$m=4194304,t=1,p=1" + salt + tag,
		"argon2 of 10^9 rounds": "$argon2id$v=19$m=8,t=1000000000,p=1" + salt + tag,
		"argon2 for an hour":    "$argon2id$v=19$m=131072,t=100,p=1" + salt + tag,
		"argon2 on 255 lanes":   "$argon2id$v=19$m=65536,t=1,p=255" + salt + tag,
		"argon2 without rounds": "$argon2id$v=19$m=65536,t=0,p=1" + salt + tag,
		"argon2 without lanes":  "$argon2id$v=19$m=65536,t=1,p=0" + salt + tag,
		"argon2 of no memory":   "$argon2id$v=19$m=8,t=1,p=2" + salt + tag,
		"argon2, negative":      "$argon2id$v=19$m=-65536,t=2,p=1" + salt + tag,
		"argon2, overflowing":   "$argon2id$v=19$m=18446744073709551617,t=2,p=1" + salt + tag,
		"argon2, swapped":       "$argon2id$v=19$t=2,m=65536,p=1" + salt + tag,
		"argon2, key id":        "$argon2id$v=19$m=65536,t=2,p=1,keyid=Zm8" + salt + tag,
		"argon2, no tag":        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
		"argon2, short tag":     "$argon2id$v=19$m=65536,t=2,p=1" + salt + "CTFh",
		"argon2, long tag":      "$argon2id$v=19$m=65536,t=2,p=1" + salt + strings.Repeat("A", 200),
		"argon2, short salt":    "$argon2id$v=19$m=65536,t=2,p=1$c29t$" + tag,
		"argon2, not base64":    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPP!",
		"bcrypt of 2^31 rounds": "$2a$31$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i",
		"bcrypt of cost 3":      "$2a$03$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i",
		"bcrypt 2x":             "$2x$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i",
		"bcrypt 2":              "$2$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i.",
		"bcrypt, short":         "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0",
		"bcrypt, not base64":    "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0!",
		"bcrypt, odd cost":      "$2a$+6$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i",
		"bcrypt-sha512, empty":  "$bcrypt-sha512$",
		"bcrypt-sha512, nested": "$bcrypt-sha512$$bcrypt-sha512$$2a$10$qQybX3kAJNT2YqYRVmbfjO5EhgWm6vV4cWmXo2ZATAuBmCyJM2fKu",
		"scrypt of 1 GiB":       "$scrypt$ln=20,r=8,p=1" + salt + tag,
		"scrypt of 1 GiB as N":  "$scrypt$ln=1048576,r=8,p=1" + salt + tag,
		"scrypt, ln 63":         "$scrypt$ln=63,r=8,p=1" + salt + tag,
		"scrypt, N no power":    "$scrypt$ln=16383,r=8,p=1" + salt + tag,
		"scrypt, wide blocks":   "$scrypt$ln=4,r=131072,p=1" + salt + tag,
		"scrypt, many lanes":    "$scrypt$ln=17,r=8,p=16" + salt + tag,
		"scrypt, missing":       "$scrypt$ln=14,r=8" + salt + tag,
		"pbkdf2 of 10^9 rounds": "$pbkdf2-sha256$i=1000000000,l=32" + salt + tag,
		"pbkdf2, Passlib, same": "$pbkdf2-sha256$1000000000" + salt + tag,
		"pbkdf2, many blocks":   "$pbkdf2-sha1$i=4000000" + salt + tag,
		"pbkdf2, wrong length":  "$pbkdf2-sha256$i=1000,l=20" + salt + tag,
		"pbkdf2 of sha3":        "$pbkdf2-sha3$i=1000,l=32" + salt + tag,
		"too long":              "$argon2id$v=19$m=65536,t=2,p=1$" + strings.Repeat("A", 2000) + "$" + tag,
	} {
		err := secret.CheckHash(hash)
		if !errors.Is(err, secret.ErrHash) {
			t.Errorf("%s: CheckHash = %v", what, err)
			continue
		}
		if strings.Contains(err.Error(), "CTFh") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error quotes the hash: %v", what, err)
		}
		if hash == "" {
			continue // for Verify that is a decoy
		}
		if ok, _, err := h.Verify(t.Context(), argon, hash, "password"); ok || !errors.Is(err, secret.ErrHash) {
			t.Errorf("%s: Verify = %t, %v", what, ok, err)
		}
	}
}

func FuzzCheckHash(f *testing.F) {
	for _, k := range known {
		f.Add(k.hash)
	}
	f.Fuzz(func(t *testing.T, hash string) {
		if err := secret.CheckHash(hash); err != nil && !errors.Is(err, secret.ErrHash) {
			t.Errorf("CheckHash(%q) = %v", hash, err)
		}
	})
}

// FuzzVerify verifies hashes with any small parameters, salts and tags.
func FuzzVerify(f *testing.F) {
	for kind := range uint8(6) {
		f.Add(kind, uint8(16), uint8(1), uint8(1), "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password")
	}
	h := newHasher(f, secret.HasherOptions{})
	f.Fuzz(func(t *testing.T, kind, a, b, c uint8, salt, tag, password string) {
		head := [...]string{
			fmt.Sprintf("argon2id$v=19$m=%d,t=%d,p=%d", a, b%8, c),
			fmt.Sprintf("argon2i$v=19$m=%d,t=%d,p=%d", a, b%8, c),
			fmt.Sprintf("scrypt$ln=%d,r=%d,p=%d", a%12, b, c%4),
			fmt.Sprintf("pbkdf2-sha1$%d", a),
			fmt.Sprintf("pbkdf2-sha256$i=%d", a),
			fmt.Sprintf("pbkdf2-sha512$i=%d,l=%d", a, b),
		}[kind%6]
		hash := "$" + head + "$" + salt + "$" + tag
		_, _, err := h.Verify(t.Context(), argon, hash, password)
		if usable := secret.CheckHash(hash); (err == nil) != (usable == nil) {
			t.Errorf("CheckHash(%q) = %v, but Verify: %v", hash, usable, err)
		}
	})
}

// In these tests a worker is kept busy by OnHash, which runs on it.

func TestFullQueueSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var shed, running, most atomic.Int64
		h := secret.NewHasher(secret.HasherOptions{
			Workers: 2, Queue: 3,
			OnHash: func(string, string, time.Duration, time.Duration) {
				most.Store(max(most.Load(), running.Add(1)))
				<-gate
				running.Add(-1)
			},
			OnShed: func() { shed.Add(1) },
		})
		var done atomic.Int64
		for range 5 { // two at work, three waiting
			go func() {
				if _, err := h.Hash(t.Context(), fast, "p"); err != nil {
					t.Errorf("Hash: %v", err)
				}
				done.Add(1)
			}()
		}
		synctest.Wait()
		for _, full := range []func() error{
			func() error { _, err := h.Hash(t.Context(), fast, "p"); return err },
			func() error { _, _, err := h.Verify(t.Context(), fast, "", "p"); return err },
		} {
			e := tenant.AsError(full())
			if e.Reason != tenant.ErrUnavailable.Reason || e.RetryAfter() < time.Second {
				t.Errorf("with a full queue: %v, retry after %v", e, e.RetryAfter())
			}
		}
		if shed.Load() != 2 {
			t.Errorf("OnShed was called %d times", shed.Load())
		}
		close(gate)
		synctest.Wait()
		if done.Load() != 5 || most.Load() != 2 {
			t.Errorf("%d were done, at most %d at once", done.Load(), most.Load())
		}
		if _, err := h.Hash(t.Context(), fast, "p"); err != nil {
			t.Errorf("after the storm: %v", err)
		}
		h.Close()
		if _, err := h.Hash(t.Context(), fast, "p"); !errors.Is(err, tenant.ErrUnavailable) || shed.Load() != 2 {
			t.Errorf("after Close: %v, shed %d", err, shed.Load())
		}
	})
}

func TestLeavingTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var hashes atomic.Int64
		h := secret.NewHasher(secret.HasherOptions{Workers: 1, Queue: 2, OnHash: func(string, string, time.Duration, time.Duration) {
			hashes.Add(1)
			<-gate
		}})
		hash := func(ctx context.Context) chan error {
			out := make(chan error, 1)
			go func() { _, err := h.Hash(ctx, fast, "p"); out <- err }()
			synctest.Wait()
			return out
		}
		running, leave := context.WithCancel(t.Context())
		atWork := hash(running)
		waiting, hangUp := context.WithCancel(t.Context())
		gone := []chan error{hash(waiting), hash(waiting)}
		hangUp()
		for _, c := range gone {
			if err := <-c; !errors.Is(err, context.Canceled) {
				t.Errorf("who hung up got %v", err)
			}
		}
		stay := hash(t.Context()) // their places are free again
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := <-hash(late); !errors.Is(err, tenant.ErrUnavailable) {
			t.Errorf("past the deadline: %v", err)
		}
		leave()
		if err := <-atWork; !errors.Is(err, context.Canceled) {
			t.Errorf("who left while being hashed got %v", err)
		}
		if err := <-hash(running); !errors.Is(err, context.Canceled) {
			t.Errorf("who had left before got %v", err)
		}
		close(gate)
		if err := <-stay; err != nil {
			t.Errorf("who stayed got %v", err)
		}
		h.Close()
		if hashes.Load() != 2 {
			t.Errorf("%d were hashed, want the first and who stayed", hashes.Load())
		}
	})
}

// Close lets those who wait have their turn.
func TestCloseFinishesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		h := secret.NewHasher(secret.HasherOptions{Workers: 1, Queue: 5, OnHash: func(string, string, time.Duration, time.Duration) { <-gate }})
		var done atomic.Int64
		for range 4 {
			go func() {
				if _, err := h.Hash(t.Context(), fast, "p"); err == nil {
					done.Add(1)
				}
			}()
		}
		synctest.Wait()
		go close(gate)
		h.Close()
		synctest.Wait()
		if done.Load() != 4 {
			t.Errorf("%d of 4 were done", done.Load())
		}
	})
}

func TestAlgorithmsAreAllThatIsSeen(t *testing.T) {
	names := map[string]bool{}
	for _, a := range secret.Algorithms() {
		names[a] = true
	}
	var seen int
	h := newHasher(t, secret.HasherOptions{OnHash: func(algorithm, _ string, _, _ time.Duration) {
		seen++
		if !names[algorithm] {
			t.Errorf("Algorithms lacks %s", algorithm)
		}
	}})
	for _, k := range known {
		if _, _, err := h.Verify(t.Context(), argon, k.hash, "x"); err != nil {
			t.Error(err)
		}
	}
	if seen != len(known) {
		t.Errorf("OnHash was called %d times for %d hashes", seen, len(known))
	}
}

func BenchmarkHash(b *testing.B) {
	h := newHasher(b, secret.HasherOptions{})
	for _, cfg := range []tenant.PasswordHashing{argon, {Algorithm: "bcrypt", BcryptCost: 10}} {
		b.Run(cfg.Algorithm, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Hash(b.Context(), cfg, "password"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
