package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// binary weighs the program.
func (b *bench) binary(context.Context) error {
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	b.show(row{Scenario: "binary", Measure: "size", Unit: "MB"}, atMost(60, 45), one(float64(info.Size())/1e6), nil)
	return nil
}

var decisionLine = regexp.MustCompile(`(?m)^BenchmarkDecision/(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)

// casbin asks package graph's own benchmark what a decision costs, by how many
// tenants there are.
func (b *bench) casbin(ctx context.Context) error {
	if b.smoke {
		return nil // building the package's tests takes longer than the rest
	}
	c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkDecision$", "-benchtime", "100ms", "-count", "7", "./graph")
	c.Dir = b.root
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test -bench: %w: %.300s", err, out)
	}
	took := map[string][]float64{}
	var names []string
	for _, m := range decisionLine.FindAllSubmatch(out, -1) {
		ns, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			return err
		}
		name := string(m[1])
		if took[name] == nil {
			names = append(names, name)
		}
		took[name] = append(took[name], ns/1e3)
	}
	if len(names) == 0 {
		return fmt.Errorf("package graph has no BenchmarkDecision: %.300s", out)
	}
	for _, name := range names {
		b.show(row{Scenario: "casbin decision", Measure: strings.ReplaceAll(name, "_", " "), Unit: "µs"}, atMost(50, 1), figureOf(took[name]), nil)
	}
	return nil
}

// start measures how long the program takes to its first answer, and what it
// weighs when nobody asks for anything.
func (s *suite) start(ctx context.Context) error {
	argon := s.small.sites[argonSlug]
	var took, idle, scrape []float64
	for i := range s.starts {
		err := s.small.with(ctx, func(n *node) error {
			ms, err := n.firstAnswer(ctx, argon)
			took = append(took, ms)
			if err != nil || i >= 3 {
				return err
			}
			time.Sleep(s.rest)
			now, _, err := n.resident()
			if err != nil {
				return err
			}
			idle = append(idle, now)
			text, err := n.scrape(ctx)
			scrape = append(scrape, float64(len(text))/1024)
			return err
		})
		if err != nil {
			return err
		}
	}
	s.show("start to first 200", "ms", atMost(200, 100), figureOf(took), nil)
	s.show("idle memory (RSS)", "MiB", atMost(45, 30), figureOf(idle), nil)
	s.show("scrape", "KiB", shown, figureOf(scrape), nil)
	return nil
}

// firstAnswer makes a first flow and says how long after the start that was
// answered, in milliseconds.
func (n *node) firstAnswer(ctx context.Context, t *site) (float64, error) {
	_, err := n.door.create(ctx, t)
	return float64(time.Since(n.begun).Microseconds()) / 1e3, err
}

// storm lets 64 clients log in at once and looks at what it does to the rate and
// the memory.
func (s *suite) storm(ctx context.Context) error {
	argon := s.small.sites[argonSlug]
	return s.small.with(ctx, func(n *node) error {
		if _, err := n.firstAnswer(ctx, argon); err != nil {
			return err
		}
		time.Sleep(s.rest)
		idle, _, err := n.resident()
		if err != nil {
			return err
		}
		login := func(ctx context.Context) error { return n.door.login(ctx, argon) }
		if err := resetPeak(n.meter.pid); err != nil {
			return err
		}
		few, many := fmt.Sprintf("%d clients", cores), "64 clients"
		r := interleave(ctx, s.rounds, s.hashSlice,
			load(few, n.meter, cores, login),
			arm{many, func(ctx context.Context, d time.Duration) (sample, error) {
				return n.meter.during(func() (sample, error) { return drive(ctx, d, 64, time.Second, login) })
			}})
		f, err := r.figure(func(at func(string) sample) float64 { return at(many).rate() / at(few).rate() }, many, few)
		s.show(fmt.Sprintf("rate of %s / of %s", many, few), "", atLeast(0.9, 0), f, err)
		f, err = r.figure(func(at func(string) sample) float64 { return at(few).rate() }, few)
		s.show("rate of "+few, "/s", shown, f, err)
		f, err = r.figure(func(at func(string) sample) float64 {
			return 100 * float64(at(many).Shed) / float64(at(many).Ops+at(many).Shed)
		}, many)
		s.show("turned away with Retry-After", "%", shown, f, err)
		_, peak, err := n.resident()
		limit := idle + float64(cores)*19 + 32
		s.show("greatest memory (RSS)", "MiB", atMost(limit, 0), one(peak), err)
		return nil
	})
}
