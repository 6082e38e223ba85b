package graph

import (
	"encoding/json"
	"io"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/usher-id/usher/tenant"
)

// MarshalTime writes a time in UTC; null for none.
func MarshalTime(t time.Time) graphql.Marshaler { return graphql.MarshalTime(t.UTC()) }

// UnmarshalTime reads RFC 3339.
func UnmarshalTime(v any) (time.Time, error) {
	if v == nil {
		return time.Time{}, nil
	}
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, tenant.Invalidf("", "format", "a time is written like 2026-01-31T12:00:00Z (RFC 3339)")
	}
	return t, nil
}

// MarshalJSON writes JSON that is kept as such; nothing is null.
func MarshalJSON(v json.RawMessage) graphql.Marshaler {
	if len(v) == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(v) })
}

// UnmarshalJSON keeps any value as JSON.
func UnmarshalJSON(v any) (json.RawMessage, error) { return json.Marshal(v) }

// MarshalAny writes any value as JSON.
func MarshalAny(v any) graphql.Marshaler {
	if v == nil {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _ = json.NewEncoder(w).Encode(v) })
}

// UnmarshalAny takes any value as it is.
func UnmarshalAny(v any) (any, error) { return v, nil }
