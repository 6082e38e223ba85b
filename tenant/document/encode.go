package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"

	"go.yaml.in/yaml/v3"

	"github.com/usher-id/usher/tenant"
)

// Encode writes the whole configuration, defaults included, in canonical JSON
// (members in the order of the types, no white space), and its SHA-256 in hex.
// Equal configurations have equal bytes; a version that is kept so means the
// same when a later Usher has other defaults.
func Encode(cfg *tenant.Config) (doc []byte, hash string) {
	whole := *cfg
	fillLists(reflect.ValueOf(&whole).Elem())
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	must(e.Encode(&whole)) // plain values: nothing that JSON can't say
	doc = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	sum := sha256.Sum256(doc)
	return doc, hex.EncodeToString(sum[:])
}

// fillLists makes missing lists of sections empty ones, so that both are
// written alike. It changes no list that is there: those are shared.
func fillLists(v reflect.Value) {
	for i := range v.NumField() {
		switch field := v.Field(i); field.Kind() {
		case reflect.Struct:
			fillLists(field)
		case reflect.Slice:
			if field.IsNil() {
				field.Set(reflect.MakeSlice(field.Type(), 0, 0))
			}
		}
	}
}

// YAML writes the whole configuration for people, in the same order. Decoding
// it gives the same configuration.
func YAML(cfg *tenant.Config) []byte {
	text, _ := Encode(cfg)
	return YAMLOf(text)
}

// YAMLOf writes a JSON text for people, in the same order.
func YAMLOf(text []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	root, err := yamlNode(d)
	must(err)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	must(e.Encode(root))
	must(e.Close())
	return b.Bytes()
}

// yamlNode reads one JSON value, keeping the order of members.
func yamlNode(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return yamlScalarNode(token)
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if open == '[' {
		n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	}
	for d.More() {
		child, err := yamlNode(d) // of an object: a name and then its value
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	_, err = d.Token()
	return n, err
}

func yamlScalarNode(token json.Token) (*yaml.Node, error) {
	n := &yaml.Node{}
	switch v := token.(type) {
	case string:
		n.SetString(v)
		return n, nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: v.String()}, nil
	}
	return n, n.Encode(token)
}
