package breached_test

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant/breached"
)

func TestContains(t *testing.T) {
	for _, listed := range []string{
		"123456", "12345678", "123456789", "1234567890", "password", "Password", "PASSWORD", "password1", "Password1",
		"password123", "Password123", "p@ssw0rd", "P@ssw0rd", "passw0rd", "qwerty", "qwerty123", "qwertyuiop", "1q2w3e4r",
		"1qaz2wsx", "zaq12wsx", "!qaz2wsx", "iloveyou", "abc123", "abcd1234", "letmein", "welcome", "welcome1", "monkey",
		"dragon", "football", "baseball", "superman", "trustno1", "sunshine", "princess", "admin", "changeme", "starwars",
	} {
		if !breached.Contains(listed) {
			t.Errorf("Contains(%q) = false", listed)
		}
	}
	for _, other := range []string{
		"", " ", "correct horse battery staple", "Tr0ub4dor&3x!", "hG7#kkP02_vQ", "ein langes Passwort mit Ümläuten", "\xff\xfe\x00",
	} {
		if breached.Contains(other) {
			t.Errorf("Contains(%q) = true", other)
		}
	}
}

// The fingerprints have 16 bits: of a million strangers some 15 are taken for
// listed, and never as many as 40.
func TestStrangersAreRarelyTakenForListed(t *testing.T) {
	wrong := 0
	for i := range 1_000_000 {
		if breached.Contains("nobody's password " + strconv.Itoa(i)) {
			wrong++
		}
	}
	if wrong > 40 {
		t.Errorf("%d of 1,000,000", wrong)
	}
}

func TestPure(t *testing.T) {
	deps, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, banned := range []string{"net", "net/http", "database/sql", "crypto/rand", "math/rand", "math/rand/v2", "log", "log/slog", "os"} {
		if slices.Contains(strings.Fields(string(deps)), banned) {
			t.Errorf("depends on %s", banned)
		}
	}
}

func BenchmarkContains(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		breached.Contains("correct horse battery staple")
	}
}
