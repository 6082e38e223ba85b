package surface

import (
	"net/http"
	"net/netip"
)

// Raw lets a handler that writes its answers itself, in a dialect of its own,
// stand behind the door. The request it is given has the client's address as
// RemoteAddr and the request id in X-Request-Id, whatever stood there.
func (d *Door) Raw(h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		route := r.Pattern // of an http.ServeMux
		if route == "" {
			route = routeOf(r)
		}
		d.serve(w, r, route, func(q *Request) (any, error) {
			r := q.Request
			r.RemoteAddr = netip.AddrPortFrom(q.IP, 0).String()
			r.Header.Set("X-Request-Id", q.ID)
			seen := &recorder{w, http.StatusOK}
			h.ServeHTTP(seen, r)
			return answered{seen.status}, nil
		})
	}
}

// Own makes a handler that writes its answer itself. An error is refused as by
// any other handler, so it comes before anything is written.
func (d *Door) Own(h func(q *Request, w http.ResponseWriter) error) http.HandlerFunc {
	return d.Handle(func(q *Request) (any, error) {
		seen := &recorder{q.answer, http.StatusOK}
		if err := h(q, seen); err != nil {
			return nil, err
		}
		return answered{seen.status}, nil
	})
}

// answered is the answer of a handler that has written it.
type answered struct{ status int }

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
