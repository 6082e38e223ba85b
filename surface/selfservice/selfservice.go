package selfservice

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// Name is the door's name in logs, metrics and records of runs.
const Name = "selfservice"

// Paths are where the door answers.
var Paths = []string{
	"/self-service/", "/sessions", "/sessions/",
	"/auth/self-service/", "/auth/sessions", "/auth/sessions/",
}

type api struct {
	engine *flowengine.Engine
	door   *surface.Door
}

// New makes the door.
func New(engine *flowengine.Engine, o surface.Options) http.Handler {
	a := &api{engine, surface.NewDoor(Name, refuse, o)}
	r := chi.NewRouter()
	a.door.Mount(r)
	for _, prefix := range []string{"", "/auth"} {
		for _, k := range kinds {
			at := prefix + "/self-service/" + k.name
			r.Get(at+"/api", a.handle(a.initAPI(k)))
			r.Get(at+"/browser", a.handlePage(a.initBrowser(k)))
			r.Get(at+"/flows", a.handle(a.read(k)))
			r.Post(at, a.handlePage(a.submit(k)))
		}
		r.Get(prefix+"/self-service/verification", a.handlePage(a.openLink))
		r.Get(prefix+"/self-service/errors", a.handle(a.readError))
		r.Get(prefix+"/self-service/logout/browser", a.handle(a.beginLogout))
		r.Get(prefix+"/self-service/logout", a.handlePage(a.logout))
		r.Delete(prefix+"/self-service/logout/api", a.handle(a.logoutAPI))
		r.Get(prefix+"/sessions/whoami", a.handle(a.whoami))
		r.Get(prefix+"/sessions", a.handle(a.sessions))
		r.Delete(prefix+"/sessions", a.handle(a.endOthers))
		r.Delete(prefix+"/sessions/{id}", a.handle(a.endOne))
	}
	return r
}

// call is one request to this door.
type call struct {
	*surface.Request
	engine *flowengine.Engine
	cfg    *tenant.Config
	base   string // the tenant's public URL, made from its settings and no header
	root   string // base, with the prefix that the client came by
	page   bool   // a browser that shows pages asks, and is sent on
	fresh  []byte // the secret that this answer gives the browser
}

// handler answers a call, with a body, a surface.Answer or a refusal.
type handler func(c *call) (any, error)

func (a *api) handle(h handler) http.HandlerFunc { return a.serve(h, false) }

// handlePage is handle for what browsers also come to without a script.
func (a *api) handlePage(h handler) http.HandlerFunc { return a.serve(h, true) }

func (a *api) serve(h handler, pages bool) http.HandlerFunc {
	return a.door.Handle(func(q *surface.Request) (any, error) {
		cfg, err := a.engine.Config(q.Context(), q.Tenant)
		if err != nil {
			return nil, err
		}
		c := &call{Request: q, engine: a.engine, cfg: cfg, base: a.engine.PublicURL(q.Tenant, "")}
		c.root = c.base
		if strings.HasPrefix(q.URL.Path, "/auth/") {
			c.root += "/auth"
		}
		c.page = pages && !wantsJSON(q.Request)
		out, err := h(c)
		if err != nil && out == nil {
			out = c.refused(err)
		}
		return out, err
	})
}

// param is a parameter of the query.
func (c *call) param(name string) string { return c.URL.Query().Get(name) }

// client is who asks, in the engine's terms.
func (c *call) client() flowengine.Client {
	k := c.Client(Name)
	k.SessionToken, _ = c.session()
	return k
}
