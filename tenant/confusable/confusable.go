package confusable

import (
	_ "embed"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"
)

//go:generate go run ./internal/build table.txt

// Each line is a prototype, a tab, and the characters that look like it.
//
//go:embed table.txt
var file string

var table = sync.OnceValue(func() map[rune]string {
	m := map[rune]string{}
	for line := range strings.Lines(file) {
		prototype, alike, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		for _, r := range alike {
			m[r] = prototype
		}
	}
	return m
})

// Skeleton is what all names that look like this one have in common, in NFC. Of
// most names that is the name itself.
func Skeleton(name string) string {
	if ascii(name) {
		return name
	}
	var b strings.Builder
	for _, r := range norm.NFD.String(name) {
		if prototype, ok := table()[r]; ok {
			b.WriteString(prototype)
		} else {
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String())
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
