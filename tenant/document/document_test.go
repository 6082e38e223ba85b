package document_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got\n%s", file, d)
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t *testing.T, doc []byte) *tenant.Config {
	t.Helper()
	cfg, problems := document.Decode(doc)
	if len(problems) > 0 {
		t.Fatalf("problems: %v\nin %s", problems, doc)
	}
	return cfg
}

func TestProblems(t *testing.T) {
	for _, file := range slices.Concat(files(t, "testdata/problems/*.yaml"), files(t, "testdata/problems/*.json")) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, problems := document.Decode(read(t, file))
			if cfg != nil {
				t.Error("a configuration in spite of problems")
			}
			var got strings.Builder
			for _, p := range problems {
				fmt.Fprintf(&got, "%q %s: %s\n", p.Pointer, p.Reason, p.Message)
			}
			golden(t, file+".golden", got.String())
		})
	}
}

// What is refused doesn't hide what the rules find in the rest, and isn't made
// into more than it is.
func TestCheck(t *testing.T) {
	const doc = `{"sessions": {"lifetime_seconds": 1, "a/b": 2}, "identifications": {"enabled": ["email", 5]}, "nonsense": 1,
		"oauth_providers": [{"alias": "x", "type": "google"}, {"alias": "NO", "type": "google"}, {"alias": "x", "type": "google"}]}`
	var seen *tenant.Config
	cfg, problems := document.Check([]byte(doc), func(cfg *tenant.Config) []tenant.Problem {
		seen = cfg
		var out []tenant.Problem
		for _, at := range []string{"/oauth_providers/2/alias", "/oauth_providers/1/type", "/oauth_providers/10", "/sessions", "/identifications/enabled/1", "/flows/login_flows/0"} {
			out = append(out, tenant.Problem{Pointer: at, Reason: "Rule"})
		}
		return out
	})
	if cfg != nil {
		t.Error("a configuration in spite of problems")
	}
	if seen.Sessions.LifetimeSeconds != tenant.DefaultConfig().Sessions.LifetimeSeconds || len(seen.OAuthProviders) != 3 {
		t.Errorf("the rules saw %+v", seen)
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Pointer+" "+p.Reason)
	}
	slices.Sort(got)
	want := []string{
		"/flows/login_flows/0 Rule", "/identifications/enabled/1 WrongType", "/nonsense UnknownKey", "/oauth_providers/1/alias WrongForm",
		"/oauth_providers/10 Rule", "/oauth_providers/2/alias Rule", "/sessions Rule", "/sessions/a~1b UnknownKey", "/sessions/lifetime_seconds OutOfRange",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, problems := document.Check([]byte("{"), func(*tenant.Config) []tenant.Problem { panic("of nothing") }); len(problems) != 1 {
		t.Error(problems)
	}
}

func TestBounds(t *testing.T) {
	for name, doc := range map[string]string{
		"10 MB":          `{"accounts":"` + strings.Repeat("x", 10<<20) + `"}`,
		"deep JSON":      strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
		"deeper JSON":    strings.Repeat(`[`, 500_000),
		"deep YAML":      "a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"many values":    `{"a":[` + strings.Repeat("1,", 60_000) + `1]}`,
		"many mistakes":  `{"web":{"allowed_origins":[` + strings.Repeat("1,", 40_000) + `1]}}`,
		"many doubles":   "{" + strings.Repeat(`"a":1,`, 40_000) + `"a":1}`,
		"many anchors":   strings.Repeat("- &a [*a]\n", 20_000),
		"many dashes":    strings.Repeat("- ", 500_000),
		"many braces":    "a: " + strings.Repeat("{", 500_000),
		"many questions": strings.Repeat("? ", 500_000),
		"long word":      "a: " + strings.Repeat("x", 1<<19) + "\n" + strings.Repeat("y", 1<<18) + ": 1",
		"not UTF-8":      "{\"a\":\"\xff\"}",
		"YAML not UTF-8": "a: \xff",
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := document.Decode([]byte(doc))
			if n := len(problems); n == 0 || n > 101 {
				t.Fatalf("%d problems", n)
			}
			if text := fmt.Sprint(problems); len(text) > 50_000 {
				t.Errorf("%d bytes of words", len(text))
			}
		})
	}
}

