package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-id/usher/tenant/secret"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	smoke := flag.Bool("smoke", false, "run everything once and shortly; fail on errors, not on timing")
	only := flag.String("only", "", "run only the scenarios whose name matches this regular expression")
	databases := flag.String("databases", "sqlite,postgres", "which databases; PostgreSQL needs USHER_TEST_POSTGRES_URL")
	out := flag.String("o", "", "write the results to this JSON file (default bench/results/local-<time>.json; none for -smoke)")
	program := flag.String("program", "", "measure this binary and don't build one")
	peers := flag.String("peers", "", "also measure the servers that this JSON file describes (see peers.go)")
	keep := flag.Bool("keep", false, "keep the working directory, with the servers' logs")
	child := flag.String("yard", "", "run the yardsticks on this database (what the bench starts itself)")
	flag.Parse()
	if *child != "" {
		return yardMain(ctx, *child)
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, *smoke, *program)
	if err != nil {
		return err
	}
	if b.others, err = readPeers(*peers); err != nil {
		return err
	}
	if *keep {
		fmt.Fprintln(os.Stderr, "working in", b.dir)
	} else {
		defer func() { _ = os.RemoveAll(b.dir) }() // best effort
	}
	if err := b.everything(ctx, *databases, pattern); err != nil {
		return err
	}
	if *out == "" && !*smoke {
		*out = filepath.Join(b.root, "bench", "results", "local-"+b.report.Begun.Format("20060102-150405")+".json")
	}
	return b.finish(*out)
}

// bench is one run of everything.
type bench struct {
	plan
	report    *report
	root      string // of the repository
	dir       string // to work in, removed at the end
	program   string
	masterKey string            // base64
	apiKey    string            // an operator's
	hashes    map[string]string // everybody's password, by algorithm
	others    []peer
}

// plan is how much is done.
type plan struct {
	smoke     bool
	rounds    int
	slice     time.Duration // of what takes microseconds
	hashSlice time.Duration // of what hashes a password
	rest      time.Duration // until a server is idle
	starts    int           // how often the program is started
	tenants   []int         // how many tenants are spoken to, in turns
	users     []int         // how many users tenants have
	changes   int           // how often the configuration is changed
}

var (
	fullPlan = plan{
		rounds: 7, slice: 1500 * time.Millisecond, hashSlice: 3 * time.Second, rest: 5 * time.Second, starts: 9,
		tenants: []int{1, 100, 10_000}, users: []int{1_000, 100_000, 1_000_000}, changes: 100,
	}
	smokePlan = plan{
		smoke: true, rounds: 1, slice: 150 * time.Millisecond, hashSlice: 250 * time.Millisecond, rest: 100 * time.Millisecond, starts: 1,
		tenants: []int{1, 20, 200}, users: []int{100, 5_000}, changes: 5,
	}
)

func newBench(ctx context.Context, smoke bool, program string) (*bench, error) {
	b := &bench{plan: fullPlan, report: &report{Mode: "full", Begun: time.Now().UTC().Truncate(time.Second), out: os.Stdout}}
	if smoke {
		b.plan, b.report.Mode = smokePlan, "smoke"
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	b.root = filepath.Dir(strings.TrimSpace(string(out)))
	if program == "" {
		if err := build(ctx, b.root); err != nil {
			return nil, err
		}
		program = filepath.Join(b.root, "bin", "usher")
	}
	if b.program, err = filepath.Abs(program); err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, b.program, "version").Output() //nolint:gosec // what was built
	if err != nil {
		return nil, fmt.Errorf("%s version: %w", b.program, err)
	}
	b.report.Machine = thisMachine(strings.TrimSpace(strings.TrimPrefix(string(version), "usher")))
	if b.dir, err = os.MkdirTemp("", "usher-bench-"); err != nil {
		return nil, err
	}
	b.masterKey = base64.StdEncoding.EncodeToString(secret.NewMasterKey())
	b.apiKey = secret.NewToken("bench-bootstrap-")
	b.hashes, err = passwordHashes(ctx)
	return b, err
}

