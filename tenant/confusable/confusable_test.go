package confusable_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant/confusable"
)

func TestSkeleton(t *testing.T) {
	for _, alike := range [][]string{
		{"paypal", "раураl", "pаypal", "paypаl"}, // Cyrillic а, р, у
		{"scope", "ѕсоре", "scορe"},              // Cyrillic, Greek omicron and rho
		{"hello", "hellο", "һello", "hellօ"},     // Greek, Cyrillic, Armenian
		{"josé", "josé", "jоsé"},
		{"w", "ա"},
	} {
		for _, name := range alike[1:] {
			if got, want := confusable.Skeleton(name), confusable.Skeleton(alike[0]); got != want {
				t.Errorf("%q has the skeleton %q, not %q as %q", name, got, want, alike[0])
			}
		}
	}
	for _, plain := range []string{"", "a", "paul1", "paull", "PAULI", "rn", "m", "user.name_1-2", "0O"} {
		if got := confusable.Skeleton(plain); got != plain {
			t.Errorf("%q has the skeleton %q", plain, got)
		}
	}
	for _, pair := range [][2]string{{"jürgen", "jurgen"}, {"москва", "mockba"}, {"李", "王"}, {"şule", "sule"}} {
		if confusable.Skeleton(pair[0]) == confusable.Skeleton(pair[1]) {
			t.Errorf("%q and %q count as alike", pair[0], pair[1])
		}
	}
}

func FuzzSkeleton(f *testing.F) {
	f.Add("раураl")
	f.Add("\xff\u0301")
	f.Fuzz(func(t *testing.T, s string) {
		if once := confusable.Skeleton(s); once != confusable.Skeleton(once) && strings.ToValidUTF8(s, "") == s {
			t.Skip("the standard promises no fixed point") // and must not panic
		}
	})
}

func TestPure(t *testing.T) {
	deps, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, banned := range []string{"net", "net/http", "database/sql", "crypto/rand", "math/rand", "math/rand/v2", "log", "log/slog", "os/exec"} {
		if slices.Contains(strings.Fields(string(deps)), banned) {
			t.Errorf("depends on %s", banned)
		}
	}
}
