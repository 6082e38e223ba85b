package deliver

import (
	"bytes"
	"embed"
	"encoding/json"
	htmltemplate "html/template"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/text/language"

	"github.com/usher-id/usher/tenant"
)

//go:embed templates
var files embed.FS

// builtIn are the languages that Usher speaks by itself; the first is the one
// for whoever speaks none of them.
var builtIn = []string{"en", "de"}

// Languages lists the languages that Usher speaks by itself.
func Languages() []string { return slices.Clone(builtIn) }

// Purposes lists what messages are for.
var Purposes = []tenant.CodePurpose{tenant.PurposeVerify, tenant.PurposeAuthenticate, tenant.PurposeRecover}

// words are what the built-in messages of one language say. They are templates
// themselves, and stand in the layouts where [[ ]] names them.
type words struct {
	Language string
	purposeWords
	Expiry string `json:"expiry"`
	Secret string `json:"secret"`
	NotYou string `json:"not_you"`
	ByHand string `json:"by_hand"`
}

type purposeWords struct {
	Subject   string `json:"subject"`
	Heading   string `json:"heading"`
	Code      string `json:"code"`
	Link      string `json:"link"`
	Button    string `json:"button"`
	ShortCode string `json:"short_code"`
	ShortLink string `json:"short_link"`
}

type templateKey struct {
	purpose  tenant.CodePurpose
	channel  string
	language string
}

// defaults are the built-in templates, made once.
var defaults = makeDefaults()

func makeDefaults() map[templateKey]*message {
	out := map[templateKey]*message{}
	for _, lang := range builtIn {
		raw := read("templates/" + lang + ".json")
		var common words
		var purposes map[tenant.CodePurpose]json.RawMessage
		must(json.Unmarshal(raw, &common))
		must(json.Unmarshal(raw, &purposes))
		for _, purpose := range Purposes {
			w := common
			w.Language = lang
			must(json.Unmarshal(purposes[purpose], &w.purposeWords))
			short := parseDefault(tenant.MessageTemplate{Text: w.fill("sms.txt")})
			out[templateKey{purpose, tenant.SMSChannel, lang}] = short
			out[templateKey{purpose, tenant.WhatsAppChannel, lang}] = short
			out[templateKey{purpose, tenant.EmailChannel, lang}] = parseDefault(tenant.MessageTemplate{
				Subject: w.Subject, Text: w.fill("email.txt"), HTML: w.fill("email.html"),
			})
		}
	}
	return out
}

// fill puts the words into a layout.
func (w *words) fill(layout string) string {
	t, err := template.New(layout).Delims("[[", "]]").Parse(string(read("templates/" + layout)))
	must(err)
	var b bytes.Buffer
	must(t.Execute(&b, w))
	return strings.TrimSpace(b.String()) + "\n"
}

func parseDefault(t tenant.MessageTemplate) *message {
	m, problems := parse(&t)
	if len(problems) > 0 {
		panic("deliver: built-in template: " + problems[0].Message)
	}
	return m
}

func read(name string) []byte {
	b, err := files.ReadFile(name)
	must(err)
	return b
}

// must is for what only a wrong file of ours can break, which the first test finds.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// message is the templates of a message; html is nil for plain text.
type message struct {
	language string
	subject  *template.Template
	text     *template.Template
	html     *htmltemplate.Template
}

// languageFor picks the language of a message: of those that there are words
// in, the one that fits what the client accepts (RFC 9110 section 12.5.4), else
// the tenant's.
func languageFor(m *tenant.Messaging, purpose tenant.CodePurpose, channel, accept string) string {
	var names []string
	for i := range m.Templates {
		if t := &m.Templates[i]; t.Purpose == purpose && t.Channel == channel {
			names = append(names, t.Language)
		}
	}
	return PickLanguage(append(names, builtIn...), accept, m.Language)
}

// PickLanguage picks of some languages the one that fits what a client accepts
// (RFC 9110 section 12.5.4), else the one nearest to another, else English.
func PickLanguage(of []string, accept, otherwise string) string {
	var tags []language.Tag
	var names []string
	for _, name := range of {
		if tag, err := language.Parse(name); err == nil {
			tags, names = append(tags, tag), append(names, name)
		}
	}
	matcher := language.NewMatcher(tags)
	if len(accept) > maxAccept {
		accept = accept[:max(0, strings.LastIndexByte(accept[:maxAccept], ','))]
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err == nil {
		if _, i, confidence := matcher.Match(wanted...); confidence > language.No {
			return names[i]
		}
	}
	_, i, confidence := matcher.Match(language.Make(otherwise))
	if confidence == language.No {
		return builtIn[0]
	}
	return names[i]
}

// maxAccept is as much of Accept-Language as is read, in bytes.
const maxAccept = 256

// messageFor finds the templates of a message: the tenant's, else the built-in.
func messageFor(m *tenant.Messaging, purpose tenant.CodePurpose, channel, lang string) (*message, error) {
	lang = languageFor(m, purpose, channel, lang)
	for i := range m.Templates {
		t := &m.Templates[i]
		if t.Purpose != purpose || t.Channel != channel || t.Language != lang {
			continue
		}
		own, problems := parse(t)
		if len(problems) > 0 {
			return nil, problems[0] // a published configuration has none
		}
		own.language = lang
		if own.subject == nil && channel == tenant.EmailChannel {
			own.subject = defaultFor(purpose, channel, lang).subject
		}
		return own, nil
	}
	return defaultFor(purpose, channel, lang), nil
}

// defaultFor is the built-in message in the language nearest to one.
func defaultFor(purpose tenant.CodePurpose, channel, lang string) *message {
	nearest := languageFor(&tenant.Messaging{Language: builtIn[0]}, purpose, channel, lang)
	m := *defaults[templateKey{purpose, channel, nearest}]
	m.language = nearest
	return &m
}
