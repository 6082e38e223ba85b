package selfservice

// resets says whether the flow is a recovery whose code was right: from then on
// it is a settings flow too, in which nothing can be changed but the password. Nobody
// is signed in before that is done.
func (f *held) resets() bool {
	return f.note.Kind == recovery.name && (f.asks() == "reset_password_data" || f.finished())
}

// recovered answers the right code: on to the new password.
func (c *call) recovered(f *held) (any, error) {
	if f.note.Type == typeAPI {
		return c.document(f)
	}
	c.renewCSRF()
	f.note.CSRF, f.note.Values = csrfHash(c.csrf()), nil
	if err := c.remember(f); err != nil {
		return nil, err
	}
	page := c.settingsPage(f)
	if c.page {
		return see(page), nil
	}
	return nil, errGoOn(page)
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
