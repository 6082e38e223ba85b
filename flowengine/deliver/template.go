package deliver

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"net/mail"
	"slices"
	"strings"
	"text/template"
	tree "text/template/parse"
	"unicode"

	"github.com/usher-id/usher/tenant"
)

// vars is what a template may show.
type vars struct {
	AppName   string // the tenant's name
	Code      string // empty when a link was sent
	Link      string // empty when a code was sent
	Minutes   int    // for which it works
	Recipient string
}

var (
	variables = []string{"AppName", "Code", "Link", "Minutes", "Recipient"}
	functions = []string{"eq", "ne", "and", "or", "not"}
)

// Rendered is a message as it is sent.
type Rendered struct {
	Language string // BCP 47
	Subject  string // of e-mail
	Text     string
	HTML     string // of e-mail; "" for plain text alone
	Code     string // what it brings: one of the two
	Link     string
}

// problem is what is wrong with a part of a template.
type problem struct {
	Part    string // subject, text or html
	Message string
}

func (p problem) Error() string { return "template: " + p.Part + ": " + p.Message }

// parse makes the templates of a message, and refuses what isn't safe: loops,
// other functions and formats could cost without bound.
func parse(t *tenant.MessageTemplate) (*message, []problem) {
	m := &message{language: t.Language}
	var problems []problem
	fail := func(part string, err error) {
		if err != nil {
			words := strings.TrimPrefix(err.Error(), "template: ")
			problems = append(problems, problem{part, strings.TrimPrefix(words, "html/template: ")})
		}
	}
	var err error
	if t.Subject != "" {
		m.subject, err = parseText("subject", t.Subject)
		fail("subject", err)
	}
	m.text, err = parseText("text", t.Text)
	fail("text", err)
	if t.HTML != "" {
		m.html, err = parseHTML(t.HTML)
		fail("html", err)
	}
	return m, problems
}

func parseText(name, text string) (*template.Template, error) {
	t, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	if len(t.Templates()) > 1 {
		return nil, fmt.Errorf("define and block are not known here")
	}
	if t.Tree == nil {
		return t, nil
	}
	if err := safe(t.Root); err != nil {
		return nil, err
	}
	return t, t.Execute(&bytes.Buffer{}, vars{Code: "1"})
}

func parseHTML(text string) (*htmltemplate.Template, error) {
	if _, err := parseText("html", text); err != nil {
		return nil, err
	}
	t, err := htmltemplate.New("html").Parse(text)
	if err != nil {
		return nil, err
	}
	return t, t.Execute(&bytes.Buffer{}, vars{Link: "https://example.com"}) // finds what can't be escaped
}

// safe walks the tree of a template.
func safe(n tree.Node) error {
	switch n := n.(type) {
	case *tree.ListNode:
		if n == nil {
			return nil
		}
		for _, inner := range n.Nodes {
			if err := safe(inner); err != nil {
				return err
			}
		}
		return nil
	case *tree.TextNode, *tree.CommentNode, *tree.StringNode, *tree.NumberNode, *tree.BoolNode:
		return nil
	case *tree.ActionNode:
		return safe(n.Pipe)
	case *tree.IfNode:
		for _, inner := range []tree.Node{n.Pipe, n.List, n.ElseList} {
			if err := safe(inner); err != nil {
				return err
			}
		}
		return nil
	case *tree.PipeNode:
		if len(n.Decl) > 0 || len(n.Cmds) != 1 {
			return unsafe(n)
		}
		for i, arg := range n.Cmds[0].Args {
			if f, ok := arg.(*tree.IdentifierNode); ok && i == 0 && slices.Contains(functions, f.Ident) {
				continue
			}
			if err := safe(arg); err != nil {
				return err
			}
		}
		return nil
	case *tree.FieldNode:
		if len(n.Ident) == 1 && slices.Contains(variables, n.Ident[0]) {
			return nil
		}
		return fmt.Errorf("%s is not known here; there are .%s", n, strings.Join(variables, ", ."))
	}
	return unsafe(n)
}

func unsafe(n tree.Node) error {
	return fmt.Errorf("%s is not known here; there are if, else, end, %s and .%s",
		n, strings.Join(functions, ", "), strings.Join(variables, ", ."))
}

