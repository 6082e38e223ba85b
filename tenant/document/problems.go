package document

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/usher-id/usher/tenant"
)

// The reasons of the problems that a document can have.
const (
	Syntax       = "SyntaxError"
	TooLarge     = "TooLarge"
	DuplicateKey = "DuplicateKey"
	UnknownKey   = "UnknownKey"
	Required     = "Required"
	WrongType    = "WrongType"
	NotAllowed   = "NotAllowed"
	OutOfRange   = "OutOfRange"
	WrongLength  = "WrongLength"
	WrongForm    = "WrongForm"
	Duplicate    = "Duplicate"
)

// maxProblems bounds the answer to a document of nonsense.
const maxProblems = 100

// problems checks a tree against the schema.
func (s *schema) problems(root any) []tenant.Problem {
	invalid, bad := errors.AsType[*validator.ValidationError](s.check.Validate(root))
	if !bad {
		return nil
	}
	var out []tenant.Problem
	s.collect(invalid, &out)
	slices.SortStableFunc(out, func(a, b tenant.Problem) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Reason, b.Reason))
	})
	return out
}

// capped cuts a list of problems to a length that somebody could read.
func capped(out []tenant.Problem) []tenant.Problem {
	if more := len(out) - maxProblems; more > 0 {
		out = append(out[:maxProblems:maxProblems], one("", TooLarge, "and %d problems more", more)...)
	}
	return out
}

// collect turns the leaves of a validation error into problems.
func (s *schema) collect(e *validator.ValidationError, out *[]tenant.Problem) {
	for _, cause := range e.Causes {
		s.collect(cause, out)
	}
	if len(e.Causes) > 0 {
		return
	}
	at := pointer(e.InstanceLocation)
	add := func(at, reason, format string, args ...any) {
		*out = append(*out, one(at, reason, format, args...)...)
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		_, place, _ := strings.Cut(e.SchemaURL, "#")
		known, _ := s.at(place)["properties"].(map[string]any)
		names := slices.Sorted(maps.Keys(known))
		for _, key := range k.Properties {
			add(at+pointer([]string{key}), UnknownKey, "unknown key %q%s", short(key), hint(key, names))
		}
	case *kind.Required:
		for _, key := range k.Missing {
			add(at+pointer([]string{key}), Required, "%q is missing", key)
		}
	case *kind.Type:
		add(at, WrongType, "must be %s, not %s", words(k.Want...), typeGot(k))
	case *kind.Enum:
		var names []string
		for _, v := range k.Want {
			names = append(names, fmt.Sprint(v))
		}
		add(at, NotAllowed, "%s is not allowed here%s", shown(k.Got), hint(fmt.Sprint(k.Got), names))
	case *kind.Minimum:
		add(at, OutOfRange, "must be at least %s", number(k.Want))
	case *kind.Maximum:
		add(at, OutOfRange, "must be at most %s", number(k.Want))
	case *kind.MinLength:
		add(at, WrongLength, "must have at least %d characters", k.Want)
	case *kind.MaxLength:
		add(at, WrongLength, "must have at most %d characters", k.Want)
	case *kind.MinItems:
		add(at, WrongLength, "must have at least %d entries", k.Want)
	case *kind.MaxItems:
		add(at, WrongLength, "must have at most %d entries", k.Want)
	case *kind.Pattern:
		add(at, WrongForm, "%s does not match %s", shown(k.Got), k.Want)
	case *kind.UniqueItems:
		add(fmt.Sprintf("%s/%d", at, k.Duplicates[1]), Duplicate, "the same as entry %d", k.Duplicates[0]+1)
	default:
		add(at, NotAllowed, "does not fit the schema")
	}
}

var typeWords = map[string]string{
	"object": "an object", "array": "a list", "string": "a text", "integer": "a whole number",
	"number": "a number", "boolean": "true or false", "null": "nothing (null)",
}

func words(types ...string) string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = cmp.Or(typeWords[t], t)
	}
	return strings.Join(out, " or ")
}

// typeGot says what stands where another type should.
func typeGot(k *kind.Type) string {
	if k.Got == "number" && slices.Contains(k.Want, "integer") {
		return "a fraction"
	}
	return words(k.Got)
}

func number(r *big.Rat) string { return r.FloatString(0) }

// shown quotes a value of the document, cut to a length that fits a line.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", short(s))
	}
	return short(fmt.Sprint(v))
}

func short(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}

// hint names what was meant, or what there is to choose from.
func hint(got string, names []string) string {
	best, distance := "", 1+len(got)/3
	for _, name := range names {
		if d := edits(plain(got), plain(name), distance); d <= distance && (best == "" || d < distance) {
			best, distance = name, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(names) > 0:
		return "; there is " + strings.Join(names, ", ")
	}
	return ""
}

// plain forgets how words are joined: publicSignup, public-signup.
func plain(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
}

// edits is the Levenshtein distance, or anything over most when it is more.
func edits(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