// Whatever is left out takes the default, in the middle of a section too.
func TestDecodeIsOverDefaults(t *testing.T) {
	for _, doc := range []string{"{}", "---\n{}", "accounts: {}\nlimits: {signup_per_ip: {burst: 10}}", "\ufeff{\"flows\":{\"lifetime_seconds\":1.2e3}}"} {
		if d := cmp.Diff(tenant.DefaultConfig(), decode(t, []byte(doc))); d != "" {
			t.Errorf("%q: %s", doc, d)
		}
	}
	cfg := decode(t, []byte("limits:\n  signup_per_ip: &r {burst: 7, period_seconds: 9}\n  password_per_ip: *r\n"))
	if cfg.Limits.PasswordPerIP != (tenant.Rate{Burst: 7, PeriodSeconds: 9}) {
		t.Errorf("an alias gave %v", cfg.Limits.PasswordPerIP)
	}
}

func TestRoundTrip(t *testing.T) {
	docs := [][]byte{[]byte("{}")}
	for _, file := range files(t, "testdata/diff/*.yaml") {
		docs = append(docs, read(t, file))
	}
	for _, doc := range docs {
		cfg := decode(t, doc)
		text, hash := document.Encode(cfg)
		again, hash2 := document.Encode(decode(t, text))
		if !bytes.Equal(text, again) || hash != hash2 {
			t.Errorf("JSON:\n%s\n%s", text, again)
		}
		shown := document.YAML(cfg)
		if twice := document.YAML(decode(t, shown)); !bytes.Equal(shown, twice) {
			t.Errorf("YAML:\n%s\n%s", shown, twice)
		}
		loaded, err := document.Load(text)
		if d := cmp.Diff(cfg, loaded); err != nil || d != "" {
			t.Errorf("Load: %v %s", err, d)
		}
	}
}

// A missing list is an empty one: equal configurations have equal hashes.
func TestEncodeIsCanonical(t *testing.T) {
	bare := tenant.DefaultConfig()
	bare.OAuthProviders, bare.Web.AllowedOrigins, bare.PasswordPolicy.ExcludedKeywords = nil, nil, []string{}
	bare.Flows.LoginFlows = []tenant.Flow{}
	_, a := document.Encode(bare)
	text, b := document.Encode(tenant.DefaultConfig())
	if a != b {
		t.Error("two hashes of equal configurations")
	}
	if bare.OAuthProviders != nil {
		t.Error("Encode changed what it was given")
	}
	if empty, _ := document.Encode(&tenant.Config{}); bytes.Contains(empty, []byte("null")) {
		t.Errorf("null in %s", empty)
	}
	golden(t, "testdata/default.json", string(text))
	golden(t, "testdata/default.yaml", string(document.YAML(tenant.DefaultConfig())))
}

// Words that YAML or JSON could take for something else survive both.
func TestStringsSurvive(t *testing.T) {
	cfg := tenant.DefaultConfig()
	cfg.PasswordPolicy.ExcludedKeywords = []string{
		"on", "yes", "null", "~", "1", "1.5", "0x1f", "1_000", "2026-11-22", "a: b", "# no", "<&>", "\u2028", "\t", " x ", "", "é", "😀", "'", `"`, "line\nline", "- a", "*a", "&a", "!t", "%", "=", "<<", "12:30:45",
	}
	for _, doc := range [][]byte{document.YAML(cfg), first(document.Encode(cfg))} {
		if d := cmp.Diff(cfg, decode(t, doc)); d != "" {
			t.Errorf("%s\n%s", d, doc)
		}
	}
}

func first(doc []byte, _ string) []byte { return doc }

func TestDiff(t *testing.T) {
	for _, file := range files(t, "testdata/diff/*.from.yaml") {
		name := strings.TrimSuffix(file, ".from.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			from, to := decode(t, read(t, file)), decode(t, read(t, name+".to.yaml"))
			golden(t, name+".golden", changes(t, document.Diff(from, to)))
			golden(t, name+".back.golden", changes(t, document.Diff(to, from)))
			if same := document.Diff(to, decode(t, read(t, name+".to.yaml"))); same != nil {
				t.Errorf("equal, but %v", same)
			}
		})
	}
}

