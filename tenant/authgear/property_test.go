package authgear_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/authgear"
	"github.com/usher-id/usher/tenant/document"
)

var escape = strings.NewReplacer("~", "~0", "/", "~1")

// projects are the documents in testdata, as plain values.
func projects(t testing.TB) map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		value, problems := document.Parse(doc)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		out[filepath.Base(file)] = value
	}
	return out
}

// result is what came of a document, in one text.
type result struct {
	text  string
	notes []tenant.Problem
}

func translate(t *testing.T, doc any) result {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	cfg, notes, problems := authgear.Translate(text, check)
	if cfg == nil && len(problems) == 0 {
		t.Fatal("neither a configuration nor a problem")
	}
	if cfg == nil {
		cfg = tenant.DefaultConfig()
	}
	config, _ := document.Encode(cfg)
	all, err := json.Marshal([]any{notes, problems})
	if err != nil {
		t.Fatal(err)
	}
	return result{string(config) + string(all), append(notes, problems...)}
}

// lists says whether a place is listed, by itself or with what it is in.
func (r result) lists(pointer string) bool {
	return slices.ContainsFunc(r.notes, func(p tenant.Problem) bool {
		return p.Pointer == pointer || strings.HasPrefix(pointer, p.Pointer+"/")
	})
}

// walk visits every value of a document; set replaces it.
func walk(v any, pointer string, set func(any), visit func(pointer string, v any, set func(any))) {
	visit(pointer, v, set)
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			walk(v[name], pointer+"/"+escape.Replace(name), func(to any) { v[name] = to }, visit)
		}
	case []any:
		for i := range v {
			walk(v[i], pointer+"/"+strconv.Itoa(i), func(to any) { v[i] = to }, visit)
		}
	}
}

// A key that the format doesn't have is listed wherever it stands.
func TestUnknownKeysAreListed(t *testing.T) {
	for name, doc := range projects(t) {
		walk(doc, "", nil, func(pointer string, v any, _ func(any)) {
			object, ok := v.(map[string]any)
			if !ok {
				return
			}
			object["made/up~"] = []any{json.Number("1"), map[string]any{"a": true}, []any{"a"}}[len(pointer)%3]
			if !translate(t, doc).lists(pointer + "/made~1up~0") {
				t.Errorf("%s: %s/made~1up~0 with %v is not listed", name, pointer, object["made/up~"])
			}
			delete(object, "made/up~")
		})
	}
}

// Whatever stands in a document has its part in what comes of it, or is listed.
func TestNothingIsDropped(t *testing.T) {
	for name, doc := range projects(t) {
		before := translate(t, doc)
		walk(doc, "", nil, func(pointer string, v any, set func(any)) {
			var others []any
			switch v := v.(type) {
			case bool:
				others = []any{!v}
			case json.Number:
				others = []any{json.Number("1" + v.String())}
			case string:
				others = []any{v + "x"}
			default:
				return
			}
			if len(pointer)%3 == 0 { // not everywhere: it takes long
				others = append(others, map[string]any{"x": true})
			}
			for _, other := range others {
				set(other)
				after := translate(t, doc)
				if after.text == before.text && !after.lists(pointer) {
					t.Errorf("%s: %s may as well be %v", name, pointer, other)
				}
			}
			set(v)
		})
	}
}

// No document makes the translation panic, and what comes of one is sound.
func FuzzTranslate(f *testing.F) {
	for _, doc := range projects(f) {
		text, err := json.Marshal(doc)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(sound)
}

// The same of documents with parts of others in their place.
func FuzzTransplants(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		all := projects(t)
		names := slices.Sorted(maps.Keys(all))
		random := rand.New(rand.NewPCG(seed, 1))
		doc := all[names[random.IntN(len(names))]]
		donors := projects(t)
		for range 1 + random.IntN(6) {
			var sets []func(any)
			walk(doc, "", nil, func(_ string, _ any, set func(any)) { sets = append(sets, set) })
			values := []any{nil, true, "", "default", json.Number("-1"), json.Number("2.5"), []any{}, map[string]any{}}
			walk(donors[names[random.IntN(len(names))]], "", nil, func(_ string, v any, _ func(any)) { values = append(values, v) })
			if set := sets[random.IntN(len(sets))]; set != nil {
				set(clone(values[random.IntN(len(values))]))
			}
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, text)
	})
}

// clone copies a plain value, so that no part of it stands in two places.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			out[name] = clone(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	}
	return v
}

func sound(t *testing.T, doc []byte) {
	cfg, notes, problems := authgear.Translate(doc, check)
	if (cfg == nil) != (len(problems) > 0) {
		t.Fatalf("%v with problems %v", cfg, problems)
	}
	for _, n := range slices.Concat(notes, problems) {
		if n.Reason == "" || n.Message == "" {
			t.Errorf("%+v", n)
		}
	}
	if cfg == nil {
		return
	}
	if found := check(cfg); len(found) > 0 {
		t.Errorf("%v", found)
	}
	text, _ := document.Encode(cfg)
	again, found := document.Decode(text)
	if len(found) > 0 {
		t.Fatalf("%v", found)
	}
	if back, _ := document.Encode(again); string(back) != string(text) {
		t.Errorf("a round trip changed %s", text)
	}
}
