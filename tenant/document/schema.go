package document

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/usher-id/usher/tenant"
)

// Schema is the JSON Schema (draft 2020-12) of a document, indented. It is
// what documents are checked against, and docs/config.schema.json.
func Schema() []byte { return bytes.Clone(theSchema().text) }

// Sections lists the names of the sections, in the order of the document.
func Sections() []string {
	config := reflect.TypeFor[tenant.Config]()
	names := make([]string, config.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(config.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// schema is the schema as text, as a tree to look names up in, and compiled.
type schema struct {
	raw   string // without the defaults
	text  []byte
	tree  map[string]any
	check *validator.Schema
}

// theSchema is made on first use: a server that only serves flows needs none.
var theSchema = sync.OnceValue(func() *schema {
	r := &jsonschema.Reflector{Anonymous: true, RequiredFromJSONSchemaTags: true}
	made := r.Reflect(&tenant.Config{})
	made.Title = "Configuration of an Usher tenant"
	made.Description = "The USHER document, in JSON or YAML. What it leaves out takes the default."
	text, err := json.Marshal(made)
	must(err)
	s := &schema{}
	must(json.Unmarshal(text, &s.tree))
	s.raw = string(text)
	defaults, _ := Encode(tenant.DefaultConfig())
	var values map[string]any
	must(json.Unmarshal(defaults, &values))
	s.fillDefaults(s.resolve(s.tree), values, string(text))
	s.text, err = json.MarshalIndent(s.tree, "", "  ")
	must(err)
	s.text = append(s.text, '\n')

	compiler := validator.NewCompiler()
	parsed, err := validator.UnmarshalJSON(bytes.NewReader(s.text))
	must(err)
	must(compiler.AddResource(schemaURL, parsed))
	s.check, err = compiler.Compile(schemaURL)
	must(err)
	return s
})

const schemaURL = "config.schema.json"

// must is for what only a wrong tag in package tenant can break, which the
// first test finds.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// resolve follows a reference within the schema.
func (s *schema) resolve(node map[string]any) map[string]any {
	ref, ok := node["$ref"].(string)
	if !ok {
		return node
	}
	return s.at(strings.TrimPrefix(ref, "#"))
}

// at finds a place in the schema by its pointer; nil when there is none.
func (s *schema) at(pointer string) map[string]any {
	node := s.tree
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" || pointer == "/" {
			break
		}
		node, _ = node[name].(map[string]any)
	}
	return node
}

// fillDefaults writes the defaults into the schema, for editors and people. A
// definition that is used twice has them beside each reference instead.
func (s *schema) fillDefaults(node map[string]any, values map[string]any, uses string) {
	properties, _ := node["properties"].(map[string]any)
	for name, value := range values {
		property, ok := properties[name].(map[string]any)
		if !ok {
			continue
		}
		nested, isObject := value.(map[string]any)
		ref, _ := property["$ref"].(string)
		if shared := ref != "" && strings.Count(uses, `"`+ref+`"`) > 1; !isObject || shared {
			property["default"] = value
			continue
		}
		s.fillDefaults(s.resolve(property), nested, uses)
	}
}

// Has says whether the document has a setting at a pointer.
func Has(pointer string) bool { return theSchema().setting(pointer) != nil }

// Nearest is the number nearest to one that is out of the range which the
// schema allows at a place of the document.
func Nearest(pointer string, value any) (limit json.Number, ok bool) {
	n, isNumber := value.(json.Number)
	f, err := n.Float64()
	if !isNumber || err != nil {
		return "", false
	}
	setting := theSchema().setting(pointer)
	low, hasLow := setting["minimum"].(float64)
	high, hasHigh := setting["maximum"].(float64)
	switch {
	case hasLow && f < low:
		f = low
	case hasHigh && f > high:
		f = high
	default:
		return "", false
	}
	return json.Number(strconv.FormatFloat(f, 'f', -1, 64)), true
}

// setting is the schema of what stands at a pointer into a document; nil where
// nothing can.
func (s *schema) setting(pointer string) map[string]any {
	node := s.resolve(s.tree)
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		next, isList := node["items"].(map[string]any)
		if !isList {
			properties, _ := node["properties"].(map[string]any)
			next, _ = properties[name].(map[string]any)
		}
		if next == nil {
			return nil
		}
		node = s.resolve(next)
	}
	return node
}
