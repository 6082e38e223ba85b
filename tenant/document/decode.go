package document

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// Decode reads a whole document, JSON or YAML, over the defaults. It reports
// everything that is wrong at once; the configuration is nil when anything is.
func Decode(doc []byte) (*tenant.Config, []tenant.Problem) {
	t := &tree{}
	return t.decode(t.parse(doc))
}

// Check is Decode and then rules, which finds what is wrong with a configuration
// that can be read. What Decode refuses doesn't keep the rest from being held
// against the rules, so that one look at the list is enough. The configuration is
// nil when Decode refuses anything.
func Check(doc []byte, rules func(*tenant.Config) []tenant.Problem) (*tenant.Config, []tenant.Problem) {
	t := &tree{}
	root := t.parse(doc)
	cfg, problems := t.decode(root)
	switch {
	case cfg != nil:
		return cfg, capped(rules(cfg))
	case t.broken:
		return nil, problems
	}
	var refused []string
	for _, p := range t.problems {
		takeOut(root, strings.Split(p.Pointer, "/")[1:])
		refused = append(refused, wholeEntry(p.Pointer))
	}
	text, err := json.Marshal(root)
	must(err)
	rest := tenant.DefaultConfig()
	_ = json.Unmarshal(text, rest) // what has the wrong type is passed over
	for _, p := range rules(rest) {
		// What is said of a part that isn't there as it was meant may not be true.
		if !slices.ContainsFunc(refused, func(at string) bool { return within(p.Pointer, at) }) {
			t.problems = append(t.problems, p)
		}
	}
	return nil, capped(t.problems)
}

// takeOut removes what is at a path from the object that it is in.
func takeOut(v any, path []string) {
	for ; len(path) > 0; path = path[1:] {
		name := unescape.Replace(path[0])
		switch in := v.(type) {
		case map[string]any:
			if len(path) == 1 {
				delete(in, name)
			}
			v = in[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(in) {
				return
			}
			v = in[i]
		default:
			return
		}
	}
}

// wholeEntry is the pointer to the outermost entry of a list that a pointer goes
// into: a flow, a provider. Outside of lists it is the pointer itself.
func wholeEntry(at string) string {
	names := strings.Split(at, "/")
	for i, name := range names {
		if _, err := strconv.Atoi(name); err == nil {
			return strings.Join(names[:i+1], "/")
		}
	}
	return at
}

func within(at, entry string) bool { return at == entry || strings.HasPrefix(at, entry+"/") }

// decode checks what was read and makes a configuration of it.
func (t *tree) decode(root any) (*tenant.Config, []tenant.Problem) {
	if t.broken {
		return nil, capped(t.problems)
	}
	told := map[string]bool{} // one problem for each place is enough
	for _, p := range t.problems {
		told[p.Pointer] = true
	}
	for _, p := range theSchema().problems(root) {
		if !told[p.Pointer] {
			t.problems = append(t.problems, p)
		}
		told[p.Pointer] = p.Pointer != ""
	}
	if len(t.problems) > 0 {
		return nil, capped(t.problems)
	}
	text, err := json.Marshal(root)
	must(err) // a tree of plain values
	cfg := tenant.DefaultConfig()
	if err := json.Unmarshal(text, cfg); err != nil {
		return nil, one("", WrongType, "%v", err) // the schema lets nothing through that doesn't fit the types
	}
	return cfg, nil
}

// Parse reads a document of another format, JSON or YAML, within the same
// bounds, as maps, slices, strings, json.Numbers, bools and nil.
func Parse(doc []byte) (any, []tenant.Problem) {
	t := &tree{}
	v := t.parse(doc)
	return v, t.problems
}

// Load reads a document that [Encode] wrote: one that was checked when it was
// kept. What a later Usher may have added is passed over.
func Load(doc []byte) (*tenant.Config, error) {
	cfg := tenant.DefaultConfig()
	if err := json.Unmarshal(doc, cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

// Patch merges a JSON patch (RFC 7396) into one section of a configuration, or
// into all of it when the section is "". A null brings a default back. The
// pointers of problems go into the whole document.
func Patch(cfg *tenant.Config, section string, patch json.RawMessage) (*tenant.Config, []tenant.Problem) {
	if section != "" && !slices.Contains(Sections(), section) {
		return nil, one(pointer([]string{section}), UnknownKey, "there is no section %q%s", short(section), hint(section, Sections()))
	}
	t := &tree{}
	change := t.json(patch)
	if section != "" {
		for i := range t.problems {
			t.problems[i].Pointer = pointer([]string{section}) + t.problems[i].Pointer
		}
		change = map[string]any{section: change}
	}
	text, _ := Encode(cfg)
	return t.decode(merge((&tree{}).json(text), change))
}

// merge is MergePatch of RFC 7396 section 2.
func merge(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range change {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merge(object[name], value)
		}
	}
	return object
}

// MergeObject merges a JSON patch (RFC 7396) into a JSON object; both must be
// objects, and nil stands for an empty one. The result is canonical: its keys
// are sorted.
func MergeObject(old, patch json.RawMessage) (json.RawMessage, error) {
	t := &tree{}
	if len(old) == 0 {
		old = json.RawMessage("{}")
	}
	target, change := t.json(old), t.json(patch)
	if _, ok := change.(map[string]any); !ok && len(t.problems) == 0 {
		t.fail(nil, WrongType, "must be an object")
	}
	if len(t.problems) > 0 {
		return nil, errors.New(t.problems[0].Message)
	}
	return json.Marshal(merge(target, change))
}
