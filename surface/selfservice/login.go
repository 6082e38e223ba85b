package selfservice

import (
	"errors"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/tenant"
)

// The assurance levels: one factor, or two.
const (
	aal1 = "aal1"
	aal2 = "aal2"
)

// opensLogin says which flow of the engine a login is. For whoever is signed in
// it is the one in which they prove themselves again, if they ask for that.
func (c *call) opensLogin(ref tenant.FlowRef, n *note, returnTo string) (tenant.FlowRef, error) {
	n.Refresh = c.param("refresh") == "true"
	if n.AAL = c.param("aal"); n.AAL != "" && n.AAL != aal1 && n.AAL != aal2 {
		return ref, tenant.Invalidf("/aal", "enum", "aal is aal1 or aal2")
	}
	token, _ := c.session()
	s, _, err := c.engine.CheckSession(c.Context(), c.Tenant, token)
	signedIn := err == nil
	if err != nil && !errors.Is(err, tenant.ErrUnauthenticated) {
		return ref, err
	}
	switch {
	case n.AAL == aal2 && !signedIn:
		return ref, &problem{status: 401, id: "session_aal1_required", reason: "Sign in first: the second factor comes after the first one.", cause: tenant.ErrUnauthenticated}
	case !signedIn:
		n.Refresh = false
		return ref, nil
	case n.Refresh || n.AAL == aal2 && aalOf(s) != aal2:
		return tenant.FlowRef{Type: tenant.Reauth, Name: tenant.DefaultFlow}, nil
	}
	return ref, errAlreadySignedIn(c.after(returnTo))
}

// aal is the assurance level that a login asks for now.
func (p *page) aal() string {
	if p.flow.note.AAL == aal2 || len(p.flow.run.Factors) > 0 && !p.flow.finished() && !p.flow.note.Refresh {
		return aal2
	}
	return aal1
}

// signedInOut is the answer to a login.
type signedInOut struct {
	Session      *session       `json:"session"`
	SessionToken string         `json:"session_token,omitempty"`
	ContinueWith []continuation `json:"continue_with,omitempty"`
}

// loggedIn answers a login that has come to its end.
func (c *call) loggedIn(f *held, at *flowengine.Answer) (any, error) {
	token, _ := c.session()
	var s *tenant.Session
	if at.Session != nil {
		s, token = at.Session.Session, at.Session.Token
	} else { // proved again
		var err error
		if s, _, err = c.engine.CheckSession(c.Context(), c.Tenant, token); err != nil {
			return nil, err
		}
	}
	out := &signedInOut{}
	var err error
	if out.Session, _, err = c.sessionOf(s); err != nil {
		return nil, err
	}
	if f.note.Type == typeAPI {
		out.SessionToken = token
		return c.finish(f, out)
	}
	if at.Session != nil {
		c.keepSession(at.Session)
	}
	c.renewCSRF()
	out.ContinueWith = []continuation{{Action: "redirect_browser_to", RedirectBrowserTo: c.after(f.run.ReturnURL)}}
	return c.finish(f, out)
}
