package ldap

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"

	goldap "github.com/go-ldap/ldap/v3"
)

// functions are what a template may do with the name beside comparing it: with
// the argument that is worked on last, as in a pipeline.
var functions = template.FuncMap{
	"lower":      strings.ToLower,
	"upper":      strings.ToUpper,
	"trim":       strings.TrimSpace,
	"trimPrefix": func(prefix, s string) string { return strings.TrimPrefix(s, prefix) },
	"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
	"hasPrefix":  func(prefix, s string) bool { return strings.HasPrefix(s, prefix) },
	"hasSuffix":  func(suffix, s string) bool { return strings.HasSuffix(s, suffix) },
	"contains":   func(part, s string) bool { return strings.Contains(s, part) },
	escape:       func(v any) string { return goldap.EscapeFilter(fmt.Sprint(v)) },
}

// escape is put behind everything that a template writes.
const escape = "escape"

var comparisons = map[string]bool{"and": true, "or": true, "not": true, "eq": true, "ne": true}

// filter makes search filters (RFC 4515) of one template.
type filter struct{ template *template.Template }

// parseFilter reads a template. It refuses loops and calls that could take long:
// there are texts, {{if}} and what writes the name.
func parseFilter(text string) (*filter, error) {
	t, err := template.New("").Funcs(functions).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("it is no template: %s", strings.TrimPrefix(err.Error(), "template: :"))
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("it defines another template")
	}
	if t.Tree == nil {
		return nil, errors.New("it is empty")
	}
	if err := secure(t.Root); err != nil {
		return nil, err
	}
	return &filter{t}, nil
}

// secure walks a template and puts the escape behind everything that it writes.
func secure(n parse.Node) error {
	switch n := n.(type) {
	case *parse.TextNode, *parse.CommentNode:
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, inner := range n.Nodes {
			if err := secure(inner); err != nil {
				return err
			}
		}
	case *parse.IfNode:
		return errors.Join(calls(n.Pipe), secure(n.List), secure(n.ElseList))
	case *parse.ActionNode:
		if len(n.Pipe.Decl) > 0 {
			return errors.New("it sets a variable")
		}
		err := calls(n.Pipe)
		n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{
			NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{parse.NewIdentifier(escape).SetPos(n.Pos)},
		})
		return err
	default:
		return errors.New("of the directives of templates it may have {{if}}")
	}
	return nil
}

// calls refuses all but the values and functions that are known here: what others
// make of a name may be of any length.
func calls(p *parse.PipeNode) error {
	for _, c := range p.Cmds {
		for _, arg := range c.Args {
			switch a := arg.(type) {
			case *parse.FieldNode, *parse.VariableNode, *parse.DotNode, *parse.StringNode, *parse.BoolNode, *parse.NumberNode:
			case *parse.IdentifierNode:
				if functions[a.Ident] == nil && !comparisons[a.Ident] {
					return fmt.Errorf("it calls %s", a.Ident)
				}
			case *parse.PipeNode:
				if err := calls(a); err != nil {
					return err
				}
			default:
				return fmt.Errorf("it has %s", a)
			}
		}
	}
	return nil
}

// maxFilter is the longest filter in bytes: that of the longest template, with
// the longest name in it a few times.
const maxFilter = 8 << 10

// bounded is a filter that is written.
type bounded struct{ strings.Builder }

func (b *bounded) Write(part []byte) (int, error) {
	if b.Len()+len(part) > maxFilter {
		return 0, fmt.Errorf("it has more than %d bytes", maxFilter)
	}
	return b.Builder.Write(part)
}

// For is the filter that finds who has a name. It is one that can be sent.
func (f *filter) For(username string) (string, error) {
	var out bounded
	if err := f.template.Execute(&out, map[string]string{"Username": username}); err != nil {
		return "", fmt.Errorf("it can't be filled in: %w", err)
	}
	text := strings.TrimSpace(out.String())
	if _, err := goldap.CompileFilter(text); err != nil {
		return "", errors.New("what it makes is no filter (RFC 4515)")
	}
	return text, nil
}
