package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// meter reads the CPU that a process and, for PostgreSQL, the backends that
// serve its database have used.
type meter struct {
	pid      int       // 0 for none
	database *backends // nil for SQLite, which works inside the process
	others   []int     // more processes, of a peer
}

// reading is CPU used since the start, by process.
type reading map[int]time.Duration

func (m meter) read() (reading, error) {
	pids := append([]int{m.pid}, m.others...)
	if m.pid == 0 {
		pids = m.others
	}
	if m.database != nil {
		pids = append(pids, m.database.pids()...)
	}
	r := reading{}
	for _, pid := range pids {
		used, err := cpuOf(pid)
		if err != nil && pid == m.pid {
			return nil, fmt.Errorf("CPU of process %d: %w", pid, err)
		}
		if err == nil { // a backend may have gone meanwhile
			r[pid] = used
		}
	}
	return r, nil
}

// during measures what the processes use while work runs.
func (m meter) during(work func() (sample, error)) (sample, error) {
	before, err := m.read()
	if err != nil {
		return sample{}, err
	}
	s, err := work()
	if err != nil {
		return s, err
	}
	after, err := m.read()
	if err != nil {
		return s, err
	}
	for pid, used := range after {
		s.CPU += used - before[pid]
	}
	return s, nil
}

// cpuOf reads the CPU clock of a process, which counts nanoseconds where
// /proc/PID/stat counts ticks of 10 ms (clock_getcpuclockid(3)).
func cpuOf(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED: all threads, user and system
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|sched, &ts); err != nil { //nolint:gosec // a pid has 22 bits at most
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// backends are the processes of a PostgreSQL server that work for one database,
// and those that write for all of them.
type backends struct {
	postmaster int
	name       string // of the database
}

// findBackends looks for PostgreSQL's processes on this machine.
func findBackends(ctx context.Context, c *pgx.Conn) (*backends, error) {
	var pid int
	b := &backends{}
	if err := c.QueryRow(ctx, "SELECT pg_backend_pid(), current_database()").Scan(&pid, &b.name); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(title(pid), "postgres: ") {
		return nil, fmt.Errorf("PostgreSQL runs elsewhere: its CPU can't be seen from here")
	}
	parent, err := parentOf(pid)
	b.postmaster = parent
	return b, err
}

func (b *backends) pids() []int {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var out []int
	for _, e := range entries {
		pid, err := strconv.Atoi(filepath.Base(e))
		if err != nil {
			continue
		}
		if parent, err := parentOf(pid); err == nil && parent == b.postmaster && b.ours(title(pid)) {
			out = append(out, pid)
		}
	}
	return out
}

// ours reads a title such as "postgres: usher usher_bench 127.0.0.1(5000) idle".
func (b *backends) ours(title string) bool {
	words := strings.Fields(title)
	if len(words) < 2 || words[0] != "postgres:" {
		return false
	}
	return words[1] == "walwriter" || words[1] == "checkpointer" || words[1] == "background" || slices.Contains(words, b.name)
}

func title(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.Trim(strings.ReplaceAll(string(b), "\x00", " "), " ")
}

func parentOf(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// pid (name) state ppid ...; the name may hold anything.
	_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/stat is cut", pid)
	}
	return strconv.Atoi(fields[1])
}

// residentOf reads how much memory a process has, and the most it ever had, in MiB.
func residentOf(pid int) (now, peak float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "VmRSS:":
			now, err = strconv.ParseFloat(f[1], 64)
		case "VmHWM:":
			peak, err = strconv.ParseFloat(f[1], 64)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return now / 1024, peak / 1024, nil
}

// resetPeak makes the kernel forget the most a process had (proc(5), clear_refs).
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
