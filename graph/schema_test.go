package graph_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/usher-id/usher/graph"
	"github.com/usher-id/usher/tenant"
)

func schema() *ast.Schema { return graph.NewExecutableSchema(graph.Config{}).Schema() }

// own lists the types that are ours, by name.
func own() []*ast.Definition {
	var out []*ast.Definition
	for name, def := range schema().Types {
		if !def.BuiltIn && !strings.HasPrefix(name, "__") {
			out = append(out, def)
		}
	}
	slices.SortFunc(out, func(a, b *ast.Definition) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func TestEverythingIsDescribed(t *testing.T) {
	said := func(what, description string) {
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", what)
		}
	}
	for _, def := range own() {
		said(def.Name, def.Description)
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			said(def.Name+"."+f.Name, f.Description)
			for _, a := range f.Arguments {
				said(def.Name+"."+f.Name+"("+a.Name+")", a.Description)
			}
		}
		for _, v := range def.EnumValues {
			said(def.Name+"."+v.Name, v.Description)
		}
	}
}

// TestEveryResolverAsksWhoMay holds the rule of authz.go: what a resolver
// answers carries @can. The resolvers are the ones that gqlgen asks for, so a
// new field can't be forgotten.
func TestEveryResolverAsksWhoMay(t *testing.T) {
	types := schema().Types
	guarded := map[string]bool{}
	for _, def := range own() {
		for _, f := range def.Fields {
			if f.Directives.ForName("can") != nil {
				guarded[def.Name+"."+f.Name] = false
			}
		}
	}
	root := reflect.TypeFor[graph.ResolverRoot]()
	for i := range root.NumMethod() {
		def := types[root.Method(i).Name]
		resolver := root.Method(i).Type.Out(0)
		for j := range resolver.NumMethod() {
			field := fieldOf(def, resolver.Method(j).Name)
			if field == nil {
				t.Fatalf("%s has no field for %s", def.Name, resolver.Method(j).Name)
			}
			name := def.Name + "." + field.Name
			_, ok := guarded[name]
			if !ok && field.Name != "id" {
				t.Errorf("%s is answered by a resolver and has no @can", name)
			}
			guarded[name] = true
		}
	}
	for name, resolved := range guarded {
		if !resolved {
			t.Errorf("%s has @can and no resolver: it is a part of something that is guarded already", name)
		}
	}
	for _, def := range []*ast.Definition{types["Query"], types["Mutation"]} {
		for _, f := range def.Fields {
			if !strings.HasPrefix(f.Name, "__") && f.Directives.ForName("can") == nil {
				t.Errorf("%s.%s has no @can", def.Name, f.Name)
			}
		}
	}
}

func fieldOf(def *ast.Definition, method string) *ast.FieldDefinition {
	for _, f := range def.Fields {
		if strings.EqualFold(f.Name, method) {
			return f
		}
	}
	return nil
}

// TestMutationsFollowTheConvention: fooBar takes input: FooBarInput! and its
// payload says why nothing was done.
func TestMutationsFollowTheConvention(t *testing.T) {
	s := schema()
	for _, f := range s.Mutation.Fields {
		want := strings.ToUpper(f.Name[:1]) + f.Name[1:] + "Input!"
		if len(f.Arguments) != 1 || f.Arguments[0].Name != "input" || f.Arguments[0].Type.String() != want {
			t.Errorf("%s does not take input: %s alone", f.Name, want)
		}
		payload := s.Types[f.Type.Name()]
		if e := payload.Fields.ForName("userErrors"); e == nil || e.Type.String() != "[UserError!]!" {
			t.Errorf("%s has no userErrors: [UserError!]!", payload.Name)
		}
		input := s.Types[f.Arguments[0].Type.Name()]
		if (input.Fields.ForName("tenant") == nil) == (input.Fields.ForName("slug") == nil) {
			t.Errorf("%s does not name its tenant, in one way", input.Name) // @can reads it
		}
	}
}

// TestSectionsAreTheDocuments: every section of the document can be read and
// edited, with all its fields and no other, under the same names in camelCase.
func TestSectionsAreTheDocuments(t *testing.T) {
	config := reflect.TypeFor[tenant.Config]()
	sameFields(t, "Config", config, nil)
	for i := range config.NumField() {
		section := jsonName(config.Field(i))
		input := "Update" + strings.ToUpper(section[:1]) + section[1:] + "Input"
		edit := []string{"tenant", "expectedVersion", "autoPublish", "message", "force", "secrets"}
		if config.Field(i).Type.Kind() == reflect.Slice { // edited as a whole
			sameFields(t, input, reflect.StructOf([]reflect.StructField{config.Field(i)}), edit)
			continue
		}
		sameFields(t, input, config.Field(i).Type, edit)
	}
}

// besides are fields of the schema alone: secrets live outside of the document.
var besides = map[string][]string{"OAuthProvider": {"hasSecret", "lastFour"}, "OAuthProviderInput": {"clientSecret"}}

// sameFields compares a type of the schema with a Go type, all the way down.
func sameFields(t *testing.T, name string, typ reflect.Type, extra []string) {
	t.Helper()
	def := schema().Types[name]
	if def == nil {
		t.Errorf("the schema has no %s", name)
		return
	}
	var want, got []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Tag.Get("json") == "-" {
			continue
		}
		want = append(want, jsonName(f))
		field := def.Fields.ForName(jsonName(f))
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if field != nil && inner.Kind() == reflect.Struct && field.Type.Name() != name && !strings.HasPrefix(name, "Flow") {
			sameFields(t, field.Type.Name(), inner, nil)
		}
	}
	for _, f := range def.Fields {
		if !slices.Contains(extra, f.Name) && !slices.Contains(besides[name], f.Name) {
			got = append(got, f.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s has %v, the document %v", name, got, want)
	}
}

// jsonName is what a field of a document is called in the schema.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	parts := strings.Split(name, "_")
	for i := range parts[1:] {
		parts[i+1] = strings.ToUpper(parts[i+1][:1]) + parts[i+1][1:]
	}
	return strings.Join(parts, "")
}

// TestFlowsAreTheDocuments does the same for the tree, which holds itself.
func TestFlowsAreTheDocuments(t *testing.T) {
	for _, suffix := range []string{"", "Input"} {
		sameFields(t, "Flow"+suffix, reflect.TypeFor[tenant.Flow](), nil)
		sameFields(t, "FlowStep"+suffix, reflect.TypeFor[tenant.Step](), nil)
		sameFields(t, "FlowBranch"+suffix, reflect.TypeFor[tenant.Branch](), nil)
	}
}
