package deliver_test

import (
	"strings"
	"testing"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/tenant"
)

// TestBuiltInWords: every message there is says what it brings, in every
// language, and nothing is left unfilled.
func TestBuiltInWords(t *testing.T) {
	p := newPost(t)
	acme := p.tenant("acme", nil)
	acme.Name = "Tom & <b>Jerry</b>"
	w := deliver.New(p.o)
	seen := map[string]string{}
	for _, purpose := range deliver.Purposes {
		for _, channel := range tenant.Channels {
			for _, language := range []string{"en", "de"} {
				for form, brings := range map[tenant.CodeForm]string{tenant.CodeForm6: "000000", tenant.LinkForm: "https://acme.example/link?code=0000"} {
					r, err := w.Preview(acme, p.configs[acme.ID], deliver.Sample{Purpose: purpose, Channel: channel, Form: form, Language: language})
					p.must(err)
					name := strings.Join([]string{string(purpose), channel, language, string(form)}, " ")
					for part, text := range map[string]string{"subject": r.Subject, "text": r.Text, "html": r.HTML} {
						if (text == "") != (part != "text" && channel != tenant.EmailChannel) {
							t.Errorf("%s: %s is %q", name, part, text)
						}
						if strings.Contains(text, "{{") || strings.Contains(text, "[[") || strings.Contains(text, "<no value>") {
							t.Errorf("%s: %s has holes: %s", name, part, text)
						}
						if part != "subject" && text != "" && !strings.Contains(text, brings) {
							t.Errorf("%s: %s doesn't bring it: %s", name, part, text)
						}
					}
					if strings.Contains(r.HTML, "<b>Jerry") {
						t.Errorf("%s: the name is not escaped", name)
					}
					if r.Language != language {
						t.Errorf("%s is in %s", name, r.Language)
					}
					// SMS and WhatsApp say the same; nothing else does.
					if other, twice := seen[r.Text]; twice && (channel == tenant.EmailChannel || strings.Contains(other, "email")) {
						t.Errorf("%s says what %s does", name, other)
					}
					seen[r.Text] = name
				}
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	p := newPost(t)
	acme := p.tenant("acme", func(m *tenant.Messaging) {
		m.Language = "de"
		m.Templates = []tenant.MessageTemplate{
			{Purpose: "recovery", Channel: "sms", Language: "pt-BR", Text: "Código {{.Code}}"},
			{Purpose: "recovery", Channel: "sms", Language: "de", Text: "Unser Code {{.Code}}"},
		}
	})
	w := deliver.New(p.o)
	for accept, want := range map[string]string{
		"": "Unser Code 000000", "xx": "Unser Code 000000", "en-GB,de;q=0.5": "000000 is your code", "pt": "Código 000000", "pt-PT, en;q=0.1": "Código 000000",
		"de-CH": "Unser Code 000000", ";;;;q=,": "Unser Code 000000", strings.Repeat("en,", 10_000): "000000 is your code",
	} {
		r, err := w.Preview(acme, p.configs[acme.ID], deliver.Sample{Purpose: "recovery", Channel: "sms", Form: "code", Language: accept})
		p.must(err)
		if !strings.HasPrefix(r.Text, want) {
			t.Errorf("%.20q: %s", accept, r.Text)
		}
	}
}

// TestOwnWords: a tenant's templates replace the built-in ones, and nothing in
// them or in a name gets out of its place.
func TestOwnWords(t *testing.T) {
	p := newPost(t)
	acme := p.tenant("acme", func(m *tenant.Messaging) {
		m.LinkURL = "https://app.acme.example/in?a=1"
		m.Templates = []tenant.MessageTemplate{
			{
				Purpose: "authentication", Channel: "email", Language: "en", Subject: "{{.AppName}}\r\nBcc: x@y.example",
				Text: "{{if and .Code (ne .Code .Link)}}{{.Code}}{{else if not .Code}}{{.Link}}{{end}} for {{.Recipient}}, {{.Minutes}}{{/* a remark */}}",
				HTML: `<p title="{{.AppName}}"><a href="{{.Link}}">{{.Code}}{{.Link}}</a></p>`,
			},
			{Purpose: "verification", Channel: "email", Language: "en", Text: "{{.Code}}"},
		}
	})
	acme.Name = "A\"><script>\r\nX: y\u2028z"
	w := deliver.New(p.o)
	r, err := w.Preview(acme, p.configs[acme.ID], deliver.Sample{Purpose: "authentication", Channel: "email", Form: "link", To: "j@example.org"})
	p.must(err)
	if r.Subject != `A"><script> X: y z Bcc: x@y.example` {
		t.Errorf("subject %q", r.Subject)
	}
	const link = "https://app.acme.example/in?a=1&code=00000000000000000000000000000000&purpose=authentication"
	if r.Text != link+" for j@example.org, 20" {
		t.Errorf("text %q", r.Text)
	}
	if strings.Contains(r.HTML, "<script>") || !strings.Contains(r.HTML, strings.ReplaceAll(link, "&", "&amp;")) {
		t.Errorf("html %q", r.HTML)
	}
	r, err = w.Preview(acme, p.configs[acme.ID], deliver.Sample{Purpose: "verification", Channel: "email", Form: "code"})
	p.must(err)
	if r.Text != "000000" || r.HTML != "" || !strings.Contains(r.Subject, "verification code") {
		t.Errorf("%+v", r)
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*tenant.Config)
		pointer string
		says    string
	}{
		"a loop":                     {text(`{{range 1000000000}}{{.Code}}{{end}}`), "/messaging/templates/0/text", "not known here"},
		"a format":                   {text(`{{printf "%1000000000d" 1}}{{.Code}}`), "/messaging/templates/0/text", "not known here"},
		"a pipeline":                 {text(`{{.Code | html}}`), "/messaging/templates/0/text", "not known here"},
		"a variable":                 {text(`{{$x := .Code}}{{$x}}`), "/messaging/templates/0/text", "not known here"},
		"everything":                 {text(`{{.}}`), "/messaging/templates/0/text", "not known here"},
		"with":                       {text(`{{with .Code}}{{.}}{{end}}`), "/messaging/templates/0/text", "not known here"},
		"a definition":               {text(`{{define "x"}}{{end}}{{.Code}}`), "/messaging/templates/0/text", "not known here"},
		"an unknown word":            {text(`{{.Password}}{{.Code}}`), "/messaging/templates/0/text", ".AppName, .Code"},
		"a method":                   {text(`{{.Code.String}}`), "/messaging/templates/0/text", ".AppName, .Code"},
		"unfinished":                 {text(`{{if .Code}}`), "/messaging/templates/0/text", "unexpected EOF"},
		"an unknown verb":            {text(`{{index .Code 0}}`), "/messaging/templates/0/text", "not known here"},
		"a call inside":              {text(`{{if eq (len .Code) 6}}{{.Code}}{{end}}`), "/messaging/templates/0/text", "not known here"},
		"nothing to tell":            {text(`hello`), "/messaging/templates/0/text", "doesn't show .Code"},
		"a wrong subject":            {template(func(m *tenant.MessageTemplate) { m.Subject = "{{.X}}" }), "/messaging/templates/0/subject", ".X is not known"},
		"an open attribute":          {template(func(m *tenant.MessageTemplate) { m.HTML = `<a href="{{.Code}}` }), "/messaging/templates/0/html", "ends in a non-text context"},
		"HTML without it":            {template(func(m *tenant.MessageTemplate) { m.HTML = `<p>hi</p>` }), "/messaging/templates/0/html", "doesn't show .Code"},
		"a loop in HTML":             {template(func(m *tenant.MessageTemplate) { m.HTML = `{{range 9}}{{end}}{{.Code}}` }), "/messaging/templates/0/html", "not known here"},
		"a comparison that can't be": {template(func(m *tenant.MessageTemplate) { m.Text = `{{if eq .Code 1}}{{end}}{{.Code}}` }), "/messaging/templates/0/text", "incompatible types"},
		"no address":                 {func(c *tenant.Config) { c.Messaging.Email.From = "nobody" }, "/messaging/email/from", "name@host"},
		"links, and none shown": {func(c *tenant.Config) {
			text(`{{.Code}}`)(c)
			c.OTP.Email.Form = tenant.LinkForm
		}, "/messaging/templates/0/text", "doesn't show .Link"},
	} {
		cfg := tenant.DefaultConfig()
		c.change(cfg)
		problems := deliver.Check(cfg)
		if len(problems) != 1 || problems[0].Pointer != c.pointer || !strings.Contains(problems[0].Message, c.says) {
			t.Errorf("%s: %v", name, problems)
		}
	}
	cfg := tenant.DefaultConfig()
	text(`{{if eq .Minutes 1}}a{{else}}b{{end}}{{.Code}}`)(cfg)
	if problems := deliver.Check(cfg); len(problems) != 0 {
		t.Error(problems)
	}
}

func template(change func(*tenant.MessageTemplate)) func(*tenant.Config) {
	return func(c *tenant.Config) {
		m := tenant.MessageTemplate{Purpose: "verification", Channel: "email", Language: "en", Text: "{{.Code}}"}
		change(&m)
		c.Messaging.Templates = []tenant.MessageTemplate{m}
	}
}

func text(s string) func(*tenant.Config) {
	return template(func(m *tenant.MessageTemplate) { m.Text = s })
}
