package selfservice

import (
	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/tenant"
)

// registeredOut is the answer to a registration.
type registeredOut struct {
	Identity     *identity      `json:"identity"`
	Session      *session       `json:"session,omitempty"`
	SessionToken string         `json:"session_token,omitempty"`
	ContinueWith []continuation `json:"continue_with"`
}

// registered answers a registration that has come to its end: the user is there
// and signed in, and goes on by verifying the address.
func (c *call) registered(f *held, at *flowengine.Answer) (any, error) {
	if at.Session == nil {
		return nil, errNoWay
	}
	s, u, err := c.sessionOf(at.Session.Session)
	if err != nil {
		return nil, err
	}
	out := &registeredOut{Identity: s.Identity, Session: s, ContinueWith: []continuation{}}
	if f.note.Type == typeAPI {
		out.SessionToken = at.Session.Token
		out.ContinueWith = append(out.ContinueWith, continuation{Action: "set_ory_session_token", SessionToken: at.Session.Token})
	} else {
		c.keepSession(at.Session)
		c.renewCSRF()
	}
	verify := c.verifyNew(f, u)
	if verify != nil {
		out.ContinueWith = append(out.ContinueWith, continuation{Action: "show_verification_ui", Flow: &continuationFlow{
			ID: verify.id, VerifiableAddress: verify.note.Values["email"], URL: c.pageOf(verify),
		}})
		if c.page && verification.page(&c.cfg.SelfService) != "" {
			return see(c.pageOf(verify)), nil
		}
	}
	if f.note.Type == typeBrowser {
		out.ContinueWith = append(out.ContinueWith, continuation{Action: "redirect_browser_to", RedirectBrowserTo: c.after(f.run.ReturnURL)})
	}
	return c.finish(f, out)
}

// verifyNew begins the verification of a new user's address and sends the code;
// nil when there is nothing to verify, or it can't be done now.
func (c *call) verifyNew(f *held, u *tenant.UserRecord) *held {
	if !c.cfg.SelfService.VerifyAfterRegistration {
		return nil
	}
	for i := range u.Identities {
		id := &u.Identities[i]
		if !id.VerifiedAt.IsZero() || id.Kind != "email" && id.Kind != "phone" {
			continue
		}
		v, err := c.begin(verification, tenant.FlowRef{Type: verification.flow, Name: tenant.DefaultFlow}, note{
			Type: f.note.Type, RequestURL: c.base + "/self-service/verification/" + f.note.Type, Active: methodCode, Values: map[string]string{"email": id.Value},
		}, f.run.ReturnURL, with("identification", id.Kind, "login_id", id.Value))
		if err != nil {
			return nil // the user is there all the same, and can begin it themselves
		}
		return v
	}
	return nil
}
