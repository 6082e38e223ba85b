package authgear

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// The reasons why a key isn't translated, beside those that a document of our
// own is refused with (tenant/document, flowengine/flow).
const (
	NotSupported = "NotSupported" // there is no such setting here
	UnknownKey   = "UnknownKey"   // the format has no such key
	NoEffect     = "NoEffect"     // it has none there either
	Merged       = "Merged"       // several settings there are one here, and another one was taken
	Approximated = "Approximated" // translated, not exactly
	LeftOut      = "LeftOut"      // what it is a part of can't be had without another part
	Loose        = "Loose"        // translated, and worth tightening
)

// Check finds what can't work in a configuration (flowengine/admin.Check).
type Check func(*tenant.Config) []tenant.Problem

// defaults is what the format means where a project says nothing.
//
//go:embed defaults.yaml
var defaults []byte

// Translate makes a configuration of an authgear.yaml (JSON is YAML). What it
// leaves out is listed, ordered by the pointers, which go into the
// authgear.yaml. With problems, whose pointers do too, there is no
// configuration.
func Translate(doc []byte, check Check) (cfg *tenant.Config, untranslated, problems []tenant.Problem) {
	value, problems := document.Parse(doc)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	if _, ok := value.(map[string]any); !ok {
		return nil, nil, []tenant.Problem{{Reason: document.WrongType, Message: "an authgear.yaml is an object"}}
	}
	own, _ := document.Parse(defaults)
	t := &translation{used: map[string]bool{}, seen: map[string]bool{}, known: map[string]bool{}, out: graft(own, "")}
	root := place{t: t, value: value, given: true}
	t.identities(root)
	t.loginIDs(root)
	t.providers(root)
	t.directories(root)
	t.botProtection(root)
	t.settings(root)
	t.password(root)
	t.verification(root)
	t.sessions(root)
	t.languages(root)
	t.merges(root)
	t.limits(root)
	t.lockout(root)
	t.origins(root)
	t.testMode(root)
	t.flows(root)
	t.asIs(root)
	t.leftovers(root)
	cfg, problems = t.fit(check)
	if n := t.out.find(redirectURIs); n != nil {
		t.note(n.from, Loose, "the format lists no redirect URIs, so any is accepted: list yours in oauth_redirect_uris")
	}
	slices.SortStableFunc(t.notes, func(a, b tenant.Problem) int { return strings.Compare(a.Pointer, b.Pointer) })
	return cfg, t.notes, problems
}

// translation is one document on its way.
type translation struct {
	used  map[string]bool // what has its part in the result or was noted, by pointer
	seen  map[string]bool // what was looked for
	known map[string]bool // objects and lists that were looked into
	out   *node
	notes []tenant.Problem
}

func (t *translation) note(pointer, reason, format string, args ...any) {
	t.notes = append(t.notes, tenant.Problem{Pointer: pointer, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// put sets a value of the USHER document and uses the place that it comes from.
func (t *translation) put(to string, from place, value any) {
	from.use()
	t.out.put(to, graft(value, from.pointer))
}

// leftovers lists what nobody used at a place and below it: each as a whole, as
// far up as the format isn't known to have it.
func (t *translation) leftovers(p place) {
	object, isObject := p.value.(map[string]any)
	list, isList := p.value.([]any)
	switch words := unsupported(p.pointer); {
	case t.used[p.pointer], p.value == nil && t.seen[p.pointer]:
	case t.known[p.pointer] && isObject:
		for _, name := range slices.Sorted(maps.Keys(object)) {
			t.leftovers(place{t, p.pointer + "/" + escape.Replace(name), object[name], true})
		}
	case t.known[p.pointer] && isList:
		for i, v := range list {
			t.leftovers(place{t, p.pointer + "/" + strconv.Itoa(i), v, true})
		}
	case t.known[p.pointer], t.seen[p.pointer] && words == "":
		t.note(p.pointer, document.WrongType, "a value of this type can't stand here")
	case words != "":
		t.note(p.pointer, NotSupported, "%s", words)
	default:
		t.note(p.pointer, UnknownKey, "the format has no such key")
	}
}
