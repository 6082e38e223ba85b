package selfservice

import (
	"encoding/json"
	"errors"
	"net/url"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// kind is one of the five flows.
type kind struct {
	name string // in URLs
	flow tenant.FlowType
	page func(*tenant.SelfService) string // the tenant's page that shows it

	noMethod, expired, done int // messages: nothing chosen, too late, done already
	sent, wrong, code       int // messages about a code, and its label
	choose, sendCode        int // labels: go on with a password, or by a code
}

var (
	login = &kind{
		name: "login", flow: tenant.Login, page: func(s *tenant.SelfService) string { return s.LoginURL },
		noMethod: noMethodLogin, expired: expiredLogin, done: doneLogin, sent: sentLogin, wrong: wrongCodeLogin, code: codeLogin,
		choose: labelPassword, sendCode: labelSendLogin,
	}
	registration = &kind{
		name: "registration", flow: tenant.Signup, page: func(s *tenant.SelfService) string { return s.RegistrationURL },
		noMethod: noMethodSignUp, expired: expiredRegistration, done: doneRegistration,
		sent: sentRegistration, wrong: wrongCodeSignUp, code: codeRegistration, choose: labelSignUp, sendCode: labelSendSignUp,
	}
	recovery = &kind{
		name: "recovery", flow: tenant.AccountRecovery, page: func(s *tenant.SelfService) string { return s.RecoveryURL },
		noMethod: noMethodRecovery, expired: expiredRecovery, done: doneRecovery, sent: sentRecovery, wrong: wrongCodeRecovery, code: codeRecovery,
		choose: labelContinue, sendCode: labelContinue,
	}
	verification = &kind{
		name: "verification", flow: tenant.Verify, page: func(s *tenant.SelfService) string { return s.VerificationURL },
		noMethod: noMethodVerify, expired: expiredVerification, done: doneVerification,
		sent: sentVerification, wrong: wrongCodeVerify, code: codeVerification, choose: labelContinue, sendCode: labelContinue,
	}
	settings = &kind{
		name: "settings", flow: tenant.Settings, page: func(s *tenant.SelfService) string { return s.SettingsURL },
		noMethod: noMethodSettings, expired: expiredSettings, done: doneVerification,
		sent: sentVerification, wrong: wrongCodeVerify, code: codeVerification, choose: labelSave, sendCode: labelSave,
	}

	kinds = []*kind{login, registration, recovery, verification, settings}
)

// The types of a flow: for an app, or for a browser.
const (
	typeAPI     = "api"
	typeBrowser = "browser"
)

// note is what this dialect remembers of a flow beside its run.
type note struct {
	Kind       string            `json:"kind"`
	Type       string            `json:"type"`
	RequestURL string            `json:"request_url"`
	CSRF       string            `json:"csrf,omitempty"`     // the hash of the browser's secret
	Active     string            `json:"active,omitempty"`   // the method that was chosen
	Refresh    bool              `json:"refresh,omitempty"`  // of a login: whoever is signed in proves it once more
	AAL        string            `json:"aal,omitempty"`      // of a login: aal2 for the second factor alone
	Saved      bool              `json:"saved,omitempty"`    // of settings: the flow before it saved something
	Next       string            `json:"next,omitempty"`     // of settings that were saved: the flow that goes on
	Proof      string            `json:"proof,omitempty"`    // of an app's recovery: the hash of the token that sets the password
	Messages   []placed          `json:"messages,omitempty"` // what the last answer to it was told
	Values     map[string]string `json:"values,omitempty"`   // what was typed, but for secrets
}

// placed is a message with the node it belongs to; "" for the whole form.
type placed struct {
	Node string `json:"node,omitempty"`
	Text *text  `json:"text"`
}

// held is a flow.
type held struct {
	*kind
	id   string // of the run, as a UUID
	note note
	run  tenant.Run
	at   *flowengine.Answer // where it stands; nil once it is over

	tries bool // this request tries a code
}

// maxHops bounds how far a request is led on from settings that were saved.
const maxHops = 8

// find reads a flow by the id that its client knows. A browser's flow is there
// for its browser alone; settings are for whose they are (mine), who may have
// proved themselves again meanwhile.
func (c *call) find(k *kind, id string) (*held, error) {
	for hops := 0; ; hops++ {
		f, err := c.look(k, id)
		switch {
		case err != nil:
			return nil, err
		case f.note.Type == typeBrowser && f.note.Kind != settings.name && !c.owns(&f.note):
			return nil, errCSRF("The flow was begun by another browser, or its cookie is gone.")
		case f.note.Next == "":
			return f, nil
		}
		id = f.note.Next
		if hops == maxHops {
			return nil, c.errReplaced("self_service_flow_replaced", &held{kind: k, id: id, note: f.note})
		}
	}
}

// look reads a flow, whoever asks.
func (c *call) look(k *kind, id string) (*held, error) {
	run, err := flowengine.RunOfHeld(c.Tenant, id)
	if err != nil {
		return nil, err
	}
	h, err := c.engine.Held(c.Context(), c.Tenant, c.client(), run)
	if err != nil {
		return nil, err
	}
	f := &held{kind: k, id: id, run: h.Run, at: h.Answer}
	if err := json.Unmarshal(h.Data, &f.note); err != nil {
		return nil, err
	}
	if f.note.Kind != k.name && !(k == settings && f.resets()) {
		return nil, tenant.ErrFlowNotFound
	}
	return f, nil
}

// over says whether the flow has expired, or was given up.
func (f *held) over() bool { return f.at == nil }

// finished says whether the flow has come to its end.
func (f *held) finished() bool { return f.at != nil && f.at.Action.Type == flow.Finished }

// asks is the shape of what the flow waits for.
func (f *held) asks() string {
	if f.at == nil {
		return ""
	}
	return shapeOf(f.at.Action)
}

func shapeOf(a flow.Action) string {
	s, _ := a.Data["type"].(string)
	return s
}

// begin starts a flow of a type, and of the note what it says so far.
func (c *call) begin(k *kind, ref tenant.FlowRef, n note, returnTo string, inputs ...flow.Input) (*held, error) {
	n.Kind = k.name
	session, client := tenant.TokenSession, c.client()
	if n.Type == typeBrowser {
		c.ensureCSRF()
		n.CSRF, session, client.DeviceID = csrfHash(c.csrf()), tenant.CookieSession, c.Device()
	}
	a, err := c.engine.Start(c.Context(), c.Tenant, client, flowengine.Start{
		Flow: ref, Session: session, ReturnURL: returnTo, Held: true, Data: n, Inputs: inputs,
	})
	if err != nil {
		return nil, err
	}
	id, err := flowengine.HeldID(c.Tenant, a.RunID)
	if err != nil {
		return nil, err
	}
	return c.find(k, id)
}

// remember changes the note of a flow; what another request has noted meanwhile
// is changed, not lost.
func (c *call) remember(f *held, change func(*note)) error {
	for {
		change(&f.note)
		err := c.engine.NoteHeld(c.Context(), c.Tenant, &f.run, f.note)
		if !errors.Is(err, tenant.ErrFlowConflict) {
			return err
		}
		now, err := c.look(f.kind, f.id)
		if err != nil {
			return err
		}
		f.note, f.run = now.note, now.run
	}
}

// silent is a note without messages.
func silent(n *note) { n.Messages = nil }

// requestURL is how the flow was asked for, on the tenant's public URL, as far as
// it is kept.
func (c *call) requestURL() string {
	u := c.base + c.URL.RequestURI()
	return u[:min(len(u), surface.MaxURL)]
}

// pageOf is the tenant's page that shows a flow; without one, the flow's document.
func (c *call) pageOf(f *held) string {
	if page := f.page(&c.cfg.SelfService); page != "" {
		return withQuery(page, "flow", f.id)
	}
	return c.root + "/self-service/" + f.name + "/flows?id=" + f.id
}

// withQuery adds a parameter to a URL that the configuration has checked.
func withQuery(to, name, value string) string {
	u, err := url.Parse(to)
	if err != nil {
		return to
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// initAPI begins a flow for an app.
func (a *api) initAPI(k *kind) handler {
	return func(c *call) (any, error) {
		f, err := c.open(k, typeAPI)
		if err != nil {
			return nil, err
		}
		return c.document(f)
	}
}

// initBrowser begins a flow for a browser, and sends it to the page that shows it.
func (a *api) initBrowser(k *kind) handler {
	return func(c *call) (any, error) {
		f, err := c.open(k, typeBrowser)
		if err != nil {
			return nil, err
		}
		return c.show(f, 200)
	}
}

// open begins a flow as a client asks for it.
func (c *call) open(k *kind, typ string) (*held, error) {
	returnTo, err := c.returnTo()
	if err != nil {
		return nil, err
	}
	n := note{Type: typ, RequestURL: c.requestURL()}
	ref, err := c.opens(k, &n, returnTo)
	if err != nil {
		return nil, err
	}
	return c.begin(k, ref, n, returnTo)
}

// opens says which of the engine's flows a flow is.
func (c *call) opens(k *kind, n *note, returnTo string) (tenant.FlowRef, error) {
	ref := tenant.FlowRef{Type: k.flow, Name: tenant.DefaultFlow}
	switch k {
	case login:
		return c.opensLogin(ref, n, returnTo)
	case registration:
		return ref, c.signedOut(returnTo)
	case settings:
		return ref, c.signedIn()
	}
	return ref, nil
}

// read answers with a flow.
func (a *api) read(k *kind) handler {
	return func(c *call) (any, error) {
		f, err := c.find(k, c.param("id"))
		if err != nil {
			return nil, err
		}
		if f.over() {
			return nil, c.errExpired(f)
		}
		if k == settings {
			if err := c.mine(f); err != nil {
				return nil, err
			}
		}
		return c.document(f)
	}
}

// errExpired says that a flow is over, and where another one begins.
func (c *call) errExpired(f *held) error {
	details := map[string]any{"redirect_to": c.root + "/self-service/" + f.name + "/" + f.note.Type}
	if f.run.ReturnURL != "" {
		details["return_to"] = f.run.ReturnURL
	}
	return &problem{status: 410, id: "self_service_flow_expired", reason: "The flow has expired. Begin another one.", details: details, cause: tenant.ErrFlowNotFound}
}

// errReplaced says which flow takes the place of one that is over.
func (c *call) errReplaced(id string, by *held) error {
	return &problem{
		status: 410, id: id, reason: "Go on with the flow that takes its place.", flow: by.id, redirect: c.elsewhere(by), cause: tenant.ErrFlowFinished,
		details: map[string]any{"use_flow_id": by.id},
	}
}

// show answers with the flow, or sends the browser to the page that shows it.
func (c *call) show(f *held, status int) (any, error) {
	if c.page && f.note.Type == typeBrowser {
		return see(c.pageOf(f)), nil
	}
	d, err := c.document(f)
	if err != nil {
		return nil, err
	}
	return answerOf(status, d), nil
}

// errNoWay is about a flow of the tenant's that can't be drawn.
var errNoWay = &problem{
	status: 501, reason: "The tenant's flow asks for something that this API has no words for.", cause: tenant.ErrFlowNotAllowed,
}
