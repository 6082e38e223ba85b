package flowinstances

import (
	"fmt"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// diagram draws a flow in Mermaid's language: its steps from top to bottom, and
// the branches of a step side by side.
func diagram(_ *call, i *instance) (any, error) {
	d := &drawing{}
	d.line("graph TD")
	d.line(`start(["%s"])`, quoted(i.slug))
	last := d.steps(i.steps, "s", []edge{{from: "start"}})
	d.line(`done(["end"])`)
	d.join(last, "done")
	return object{"diagram": strings.TrimSuffix(d.String(), "\n")}, nil
}

type drawing struct{ strings.Builder }

// edge is where an arrow begins, and what stands at it.
type edge struct{ from, words string }

func (d *drawing) line(format string, args ...any) { _, _ = fmt.Fprintf(d, format+"\n", args...) }

func (d *drawing) join(from []edge, to string) {
	for _, e := range from {
		if e.words == "" {
			d.line("%s --> %s", e.from, to)
		} else {
			d.line(`%s -->|"%s"| %s`, e.from, quoted(e.words), to)
		}
	}
}

// steps draws a list of steps and gives where it ends.
func (d *drawing) steps(steps []tenant.Step, at string, from []edge) []edge {
	for n := range steps {
		s, id := &steps[n], fmt.Sprintf("%s_%d", at, n)
		words := strings.ReplaceAll(s.Type, "_", " ")
		if s.Optional {
			words += " (if there is any)"
		}
		d.line(`%s["%s"]`, id, quoted(words))
		d.join(from, id)
		from = []edge{{from: id}}
		if len(s.OneOf) == 0 {
			continue
		}
		var ends []edge
		for m := range s.OneOf {
			b := &s.OneOf[m]
			ends = append(ends, d.steps(b.Steps, fmt.Sprintf("%s_%d", id, m), []edge{{id, b.Method()}})...)
		}
		from = ends
	}
	return from
}

// quoted is a text that stands between quotation marks.
func quoted(text string) string { return strings.ReplaceAll(text, `"`, "#quot;") }