func changes(t *testing.T, cs []document.Change) string {
	t.Helper()
	var b strings.Builder
	for _, c := range cs {
		before, err1 := json.Marshal(c.Before)
		after, err2 := json.Marshal(c.After)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		fmt.Fprintf(&b, "%s %s\n  %s\n  %s -> %s\n", c.Kind, c.Pointer, c.Words, before, after)
	}
	return b.String()
}

func TestPatch(t *testing.T) {
	base := decode(t, []byte(`{"sessions":{"lifetime_seconds":3600},"web":{"allowed_origins":["https://a.example"]}}`))
	for _, c := range []struct{ section, patch, want, problem string }{
		{section: "sessions", patch: `{"idle_timeout_seconds":60}`, want: `{"sessions":{"lifetime_seconds":3600,"idle_timeout_seconds":60},"web":{"allowed_origins":["https://a.example"]}}`},
		{section: "sessions", patch: `{"lifetime_seconds":null}`, want: `{"web":{"allowed_origins":["https://a.example"]}}`},
		{section: "sessions", patch: `null`, want: `{"web":{"allowed_origins":["https://a.example"]}}`},
		{section: "web", patch: `{"allowed_origins":[]}`, want: `{"sessions":{"lifetime_seconds":3600}}`},
		{section: "oauth_providers", patch: `[{"alias":"g","type":"google"}]`, want: `{"sessions":{"lifetime_seconds":3600},"web":{"allowed_origins":["https://a.example"]},"oauth_providers":[{"alias":"g","type":"google"}]}`},
		{section: "", patch: `{"web":null,"sessions":null}`, want: `{}`},
		{section: "session", patch: `{}`, problem: `/session: there is no section "session"; did you mean "sessions"?`},
		{section: "sessions", patch: `{"lifetime":1}`, problem: `/sessions/lifetime: unknown key "lifetime"; there is end_others_on_password_change, idle_timeout_seconds, lifetime_seconds, privileged_seconds`},
		{section: "sessions", patch: `{"lifetime_seconds":1,"lifetime_seconds":2}`, problem: `/sessions/lifetime_seconds: the key "lifetime_seconds" stands here twice`},
		{section: "sessions", patch: `{`, problem: `/sessions: not JSON: line 1: unexpected end of JSON input`},
		{section: "sessions", patch: ``, problem: `/sessions: not JSON: line 1: unexpected end of JSON input`},
	} {
		got, problems := document.Patch(base, c.section, json.RawMessage(c.patch))
		if c.problem != "" {
			if len(problems) != 1 || problems[0].String() != c.problem {
				t.Errorf("%s %s: %v, want %s", c.section, c.patch, problems, c.problem)
			}
			continue
		}
		if len(problems) > 0 {
			t.Errorf("%s %s: %v", c.section, c.patch, problems)
			continue
		}
		if d := cmp.Diff(decode(t, []byte(c.want)), got); d != "" {
			t.Errorf("%s %s: %s", c.section, c.patch, d)
		}
	}
}

func TestSections(t *testing.T) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(first(document.Encode(tenant.DefaultConfig())), &whole); err != nil {
		t.Fatal(err)
	}
	if len(whole) != len(document.Sections()) {
		t.Errorf("%v are not the sections of the document", document.Sections())
	}
	for _, name := range document.Sections() {
		if whole[name] == nil {
			t.Errorf("no section %s", name)
		}
	}
}

// docs/config.schema.json is what make generate writes.
func TestPublishedSchemaIsCurrent(t *testing.T) {
	golden(t, "../../docs/config.schema.json", string(document.Schema()))
}

func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/problems/*.yaml", "testdata/problems/*.json", "testdata/diff/*.yaml", "testdata/default.*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range found {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		cfg, problems := document.Decode(doc)
		if (cfg == nil) != (len(problems) > 0) {
			t.Fatalf("configuration %v with problems %v", cfg, problems)
		}
		if cfg == nil {
			return
		}
		shown := document.YAML(cfg)
		again, problems := document.Decode(shown)
		if len(problems) > 0 {
			t.Fatalf("%v in\n%s", problems, shown)
		}
		if changes := document.Diff(cfg, again); changes != nil {
			t.Fatalf("changed by a round trip: %v", changes)
		}
	})
}
