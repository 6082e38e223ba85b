package main

import (
	"errors"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name string
		gate gate
		is   figure
		want verdict
	}{
		{"over a lower limit", atLeast(0.5, 0.7), figure{0.55, 0.5, 0.6}, pass},
		{"under a lower limit", atLeast(0.5, 0.7), figure{0.45, 0.4, 0.48}, fail},
		{"under an upper limit", atMost(2, 0), figure{1.9, 1.8, 2.2}, pass},
		{"over an upper limit", atMost(2, 0), figure{2.1, 1.9, 2.2}, fail},
		{"spread on both sides", atMost(2, 0), figure{1.9, 1.5, 2.4}, inconclusive},
		{"spread on the good side", atMost(2, 0), figure{1, 0.5, 1.9}, pass},
		{"spread on the bad side", atMost(2, 0), figure{4, 3, 6}, fail},
		{"a difference below zero", atMost(0.8, 0), figure{-0.1, -0.6, 0.3}, pass},
		{"measured once", atMost(60, 45), one(61), fail},
		{"no gate", shown, figure{1, 0, 9}, info},
	} {
		if got := test.gate.judge(test.is); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestFigure(t *testing.T) {
	s := &series{void: map[string]error{"broken": errors.New("it answered 500")}, slices: map[string][]sample{
		"a": {{Ops: 10, CPU: 100 * time.Microsecond}, {Ops: 10, CPU: 300 * time.Microsecond}, {Ops: 10, CPU: 200 * time.Microsecond}},
		"b": {{Ops: 1, CPU: 5 * time.Microsecond}, {Ops: 1, CPU: 10 * time.Microsecond}, {Ops: 1, CPU: 20 * time.Microsecond}},
	}}
	ratio := func(at func(string) sample) float64 { return at("a").cpu() / at("b").cpu() }
	got, err := s.figure(ratio, "a", "b")
	if want := (figure{Median: 2, Min: 1, Max: 3}); err != nil || got != want {
		t.Errorf("got %v, %v, want the median of the ratios of each round, %v", got, err, want)
	}
	if _, err := s.figure(ratio, "a", "broken"); err == nil {
		t.Error("an arm that failed gave a figure")
	}
}

func TestQuantile(t *testing.T) {
	took := make([]time.Duration, 100)
	for i := range took {
		took[i] = time.Duration(i+1) * time.Millisecond
	}
	for q, want := range map[float64]float64{0.5: 50, 0.99: 99, 1: 100, 0: 1} {
		if got := quantile(took, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestBackends(t *testing.T) {
	b := &backends{name: "usher_bench"}
	for title, want := range map[string]bool{
		"postgres: usher usher_bench 127.0.0.1(5000) idle":   true,
		"postgres: usher another 127.0.0.1(5000) idle":       false,
		"postgres: walwriter":                                true,
		"postgres: autovacuum worker usher_bench":            true,
		"postgres: autovacuum launcher":                      false,
		"/usr/lib/postgresql/15/bin/postgres -D usher_bench": false,
		"": false,
	} {
		if got := b.ours(title); got != want {
			t.Errorf("%q: %v, want %v", title, got, want)
		}
	}
}

// E is about 1 KiB, as it says.
func TestEchoDocument(t *testing.T) {
	if n := len(echoDocument()); n != 1024 {
		t.Errorf("the document has %d bytes", n)
	}
}
