package selfservice

import (
	"strings"

	"github.com/usher-id/usher/tenant"
)

// openLink is where a link in a message leads: it fills the code in, on the page
// of the browser that has begun the flow, and verifies nothing. Mail scanners come
// here too; to them, as to any other browser, the flow isn't there.
func (a *api) openLink(c *call) (any, error) {
	f, err := c.find(verification, c.param("flow"))
	switch code := c.param("code"); {
	case err != nil:
		return nil, err
	case code == "":
		return nil, tenant.Invalidf("/code", "required", "the link has no code")
	case f.over():
		return nil, c.errExpired(f)
	default:
		err = c.remember(f, func(n *note) {
			if n.Values == nil {
				n.Values = map[string]string{}
			}
			n.Values["code"] = code[:min(len(code), maxKept)]
		})
	}
	if err != nil {
		return nil, err
	}
	if c.page {
		return see(c.pageOf(f)), nil
	}
	return c.document(f)
}

// finished draws a flow that has come to its end.
func (p *page) finished() {
	p.state = passedChallenge
	switch p.flow.kind {
	case verification:
		p.messages = []*text{say(verifiedEmail)}
		if strings.HasPrefix(p.flow.note.Values["email"], "+") {
			p.messages = []*text{say(verifiedPhone)}
		}
		p.goOn(p.after(p.flow.run.ReturnURL))
	case settings:
		p.state = success
		p.messages = []*text{say(saved)}
	}
}

// goOn draws the link by which the user goes on.
func (p *page) goOn(to string) {
	p.method, p.action = "GET", to
	p.add(node{Type: "a", Group: methodCode, Messages: []*text{}, Meta: meta{say(labelContinue)}, Attributes: map[string]any{
		"id": "continue", "href": to, "title": say(labelContinue), "node_type": "a",
	}})
}
