package authgear_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/authgear"
	"github.com/usher-id/usher/tenant/document"
)

var update = flag.Bool("update", false, "write the golden files anew")

// check is what flowengine/admin checks a configuration with.
func check(cfg *tenant.Config) []tenant.Problem {
	_, problems := flow.Compile(cfg)
	return append(tenant.CheckConfig(cfg), problems...)
}

// Each project in testdata is translated into what differs from the defaults of
// Usher, and what is listed.
func TestTranslate(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			doc, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			cfg, untranslated, problems := authgear.Translate(doc, check)
			if len(problems) > 0 {
				t.Fatalf("%+v", problems)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", map[string]any{"config": difference(cfg), "untranslated": untranslated})

			// What came of it is a document of ours like any other.
			text, _ := document.Encode(cfg)
			for _, form := range [][]byte{text, document.YAML(cfg)} {
				again, problems := document.Decode(form)
				if len(problems) > 0 {
					t.Fatalf("exported, it can't be read: %+v", problems)
				}
				if back, _ := document.Encode(again); string(back) != string(text) {
					t.Errorf("a round trip changed it: %s", cmp.Diff(string(text), string(back)))
				}
			}
		})
	}
}

// difference is what a configuration says beside the defaults.
func difference(cfg *tenant.Config) any {
	plain := func(cfg *tenant.Config) (v any) {
		text, _ := document.Encode(cfg)
		if err := json.Unmarshal(text, &v); err != nil {
			panic(err)
		}
		return v
	}
	return without(plain(cfg), plain(tenant.DefaultConfig()))
}

func without(v, defaults any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	known, _ := defaults.(map[string]any)
	for name, value := range object {
		if cmp.Equal(value, known[name]) {
			delete(object, name)
		} else {
			object[name] = without(value, known[name])
		}
	}
	return object
}

func golden(t *testing.T, file string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(text)); d != "" {
		t.Errorf("-want +got: %s", d)
	}
}
