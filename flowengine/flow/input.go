package flow

import (
	"encoding/json"
	"slices"

	"github.com/usher-id/usher/tenant"
)

// Answer is one input being read. What a step reads is spent; what is left is
// offered to the next step, so that one input can answer several.
type Answer struct{ left map[string]json.RawMessage }

// parse opens an input; it has to be a JSON object.
func parse(in Input) (*Answer, error) {
	a := &Answer{}
	if err := json.Unmarshal(in, &a.left); err != nil || a.left == nil {
		return nil, tenant.Invalidf("", "type", "an input is a JSON object")
	}
	return a, nil
}

// has says whether any of the keys is left.
func (a *Answer) has(keys ...string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { _, ok := a.left[k]; return ok })
}

// text spends a key that must hold a string that isn't empty.
func (a *Answer) text(key string) (string, error) {
	s, err := a.optional(key)
	if err == nil && s == "" {
		err = tenant.Invalidf("/"+key, "required", "%s is required", key)
	}
	return s, err
}

// optional spends a key that holds a string if it is there.
func (a *Answer) optional(key string) (string, error) {
	raw, ok := a.left[key]
	if !ok {
		return "", nil
	}
	delete(a.left, key)
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		return "", tenant.Invalidf("/"+key, "type", "%s is a string", key)
	}
	return *s, nil
}

// number spends a key that holds a whole number if it is there.
func (a *Answer) number(key string) (n int, ok bool, err error) {
	raw, ok := a.left[key]
	if !ok {
		return 0, false, nil
	}
	delete(a.left, key)
	var v *int
	if json.Unmarshal(raw, &v) != nil || v == nil {
		return 0, true, tenant.Invalidf("/"+key, "type", "%s is a whole number", key)
	}
	return *v, true, nil
}

// flag spends a key that holds true or false if it is there.
func (a *Answer) flag(key string) (bool, error) {
	raw, ok := a.left[key]
	if !ok {
		return false, nil
	}
	delete(a.left, key)
	var v *bool
	if json.Unmarshal(raw, &v) != nil || v == nil {
		return false, tenant.Invalidf("/"+key, "type", "%s is true or false", key)
	}
	return *v, nil
}

// value spends a key that must hold something of v's shape.
func (a *Answer) value(key, shape string, v any) error {
	raw, ok := a.left[key]
	if !ok {
		return tenant.Invalidf("/"+key, "required", "%s is required", key)
	}
	delete(a.left, key)
	if json.Unmarshal(raw, v) != nil {
		return tenant.Invalidf("/"+key, "type", "%s is %s", key, shape)
	}
	return nil
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