// passwordHashes hashes everybody's password once with each algorithm.
func passwordHashes(ctx context.Context) (map[string]string, error) {
	h := secret.NewHasher(secret.HasherOptions{Workers: runtime.NumCPU()})
	defer h.Close()
	out := map[string]string{}
	cfg := unlimited().Authenticators.Password
	for _, cfg.Algorithm = range []string{"argon2id", "bcrypt"} {
		hash, err := h.Hash(ctx, cfg, password)
		if err != nil {
			return nil, err
		}
		out[cfg.Algorithm] = hash
	}
	cfg.BcryptCost = cheapCost
	var err error
	out[cheap], err = h.Hash(ctx, cfg, password)
	return out, err
}

// cheap names the hash of a cheap site in bench.hashes.
const cheap = "cheap"

// everything runs the scenarios on each database.
func (b *bench) everything(ctx context.Context, databases string, only *regexp.Regexp) error {
	var engines []engine
	for name := range strings.SplitSeq(databases, ",") {
		server := os.Getenv("USHER_TEST_POSTGRES_URL")
		switch {
		case name == "sqlite":
			engines = append(engines, engine{name: "SQLite"})
		case name == "postgres" && server != "":
			engines = append(engines, engine{name: "PostgreSQL", server: server})
		case name == "postgres" && os.Getenv("CI") == "true":
			return errors.New("USHER_TEST_POSTGRES_URL is not set, and a build must not leave PostgreSQL out")
		case name == "postgres":
			fmt.Fprintln(os.Stderr, "bench: without USHER_TEST_POSTGRES_URL PostgreSQL is left out")
		default:
			return fmt.Errorf("there is no database %q", name)
		}
	}
	for _, e := range engines {
		if e.server != "" {
			var err error
			if b.report.Machine.PostgreSQL, err = aboutPostgres(ctx, e.server); err != nil {
				return err
			}
		}
	}
	b.report.head()
	for _, s := range alone {
		if only.MatchString(s.name) {
			b.attempt(ctx, row{Scenario: s.name}, func() error { return s.run(b, ctx) })
		}
	}
	for _, e := range engines {
		if err := b.suite(ctx, e, only); err != nil {
			return err
		}
	}
	b.report.Seconds = int(time.Since(b.report.Begun).Seconds())
	return ctx.Err()
}

func aboutPostgres(ctx context.Context, server string) (string, error) {
	c, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	var version, fsync string
	err = c.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('fsync')").Scan(&version, &fsync)
	return strings.Fields(version)[0] + " with fsync " + fsync, err
}

// attempt runs a scenario; what it fails with voids it.
func (b *bench) attempt(ctx context.Context, about row, run func() error) {
	begun := time.Now()
	defer func() {
		fmt.Fprintf(os.Stderr, "bench: %s %s: %.1f s\n", about.Scenario, about.Database, time.Since(begun).Seconds())
	}()
	if err := run(); err != nil && ctx.Err() == nil {
		about.Measure, about.Verdict, about.Why = "the whole scenario", void, err.Error()
		b.report.add(about)
	}
}

// finish sums up. What was void fails the run; a gate that was missed doesn't:
// that is for people to look at.
func (b *bench) finish(file string) error {
	n := b.report.sum()
	if b.smoke {
		fmt.Printf("\n%d figures, %d void, in %d s\n", len(b.report.Rows), n[void], b.report.Seconds)
	} else {
		fmt.Printf("\n%d passed, %d failed, %d inconclusive, %d void, in %d s\n", n[pass], n[fail], n[inconclusive], n[void], b.report.Seconds)
	}
	if file != "" {
		if err := b.report.write(file); err != nil {
			return err
		}
		fmt.Println("written to", file)
	}
	if n[void] > 0 {
		return fmt.Errorf("%d figures are void", n[void])
	}
	return nil
}
