package surface

import (
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
)

func TestPasswordWords(t *testing.T) {
	for lang, say := range passwordWords {
		for kind, words := range passwordWords["en"] {
			if strings.Count(say[kind], "%") != strings.Count(words, "%") || say[kind] == "" {
				t.Errorf("%s %s: %q", lang, kind, say[kind])
			}
		}
	}
	e := tenant.ErrPasswordPolicy.WithCauses(
		tenant.Cause{Kind: "minimum_length", Details: map[string]any{"required": 8}}, tenant.Cause{Kind: "history"}, tenant.Cause{Kind: "moon"})
	for lang, want := range map[string]string{
		"en": "It needs at least 8 characters. You had this password before. It breaks the rule moon.",
		"de": "Es braucht mindestens 8 Zeichen. Dieses Passwort hatten Sie schon. Es verletzt die Regel moon.",
		"xx": "It needs at least 8 characters. You had this password before. It breaks the rule moon.",
	} {
		if got := strings.Join(PasswordWordsIn(lang, e), " "); got != want {
			t.Errorf("%s: %s", lang, got)
		}
	}
	if got := PasswordWords(tenant.ErrPasswordPolicy); len(got) != 1 || got[0] != "This password can't be used." {
		t.Error(got)
	}
}
