package graph_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/usher-id/usher/tenant"
)

var update = flag.Bool("update", false, "write testdata/matrix.golden anew")

// TestMatrix asks for every field that carries @can, as every role and as
// somebody of another tenant, and compares who was let in with
// testdata/matrix.golden. The questions are made from the schema.
func TestMatrix(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	w.change(w.tenants["acme"].ID, func(tx tenant.Tx) error {
		return tx.PutDraft(&tenant.Draft{TenantID: w.tenants["acme"].ID, Base: 1, Document: []byte("{}"), UpdatedAt: w.tenants["acme"].CreatedAt})
	})
	callers := []string{"acme/viewer", "acme/support", "acme/editor", "acme/admin", "acme/owner", "other/owner", "admin/operator"}
	var got strings.Builder
	got.WriteString("# Who may what in tenant acme, as the API answered. yes: let in. no: Forbidden. 404: as if there were no such tenant.\n")
	fmt.Fprintf(&got, "%-32s %-16s %-7s %-8s %-7s %-6s %-6s %-15s %s\n", "field", "permission", "viewer", "support", "editor", "admin", "owner", "owner of other", "operator")
	s := schema()
	for _, def := range []*ast.Definition{s.Query, s.Mutation, s.Types["Tenant"]} {
		for _, f := range def.Fields {
			can := f.Directives.ForName("can")
			if can == nil {
				continue
			}
			object, action := can.Arguments.ForName("object").Value.Raw, can.Arguments.ForName("action").Value.Raw
			row := []any{def.Name + "." + f.Name, object + ":" + action}
			for _, caller := range callers {
				a := w.ask(caller, question(s, w, def, f), nil)
				row = append(row, verdict(t, def.Name+"."+f.Name, a))
				if f.Name == "suspendTenant" && caller == "admin/operator" {
					w.ask(caller, `mutation { resumeTenant(input: {slug: "acme"}) { userErrors { reason } } }`, nil)
				}
			}
			fmt.Fprintf(&got, "%-32s %-16s %-7s %-8s %-7s %-6s %-6s %-15s %s\n", row...)
		}
	}
	const file = "testdata/matrix.golden"
	if *update {
		must(t, os.WriteFile(file, []byte(got.String()), 0o600))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if string(want) != got.String() {
		t.Errorf("who may what has changed; if that is meant: go test ./graph -run TestMatrix -update\n%s", got.String())
	}
}

// question asks for one field with arguments that fit its types, about acme.
func question(s *ast.Schema, w *world, def *ast.Definition, f *ast.FieldDefinition) string {
	var args []string
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil {
			args = append(args, a.Name+": "+sample(s, w, a.Name, a.Type))
		}
	}
	q := f.Name
	if len(args) > 0 {
		q += "(" + strings.Join(args, ", ") + ")"
	}
	if kind := s.Types[f.Type.Name()].Kind; kind == ast.Object || kind == ast.Interface {
		q += " { __typename }"
	}
	switch def.Name {
	case "Mutation":
		return "mutation { " + q + " }"
	case "Tenant":
		return `{ tenant(slug: "acme") { ` + q + " } }"
	}
	return "{ " + q + " }"
}

func sample(s *ast.Schema, w *world, name string, typ *ast.Type) string {
	if typ.Elem != nil {
		return "[" + sample(s, w, name, typ.Elem) + "]"
	}
	def := s.Types[typ.NamedType]
	switch def.Kind {
	case ast.Enum:
		return def.EnumValues[len(def.EnumValues)-1].Name
	case ast.InputObject:
		var fields []string
		for _, f := range def.Fields {
			if f.Type.NonNull && f.DefaultValue == nil {
				fields = append(fields, f.Name+": "+sample(s, w, f.Name, f.Type))
			}
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	switch {
	case typ.NamedType == "Int":
		return "1"
	case name == "tenant" || name == "slug":
		return `"acme"`
	case name == "id":
		return `"` + w.nodeID("Tenant", "acme", "") + `"`
	}
	return `"x"`
}

func verdict(t *testing.T, field string, a *answer) string {
	t.Helper()
	switch a.reason() {
	case "", "ValidationFailed":
		return "yes"
	case "Forbidden":
		return "no"
	case "TenantNotFound", "NotFound":
		return "404"
	}
	t.Errorf("%s: %s", field, a.raw)
	return "?"
}
