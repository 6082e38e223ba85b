package surface

import (
	"fmt"

	"github.com/usher-id/usher/tenant"
)

// PasswordWords says in sentences what a new password lacks, by the causes of
// [tenant.ErrPasswordPolicy].
func PasswordWords(e *tenant.Error) []string {
	causes, _ := e.Info["causes"].([]tenant.Cause)
	out := make([]string, 0, len(causes))
	for _, c := range causes {
		out = append(out, words(c))
	}
	if len(out) == 0 {
		out = append(out, "This password can't be used.")
	}
	return out
}

func words(c tenant.Cause) string {
	switch c.Kind {
	case "minimum_length":
		return fmt.Sprintf("It needs at least %v characters.", c.Details["required"])
	case "maximum_length":
		return fmt.Sprintf("It is too long: %v bytes at most.", c.Details["maximum_bytes"])
	case "uppercase_required":
		return "It needs an upper-case letter."
	case "lowercase_required":
		return "It needs a lower-case letter."
	case "alphabet_required":
		return "It needs a letter."
	case "digit_required":
		return "It needs a digit."
	case "symbol_required":
		return "It needs a character that is neither letter nor digit."
	case "excluded_keywords":
		return "It has a word in it that is not allowed."
	case "minimum_zxcvbn_score":
		return "It is too easy to guess."
	case "breached_check":
		return "It is one of the passwords that are tried first."
	case "history":
		return "You had this password before."
	}
	return "It breaks the rule " + c.Kind + "."
}
