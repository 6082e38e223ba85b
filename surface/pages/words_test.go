package pages

import (
	"encoding/json"
	"strings"
	"testing"
)

// Every language says everything that English says, and about the same things.
func TestEveryLanguageSaysEverything(t *testing.T) {
	var flat func(at string, v any, into map[string]string)
	flat = func(at string, v any, into map[string]string) {
		if s, ok := v.(string); ok {
			into[at] = s
			return
		}
		for k, v := range v.(map[string]any) {
			flat(at+"/"+k, v, into)
		}
	}
	read := func(lang string) map[string]string {
		raw, err := wordFiles.ReadFile("words/" + lang + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(lang, err)
		}
		out := map[string]string{}
		flat("", v, out)
		return out
	}
	english := read("en")
	for lang := range spoken {
		said := read(lang)
		for at, words := range english {
			if said[at] == "" || strings.Contains(words, "{tenant}") != strings.Contains(said[at], "{tenant}") {
				t.Errorf("%s %s: %q", lang, at, said[at])
			}
		}
		if len(said) != len(english) {
			t.Errorf("%s says something else", lang)
		}
		if say := spoken[lang]; say.Language != lang || say.Refused == "" || say.Recovery.Button == "" {
			t.Errorf("%s isn't read: %+v", lang, say)
		}
	}
}
