package graph

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/usher-id/usher/tenant"
)

// What one request may cost. All of it is known before anything is executed.
const (
	MaxBody      = 1 << 20  // bytes
	MaxDocument  = 32 << 20 // bytes, of a request that carries a document: applyConfig, importUsers
	MaxTokens    = 5000     // of the query
	MaxDepth     = 15       // fields within fields
	MaxAliases   = 30       // fields with another name, fragments expanded
	MaxCost      = 20_000   // see [weight]
	resolverCost = 10       // of a field that is answered by a resolver
)

// limits refuses operations that are over the limits, and introspection unless
// it is switched on.
type limits struct {
	introspection bool
	reject        func(reason string)
}

var _ graphql.OperationContextMutator = limits{}

// ExtensionName names the extension to gqlgen.
func (limits) ExtensionName() string { return "Limits" }

// Validate has nothing to check.
func (limits) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext checks an operation that was parsed and validated.
func (l limits) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	op.DisableIntrospection = !l.introspection
	m := measure{vars: op.Variables, fragments: map[string]weight{}, introspection: l.introspection}
	w := m.selection(op.Operation.SelectionSet)
	switch {
	case m.introspected && !l.introspection:
		l.reject("forbidden")
		return gqlerror.Wrap(tenant.ErrForbidden.Says("introspection is switched off"))
	case w.depth > MaxDepth:
		l.reject("depth")
		return tooComplex("depth", w.depth, MaxDepth)
	case w.aliases > MaxAliases:
		l.reject("cost")
		return tooComplex("aliases", w.aliases, MaxAliases)
	case w.cost > MaxCost:
		l.reject("cost")
		return tooComplex("cost", w.cost, MaxCost)
	}
	return nil
}

func tooComplex(what string, is, limit int) *gqlerror.Error {
	return gqlerror.Wrap(tenant.ErrQueryTooComplex.
		Says("the query is over the limits of this API: its %s is %d, and at most %d may be", what, is, limit).
		With("limit", what).With("is", is).With("maximum", limit))
}

// weight is what a selection comes to. A field costs 1, or 10 when a resolver
// answers it; what stands in a connection costs as often as rows are asked for.
type weight struct{ depth, aliases, cost int }

const heaviest = 1 << 30

func (w weight) and(o weight) weight {
	return weight{max(w.depth, o.depth), min(w.aliases+o.aliases, heaviest), min(w.cost+o.cost, heaviest)}
}

// measure weighs every fragment once, so that its own cost is that of reading
// the query, however often fragments spread others.
type measure struct {
	vars          map[string]any
	fragments     map[string]weight
	introspection bool
	introspected  bool
}

func (m *measure) selection(set ast.SelectionSet) (w weight) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			w = w.and(m.field(s))
		case *ast.InlineFragment:
			w = w.and(m.selection(s.SelectionSet))
		case *ast.FragmentSpread:
			known, ok := m.fragments[s.Name]
			if !ok {
				known = m.selection(s.Definition.SelectionSet)
				m.fragments[s.Name] = known
			}
			w = w.and(known)
		}
	}
	return w
}

func (m *measure) field(f *ast.Field) weight {
	if f.Name == "__schema" || f.Name == "__type" {
		m.introspected = true
		return weight{depth: 1, cost: resolverCost} // as large as the schema and no larger
	}
	w := m.selection(f.SelectionSet)
	w.depth++
	if strings.HasSuffix(f.Definition.Type.Name(), "Connection") {
		w.cost = min(w.cost*m.rows(f), heaviest)
	}
	if resolves(f.ObjectDefinition, f.Definition) {
		w.cost += resolverCost
	} else {
		w.cost++
	}
	if f.Alias != f.Name {
		w.aliases++
	}
	return w
}

// rows is how many a connection is asked for.
func (m *measure) rows(f *ast.Field) int {
	n, err := graphql.UnmarshalInt(f.ArgumentMap(m.vars)["first"])
	if err != nil || n < 0 || n > MaxFirst {
		return MaxFirst // it will be refused
	}
	return max(n, 1)
}
