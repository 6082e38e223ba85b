package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a file system of its own, in memory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("SKIPPED: no file system can be mounted (root and CAP_SYS_ADMIN are needed): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves a file system without room, until the file is removed.
func fill(t *testing.T, dir string) (file string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return f.Name()
}

// When SQLite's disk is full, nobody is sent here until there is room again.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t)
	n := serveNode(t, dev(t, "sqlite:"+filepath.Join(dir, "usher.db")))
	health := func(listener, probe string) *reply {
		r, err := call("GET", "http://"+listener+"/healthz/"+probe, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	session := at(must(t, 200)(signup(n, "ada")).JSON, "result.action.data.session_token").(string)
	for round := range 2 {
		filler := fill(t, dir)
		eventually(t, promised, "not ready", func() bool {
			_, _ = login(n, "ada") // what meets the full disk
			return health(n.Listen, "ready").Status == 503
		})
		if r := must(t, 503)(login(n, "ada")); r.Header.Get("Retry-After") == "" || at(r.JSON, "error.reason") != "ServiceUnavailable" {
			t.Errorf("login: %v %s", r.Header, r.Body)
		}
		for end := time.Now().Add(4 * pingBelief); time.Now().Before(end); time.Sleep(pingBelief / 4) {
			if r := health(n.Metrics, "ready"); r.Status != 503 || !strings.Contains(string(r.Body), "the database can't be written: database or disk is full") {
				t.Fatalf("the disk is full, and: %d %s", r.Status, r.Body)
			}
		}
		for _, listener := range []string{n.Listen, n.Metrics} {
			if r := health(listener, "live"); r.Status != 200 {
				t.Errorf("live: %d %s", r.Status, r.Body)
			}
		}
		eventually(t, promised, "the metrics say so", func() bool {
			return n.metric(t, `usher_degraded{mode="read_only"}`) == 1 && n.metric(t, `usher_dependency_up{dependency="database"}`) == 0
		})
		must(t, 200)(call("GET", n.demo("/api/v1/session"), map[string]string{"Authorization": "Bearer " + session}, ""))

		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		eventually(t, promised, "ready again", func() bool { return health(n.Listen, "ready").Status == 200 })
		must(t, 200)(login(n, "ada"))
		must(t, 200)(signup(n, strings.Repeat("x", round+1)))
		eventually(t, promised, "the metrics say so", func() bool {
			return n.metric(t, `usher_degraded{mode="read_only"}`) == 0 && n.metric(t, `usher_dependency_up{dependency="database"}`) == 1
		})
	}
}
