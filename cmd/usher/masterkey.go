package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/usher-id/usher/tenant/secret"
)

type masterKeyCmd struct {
	File string `arg:"" help:"Where to write it; a file that exists is never replaced."`
}

func (*masterKeyCmd) Help() string {
	return `The master key wraps one key per tenant. Who loses it loses what is sealed with
those, such as clients' secrets: keep a copy of it, apart from the database's.

    usher master-key /etc/usher/master.key

To rotate it, put a new key on the first line of the file and leave the older
ones below: what they wrapped still opens.`
}

func (c *masterKeyCmd) Run(_ context.Context, e *env) error {
	if err := secret.CreateMasterFile(c.File); err != nil {
		return err
	}
	_, err := fmt.Fprintf(e.Stdout, "%s\n", c.File)
	return err
}

// openMaster opens the master key. With --dev a missing file is made.
func openMaster(e *env) (*secret.Master, error) {
	s := &e.Settings
	file := s.MasterKeyFile
	if file == "" && s.MasterKey == "" && s.Dev {
		file = devKeyFile(s.DatabaseURL)
	}
	if file == "" {
		return secret.LoadMaster("", s.MasterKey)
	}
	master, err := loadMasterFile(file, s.MasterKey)
	if s.Dev && errors.Is(err, fs.ErrNotExist) {
		if err := createDevKey(file); err != nil {
			return nil, err
		}
		e.Log.Info("master key made", "file", file)
		return loadMasterFile(file, s.MasterKey)
	}
	return master, err
}

func loadMasterFile(file, text string) (*secret.Master, error) {
	info, err := os.Stat(file)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("everybody on this machine can read the master key: chmod 600 %s", file)
	}
	return secret.LoadMaster(file, text)
}

// devKeyFile is where --dev keeps the key: beside a SQLite database, else where
// every node that this user runs finds it.
func devKeyFile(databaseURL string) string {
	if db, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		db, _, _ = strings.Cut(db, "?")
		return db + ".master-key"
	}
	home, _ := os.UserHomeDir()
	state := cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state"))
	return filepath.Join(state, "usher", "dev.master-key")
}

// createDevKey makes the file, or leaves the one that another process has made
// meanwhile. The file appears with its whole content.
func createDevKey(file string) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	tmp, err := os.MkdirTemp(dir, ".master-key-")
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // what is left has no use and does no harm
	whole := filepath.Join(tmp, "key")
	if err := secret.CreateMasterFile(whole); err != nil {
		return err
	}
	if err := os.Link(whole, file); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("master key: %w", err)
	}
	return nil
}
