package flowinstances

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// The executor walks a run stage by stage: a GET shows where it stands, or
// begins one; a POST answers, and then leads back to the GET, or shows what was
// wrong.

// flowCookie holds which flow the browser is in and the state token of its run,
// which is worth as much there as the client of the flow API gets.
const flowCookie = "usher_flow"

// executor is one request to it.
type executor struct {
	*surface.Request
	api     *api
	catalog *catalog
	flow    *instance
}

func (a *api) executor(q *surface.Request) (*executor, error) {
	program, err := a.engine.Program(q.Context(), q.Tenant)
	if err != nil {
		return nil, err
	}
	c := newCatalog(q.Tenant, program)
	i, err := c.instance(chi.URLParam(q.Request, "slug"))
	if err != nil {
		return nil, err
	}
	return &executor{q, a, c, i}, nil
}

// client is who runs the flow: of the browser's session, never of an API key
// that happens to come along.
func (x *executor) client() flowengine.Client {
	c := x.Client(Name)
	c.SessionToken = x.Kept(surface.SessionCookie)
	return c
}

// token is the state token of the run that the browser is in, if it is one of
// this flow.
func (x *executor) token() string {
	slug, token, _ := strings.Cut(x.Kept(flowCookie), ":")
	if slug != x.flow.slug {
		return ""
	}
	return token
}

func (x *executor) keep(token string) {
	if token == "" {
		x.Keep(flowCookie, "", -time.Second)
		return
	}
	x.Keep(flowCookie, x.flow.slug+":"+token, 0)
}

// ask shows where the run stands.
func (a *api) ask(q *surface.Request) (any, error) {
	x, err := a.executor(q)
	if err != nil {
		return nil, err
	}
	if x.flow.ref == logout {
		return x.logout()
	}
	at, err := x.resume()
	if err == nil && at == nil {
		at, err = x.start()
	}
	if err != nil {
		return x.denied(err)
	}
	return x.show(at, nil)
}

// resume finds the run that the browser is in; nil when there is none (any more).
func (x *executor) resume() (*flowengine.Answer, error) {
	token := x.token()
	if token == "" {
		return nil, nil
	}
	at, err := x.api.engine.Get(x.Context(), x.Tenant, x.client(), token)
	if errors.Is(err, tenant.ErrFlowNotFound) {
		return nil, nil
	}
	return at, err
}

func (x *executor) start() (*flowengine.Answer, error) {
	client := x.client()
	client.DeviceID = x.Device()
	at, err := x.api.engine.Start(x.Context(), x.Tenant, client, flowengine.Start{Flow: x.flow.ref, Session: tenant.CookieSession, ReturnURL: x.returnURL()})
	if err != nil {
		return nil, err
	}
	return x.forward(at), nil
}

// forward has the browser keep where the run stands now, and answers for the
// user where there is nothing to choose.
func (x *executor) forward(at *flowengine.Answer) *flowengine.Answer {
	for auto := x.page(at).auto; auto != nil; auto = x.page(at).auto {
		next, err := x.api.engine.Submit(x.Context(), x.Tenant, x.client(), at.Token, auto...)
		if err != nil {
			break // the user is asked, then
		}
		x.KeepSession(at)
		at = next
	}
	x.keep(at.Token)
	x.KeepSession(at)
	return at
}

// answer takes what a stage asked for.
func (a *api) answer(q *surface.Request) (any, error) {
	if err := q.CheckOrigin(); err != nil {
		return nil, err
	}
	x, err := a.executor(q)
	if err != nil {
		return nil, err
	}
	given := body{}
	if err := q.Decode(&given); err != nil {
		return nil, err
	}
	at, err := x.resume()
	if err != nil {
		return x.denied(err)
	}
	if at == nil || x.flow.ref == logout {
		return x.again() // and a run begins
	}
	p := x.page(at)
	if p.read == nil {
		return x.again()
	}
	inputs, wrong := p.answers(given)
	if len(wrong) > 0 {
		return x.show(at, wrong)
	}
	if len(inputs) == 0 { // nothing that changes where the run stands
		return x.again()
	}
	next, err := a.engine.Submit(q.Context(), q.Tenant, x.client(), at.Token, inputs...)
	if err == nil {
		x.forward(next)
		return x.again()
	}
	switch e := tenant.AsError(err); inFlow(e) {
	case asksAgain:
		if next != nil {
			at = next
		}
		return x.show(at, p.errors(e))
	case hasEnded:
		if errors.Is(e, tenant.ErrFlowFinished) { // elsewhere, such as by a link
			x.keep("")
			return x.redirect()
		}
		return x.again()
	}
	return x.denied(err)
}

