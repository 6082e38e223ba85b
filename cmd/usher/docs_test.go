package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every command that the documentation shows is run, as it stands, in the order
// it stands in: the shell blocks of a page are one script in an empty directory.
// Comments in front of a block say what a reader is told in words:
//
//	<!-- serve -->          it starts a server and goes on while that runs
//	<!-- with the demo -->  the page is read with make run in another terminal
//	<!-- not run: why -->

// demoCommand is what make run does.
const demoCommand = "bin/usher serve --dev --database-url sqlite:var/dev/usher.db"

const preamble = `set -euo pipefail
mkdir -p bin var/dev; ln -s "$PROGRAM" bin/usher; PATH=$PWD/bin:$PATH
curl() { command curl --fail-with-body -sS "$@"; }
make() { [ "$*" = run ] && ` + demoCommand + `; }
ready() {
	for _ in $(seq 600); do
		command curl -fs "http://$USHER_METRICS_LISTEN/healthz/ready" >/dev/null && return
		sleep 0.1
	done
	cat serve.log; exit 1
}
`

var (
	block     = regexp.MustCompile("(?m)^ *```sh\n((?s:.*?))^ *```$")
	directive = regexp.MustCompile(`<!-- (.*?) -->\s*$`)
)

// scriptOf is the script that a page amounts to; "" when it shows no command.
func scriptOf(text string) string {
	var b strings.Builder
	serve := func(command string) { fmt.Fprintf(&b, "{ %s\n} >serve.log 2>&1 &\nready\n", command) }
	if strings.Contains(text, "<!-- with the demo -->") {
		serve("make run")
	}
	end := 0
	for _, at := range block.FindAllStringSubmatchIndex(text, -1) {
		command, before := text[at[2]:at[3]], text[end:at[0]]
		end = at[1]
		says := ""
		if m := directive.FindStringSubmatch(before); m != nil {
			says = m[1]
		}
		switch {
		case says == "serve":
			serve(strings.TrimSpace(command))
		case !strings.HasPrefix(says, "not run: "):
			b.WriteString(command)
		}
	}
	return b.String()
}

// documented are all the pages there are.
func documented(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md", "CONTRIBUTING.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			pages = append(pages, filepath.ToSlash(filepath.Join(filepath.Dir(pattern), filepath.Base(f))))
		}
	}
	return pages
}

func TestDocumentation(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip("SKIPPED:", err)
		}
	}
	makefile := readRoot(t, "Makefile")
	if !strings.Contains(makefile, "\t"+demoCommand+"\n") {
		t.Errorf("make run doesn't run %s", demoCommand)
	}
	for _, page := range documented(t) {
		t.Run(page, func(t *testing.T) {
			text := readRoot(t, page)
			for _, m := range regexp.MustCompile("(?m)(?:`|^ *)make ([a-z-]+)").FindAllStringSubmatch(text, -1) {
				if !strings.Contains(makefile, "\n"+m[1]+":") {
					t.Errorf("there is no make %s", m[1])
				}
			}
			for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(text, -1) {
				if _, err := os.Stat(filepath.Join("..", "..", filepath.Dir(page), m[1])); err != nil {
					t.Errorf("a link leads nowhere: %v", err)
				}
			}
			if script := scriptOf(text); script != "" {
				runScript(t, script)
			}
		})
	}
}

func readRoot(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func runScript(t *testing.T, script string) {
	t.Helper()
	public, metrics := freeAddress(t), freeAddress(t)
	_, port, _ := strings.Cut(public, ":")
	script = strings.NewReplacer("localhost:8080", "localhost:"+port, "127.0.0.1:8080", public, "127.0.0.1:9464", metrics).Replace(script)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", preamble+script)
	c.Dir = t.TempDir()
	c.Env = append(cleanEnviron(), "PROGRAM="+program, "HOME="+c.Dir, "USHER_LISTEN="+public, "USHER_METRICS_LISTEN="+metrics)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the servers in it end with it
	out := &output{}
	c.Stdout, c.Stderr = out, out
	err := c.Start()
	if err == nil {
		err = c.Wait()
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	}
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(c.Dir, "serve.log"))
		t.Errorf("%v\n%s\nthe server's log:\n%s\nthe script:\n%s", err, out, log, script)
	}
	if refused := regexp.MustCompile(`"errors":|"userErrors":\[\{`).FindString(out.String()); refused != "" {
		t.Errorf("GraphQL refused:\n%s", out)
	}
	t.Logf("%s", out)
}

// What serve --dev prints can be pasted as it is.
func TestWhatDevPrintsWorks(t *testing.T) {
	n := serveNode(t, dev(t, "sqlite:"+filepath.Join(t.TempDir(), "usher.db")))
	var commands []string
	for line := range strings.Lines(n.out.String()) {
		if strings.HasPrefix(line, "  curl ") {
			commands = append(commands, strings.TrimSpace(line))
		}
	}
	wants := []string{`"type":"finished"`, `"session_token":"`, `"type":"finished"`, `"slug":"demo"`}
	if len(commands) != len(wants) {
		t.Fatalf("%d commands instead of %d: %q", len(commands), len(wants), commands)
	}
	dir := t.TempDir() // one of them keeps cookies
	for i, want := range wants {
		c := exec.Command("bash", "-c", commands[i])
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s\n%s", err, commands[i], out)
		}
	}
}
