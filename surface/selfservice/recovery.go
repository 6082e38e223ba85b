package selfservice

import "github.com/usher-id/usher/tenant/secret"

// resets says whether the flow is a recovery whose code was right: from then on
// it is a settings flow too, in which nothing can be changed but the password. Nobody
// is signed in before that is done.
func (f *held) resets() bool {
	return f.note.Kind == recovery.name && (f.asks() == "reset_password_data" || f.finished())
}

// recoveryPrefix begins the token that an app gets for the right code: it is no
// session's, and sets the password in this flow.
const recoveryPrefix = "usherrecovery_"

// recovered answers the right code: on to the new password. What was enough to
// read the flow so far isn't for that: a browser gets another secret, an app a
// token.
func (c *call) recovered(f *held) (any, error) {
	token := secret.NewToken(recoveryPrefix)
	if f.note.Type == typeBrowser {
		c.renewCSRF()
	}
	if err := c.remember(f, func(n *note) {
		if n.Values = nil; n.Type == typeAPI {
			n.Proof = secret.TokenHash(token)
		} else {
			n.CSRF = csrfHash(c.csrf())
		}
	}); err != nil {
		return nil, err
	}
	page := c.settingsPage(f)
	switch {
	case c.page:
		return see(page), nil
	case f.note.Type == typeBrowser:
		return nil, errGoOn(page)
	}
	d, err := c.document(f)
	if err == nil {
		d.ContinueWith = append([]continuation{{Action: "set_ory_session_token", SessionToken: token}}, d.ContinueWith...)
	}
	return d, err
}

// settingsPage is where the new password is typed.
func (c *call) settingsPage(f *held) string { return c.pageOf(&held{kind: settings, id: f.id}) }

// toSettings tells an app where the new password goes.
func (c *call) toSettings(f *held) continuation {
	return continuation{Action: "show_settings_ui", Flow: &continuationFlow{ID: f.id, URL: c.settingsPage(f)}}
}

// passed draws a recovery whose code was right.
func (p *page) passed() {
	p.state = passedChallenge
	p.goOn(p.settingsPage(p.flow))
}