// outcome is what a refusal means to a browser in the middle of a flow.
type outcome string

const (
	asksAgain outcome = "again"  // the stage asks again, and says why
	hasEnded  outcome = "ended"  // the run has; another may begin
	turnsAway outcome = "denied" // the user may not
	fails     outcome = "fails"  // it is nobody's fault there
	passes    outcome = "passes" // it is told as to any program
)

func inFlow(e *tenant.Error) outcome {
	switch e.Reason {
	case tenant.ErrFlowNotFound.Reason, tenant.ErrFlowFinished.Reason, tenant.ErrFlowConflict.Reason:
		return hasEnded
	case tenant.ErrUserNotFound.Reason, tenant.ErrBotProtectionRequired.Reason, tenant.ErrBotProtectionFailed.Reason:
		return asksAgain
	}
	switch e.Kind {
	case tenant.Invalid, tenant.Unauthorized, tenant.AlreadyExists, tenant.TooMany:
		return asksAgain
	case tenant.Forbidden:
		return turnsAway
	case tenant.Internal, tenant.Unavailable:
		return fails
	}
	return passes
}

// again leads the client back to where the run is shown.
func (x *executor) again() (any, error) {
	to := executorPath(chi.URLParam(x.Request.Request, "slug"))
	if x.URL.RawQuery != "" {
		to += "?" + x.URL.RawQuery
	}
	return found(to), nil
}

// cancel gives the run up and leads to where the user was headed. A page of
// somebody else's can't have it given up.
func (a *api) cancel(q *surface.Request) (any, error) {
	if err := q.CheckOrigin(); err != nil {
		return nil, err
	}
	x, err := a.executor(q)
	if err != nil {
		return nil, err
	}
	err = a.engine.Cancel(q.Context(), q.Tenant, x.client(), x.token())
	if err != nil && inFlow(tenant.AsError(err)) != hasEnded {
		return nil, err
	}
	x.keep("")
	return found(x.next(q.URL.Query())), nil
}

func found(to string) surface.Answer {
	return surface.Answer{Status: http.StatusFound, Location: to, Body: object{}}
}

// next is where the user was headed: a path on this host or a URL that the tenant
// lists, and nothing else, so that a link to a flow can't lead elsewhere.
func (x *executor) next(query url.Values) string {
	return next(query.Get("next"), x.catalog.program.Config().Web.ReturnURLs)
}

func next(to string, listed []string) string {
	u, err := url.Parse(to)
	here := err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") && !strings.ContainsAny(to, "\\\r\n\t")
	if here || tenant.Returns(to, listed...) {
		return to
	}
	return "/"
}

// returnURL is where the user was headed, when that isn't a path here; "" else.
func (x *executor) returnURL() string {
	if to := x.next(x.headed()); !strings.HasPrefix(to, "/") {
		return to
	}
	return ""
}

// headed is the query of the page that runs the flow, which the client hands on.
func (x *executor) headed() url.Values {
	query, err := url.ParseQuery(strings.TrimPrefix(x.URL.Query().Get("query"), "?"))
	if err != nil {
		return url.Values{}
	}
	return query
}

// logout ends the session of the browser. A page of somebody else's can't have
// it ended.
func (x *executor) logout() (any, error) {
	if err := x.CheckOrigin(); err != nil {
		return nil, err
	}
	err := x.api.engine.SignOut(x.Context(), x.Tenant, x.client(), x.Kept(surface.SessionCookie))
	if err != nil && !errors.Is(err, tenant.ErrUnauthenticated) {
		return nil, err
	}
	x.Keep(surface.SessionCookie, "", -time.Second)
	return x.redirect()
}
