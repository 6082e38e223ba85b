package flowinstances

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// Name is the door's name in logs, metrics and records of runs.
const Name = "flowinstances"

// Base is the path that everything is under.
const Base = "/api/v3/"

type api struct {
	engine *flowengine.Engine
	admin  *admin.Service
}

// New makes the door. It has to stand before any router that redirects paths
// with two slashes in them: a client that is redirected doesn't post again.
func New(engine *flowengine.Engine, service *admin.Service, o surface.Options) http.Handler {
	a := &api{engine, service}
	d := surface.NewDoor(Name, refuse, o)
	r := chi.NewRouter()
	d.Mount(r)
	r.Get(executorPath("{slug}"), d.Handle(a.ask))
	r.Post(executorPath("{slug}"), d.Handle(a.answer))
	r.Get(executorPath("{slug}")+"cancel/", d.Handle(a.cancel))
	a.instances(r, d)
	a.collections(r, d)
	return tolerant(r)
}

// instances routes what is done to flows.
func (a *api) instances(r chi.Router, d *surface.Door) {
	const (
		all = Base + "flows/instances/"
		one = all + "{slug}/"
	)
	r.Get(all, d.Handle(a.reads(list(instanceList))))
	r.Post(all, d.Handle(a.writes(a.create)))
	r.Get(all+"cache_info/", d.Handle(a.reads(cacheInfo)))
	r.Post(all+"cache_clear/", d.Handle(a.writes(cacheClear)))
	r.Post(all+"import/", d.Handle(a.writes(a.load)))
	r.Post(Base+"managed/blueprints/import/", d.Handle(a.writes(a.load))) // where newer clients send it
	r.Get(one, d.Handle(a.reads(about(retrieve))))
	r.Put(one, d.Handle(a.writes(about(a.update))))
	r.Patch(one, d.Handle(a.writes(about(a.update))))
	r.Delete(one, d.Handle(a.writes(about(a.destroy))))
	r.Get(one+"diagram/", d.Handle(a.reads(about(diagram))))
	r.Get(one+"execute/", d.Handle(a.reads(about(execute))))
	r.Get(one+"used_by/", d.Handle(a.reads(about(usedBy))))
	r.Get(one+"export/", d.Own(a.export))
}

// collections routes what is read: bindings, stages and policies. Their writes
// are refused with the reason.
func (a *api) collections(r chi.Router, d *surface.Door) {
	for _, c := range collections() {
		r.Get(c.path, d.Handle(a.reads(list(c))))
		r.Post(c.path, d.Handle(a.writes(c.readOnly)))
		one := c.path + "{pk}/"
		r.Get(one, d.Handle(a.reads(c.retrieve)))
		r.Get(one+"used_by/", d.Handle(a.reads(c.usedBy)))
		r.Put(one, d.Handle(a.writes(c.readOnly)))
		r.Patch(one, d.Handle(a.writes(c.readOnly)))
		r.Delete(one, d.Handle(a.writes(c.readOnly)))
	}
}

// object is a JSON object of this API. What a client reads has the shape of
// dozens of types, most of them the same but for a few keys.
type object = map[string]any

// call is one request of a program that was let in.
type call struct {
	*surface.Request
	*catalog
	actor admin.Actor
}

type handler func(c *call) (any, error)

// reads lets in programs that may read the configuration.
func (a *api) reads(h handler) surface.Handler { return a.admits(admin.ReadConfig, h) }

// writes lets in programs that may change it.
func (a *api) writes(h handler) surface.Handler { return a.admits(admin.WriteConfig, h) }

func (a *api) admits(to admin.Permission, h handler) surface.Handler {
	return func(q *surface.Request) (any, error) {
		c, err := a.admit(q, to)
		if err != nil {
			return nil, err
		}
		return h(c)
	}
}

// admit finds out who asks, and reads what the tenant has as it is now: who has
// changed something sees it at once, on any node.
func (a *api) admit(q *surface.Request, to admin.Permission) (*call, error) {
	actor, err := a.admin.Admit(q.Context(), q.Tenant, admin.Program{
		Authorization: q.Header.Get("Authorization"), IP: q.IP.String(), RequestID: q.ID,
	}, to)
	if err != nil {
		return nil, err
	}
	fresh, err := a.admin.Store.TenantByID(q.Context(), q.Tenant.ID)
	if err != nil {
		return nil, err
	}
	program, err := a.engine.Program(q.Context(), fresh)
	if err != nil {
		return nil, err
	}
	return &call{Request: q, catalog: newCatalog(fresh, program).bound(), actor: actor}, nil
}

// tolerant brings paths to the form of the routes: one slash between parts and
// one at the end.
func tolerant(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.FieldsFunc(r.URL.Path, func(c rune) bool { return c == '/' })
		u := *r.URL
		u.Path, u.RawPath = "/"+strings.Join(parts, "/")+"/", ""
		r2 := *r
		r2.URL = &u
		h.ServeHTTP(w, &r2)
	})
}

// cacheInfo: runs are not planned ahead, so none is cached.
func cacheInfo(*call) (any, error) { return object{"count": 0}, nil }

func cacheClear(*call) (any, error) { return nil, nil }

// about makes a handler of what is about the flow that the path names.
func about(h func(c *call, i *instance) (any, error)) handler {
	return func(c *call) (any, error) {
		i, err := c.instance(chi.URLParam(c.Request.Request, "slug"))
		if err != nil {
			return nil, err
		}
		return h(c, i)
	}
}

func retrieve(c *call, i *instance) (any, error) { return c.show(i), nil }

func execute(_ *call, i *instance) (any, error) { return object{"link": executorPath(i.slug)}, nil }

func executorPath(slug string) string { return Base + "flows/executor/" + slug + "/" }

// errMalformed refuses a slug that no flow can have.
var errMalformed = tenant.Invalidf("/slug", "format", "a slug has up to %d letters, digits, hyphens and underscores", maxSlug)
