package authgear

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// node is a value of the USHER document that is being made.
type node struct {
	from   string           // where it comes from in the authgear.yaml; "" for a default of that format
	scalar any              // of what is neither object nor list
	fields map[string]*node // of an object
	items  []*node          // of a list
	list   bool
	under  *node // what stood here before, and does again when this is taken out
	up     *node // the object or list that it is in
}

// graft makes a node of a plain value and notes where each part comes from.
func graft(v any, from string) *node {
	n := &node{from: from}
	below := func(name string) string {
		if from == "" {
			return ""
		}
		return from + "/" + escape.Replace(name)
	}
	switch v := v.(type) {
	case map[string]any:
		n.fields = map[string]*node{}
		for name, value := range v {
			n.set(name, graft(value, below(name)))
		}
	case []any:
		n.list = true
		for i, value := range v {
			n.add(graft(value, below(strconv.Itoa(i))))
		}
	default:
		n.scalar = v
	}
	return n
}

func (n *node) set(name string, child *node) {
	child.up, child.under = n, n.fields[name]
	n.fields[name] = child
}

func (n *node) add(child *node) {
	child.up = n
	n.items = append(n.items, child)
}

// put sets the value at a pointer, and makes the objects on the way.
func (n *node) put(pointer string, child *node) {
	names := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for _, name := range names[:len(names)-1] {
		next := n.fields[name]
		if next == nil {
			next = graft(map[string]any{}, "")
			n.set(name, next)
		}
		n = next
	}
	n.set(names[len(names)-1], child)
}

// find is the node at a pointer, or nil.
func (n *node) find(pointer string) *node {
	if pointer == "" {
		return n
	}
	for name := range strings.SplitSeq(pointer[1:], "/") {
		if n == nil {
			return nil
		}
		if n.list {
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(n.items) {
				return nil
			}
			n = n.items[i]
		} else {
			n = n.fields[unescape.Replace(name)]
		}
	}
	return n
}

// remove takes a node out of the document; of a default of that format nothing
// is left but ours.
func (n *node) remove() {
	if n.up == nil {
		return
	}
	if i := slices.Index(n.up.items, n); i >= 0 {
		n.up.items = slices.Delete(n.up.items, i, i+1)
		return
	}
	for name, child := range n.up.fields {
		switch {
		case child != n:
		case n.under != nil:
			n.up.fields[name] = n.under
		default:
			delete(n.up.fields, name)
		}
	}
}

// gone says whether the node, or one that it is in, was taken out.
func (n *node) gone() bool {
	for ; n.up != nil; n = n.up {
		if !slices.Contains(n.up.items, n) && !slices.Contains(slices.Collect(maps.Values(n.up.fields)), n) {
			return true
		}
	}
	return false
}

// source is where the node comes from, or the nearest one that it is in.
func (n *node) source() string {
	for n.from == "" && n.up != nil {
		n = n.up
	}
	return n.from
}

func (n *node) isScalar() bool { return !n.list && n.fields == nil }

// plain is the document as maps, slices and scalars.
func (n *node) plain() any {
	switch {
	case n.list:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = item.plain()
		}
		return out
	case n.fields != nil:
		out := make(map[string]any, len(n.fields))
		for name, child := range n.fields {
			out[name] = child.plain()
		}
		return out
	}
	return n.scalar
}
