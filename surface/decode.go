package surface

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/usher-id/usher/tenant"
)

// The limits on a JSON body. What people send is far below both.
const (
	MaxBody  = 64 << 10 // bytes
	MaxDepth = 16       // of arrays and objects in one another
)

// MaxURL bounds the URLs that doors keep of what a client sends, in bytes.
const MaxURL = 2048

// Decode reads the body of a request, a JSON object, into a struct or a map. Keys
// that the struct doesn't have are ignored; everything else that doesn't fit is
// refused.
func (q *Request) Decode(into any) error {
	if err := q.wantJSON(); err != nil {
		return err
	}
	if q.ContentLength > MaxBody {
		return tenant.ErrTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(q.answer, q.Body, MaxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tenant.ErrTooLarge
	case err != nil:
		return tenant.Invalidf("", "syntax", "the body could not be read").Because(err)
	case !utf8.Valid(body):
		return tenant.Invalidf("", "encoding", "the body is not UTF-8") // RFC 8259 section 8.1
	case depth(body) > MaxDepth:
		return tenant.Invalidf("", "depth", "the body nests deeper than %d", MaxDepth)
	}
	return badJSON(json.Unmarshal(body, into))
}

func (q *Request) wantJSON() error {
	ct := q.Header.Get("Content-Type")
	if ct == "application/json" {
		return nil
	}
	media, params, err := mime.ParseMediaType(ct)
	if err != nil || media != "application/json" {
		return tenant.ErrMediaType
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return tenant.ErrMediaType
	}
	return nil
}

// badJSON puts the words of encoding/json into ours.
func badJSON(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		pointer := ""
		if kind.Field != "" {
			pointer = "/" + strings.ReplaceAll(kind.Field, ".", "/")
		}
		return tenant.Invalidf(pointer, "type", "a %s does not belong here", kind.Value)
	case errors.As(err, &syntax):
		return tenant.ErrValidation.Says("the body is not JSON").
			WithCauses(tenant.Cause{Location: "", Kind: "syntax", Details: map[string]any{"offset": syntax.Offset}})
	}
	return tenant.Invalidf("", "syntax", "the body is not JSON").Because(err)
}

// depth counts how deeply arrays and objects nest. It looks at brackets outside
// of strings and leaves everything else to the decoder.
func depth(body []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
