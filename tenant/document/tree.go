package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/usher-id/usher/tenant"
)

// What a document may cost to read.
const (
	MaxBytes = 1 << 20 // of a document
	maxDepth = 64      // of nesting; a flow takes four levels for each branch in a branch
	maxNodes = 50_000  // values, each use of a YAML alias counted again
)

// tree reads a document into maps, slices, strings, json.Numbers and bools.
type tree struct {
	problems []tenant.Problem // of the text itself
	broken   bool             // there is nothing that could be checked further
	nodes    int
}

// errOver ends the reading of a document that is over a bound.
var errOver = errors.New("over a bound")

// parse reads JSON or YAML.
func (t *tree) parse(doc []byte) any {
	text := bytes.TrimLeft(bytes.TrimPrefix(doc, []byte("\ufeff")), " \t\r\n")
	switch {
	case len(doc) > MaxBytes:
		t.stop(TooLarge, "the document has %d bytes; at most %d are read", len(doc), MaxBytes)
	case !utf8.Valid(doc):
		t.stop(Syntax, "the document is not UTF-8")
	case len(text) == 0:
		t.stop(Syntax, "the document is empty")
	case text[0] == '{', text[0] == '[':
		return t.json(bytes.TrimPrefix(doc, []byte("\ufeff")))
	default:
		return t.yaml(doc)
	}
	return nil
}

func one(pointer string, reason, format string, args ...any) []tenant.Problem {
	return []tenant.Problem{{Pointer: pointer, Reason: reason, Message: fmt.Sprintf(format, args...)}}
}

func (t *tree) fail(at []string, reason, format string, args ...any) {
	t.problems = append(t.problems, one(pointer(at), reason, format, args...)...)
}

// stop is a problem with the document as a whole.
func (t *tree) stop(reason, format string, args ...any) {
	t.broken = true
	t.fail(nil, reason, format, args...)
}

// enter counts a value and refuses one too many or too deep.
func (t *tree) enter(at []string) error {
	if t.nodes++; t.nodes > maxNodes {
		t.stop(TooLarge, "the document holds more than %d values", maxNodes)
		return errOver
	}
	if len(at) > maxDepth {
		t.broken = true
		t.fail(at[:8], TooLarge, "nested deeper than %d levels", maxDepth)
		return errOver
	}
	return nil
}

func (t *tree) json(text []byte) any {
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		line := 1
		if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
			line += bytes.Count(text[:min(int(bad.Offset), len(text))], []byte("\n"))
		}
		t.stop(Syntax, "not JSON: line %d: %v", line, err)
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := t.jsonValue(d, nil)
	if err != nil && !errors.Is(err, errOver) {
		t.stop(Syntax, "not JSON: %v", err)
	}
	return v
}

func (t *tree) jsonValue(d *json.Decoder, at []string) (any, error) {
	if err := t.enter(at); err != nil {
		return nil, err
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Number:
		return t.number(at, token.String()), nil
	case json.Delim:
		if token == '{' {
			return t.jsonObject(d, at)
		}
		list := []any{}
		for i := 0; d.More(); i++ {
			v, err := t.jsonValue(d, append(at, strconv.Itoa(i)))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token() // the closing bracket
		return list, err
	}
	return token, nil
}

func (t *tree) jsonObject(d *json.Decoder, at []string) (any, error) {
	object := map[string]any{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		in := append(at, name)
		if _, twice := object[name]; twice {
			t.fail(in, DuplicateKey, "the key %q stands here twice", name)
		}
		if object[name], err = t.jsonValue(d, in); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the closing brace
	return object, err
}

// number brings a number to a few digits without an exponent, so that checking
// it costs little: an exact 1e999999999 would fill the memory.
func (t *tree) number(at []string, text string) any {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return json.Number(text)
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	switch {
	case math.IsNaN(f), err != nil && !errors.Is(err, strconv.ErrRange):
		t.fail(at, Syntax, "not a number: %q", short(text))
		return nil
	case math.Abs(f) > math.MaxInt64: // infinity too: out of the range of anything
		f = math.Copysign(math.MaxInt64, f)
	}
	return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
}

func (t *tree) yaml(doc []byte) any {
	d := yaml.NewDecoder(bytes.NewReader(doc))
	var root, more yaml.Node
	if err := d.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			t.stop(Syntax, "the document is empty")
		} else {
			t.stop(Syntax, "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return nil
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		t.stop(Syntax, "more than one YAML document")
		return nil
	}
	v, _ := t.yamlValue(root.Content[0], nil) // errOver has its problem
	return v
}

func (t *tree) yamlValue(n *yaml.Node, at []string) (any, error) {
	if err := t.enter(at); err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.AliasNode:
		return t.yamlValue(n.Alias, at)
	case yaml.MappingNode:
		return t.yamlObject(n, at)
	case yaml.SequenceNode:
		list := []any{}
		for i, item := range n.Content {
			v, err := t.yamlValue(item, append(at, strconv.Itoa(i)))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
	return t.yamlScalar(n, at), nil
}

func (t *tree) yamlObject(n *yaml.Node, at []string) (any, error) {
	object := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		in := append(at, key.Value)
		if key.Kind != yaml.ScalarNode {
			t.fail(at, Syntax, "line %d: a key must be a word", key.Line)
			continue
		}
		if _, twice := object[key.Value]; twice {
			t.fail(in, DuplicateKey, "the key %q stands here twice, again in line %d", key.Value, key.Line)
		}
		v, err := t.yamlValue(n.Content[i+1], in)
		if err != nil {
			return nil, err
		}
		object[key.Value] = v
	}
	return object, nil
}

func (t *tree) yamlScalar(n *yaml.Node, at []string) any {
	switch n.ShortTag() {
	case "!!str", "!!timestamp", "!!binary", "!!merge":
		return n.Value
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return json.Number(strconv.FormatInt(i, 10))
		}
		return t.number(at, n.Value)
	case "!!float":
		return t.number(at, strings.Replace(n.Value, ".inf", "inf", 1))
	}
	t.fail(at, Syntax, "line %d: the YAML tag %s is not known here", n.Line, n.ShortTag())
	return nil
}

// pointer joins the names of nested places (RFC 6901).
func pointer(at []string) string {
	var b strings.Builder
	for _, name := range at {
		b.WriteByte('/')
		b.WriteString(escape.Replace(name))
	}
	return b.String()
}

var (
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
	unescape = strings.NewReplacer("~1", "/", "~0", "~")
)
