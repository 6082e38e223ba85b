package authflows

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// Name is the door's name in logs and metrics.
const Name = "authflows"

// Path is where the door stands, on every tenant's host; what is below it is
// the door's too.
const Path = "/api/v1/authflow"

type api struct {
	admin *admin.Service
	store tenant.Store
}

// New makes the door.
func New(s *admin.Service, o surface.Options) http.Handler {
	a := &api{s, s.Store}
	d := surface.NewDoor(Name, refuse, o)
	r := chi.NewRouter()
	d.Mount(r)
	r.Get(Path, d.Handle(a.list))
	r.Get(Path+"/", d.Handle(a.fetch)) // the id is missing
	r.Get(Path+"/{authflow_id}", d.Handle(a.fetch))
	r.Post(Path+"/{authflow_id}/cancel", d.Handle(a.cancel))
	r.Get(Path+"/{authflow_id}/timeline", d.Handle(a.timeline))
	return r
}

// admit lets a program in by its key.
func (a *api) admit(q *surface.Request, to admin.Permission) (admin.Actor, error) {
	return a.admin.Admit(q.Context(), q.Tenant, admin.Program{
		Authorization: q.Header.Get("Authorization"), IP: q.IP.String(), RequestID: q.ID,
	}, to)
}

// oneOut is a record.
type oneOut struct {
	Status  string   `json:"status"`
	Summary *summary `json:"summary"`
}

func (a *api) fetch(q *surface.Request) (any, error) {
	if _, err := a.admit(q, admin.ReadRuns); err != nil {
		return nil, err
	}
	id, err := authflowID(q)
	if err != nil {
		return nil, err
	}
	r, err := a.store.Run(q.Context(), q.Tenant.ID, id.String())
	if err != nil {
		return nil, a.otherwise(q, id, err)
	}
	return oneOut{success, summaryOf(q.Tenant, r)}, nil
}

func (a *api) cancel(q *surface.Request) (any, error) {
	by, err := a.admit(q, admin.WriteRuns)
	if err != nil {
		return nil, err
	}
	id, err := authflowID(q)
	if err != nil {
		return nil, err
	}
	r, err := a.admin.CancelRun(q.Context(), by, q.Tenant.Slug, id.String())
	if err != nil {
		return nil, a.otherwise(q, id, err)
	}
	return oneOut{success, summaryOf(q.Tenant, r)}, nil
}

func (a *api) timeline(q *surface.Request) (any, error) {
	if _, err := a.admit(q, admin.ReadAudit); err != nil {
		return nil, err
	}
	id, err := authflowID(q)
	if err != nil {
		return nil, err
	}
	x, err := a.admin.Timeline(q.Context(), q.Tenant, id.String())
	if err != nil {
		return nil, a.otherwise(q, id, err)
	}
	return timelineOf(x), nil
}

// authflowID reads the id that the path names.
func authflowID(q *surface.Request) (tenant.PFID, error) {
	id, err := parseID(q.Tenant, "authflow_id", chi.URLParam(q.Request, "authflow_id"))
	if err == nil {
		q.About(id.String())
	}
	return id, err
}

// otherwise tells an id that names nothing from one that names something else.
func (a *api) otherwise(q *surface.Request, id tenant.PFID, err error) error {
	if errors.Is(err, tenant.ErrNotFound) {
		err = cmp.Or(a.expect(q.Context(), q.Tenant, "authflow_id", id, "authflow"), error(tenant.ErrNotFound.Says("there is no such authflow")))
	}
	return err
}
