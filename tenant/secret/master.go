package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const masterKeySize = 32 // bytes

// ErrNoMaster says that no master key is set up.
var ErrNoMaster = errors.New("secret: no master key: set USHER_MASTER_KEY_FILE (or USHER_MASTER_KEY)")

// NewMasterKey makes a master key: 32 random bytes.
func NewMasterKey() []byte {
	key := make([]byte, masterKeySize)
	_, _ = rand.Read(key) // never fails
	return key
}

// LoadMaster opens the master key that is kept in a file or given as text:
// standard base64 of 32 bytes. Further lines hold older keys, which only
// unwrap. It answers [ErrNoMaster] when both are empty, and an error that wraps
// fs.ErrNotExist when the file isn't there.
func LoadMaster(file, text string) (*Master, error) {
	switch {
	case file != "" && text != "":
		return nil, errors.New("secret: both a master key file and a master key are given; set only one")
	case file != "":
		b, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return nil, fmt.Errorf("secret: master key: %w", err)
		}
		text = string(b)
	case text == "":
		return nil, ErrNoMaster
	}
	var keys [][]byte
	for line := range strings.FieldsSeq(text) {
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, errors.New("secret: the master key is not base64") // the cause could quote it
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("secret: the master key is empty")
	}
	return OpenMaster(keys[0], keys[1:]...)
}

// CreateMasterFile writes a new master key to a file that only its owner may
// read. It never replaces a file: the error then wraps fs.ErrExist.
func CreateMasterFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return fmt.Errorf("secret: master key: %w", err)
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(NewMasterKey()) + "\n")
	// Losing the key loses what it sealed, so it is on disk before anything is.
	err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
	if err != nil {
		return fmt.Errorf("secret: master key: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
