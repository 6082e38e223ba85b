package main

import (
	"fmt"
	"math"
	"strconv"
)

// gate is a limit on a figure. The zero value is none: the figure is only shown.
type gate struct {
	least, most float64 // one of them
	stretch     float64 // what we would like; 0 for nothing
}

func atLeast(v, stretch float64) gate { return gate{least: v, stretch: stretch} }
func atMost(v, stretch float64) gate  { return gate{most: v, stretch: stretch} }

var shown = gate{}

func (g gate) String() string {
	text := ""
	switch {
	case g == shown:
		return ""
	case g.least > 0:
		text = "≥ " + number(g.least)
	default:
		text = "≤ " + number(g.most)
	}
	if g.stretch > 0 {
		text += " (" + number(g.stretch) + ")"
	}
	return text
}

// verdict is what came of a gate.
type verdict string

const (
	pass         verdict = "pass"
	fail         verdict = "FAIL"
	inconclusive verdict = "inconclusive"
	void         verdict = "VOID" // something answered wrongly
	info         verdict = ""     // no gate
)

// spreadLimit is how far least and greatest may lie apart, as a part of the
// median, for the median to be believed.
const spreadLimit = 0.4

// judge holds a figure against the gate. Where the rounds spread too far, it
// still decides when every one of them falls on the same side.
func (g gate) judge(f figure) verdict {
	if g == shown {
		return info
	}
	holds := func(v float64) bool {
		if g.least > 0 {
			return v >= g.least
		}
		return v <= g.most
	}
	wide := f.Max-f.Min > spreadLimit*math.Abs(f.Median)
	if wide && holds(f.Min) != holds(f.Max) {
		return inconclusive
	}
	if holds(f.Median) {
		return pass
	}
	return fail
}

// number writes three significant digits, without an exponent.
func number(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) && a < 1e9:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
