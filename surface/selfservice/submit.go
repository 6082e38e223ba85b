package selfservice

import (
	"cmp"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// form is what a client has filled in: objects are flattened to names with dots,
// as in traits.email.
type form map[string]any

// text is a field that holds a string; "" for any other.
func (in form) text(name string) string {
	s, _ := in[name].(string)
	return s
}

// flag is a field that holds a yes.
func (in form) flag(name string) bool { return in[name] == true || in[name] == "true" }

// take is text, once.
func (in form) take(name string) string {
	s := in.text(name)
	delete(in, name)
	return s
}

// form reads the body, JSON or what browsers send.
func (c *call) form() (form, error) {
	in := form{}
	media, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if media == "application/x-www-form-urlencoded" {
		c.Body = http.MaxBytesReader(nil, c.Body, surface.MaxBody)
		err := c.ParseForm()
		var over *http.MaxBytesError
		switch {
		case errors.As(err, &over):
			return nil, tenant.ErrTooLarge
		case err != nil:
			return nil, tenant.Invalidf("", "syntax", "the form could not be read")
		}
		for name, values := range c.PostForm {
			in[name] = values[0]
		}
		return in, nil
	}
	var body map[string]any
	if err := c.Decode(&body); err != nil {
		return nil, err
	}
	in.flatten("", body)
	return in, nil
}

func (in form) flatten(under string, of map[string]any) {
	for name, v := range of {
		if inner, ok := v.(map[string]any); ok && under+name == "traits" {
			in.flatten("traits.", inner)
			continue
		}
		in[under+name] = v
	}
}

// shown is a refusal that the form shows.
type shown struct {
	messages []placed
	cause    *tenant.Error
}

func (s *shown) Error() string { return s.cause.Error() }
func (s *shown) Unwrap() error { return s.cause }

func wrongAt(node string, t *text) error {
	return &shown{[]placed{{node, t}}, tenant.ErrValidation}
}

func missing(property string) error { return wrongAt(property, say(required, "property", property)) }

func (p *page) noMethod() error { return wrongAt("", say(p.flow.noMethod)) }

// submit answers a flow.
func (a *api) submit(k *kind) handler {
	return func(c *call) (any, error) {
		f, err := c.find(k, c.param("flow"))
		if err != nil {
			return nil, err
		}
		if f.note.Type == typeAPI {
			c.page = false
		}
		in, err := c.form()
		if err != nil {
			return nil, err
		}
		if err := c.mayAnswer(f, in); err != nil {
			return c.rejected(f, err)
		}
		switch {
		case f.over():
			return c.replace(f, "self_service_flow_expired", sayExpired(f.expired, f.run.ExpiresAt, c.engine.Now()))
		case f.finished():
			return c.replace(f, "self_service_flow_replaced", say(f.done))
		}
		return c.answer(f, in)
	}
}

// mayAnswer refuses whoever the flow isn't for, and what a page elsewhere could
// have sent in a user's name.
func (c *call) mayAnswer(f *held, in form) error {
	if f.private() {
		if err := c.mine(f); err != nil {
			return err
		}
	}
	for _, h := range []string{"Origin", "Cookie"} {
		if f.note.Type != typeAPI || c.Header.Get(h) == "" {
			continue
		}
		why := "The request has the header " + h + ", so a browser has sent it; this flow is for apps. Begin a browser flow instead."
		if f.private() { // and isn't drawn for one
			return &problem{status: 400, reason: why, cause: tenant.ErrValidation}
		}
		return wrongAt("", say(invalid, "reason", why))
	}
	if f.note.Type == typeBrowser && !c.sends(in) {
		return errCSRF("The csrf_token of the form is not this browser's.")
	}
	return nil
}

// answer gives the engine what a form says, and answers with what came of it.
func (c *call) answer(f *held, in form) (any, error) {
	method, values := in.chosen(), in.kept()
	f.note.Saved, f.tries = false, in.text("code") != ""
	at, err := c.move(f, in)
	if err != nil {
		f.note.Values = values
		return c.rejected(f, err)
	}
	c.KeepSession(at)
	if at.Action.Type == flow.Finished {
		return c.finished(f, at)
	}
	if err := c.remember(f, func(n *note) {
		n.Saved, n.Messages, n.Active = false, nil, cmp.Or(method, n.Active)
		if len(values) > 0 {
			n.Values = values
		}
	}); err != nil {
		return nil, err
	}
	return c.moved(f)
}

// moved answers with the flow as it stands now.
func (c *call) moved(f *held) (any, error) {
	f, err := c.find(f.kind, f.id)
	if err != nil {
		return nil, err
	}
	if f.kind == recovery && f.asks() == "reset_password_data" {
		return c.recovered(f)
	}
	status := http.StatusOK
	if f.kind == login || f.kind == registration {
		status = http.StatusBadRequest // nobody is signed in yet, and these clients take 200 for that
	}
	return c.show(f, status)
}

// finished answers a flow that has come to its end.
func (c *call) finished(f *held, at *flowengine.Answer) (any, error) {
	switch f.kind {
	case login:
		return c.loggedIn(f, at)
	case registration:
		return c.registered(f, at)
	case settings:
		return c.settled(f)
	}
	if err := c.remember(f, silent); err != nil {
		return nil, err
	}
	return c.moved(f)
}

// move gives the engine one input after the other, as far as the form has what is
// asked for.
func (c *call) move(f *held, in form) (*flowengine.Answer, error) {
	p := &page{call: c, flow: f}
	if f.names(in) && f.asks() != "identification_data" {
		at, err := c.engine.AgainHeld(c.Context(), c.Tenant, c.client(), f.run.ID)
		if err != nil {
			return nil, err
		}
		f.at = at
	}
	inputs, err := p.read(in)
	for err == nil && inputs != nil {
		var at *flowengine.Answer
		at, err = c.engine.SubmitHeld(c.Context(), c.Tenant, c.client(), f.run.ID, inputs...)
		if at != nil {
			f.at = at
		}
		if err == nil {
			inputs = p.goesOn(in)
		}
	}
	if err == nil && f.asks() == linking {
		err = tenant.ErrDuplicatedIdentity
	}
	return f.at, err
}

// read reads a form for what the flow asks.
func (p *page) read(in form) ([]flow.Input, error) {
	asked, known := shapes[p.flow.asks()]
	if !known {
		return nil, errNoWay
	}
	return asked.read(p, p.flow.at.Action.Data, in)
}

// goesOn reads what a form says beyond what was asked so far; nil when somebody
// has to be asked.
func (p *page) goesOn(in form) []flow.Input {
	shape := p.flow.asks()
	if pass := passing[shape]; pass != nil {
		return []flow.Input{pass(p.flow.at.Action.Data)}
	}
	given := shape == "create_authenticator_data" && in.text("password") != "" ||
		shape == "fill_user_profile_data" && slices.ContainsFunc(attributesIn(p.flow.at.Action.Data), func(a attribute) bool { return in["traits."+a.name()] != nil })
	if !given {
		return nil
	}
	inputs, err := p.read(in)
	if err != nil {
		return nil // it is asked for on the next page
	}
	return inputs
}

// The bounds of what is kept of a form: fields, and bytes in each.
const (
	maxFields = 50
	maxKept   = 320
)

// kept is what the next page shows again: who it is and what they are like, and
// never what proves it.
func (in form) kept() map[string]string {
	out := map[string]string{}
	for name, v := range in {
		s, ok := v.(string)
		known := name == "identifier" || name == "email" || strings.HasPrefix(name, "traits.")
		if ok && known && len(s) <= maxKept && len(out) < maxFields {
			out[name] = s
		}
	}
	return out
}

// replace begins a flow in the place of one that is over.
func (c *call) replace(f *held, id string, why *text) (any, error) {
	n := note{Type: f.note.Type, RequestURL: f.note.RequestURL, Refresh: f.note.Refresh, AAL: f.note.AAL, Messages: []placed{{"", why}}}
	k := f.kind
	if f.note.Kind == recovery.name {
		k = recovery // also where it was a settings flow for a while
	}
	fresh, err := c.begin(k, f.run.Flow, n, f.run.ReturnURL)
	if err != nil {
		return nil, err
	}
	return nil, c.errReplaced(id, fresh)
}

// elsewhere is where a browser finds a flow; "" for an app.
func (c *call) elsewhere(f *held) string {
	if f.note.Type != typeBrowser {
		return ""
	}
	return c.pageOf(f)
}

// rejected answers a refusal: with the form, where the form can say what is wrong.
func (c *call) rejected(f *held, err error) (any, error) {
	if errors.Is(err, tenant.ErrRateLimited) && f.tries && f.at.Action.Data["failed_attempt_rate_limit_exceeded"] == true {
		return c.replace(f, "self_service_flow_replaced", say(invalid, "reason", "The code was tried too often. Ask for another one."))
	}
	told, status := f.tells(err)
	switch {
	case told == nil:
		return nil, c.helped(f, err)
	case f.over():
		return nil, c.errExpired(f)
	}
	if passing[f.asks()] != nil || f.asks() == linking { // nobody can be asked here: back to who it is
		at, againErr := c.engine.AgainHeld(c.Context(), c.Tenant, c.client(), f.run.ID)
		if againErr != nil {
			return nil, againErr
		}
		f.at = at
	}
	f.note.Messages = told // shown now, and later unless another request has noted something since
	if noteErr := c.engine.NoteHeld(c.Context(), c.Tenant, &f.run, f.note); noteErr != nil && !errors.Is(noteErr, tenant.ErrFlowConflict) {
		return nil, noteErr
	}
	out, drawErr := c.show(f, status)
	if drawErr != nil {
		return nil, drawErr
	}
	return out, err
}

// helped adds to a refusal where the browser goes on.
func (c *call) helped(f *held, err error) error {
	if f.note.Type != typeBrowser {
		return err
	}
	p := *problemOf(err)
	back := "return_to=" + url.QueryEscape(c.pageOf(f))
	switch p.id {
	case "session_inactive":
		p.redirect = c.root + "/self-service/login/browser?" + back
	case "session_refresh_required":
		p.redirect = c.root + "/self-service/login/browser?refresh=true&" + back
	default:
		return err
	}
	return &p
}
