package authgear

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// maxRounds bounds how often something is taken out: each round takes out all
// that is found, and only what another thing hid is found later.
const maxRounds = 40

// fit makes a configuration of the document. What is refused in it is taken out
// and listed, until nothing more is, or what is refused can't be taken out.
func (t *translation) fit(check Check) (*tenant.Config, []tenant.Problem) {
	for range maxRounds {
		text, err := json.Marshal(t.out.plain())
		if err != nil {
			return nil, []tenant.Problem{{Reason: document.Syntax, Message: err.Error()}}
		}
		cfg, problems := document.Decode(text)
		if last := len(problems) - 1; last > 0 && problems[last].Pointer == "" {
			problems = problems[:last] // that there are more
		}
		if len(problems) == 0 {
			problems = check(cfg)
		}
		if len(problems) == 0 {
			return cfg, nil
		}
		findings := make([]finding, len(problems)) // before anything moves
		for i, p := range problems {
			findings[i] = t.finding(p)
		}
		if kept := t.takeOutAll(findings); len(kept) == len(problems) {
			return nil, kept
		}
	}
	return nil, []tenant.Problem{{Reason: document.TooLarge, Message: "there is too much here that can't be translated"}}
}

// finding is a problem of the document and what it is about.
type finding struct {
	tenant.Problem
	node  *node // at the pointer, or the nearest around it
	exact bool  // it is at the pointer
	flow  *node // that it is in; nil for none
}

func (t *translation) finding(p tenant.Problem) finding {
	f := finding{Problem: p}
	at := p.Pointer
	for f.node = t.out.find(at); f.node == nil; f.node = t.out.find(at) {
		at = at[:strings.LastIndexByte(at, '/')]
	}
	f.exact = at == p.Pointer
	if flows := t.out.fields["flows"]; flows != nil {
		for n := f.node; n.up != nil; n = n.up {
			if n.up.list && n.up.up == flows {
				f.flow = n
			}
		}
	}
	return f
}

// takeOutAll removes what the problems are about, and answers with those that
// can't be helped so. A flow that lost a part is looked at anew before it is
// judged as a whole.
func (t *translation) takeOutAll(findings []finding) []tenant.Problem {
	var kept []tenant.Problem
	smaller := map[*node]bool{}
	for _, f := range findings {
		if f.flow == nil {
			if !f.node.gone() && !t.takeOut(f) {
				f.Pointer = f.node.source()
				kept = append(kept, f.Problem)
			}
		} else if part := f.partOfFlow(); part != nil {
			if smaller[f.flow] = true; !part.gone() {
				t.list(f.Problem, part)
				part.remove()
			}
		}
	}
	for _, f := range findings {
		if f.flow == nil || smaller[f.flow] || f.flow.gone() {
			continue
		}
		words := f.Message + "; this flow is left out"
		if inside := strings.TrimPrefix(f.node.source(), f.flow.from); inside != "" {
			words = inside + ": " + words
		}
		if name := f.flow.fields["name"]; name != nil && name.scalar == tenant.DefaultFlow {
			words += ", and what follows from the settings takes its place"
		}
		t.note(f.flow.from, f.Reason, "%s", words)
		f.flow.remove()
	}
	return kept
}

// takeOut removes what a problem outside of flows is about and lists it. It
// answers false for what can't be removed.
func (t *translation) takeOut(f finding) bool {
	if f.Reason == document.OutOfRange && f.exact && t.clamp(f) {
		return true
	}
	n := f.node
	if f.Reason == document.Required { // of an entry of a list
		for n.up != nil && !n.up.list {
			n = n.up
		}
	} else if !f.exact || !n.isScalar() && !slices.Contains(ofWholes, f.Reason) {
		return false
	}
	if n.up == nil {
		return false
	}
	t.list(f.Problem, n)
	n.remove()
	return true
}

// ofWholes are the reasons for which a whole object or list is taken out; others
// are about how its parts go together.
var ofWholes = []string{document.UnknownKey, document.WrongType, document.WrongLength, document.NotAllowed, document.Duplicate}

// list notes what is taken out, under where it comes from.
func (t *translation) list(p tenant.Problem, n *node) {
	if n.source() == "" { // of the defaults of the format, or a section that isn't there
		for _, child := range n.fields {
			t.list(p, child)
		}
		return
	}
	at := n.source()
	switch {
	case p.Reason == document.UnknownKey:
		p.Reason, p.Message = NotSupported, cmp.Or(unsupported(at), "there is no such setting here")
	case p.Reason == document.Required && t.noted(at+"/"):
		p.Reason, p.Message = LeftOut, "left out, because a part of it can't be translated"
	}
	if !slices.ContainsFunc(t.notes, func(known tenant.Problem) bool { return known.Pointer == at && known.Reason == p.Reason }) {
		t.note(at, p.Reason, "%s", p.Message)
	}
}

// noted says whether something is listed whose pointer begins so.
func (t *translation) noted(prefix string) bool {
	return slices.ContainsFunc(t.notes, func(n tenant.Problem) bool { return strings.HasPrefix(n.Pointer, prefix) })
}

// clamp brings a number into the range that the schema allows.
func (t *translation) clamp(f finding) bool {
	limit, ok := document.Nearest(f.Pointer, f.node.scalar)
	if !ok {
		return false
	}
	if at := f.node.source(); at != "" {
		t.note(at, document.OutOfRange, "%s; %s is taken", f.Message, limit)
	}
	f.node.scalar = limit
	return true
}

// leaveOut are the steps of the format that a flow is sound without.
var leaveOut = []string{"prompt_create_passkey", "terminate_other_sessions"}

// partOfFlow is the key, way or step that can't be had, where what is left of
// the flow asks for no less; nil where the flow as a whole can't be had.
func (f *finding) partOfFlow() *node {
	part := f.flow
	for _, rules := range []string{"login_id", "oauth"} {
		if rule := f.entry(rules); rule != f.flow { // of account_linking: without it the rule of the project holds
			return rule
		}
	}
	switch f.Reason {
	case document.UnknownKey, "NotHere", "NotOptional", "NoProvider":
		part = f.node
	case "UnknownMethod", "DuplicateBranch", "UnknownFlow", "CannotContinue":
		part = f.entry("one_of")
	case "UnknownStepType":
		kind, _ := f.node.scalar.(string)
		if step := f.entry("steps"); slices.Contains(leaveOut, kind) || f.signedIn(step) {
			part = step
		}
	}
	if part == f.flow {
		return nil
	}
	return part
}

// signedIn says whether a step asks for no more than who is signed in, which a
// reauth flow knows.
func (f *finding) signedIn(step *node) bool {
	kind, ways := step.fields["type"], step.fields["one_of"]
	if f.flow.up != f.flow.up.up.fields["reauth_flows"] || kind == nil || kind.scalar != "identify" || ways == nil {
		return false
	}
	return !slices.ContainsFunc(ways.items, func(way *node) bool {
		id := way.fields["identification"]
		return id == nil || id.scalar != "id_token" || way.fields["steps"] != nil
	})
}

// entry is the nearest entry of a list of that name around a place of a flow;
// the flow when there is none.
func (f *finding) entry(of string) *node {
	n := f.node
	for n != f.flow && !(n.up.list && n.up == n.up.up.fields[of]) {
		n = n.up
	}
	return n
}
