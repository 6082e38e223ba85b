package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/FastFilter/xorfilter"

	"github.com/usher-id/usher/tenant/internal/npmfile"
	"github.com/usher-id/usher/tenant/maildomain"
)

const disposableSum = "f221b2fd3d3b2429141f7f5856a59cfea2745f165c420ab4a48bb5697edaea00"

var (
	free = []npmfile.File{
		{Package: "free-email-domains@1.12.6", Sum: "700447871e728dca29f2bfaa86cc173602ec181771ce5b4c9e6b56a2671ba32f", Path: "package/domains.json"},
	}
	disposable = []npmfile.File{
		{Package: "disposable-email-domains@1.0.62", Sum: disposableSum, Path: "package/index.json"},
		{Package: "disposable-email-domains@1.0.62", Sum: disposableSum, Path: "package/wildcard.json"},
	}
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: build FREE DISPOSABLE")
		os.Exit(2)
	}
	for i, files := range [][]npmfile.File{free, disposable} {
		if err := build(os.Args[i+1], files); err != nil {
			fmt.Fprintln(os.Stderr, "build:", err)
			os.Exit(1)
		}
	}
}

func build(out string, files []npmfile.File) error {
	var keys []uint64
	for _, f := range files {
		text, err := f.Read()
		if err != nil {
			return err
		}
		var domains []string
		if err := json.Unmarshal(text, &domains); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		for _, d := range domains {
			keys = append(keys, maildomain.Key(d))
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	filter, err := xorfilter.NewBinaryFuse[uint16](keys)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := filter.Save(&b); err != nil {
		return err
	}
	fmt.Printf("%s: %d domains in %d bytes\n", out, len(keys), b.Len())
	return os.WriteFile(out, b.Bytes(), 0o644) //nolint:gosec // a source file
}