func (m *message) render(v vars) (*Rendered, error) {
	out := &Rendered{Language: m.language, Code: v.Code, Link: v.Link}
	var b bytes.Buffer
	if m.subject != nil {
		if err := m.subject.Execute(&b, v); err != nil {
			return nil, err
		}
		out.Subject = oneLine(b.String())
		b.Reset()
	}
	if err := m.text.Execute(&b, v); err != nil {
		return nil, err
	}
	out.Text = b.String()
	if m.html != nil {
		b.Reset()
		if err := m.html.Execute(&b, v); err != nil {
			return nil, err
		}
		out.HTML = b.String()
	}
	return out, nil
}

const maxSubject = 200 // characters

// oneLine keeps a subject from being anything else than a subject: what would
// end the header (RFC 5322 section 2.2) becomes a space.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == '\u2028' || r == '\u2029' }), " ")
	if runes := []rune(s); len(runes) > maxSubject {
		return string(runes[:maxSubject])
	}
	return s
}

// Check finds what is wrong with the messaging of a configuration, beside what
// tenant.CheckConfig does.
func Check(cfg *tenant.Config) []tenant.Problem {
	var out []tenant.Problem
	m := &cfg.Messaging
	for _, a := range []struct{ pointer, address string }{
		{"/messaging/email/from", m.Email.From}, {"/messaging/email/reply_to", m.Email.ReplyTo},
	} {
		if _, err := mail.ParseAddress(a.address); a.address != "" && err != nil {
			out = append(out, tenant.Problem{Pointer: a.pointer, Reason: "WrongForm", Message: "an address is name@host or Name <name@host>"})
		}
	}
	for i := range m.Templates {
		t, at := &m.Templates[i], fmt.Sprintf("/messaging/templates/%d", i)
		parsed, problems := parse(t)
		if len(problems) == 0 {
			problems = parsed.hides(formsOf(cfg, t.Purpose, t.Channel))
		}
		for _, p := range problems {
			out = append(out, tenant.Problem{Pointer: at + "/" + p.Part, Reason: "Template", Message: p.Message})
		}
	}
	return out
}

// hides finds the parts that don't show what the message is sent for.
func (m *message) hides(forms []tenant.CodeForm) []problem {
	var out []problem
	for _, form := range forms {
		v, name, needle := vars{AppName: "A", Minutes: 5, Recipient: "r"}, ".Code", "0482915637"
		if form == tenant.LinkForm {
			name, v.Link = ".Link", "https://example.com/"+needle
		} else {
			v.Code = needle
		}
		r, err := m.render(v)
		if err != nil {
			return append(out, problem{"text", err.Error()})
		}
		for part, text := range map[string]string{"text": r.Text, "html": r.HTML} {
			if (part == "text" || m.html != nil) && !strings.Contains(text, needle) {
				out = append(out, problem{part, "the message doesn't show " + name + ", for which it is sent"})
			}
		}
	}
	return out
}

// formsOf lists the forms in which a configuration sends what serves a purpose
// by a channel.
func formsOf(cfg *tenant.Config, purpose tenant.CodePurpose, channel string) []tenant.CodeForm {
	var out []tenant.CodeForm
	add := func(f tenant.CodeForm) {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	if purpose != tenant.PurposeRecover {
		kind := "phone"
		if channel == tenant.EmailChannel {
			kind = "email"
		}
		add(cfg.OTP.Of(kind).Form)
		return out
	}
	from := func(ds []tenant.Destination) {
		for _, d := range ds {
			if d.Channel == channel {
				add(d.OTPForm)
			}
		}
	}
	from(cfg.Recovery.Email)
	from(cfg.Recovery.Phone)
	var walk func([]tenant.Step)
	walk = func(steps []tenant.Step) {
		for i := range steps {
			from(steps[i].AllowedChannels)
			for j := range steps[i].OneOf {
				walk(steps[i].OneOf[j].Steps)
			}
		}
	}
	for i := range cfg.Flows.AccountRecoveryFlows {
		walk(cfg.Flows.AccountRecoveryFlows[i].Steps)
	}
	return out
}
