package testenv

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clients are the published clients of other systems that our doors are tested
// with: the versions, and what npm must have got.
//
//go:embed clients/package.json clients/package-lock.json clients/.npmrc clients/localhost.cjs
var clients embed.FS

// nodePatience is how long a script may take.
const nodePatience = 5 * time.Minute

// Node runs a CommonJS script with the published clients of clients/package.json
// at hand, unmodified, and gives what it prints; a script that fails fails the
// test. Hosts below localhost are this machine. env adds to the environment,
// as NAME=value.
func Node(t testing.TB, script string, env ...string) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		lacking(t, "node is not installed")
	}
	dir := installed(t)
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), node, "--require", filepath.Join(dir, "localhost.cjs"), path) //nolint:gosec // a script of ours
	c.Env = append(append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules")), env...)
	c.WaitDelay = nodePatience
	var out, failed strings.Builder
	c.Stdout, c.Stderr = &out, &failed
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", script, err, out.String(), failed.String())
	}
	return out.String()
}

// installed installs the clients once on a machine and gives the directory.
func installed(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "localhost.cjs"} {
		text, err := clients.ReadFile("clients/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
		_, _ = sum.Write(text)
	}
	base := filepath.Join(cache, "usher-test-clients")
	dir := filepath.Join(base, hex.EncodeToString(sum.Sum(nil))[:16])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer alone(t, filepath.Join(base, "lock"))()
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund") // it checks the lock's integrity
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		lacking(t, "npm ci: "+err.Error()+"\n"+string(out))
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// alone keeps others from installing at the same time. What is installed is only
// read afterwards.
func alone(t testing.TB, file string) (done func()) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // in the user's cache
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { _ = f.Close() }
}
