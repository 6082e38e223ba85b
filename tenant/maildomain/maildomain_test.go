package maildomain_test

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant/maildomain"
)

func TestLists(t *testing.T) {
	for domain, want := range map[string][2]bool{ // free, disposable
		"gmail.com": {true, false}, "outlook.com": {true, false}, "yahoo.com": {true, false}, "qq.com": {true, false},
		"gmx.de": {true, false}, "proton.me": {true, false}, "icloud.com": {true, false}, "hotmail.co.uk": {true, false},
		"mailinator.com": {true, true}, "x.mailinator.com": {true, true}, "10minutemail.com": {true, true},
		"example.com": {}, "ibm.com": {}, "gmail.com.example.org": {}, "notgmail.example": {}, "com": {}, "co.uk": {}, "": {}, ".": {},
	} {
		if got := [2]bool{maildomain.Free(domain), maildomain.Disposable(domain)}; got != want {
			t.Errorf("%s: %v, want %v", domain, got, want)
		}
	}
}

// The fingerprints have 16 bits: of a million strangers some 15 are taken for
// listed, and never as many as 40.
func TestStrangersAreRarelyTakenForListed(t *testing.T) {
	var free, disposable int
	for i := range 1_000_000 {
		domain := "company-" + strconv.Itoa(i) + ".example"
		if maildomain.Free(domain) {
			free++
		}
		if maildomain.Disposable(domain) {
			disposable++
		}
	}
	if free > 40 || disposable > 40 {
		t.Errorf("%d and %d of 1,000,000", free, disposable)
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
