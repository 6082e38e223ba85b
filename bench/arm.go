package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// sample is what one arm did in one slice.
type sample struct {
	Ops  int
	Shed int // turned away with 503 and Retry-After, where that may happen
	Wall time.Duration
	CPU  time.Duration   // of the processes under test, the database's included
	Took []time.Duration // each operation, as the client saw it, sorted; nil for loops
}

// cpu is microseconds of CPU per operation.
func (s sample) cpu() float64 { return float64(s.CPU.Nanoseconds()) / 1e3 / float64(s.Ops) }

// rate is operations per second.
func (s sample) rate() float64 { return float64(s.Ops) / s.Wall.Seconds() }

// quantile is in milliseconds; q is 0.99 for p99.
func (s sample) quantile(q float64) float64 { return quantile(s.Took, q) }

func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	i := min(len(sorted)-1, int(math.Ceil(q*float64(len(sorted))))-1)
	return float64(sorted[max(i, 0)].Nanoseconds()) / 1e6
}

// arm is one side of a comparison: it does its work for about as long as it is
// told.
type arm struct {
	name string
	run  func(ctx context.Context, d time.Duration) (sample, error)
}

// series is what the arms of one comparison did, round by round.
type series struct {
	slices map[string][]sample
	void   map[string]error // arms that failed
}

// interleave runs the arms in turns, forwards and backwards, so that a drift of
// the machine meets all of them. An arm that fails is left out from then on.
func interleave(ctx context.Context, rounds int, slice time.Duration, arms ...arm) *series {
	s := &series{slices: map[string][]sample{}, void: map[string]error{}}
	do := func(a arm, d time.Duration, keep bool) {
		if s.void[a.name] != nil {
			return
		}
		got, err := a.run(ctx, d)
		switch {
		case err != nil:
			s.void[a.name] = fmt.Errorf("%s: %w", a.name, err)
		case got.Ops == 0:
			s.void[a.name] = fmt.Errorf("%s: nothing was done in %s", a.name, d)
		case keep:
			s.slices[a.name] = append(s.slices[a.name], got)
		}
	}
	for _, a := range arms { // caches, connections, the processor's frequency
		do(a, slice/2, false)
	}
	order := slices.Clone(arms)
	for range rounds {
		for _, a := range order {
			do(a, slice, true)
		}
		slices.Reverse(order)
	}
	return s
}

// figure is a number measured several times.
type figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// figureOf takes the median; of an even number, the lower one of the two.
func figureOf(values []float64) figure {
	v := slices.Clone(values)
	slices.SortFunc(v, cmp.Compare[float64])
	return figure{Median: v[(len(v)-1)/2], Min: v[0], Max: v[len(v)-1]}
}

// one is a figure that was measured once.
func one(v float64) figure { return figure{v, v, v} }

// figure computes a number in every round and sums up. It answers the error of
// an arm that it needs.
func (s *series) figure(f func(at func(arm string) sample) float64, arms ...string) (figure, error) {
	rounds := math.MaxInt
	for _, a := range arms {
		if err := s.void[a]; err != nil {
			return figure{}, err
		}
		rounds = min(rounds, len(s.slices[a]))
	}
	if rounds == 0 {
		return figure{}, fmt.Errorf("no round of %v was finished", arms)
	}
	values := make([]float64, rounds)
	for i := range values {
		values[i] = f(func(a string) sample { return s.slices[a][i] })
	}
	return figureOf(values), nil
}
