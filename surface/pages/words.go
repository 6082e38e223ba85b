package pages

import (
	"embed"
	"encoding/json"
	"strings"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

//go:embed words
var wordFiles embed.FS

// words are what the pages say in one language. {tenant} stands for the name of
// the tenant.
type words struct {
	Language string `json:"-"`

	For   string `json:"for"` // the names of facts
	Asked string `json:"asked"`
	From  string `json:"from"`
	By    string `json:"by"`
	Time  string `json:"time"` // a layout of package time

	Verification   pageWords `json:"verification"`
	Authentication pageWords `json:"authentication"`
	Recovery       pageWords `json:"recovery"`
	Password       string    `json:"password"`
	Again          string    `json:"again"`
	NotYou         string    `json:"not_you"`

	Approved  pageWords `json:"approved"`
	Recovered pageWords `json:"recovered"`
	Nothing   pageWords `json:"nothing"`
	Over      pageWords `json:"over"`
	More      pageWords `json:"more"`

	Failed     string `json:"failed"`
	Busy       string `json:"busy"`
	Empty      string `json:"empty"`
	Differ     string `json:"differ"`
	Unreadable string `json:"unreadable"`
	Refused    string `json:"refused"`
}

type pageWords struct {
	Title  string `json:"title"`
	Words  string `json:"words"`
	Button string `json:"button"`
}

// spoken are the words by language: of those that messages are in too.
var spoken = readWords()

func readWords() map[string]*words {
	out := map[string]*words{}
	for _, lang := range deliver.Languages() {
		raw, err := wordFiles.ReadFile("words/" + lang + ".json")
		if err != nil {
			panic(err) // a file of ours is missing
		}
		w := &words{Language: lang}
		if err := json.Unmarshal(raw, w); err != nil {
			panic(err)
		}
		out[lang] = w
	}
	return out
}

// words picks the language of a page as that of a message is picked.
func (p *pages) words(q *surface.Request) *words {
	otherwise := ""
	if cfg, err := p.engine.Config(q.Context(), q.Tenant); err == nil { // what is wrong is for the page's own answer
		otherwise = cfg.Messaging.Language
	}
	return spoken[deliver.PickLanguage(deliver.Languages(), q.Header.Get("Accept-Language"), otherwise)]
}

// view is a page that only says something.
func (w pageWords) view() view { return view{Title: w.Title, Words: []string{w.Words}} }

// about puts in the name of the tenant.
func (w pageWords) about(t *tenant.Tenant) pageWords {
	name := strings.NewReplacer("{tenant}", t.Name)
	return pageWords{Title: name.Replace(w.Title), Words: name.Replace(w.Words), Button: w.Button}
}
