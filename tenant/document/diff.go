package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// Change is one difference between two configurations.
type Change struct {
	Pointer string     `json:"pointer"` // RFC 6901, into the newer document; into the older one for what was removed
	Kind    ChangeKind `json:"kind"`
	Words   string     `json:"words"`            // for people
	Before  any        `json:"before,omitempty"` // JSON value; nil when added
	After   any        `json:"after,omitempty"`  // JSON value; nil when removed
}

// ChangeKind says what happened to a value.
type ChangeKind string

// The kinds of change.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
	Moved   ChangeKind = "moved" // within its list; nothing else about it need have changed
)

// Diff says what differs, in the order of the document. Entries of lists are
// matched by what names them (the alias of a provider, the name of a flow or
// step, the method of a branch), so that one put in front changes no other.
func Diff(from, to *tenant.Config) []Change {
	a, _ := Encode(from)
	b, _ := Encode(to)
	if bytes.Equal(a, b) {
		return nil
	}
	d := &differ{}
	d.values(place{}, ordered(a), ordered(b))
	return d.changes
}

// DiffValues says what differs between two JSON objects, such as the
// attributes of a user. Texts that are no JSON count as empty objects.
func DiffValues(from, to json.RawMessage) []Change {
	d := &differ{}
	d.values(place{}, ordered(from), ordered(to))
	return d.changes
}

// member and object keep the order of a JSON object.
type (
	member struct {
		name  string
		value any
	}
	object []member
)

func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func (o object) text(name string) string {
	s, _ := o.get(name).(string)
	return s
}

// exposed is a value as others know it: maps, slices, strings, json.Numbers.
func exposed(v any) any {
	switch v := v.(type) {
	case object:
		out := make(map[string]any, len(v))
		for _, m := range v {
			out[m.name] = exposed(m.value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = exposed(v[i])
		}
		return out
	}
	return v
}

func ordered(text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := orderedValue(d)
	if err != nil {
		return object{}
	}
	return v
}

func orderedValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if open == '[' {
		list := []any{}
		for d.More() {
			v, err := orderedValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	o := object{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := orderedValue(d)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name.(string), v})
	}
	_, err = d.Token()
	return o, err
}

// place is where a value stands: in the older document, in the newer one, and
// in words.
type place struct {
	was, at []string
	words   []string
}

// member is the place of a member of the object here.
func (p place) member(name string) place {
	return place{append(slices.Clip(p.was), name), append(slices.Clip(p.at), name), append(slices.Clip(p.words), strings.ReplaceAll(name, "_", " "))}
}

// entry is the place of an entry of the list here. Its title says what list it
// is in, so it takes the place of the list's words.
func (p place) entry(was, at int, title string, drop int) place {
	words := append(slices.Clip(p.words[:len(p.words)-drop]), title)
	return place{append(slices.Clip(p.was), strconv.Itoa(was)), append(slices.Clip(p.at), strconv.Itoa(at)), words}
}

type differ struct{ changes []Change }

func (d *differ) add(p place, kind ChangeKind, before, after any) {
	at := p.at
	if kind == Removed {
		at = p.was
	}
	d.changes = append(d.changes, Change{
		Pointer: pointer(at), Kind: kind, Before: exposed(before), After: exposed(after),
		Words: strings.TrimSuffix(strings.Join(p.words, ", "), " seconds") + phrase(p, kind, before, after),
	})
}

func (d *differ) values(p place, before, after any) {
	switch was := before.(type) {
	case object:
		if is, ok := after.(object); ok {
			d.objects(p, was, is)
			return
		}
	case []any:
		if is, ok := after.([]any); ok {
			d.lists(p, was, is)
			return
		}
	}
	if !reflect.DeepEqual(before, after) {
		d.add(p, Changed, before, after)
	}
}

func (d *differ) objects(p place, before, after object) {
	names := make([]string, 0, len(after))
	for _, m := range after {
		names = append(names, m.name)
	}
	for _, m := range before {
		if !slices.Contains(names, m.name) {
			names = append(names, m.name)
		}
	}
	for _, name := range names {
		was, is, in := before.get(name), after.get(name), p.member(name)
		// A list that is left out when empty is an empty list, so that its
		// entries are told one by one.
		if _, ok := is.([]any); ok && was == nil {
			was = []any{}
		}
		if _, ok := was.([]any); ok && is == nil {
			is = []any{}
		}
		switch {
		case was == nil && is != nil:
			d.add(in, Added, nil, is)
		case was != nil && is == nil:
			d.add(in, Removed, was, nil)
		default:
			d.values(in, was, is)
		}
	}
}

func (d *differ) lists(p place, before, after []any) {
	was, is := keys(before), keys(after)
	for i, k := range was {
		if !slices.Contains(is, k) {
			words, drop := title(p, before[i], k, i)
			d.add(p.entry(i, i, words, drop), Removed, before[i], nil)
		}
	}
	kept := slices.DeleteFunc(slices.Clone(was), func(k string) bool { return !slices.Contains(is, k) })
	next := 0 // in kept: what stands here if nothing was moved
	for i, k := range is {
		old := slices.Index(was, k)
		words, drop := title(p, after[i], k, i)
		in := p.entry(old, i, words, drop)
		if old < 0 {
			d.add(in, Added, nil, after[i])
			continue
		}
		if kept[next] != k {
			d.add(in, Moved, json.Number(strconv.Itoa(old)), json.Number(strconv.Itoa(i)))
			kept = slices.Delete(kept, slices.Index(kept, k), slices.Index(kept, k)+1)
		} else {
			next++
		}
		d.values(in, before[old], after[i])
	}
}

// keys names the entries of a list; of equals each is numbered.
func keys(list []any) []string {
	out := make([]string, len(list))
	seen := map[string]int{}
	for i, item := range list {
		k := key(item)
		seen[k]++
		if n := seen[k]; n > 1 {
			k = fmt.Sprintf("%s (%d)", k, n)
		}
		out[i] = k
	}
	return out
}

// key is what names an entry of a list.
func key(item any) string {
	o, ok := item.(object)
	if !ok {
		return fmt.Sprint(item)
	}
	for _, name := range []string{"alias", "flow", "name", "identification", "authentication", "type"} {
		if s := o.text(name); s != "" {
			return s
		}
	}
	return ""
}

// title names an entry of a list in words, and says how many of the words for
// the list it makes needless.
func title(list place, item any, key string, i int) (words string, drop int) {
	o, ok := item.(object)
	if !ok {
		return key, 0
	}
	switch name := list.at[len(list.at)-1]; {
	case name == "steps":
		words = fmt.Sprintf("step %d, %s", i+1, o.text("type"))
		if name := o.text("name"); name != "" {
			words += fmt.Sprintf(" %q", name)
		}
		return words, 1
	case name == "one_of":
		return "branch " + key, 1
	case strings.HasSuffix(name, "_flows"):
		return fmt.Sprintf("%s %q", strings.ReplaceAll(strings.TrimSuffix(name, "s"), "_", " "), key), 2
	case name == "oauth_providers":
		return "OAuth provider " + key, 1
	case name == "presentation":
		return "presentation of " + key, 1
	}
	return key, 0
}
