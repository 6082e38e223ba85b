package selfservice

import (
	"net/http"
	"time"

	"github.com/usher-id/usher/surface"
)

// document is a flow as clients see it.
type document struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	ExpiresAt  time.Time `json:"expires_at"`
	IssuedAt   time.Time `json:"issued_at"`
	RequestURL string    `json:"request_url"`
	ReturnTo   string    `json:"return_to,omitempty"`
	Active     string    `json:"active,omitempty"`
	State      string    `json:"state"`
	UI         container `json:"ui"`

	Refresh      *bool          `json:"refresh,omitempty"`       // of a login
	RequestedAAL string         `json:"requested_aal,omitempty"` // of a login
	Identity     *identity      `json:"identity,omitempty"`      // of settings
	ContinueWith []continuation `json:"continue_with,omitempty"`
}

// container is what a page shows.
type container struct {
	Action   string  `json:"action"`
	Method   string  `json:"method"`
	Nodes    []node  `json:"nodes"`
	Messages []*text `json:"messages,omitempty"`
}

// continuation is what a client does after a flow.
type continuation struct {
	Action            string            `json:"action"`
	Flow              *continuationFlow `json:"flow,omitempty"`
	SessionToken      string            `json:"ory_session_token,omitempty"`
	RedirectBrowserTo string            `json:"redirect_browser_to,omitempty"`
}

type continuationFlow struct {
	ID                string `json:"id"`
	VerifiableAddress string `json:"verifiable_address,omitempty"`
	URL               string `json:"url,omitempty"`
}

// The states of a flow.
const (
	chooseMethod    = "choose_method"
	sentEmail       = "sent_email"
	passedChallenge = "passed_challenge"
	showForm        = "show_form" // of settings
	success         = "success"   // of settings
)

// document draws a flow.
func (c *call) document(f *held) (*document, error) {
	p := &page{call: c, flow: f}
	if err := p.draw(); err != nil {
		return nil, err
	}
	d := &document{
		ID: f.id, Type: f.note.Type, ExpiresAt: f.run.ExpiresAt, IssuedAt: f.run.CreatedAt, RequestURL: f.note.RequestURL,
		ReturnTo: f.run.ReturnURL, Active: f.note.Active, State: p.state,
		UI: container{Action: p.action, Method: p.method, Nodes: p.nodes, Messages: p.messages},
	}
	switch f.kind {
	case login:
		d.Refresh, d.RequestedAAL = &f.note.Refresh, p.aal()
	case verification:
		d.Active = methodCode
	case settings:
		u, err := c.engine.Profile(c.Context(), c.Tenant, f.run.UserID)
		if err != nil {
			return nil, err
		}
		d.Identity = c.identity(u)
	case recovery:
		if f.resets() {
			d.ContinueWith = []continuation{c.toSettings(f)}
		}
	}
	return d, nil
}

// answerOf is an answer with a status.
func answerOf(status int, body any) surface.Answer { return surface.Answer{Status: status, Body: body} }

// done is the answer to a flow that came to its end: what it made, or where the
// browser goes on.
func (c *call) finish(f *held, body any) (any, error) {
	if c.page && f.note.Type == typeBrowser {
		return see(c.after(f.run.ReturnURL)), nil
	}
	return answerOf(http.StatusOK, body), nil
}
