package store

import (
	"encoding/base64"
	"strings"
	"time"
)

// Columns hold no NULL: a zero time is 0, no bytes are an empty text.

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func seal(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unseal(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

// clean is a text that both databases keep as it is: UTF-8 without U+0000.
// What comes from a header may be neither.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// askable says whether a text can be in the database at all.
func askable(s string) bool { return clean(s) == s }

func words(list []string) string { return clean(strings.Join(list, " ")) }

func list(words string) []string { return strings.Fields(words) }

// above is a text that is larger than everything that begins with s.
func above(s string) string { return s + "\U0010FFFF" }

// mapped makes one thing of each of many: nouns of rows, rows of nouns.
func mapped[A, B any](from []A, of func(*A) B) []B {
	out := make([]B, len(from))
	for i := range from {
		out[i] = of(&from[i])
	}
	return out
}
