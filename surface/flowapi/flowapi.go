package flowapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// Name is the door's name in logs, metrics and records of runs.
const Name = "flowapi"

// MaxInputs is how many inputs a batch may have.
const MaxInputs = 32

type api struct{ engine *flowengine.Engine }

// New makes the door.
func New(engine *flowengine.Engine, o surface.Options) http.Handler {
	a := &api{engine}
	d := surface.NewDoor(Name, refuse, o)
	r := chi.NewRouter()
	d.Mount(r)
	r.Post("/api/v1/authentication_flows", surface.JSON(d, a.create))
	r.Post("/api/v1/authentication_flows/states/input", surface.JSON(d, a.input))
	r.Post("/api/v1/authentication_flows/states", surface.JSON(d, a.state))
	r.Get("/api/v1/authentication_flows/ws", d.Own(a.listen))
	r.Post("/api/v1/authentication_flows/links/approve", surface.JSON(d, a.approve))
	r.Get("/api/v1/session", d.Handle(a.session))
	r.Post("/api/v1/session/revoke", surface.JSON(d, a.revoke))
	return r
}

// createIn is the body of POST /api/v1/authentication_flows.
type createIn struct {
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Input      json.RawMessage   `json:"input"`
	BatchInput []json.RawMessage `json:"batch_input"`
	Session    string            `json:"session"`
	ReturnURL  string            `json:"return_url"`
	URLQuery   string            `json:"url_query"` // of an OAuth authorization request; no such request can be made yet
}

// inputIn is the body of POST /api/v1/authentication_flows/states/input.
type inputIn struct {
	StateToken string            `json:"state_token"`
	Input      json.RawMessage   `json:"input"`
	BatchInput []json.RawMessage `json:"batch_input"`
}

// stateIn is the body of POST /api/v1/authentication_flows/states.
type stateIn struct {
	StateToken string `json:"state_token"`
}

// Out is the answer to all three.
type Out struct {
	Result Result `json:"result"`
}

// Result is where a run stands (FLOW_API.md section 1).
type Result struct {
	StateToken string          `json:"state_token"`
	ID         string          `json:"id"`
	Type       tenant.FlowType `json:"type"`
	Name       string          `json:"name"`
	Action     any             `json:"action"`
}

func (a *api) create(q *surface.Request, in *createIn) (*Out, error) {
	inputs, err := inputsOf(in.Input, in.BatchInput)
	if err != nil {
		return nil, err
	}
	if in.Type == "" {
		return nil, tenant.Invalidf("/type", "required", "type is required")
	}
	if in.Name == "" {
		in.Name = tenant.DefaultFlow
	}
	kind := tenant.CookieSession
	switch in.Session {
	case "", string(tenant.CookieSession):
	case string(tenant.TokenSession):
		kind = tenant.TokenSession
	default:
		return nil, tenant.Invalidf("/session", "enum", "session is cookie or token")
	}
	if err := a.mayReturn(q, in.ReturnURL); err != nil {
		return nil, err
	}
	client := q.Client(Name)
	client.DeviceID = q.Device()
	answer, err := a.engine.Start(q.Context(), q.Tenant, client, flowengine.Start{
		Flow: tenant.FlowRef{Type: tenant.FlowType(in.Type), Name: in.Name}, Inputs: inputs, Session: kind, ReturnURL: in.ReturnURL,
	})
	return out(q, answer), err
}

// mayReturn refuses a URL that isn't one of the tenant's: records show it, and
// whoever follows it from there must land where the tenant wants.
func (a *api) mayReturn(q *surface.Request, to string) error {
	if to == "" {
		return nil
	}
	cfg, err := a.engine.Config(q.Context(), q.Tenant)
	if err != nil {
		return err
	}
	if len(to) > surface.MaxURL || !tenant.Returns(to, cfg.Web.ReturnURLs...) {
		return tenant.Invalidf("/return_url", "enum", "return_url is not one of the tenant's web.return_urls, nor below one")
	}
	return nil
}

func (a *api) input(q *surface.Request, in *inputIn) (*Out, error) {
	inputs, err := inputsOf(in.Input, in.BatchInput)
	if err != nil {
		return nil, err
	}
	if len(inputs) == 0 {
		return nil, tenant.Invalidf("/input", "required", "send input or batch_input")
	}
	if in.StateToken == "" {
		if link := linkIn(inputs[0]); link != "" {
			answer, err := a.engine.SubmitByLink(q.Context(), q.Tenant, q.Client(Name), link, inputs...)
			return out(q, answer), err
		}
		return nil, errNoToken
	}
	answer, err := a.engine.Submit(q.Context(), q.Tenant, q.Client(Name), in.StateToken, inputs...)
	return out(q, answer), err
}

// linkIn is the recovery link in an input: it says by itself which state it is
// for, so that it works wherever it is opened.
func linkIn(input json.RawMessage) string {
	var in struct {
		Code string `json:"account_recovery_code"`
	}
	if json.Unmarshal(input, &in) != nil || len(in.Code) != tenant.LinkChars {
		return ""
	}
	return in.Code
}

// approveIn is the body of POST /api/v1/authentication_flows/links/approve: the
// code in a link, from a tenant's own page.
type approveIn struct {
	Code string `json:"code"`
}

func (a *api) approve(q *surface.Request, in *approveIn) (*struct{}, error) {
	if in.Code == "" {
		return nil, tenant.Invalidf("/code", "required", "code is required")
	}
	if err := a.engine.ApproveLink(q.Context(), q.Tenant, q.Client(Name), in.Code); err != nil {
		return nil, err
	}
	return &struct{}{}, nil
}

func (a *api) state(q *surface.Request, in *stateIn) (*Out, error) {
	if in.StateToken == "" {
		return nil, errNoToken
	}
	answer, err := a.engine.Get(q.Context(), q.Tenant, q.Client(Name), in.StateToken)
	return out(q, answer), err
}

var errNoToken = tenant.Invalidf("/state_token", "required", "state_token is required")

// inputsOf reads the inputs of a request: one, or a batch, and each an object.
func inputsOf(one json.RawMessage, batch []json.RawMessage) ([]json.RawMessage, error) {
	switch {
	case one != nil && batch != nil:
		return nil, tenant.Invalidf("/batch_input", "exclusive", "send input or batch_input, not both")
	case one != nil:
		return []json.RawMessage{one}, object("/input", one)
	case len(batch) > MaxInputs:
		return nil, tenant.Invalidf("/batch_input", "maxItems", "at most %d inputs at once", MaxInputs)
	}
	for i, in := range batch {
		if err := object("/batch_input/"+strconv.Itoa(i), in); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

func object(pointer string, in json.RawMessage) error {
	if len(in) == 0 || in[0] != '{' {
		return tenant.Invalidf(pointer, "type", "an input is an object")
	}
	return nil
}

// out is the answer of the engine in the words of this API, and sets the cookie
// of a session that was opened.
func out(q *surface.Request, a *flowengine.Answer) *Out {
	if a == nil {
		return nil
	}
	action := a.Action
	q.KeepSession(a)
	if a.Session != nil && a.Kind == tenant.TokenSession {
		action.Data["session_token"] = a.Session.Token
	}
	return &Out{Result{StateToken: a.Token, ID: a.RunID, Type: a.Flow.Type, Name: a.Flow.Name, Action: action}}
}
