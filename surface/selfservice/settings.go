package selfservice

import (
	"crypto/subtle"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// private says whether a flow is for its user alone: settings are, and a recovery
// whose code was right, by whatever path it is asked for.
func (f *held) private() bool { return f.kind == settings || f.asks() == "reset_password_data" }

// mine refuses a private flow to everybody but whose settings they are.
func (c *call) mine(f *held) error {
	token, _ := c.session()
	if f.resets() {
		if f.note.Type == typeAPI && subtle.ConstantTimeCompare([]byte(secret.TokenHash(token)), []byte(f.note.Proof)) != 1 {
			return tenant.ErrUnauthenticated
		}
		return nil // a browser has shown whose it is
	}
	s, _, err := c.engine.CheckSession(c.Context(), c.Tenant, token)
	if err == nil && s.UserID != f.run.UserID {
		err = tenant.ErrDifferentUser
	}
	return err
}

// settings draws everything that can be changed.
func (p *page) settings(data map[string]any) {
	if p.flow.note.Saved {
		p.state = success
	}
	for _, o := range optionsIn(data) {
		has := o.Show["configured"] == true
		switch o.Show["setting"] {
		case "profile":
			for _, a := range attributesIn(o.Show) {
				p.add(a.node(methodProfile))
			}
			p.add(submit(methodProfile, methodProfile, say(labelSave)))
		case "password":
			p.add(password(true), submit(methodPassword, methodPassword, say(labelSave)))
		case "totp":
			if has {
				p.add(input(methodTOTP, "totp_unlink", "submit", say(labelUnlinkTOTP), attrs{"value": "true"}))
				continue
			}
			p.totp(o.Show, labelSave)
		case "recovery_codes":
			p.add(input(methodLookup, "lookup_secret_regenerate", "submit", say(labelRegenerate), attrs{"value": "true"}))
			if has {
				p.add(input(methodLookup, "lookup_secret_disable", "submit", say(labelDisable), attrs{"value": "true"}))
			}
		}
	}
}

// readSetting reads the one thing that a form changes.
func (p *page) readSetting(data map[string]any, in form) ([]flow.Input, error) {
	one := func(pairs ...any) ([]flow.Input, error) { return []flow.Input{with(pairs...)}, nil }
	method := in.chosen()
	offered := map[string]map[string]any{}
	for _, o := range optionsIn(data) {
		name, _ := o.Show["setting"].(string)
		offered[name] = o.Show
	}
	switch {
	case method == methodPassword && offered["password"] != nil:
		if in.text("password") == "" {
			return nil, missing("password")
		}
		return one("setting", "password", "new_password", in.take("password"))
	case method == methodProfile && offered["profile"] != nil:
		given, err := attributesOf(offered["profile"], in)
		if err != nil {
			return nil, err
		}
		return one("setting", "profile", "attributes", given)
	case method == methodTOTP && in.flag("totp_unlink"):
		return one("setting", "totp", "remove", true)
	case method == methodTOTP && offered["totp"] != nil:
		if in.text("totp_code") == "" {
			return nil, missing("totp_code")
		}
		return one("setting", "totp", "code", in.take("totp_code"))
	case method == methodLookup && in.flag("lookup_secret_disable"):
		return one("setting", "recovery_codes", "remove", true)
	case method == methodLookup && in.flag("lookup_secret_regenerate"):
		return one("setting", "recovery_codes")
	}
	return nil, p.noMethod()
}

// settled answers a change that was made. The engine's flow ends with it; these
// clients stay on the page, so another one goes on from there.
func (c *call) settled(f *held) (any, error) {
	if f.note.Kind == recovery.name {
		if err := c.remember(f, silent); err != nil {
			return nil, err
		}
		return c.moved(f)
	}
	next, err := c.begin(settings, f.run.Flow, note{
		Type: f.note.Type, RequestURL: f.note.RequestURL, Saved: true, Messages: []placed{{"", say(saved)}},
	}, f.run.ReturnURL)
	if err != nil {
		return nil, err
	}
	if err := c.remember(f, func(n *note) {
		*n = note{Kind: n.Kind, Type: n.Type, RequestURL: n.RequestURL, CSRF: n.CSRF, Next: next.id}
	}); err != nil {
		return nil, err
	}
	return c.show(next, 200)
}
