package authgear

import (
	"strconv"
	"strings"

	"github.com/usher-id/usher/tenant/document"
)

// place is a place in the authgear.yaml, whether something stands there or not.
// Looking at a place makes what is around it known: see [translation.leftovers].
type place struct {
	t       *translation
	pointer string // RFC 6901
	value   any
	given   bool // something stands there
}

var (
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
	unescape = strings.NewReplacer("~1", "/", "~0", "~")
)

// key is a place below an object.
func (p place) key(name string) place {
	p.t.known[p.pointer] = true
	below := place{t: p.t, pointer: p.pointer + "/" + escape.Replace(name)}
	p.t.seen[below.pointer] = true
	object, _ := p.value.(map[string]any)
	below.value, below.given = object[name]
	below.given = below.given && below.value != nil // a null says nothing
	return below
}

// at is the place that a pointer from here names. Its names have no escapes.
func (p place) at(pointer string) place {
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		p = p.key(name)
	}
	return p
}

// items are the entries of a list.
func (p place) items() []place {
	p.t.known[p.pointer] = true
	list, _ := p.value.([]any)
	out := make([]place, len(list))
	for i, v := range list {
		out[i] = place{p.t, p.pointer + "/" + strconv.Itoa(i), v, true}
	}
	return out
}

// all are the places that a pattern fits, in which a * stands for any entry of a
// list.
func (p place) all(pattern string) []place {
	places := []place{p}
	for name := range strings.SplitSeq(pattern[1:], "/") {
		var next []place
		for _, p := range places {
			if name == "*" {
				next = append(next, p.items()...)
			} else {
				next = append(next, p.key(name))
			}
		}
		places = next
	}
	return places
}

// list is the place if a list stands there, whose every entry the caller looks
// after. Anything else is noted, and as if not given.
func (p place) list() place {
	if _, ok := p.value.([]any); p.given && !ok {
		p.note(document.WrongType, "must be a list")
		p.given = false
	}
	p.use()
	return p
}

// object is an object of our document, of those keys here that are called the
// same there.
func (p place) object(names ...string) *node {
	out := graft(map[string]any{}, p.pointer)
	for _, name := range names {
		if from := p.key(name); from.given {
			from.use()
			out.put("/"+name, graft(from.value, from.pointer))
		}
	}
	return out
}

// use says that all that stands here has its part in the result, or was noted.
func (p place) use() { p.t.used[p.pointer] = true }

// note lists the place as untranslated.
func (p place) note(reason, format string, args ...any) {
	p.use()
	p.t.note(p.pointer, reason, format, args...)
}

// text is the string that stands here; "" for anything else, which stays unused.
func (p place) text() string {
	s, ok := p.value.(string)
	if ok {
		p.use()
	}
	return s
}

// yes says whether true stands here.
func (p place) yes() bool {
	b, ok := p.value.(bool)
	if ok {
		p.use()
	}
	return b
}
