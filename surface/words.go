package surface

import (
	"fmt"

	"github.com/usher-id/usher/tenant"
)

// PasswordWords says in English sentences what a new password lacks, by the
// causes of [tenant.ErrPasswordPolicy].
func PasswordWords(e *tenant.Error) []string { return PasswordWordsIn("en", e) }

// PasswordWordsIn says it in a language; in English where it isn't spoken.
func PasswordWordsIn(lang string, e *tenant.Error) []string {
	say := passwordWords[lang]
	if say == nil {
		say = passwordWords["en"]
	}
	causes, _ := e.Info["causes"].([]tenant.Cause)
	out := make([]string, 0, len(causes))
	for _, c := range causes {
		words, ok := say[c.Kind]
		switch c.Kind {
		case "minimum_length":
			words = fmt.Sprintf(words, c.Details["required"])
		case "maximum_length":
			words = fmt.Sprintf(words, c.Details["maximum_bytes"])
		}
		if !ok {
			words = fmt.Sprintf(say["another"], c.Kind)
		}
		out = append(out, words)
	}
	if len(out) == 0 {
		out = append(out, say[""])
	}
	return out
}

// passwordWords are the sentences by language and by what is broken: a rule,
// another one, or nobody knows what.
var passwordWords = map[string]map[string]string{
	"en": {
		"minimum_length":       "It needs at least %v characters.",
		"maximum_length":       "It is too long: %v bytes at most.",
		"uppercase_required":   "It needs an upper-case letter.",
		"lowercase_required":   "It needs a lower-case letter.",
		"alphabet_required":    "It needs a letter.",
		"digit_required":       "It needs a digit.",
		"symbol_required":      "It needs a character that is neither letter nor digit.",
		"excluded_keywords":    "It has a word in it that is not allowed.",
		"minimum_zxcvbn_score": "It is too easy to guess.",
		"breached_check":       "It is one of the passwords that are tried first.",
		"history":              "You had this password before.",
		"another":              "It breaks the rule %s.",
		"":                     "This password can't be used.",
	},
	"de": {
		"minimum_length":       "Es braucht mindestens %v Zeichen.",
		"maximum_length":       "Es ist zu lang: höchstens %v Bytes.",
		"uppercase_required":   "Es braucht einen Großbuchstaben.",
		"lowercase_required":   "Es braucht einen Kleinbuchstaben.",
		"alphabet_required":    "Es braucht einen Buchstaben.",
		"digit_required":       "Es braucht eine Ziffer.",
		"symbol_required":      "Es braucht ein Zeichen, das weder Buchstabe noch Ziffer ist.",
		"excluded_keywords":    "Es enthält ein Wort, das nicht erlaubt ist.",
		"minimum_zxcvbn_score": "Es ist zu leicht zu erraten.",
		"breached_check":       "Es ist eines der Passwörter, die zuerst ausprobiert werden.",
		"history":              "Dieses Passwort hatten Sie schon.",
		"another":              "Es verletzt die Regel %s.",
		"":                     "Dieses Passwort kann nicht verwendet werden.",
	},
}
