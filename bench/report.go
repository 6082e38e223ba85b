package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// row is one figure of the report.
type row struct {
	Scenario string  `json:"scenario"`
	Database string  `json:"database,omitempty"` // "" where none is involved
	Measure  string  `json:"measure"`
	Unit     string  `json:"unit,omitempty"` // "" for a ratio
	Figure   *figure `json:"figure,omitempty"`
	Gate     string  `json:"gate,omitempty"` // the stretch goal in parentheses
	Verdict  verdict `json:"verdict,omitempty"`
	Why      string  `json:"why,omitempty"` // of what is void or was left out
}

// report is one run.
type report struct {
	Mode    string    `json:"mode"` // full or smoke
	Begun   time.Time `json:"begun"`
	Seconds int       `json:"seconds"`
	Machine machine   `json:"machine"`
	Rows    []row     `json:"rows"`

	out  io.Writer
	seen string // the scenario that is being printed
}

// machine is what the figures depend on, and nothing that says whose it is.
type machine struct {
	Cores      int    `json:"cores"`
	Processor  string `json:"processor"`
	OS         string `json:"os"`
	Go         string `json:"go"`
	Version    string `json:"version"`
	PostgreSQL string `json:"postgresql,omitempty"` // version, and whether it waits for the disk
}

func thisMachine(version string) machine {
	return machine{
		Cores: runtime.NumCPU(), Processor: processor(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Version: version,
	}
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, " \t:\n")
		}
	}
	return "unknown"
}

const tableHead = "| scenario | database | measure | median | least .. greatest | gate (stretch) | verdict |\n| --- | --- | --- | ---: | ---: | --- | --- |\n"

func (r *report) head() {
	m := &r.Machine
	_, _ = fmt.Fprintf(r.out, "%d cores, %s, %s, %s, Usher %s, %s run", m.Cores, m.Processor, m.OS, m.Go, m.Version, r.Mode)
	if m.PostgreSQL != "" {
		_, _ = fmt.Fprintf(r.out, ", PostgreSQL %s", m.PostgreSQL)
	}
	_, _ = fmt.Fprint(r.out, "\n\n"+tableHead)
}

// add prints a row at once: a full run takes a while.
func (r *report) add(v row) {
	r.Rows = append(r.Rows, v)
	what := v.Scenario
	if what == r.seen {
		what = ""
	}
	r.seen = v.Scenario
	median, spread := "", ""
	if f := v.Figure; f != nil {
		unit := ""
		if v.Unit != "" {
			unit = " " + v.Unit
		}
		median = number(f.Median) + unit
		if f.Min != f.Max {
			spread = number(f.Min) + " .. " + number(f.Max)
		}
	}
	last := string(v.Verdict)
	if v.Why != "" {
		last += ": " + strings.ReplaceAll(strings.ReplaceAll(v.Why, "\n", " "), "|", "/")
	}
	_, _ = fmt.Fprintf(r.out, "| %s | %s | %s | %s | %s | %s | %s |\n", what, v.Database, v.Measure, median, spread, v.Gate, last)
}

// sum counts the verdicts.
func (r *report) sum() map[verdict]int {
	n := map[verdict]int{}
	for _, v := range r.Rows {
		n[v.Verdict]++
	}
	return n
}

func (r *report) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}
