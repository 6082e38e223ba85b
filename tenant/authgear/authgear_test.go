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

// Of more problems than a document of ours is told at once, each is listed.
func TestTranslateOfManyProblems(t *testing.T) {
	providers := strings.Repeat("    - {type: google, alias: Nope, tenant: x, policy: y}\n", 50)
	cfg, untranslated, problems := authgear.Translate([]byte("identity:\n  oauth:\n    providers:\n"+providers), check)
	if len(problems) > 0 || len(cfg.OAuthProviders) > 0 || len(untranslated) < 200 {
		t.Errorf("%d listed, %v", len(untranslated), problems)
	}
	long := strings.Repeat("x", 100_000)
	_, _, problems = authgear.Translate([]byte("a: &a "+long+"\nauthenticator: {password: {policy: {excluded_keywords: ["+strings.Repeat("*a, ", 50)+"]}}}"), check)
	if len(problems) != 1 || problems[0].Reason != document.TooLarge {
		t.Errorf("%v", problems)
	}
	for _, doc := range []string{"", "a: [", "just words", "- a list", "a: 1\na: 2", "a: !!python/object x"} {
		if cfg, _, problems := authgear.Translate([]byte(doc), check); cfg != nil || len(problems) == 0 {
			t.Errorf("%q: %v", doc, problems)
		}
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
