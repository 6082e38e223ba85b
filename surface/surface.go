package surface

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/tenant"
)

// Options is what every door needs.
type Options struct {
	Tenants *tenant.Directory
	// Origins lists the origins (RFC 6454) that a tenant's CORS admits.
	Origins        func(ctx context.Context, t *tenant.Tenant) ([]string, error)
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto are believed
	Dev            bool           // plain HTTP will do
	Log            *slog.Logger
	Metrics        *Metrics
}

// Dialect is how a door says no: the status and the body of a refusal, or an
// [Answer]. beside is what the handler returned along with the error; often nil.
type Dialect func(e *tenant.Error, requestID string, beside any) (status int, body any)

// Door makes HTTP handlers for one surface.
type Door struct {
	name    string
	refuse  Dialect
	options Options
}

// NewDoor makes a door. name is one of [Surfaces].
func NewDoor(name string, refuse Dialect, o Options) *Door {
	return &Door{name: name, refuse: refuse, options: o}
}

// Handler answers a request with a body to be written as JSON, or an error.
type Handler func(q *Request) (any, error)

// Answer is a body with a status of its own; any other body has 200.
type Answer struct {
	Status   int
	Location string // of a redirect, and of what was made (RFC 9110 section 10.2.2); "" for none
	Body     any
}

// JSON makes a handler that takes a JSON object. What it returns beside an
// error is handed to the dialect.
func JSON[In, Out any](d *Door, fn func(q *Request, in *In) (*Out, error)) http.HandlerFunc {
	return d.Handle(func(q *Request) (any, error) {
		in := new(In)
		if err := q.Decode(in); err != nil {
			return nil, err
		}
		out, err := fn(q, in)
		if out == nil {
			return nil, err
		}
		return out, err
	})
}

// Handle wraps a handler in everything that doors have in common.
func (d *Door) Handle(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, routeOf(r), h) }
}

// Mount lets the door answer for what the router has no route or method for.
// Preflights (Fetch standard, section 4.8) come in this way.
func (d *Door) Mount(r chi.Router) {
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		d.serve(w, r, Unmatched, func(*Request) (any, error) { return nil, tenant.ErrNoRoute })
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		d.serve(w, r, routeOf(r), func(q *Request) (any, error) { return nil, d.wrongMethod(q) })
	})
}

func routeOf(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil && c.RoutePattern() != "" {
		return c.RoutePattern()
	}
	return Unmatched
}

// serve answers one request: everything in the order in which it happens.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, route string, h Handler) {
	begun := time.Now()
	d.options.Metrics.inFlight(d.name, 1)
	q := d.open(w, r)
	body, err := d.run(q, h)
	status := http.StatusOK
	var e *tenant.Error
	if err != nil {
		e = tenant.AsError(err)
		status, body = d.refuse(e, q.ID, body)
		if e.Kind == tenant.Unavailable || e.Kind == tenant.TooMany {
			seconds := max(1, int(e.RetryAfter().Seconds()))
			w.Header().Set("Retry-After", strconv.Itoa(seconds))
		}
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 11.6.1 wants one
		}
	}
	if a, ok := body.(Answer); ok {
		status, body = a.Status, a.Body
		if a.Location != "" {
			w.Header().Set("Location", a.Location)
		}
	} else if body == nil {
		status = http.StatusNoContent
	}
	if raw, ok := body.(answered); ok {
		status = raw.status
	} else {
		write(w, status, body)
	}
	took := time.Since(begun)
	d.options.Metrics.inFlight(d.name, -1)
	d.options.Metrics.answered(d.name, route, r.Method, status, took)
	d.log(q, route, status, took, e)
}

// run calls the handler once the request may come in.
func (d *Door) run(q *Request, h Handler) (body any, err error) {
	defer func() {
		if p := recover(); p != nil {
			d.options.Metrics.panicked(d.name)
			d.options.Log.LogAttrs(q.Context(), slog.LevelError, "panic",
				slog.String("request_id", q.ID), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			body, err = nil, tenant.ErrInternal.Because(fmt.Errorf("panic: %v", p))
		}
	}()
	if !q.Secure && !d.options.Dev {
		return nil, tenant.ErrHTTPSRequired
	}
	if q.Tenant, err = d.options.Tenants.ByHost(q.Context(), q.Host); err != nil {
		return nil, err
	}
	if preflight, err := d.cors(q); err != nil || preflight {
		return nil, err
	}
	return h(q)
}

// cors admits the origins that the tenant lists, and says whether that was all
// that was asked.
func (d *Door) cors(q *Request) (preflight bool, err error) {
	origin := q.Header.Get("Origin")
	preflight = q.Method == http.MethodOptions && q.Header.Get("Access-Control-Request-Method") != ""
	if origin == "" || q.sameOrigin(origin) {
		return preflight, nil
	}
	origins, err := d.options.Origins(q.Context(), q.Tenant)
	if err != nil {
		return false, err
	}
	q.listed = slices.Contains(origins, origin)
	h := q.answer.Header()
	h.Add("Vary", "Origin")
	if !q.listed {
		if preflight {
			return false, tenant.ErrOrigin
		}
		return false, nil // the browser keeps the answer from the page
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	if preflight {
		h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-authentik-CSRF, X-CSRF-Token, X-Request-Id, X-Session-Token")
		h.Set("Access-Control-Max-Age", "600")
	} else {
		h.Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
	}
	return preflight, nil
}

// wrongMethod names the methods that the route has (RFC 9110 section 15.5.6).
func (d *Door) wrongMethod(q *Request) error {
	if c := chi.RouteContext(q.Context()); c != nil && c.Routes != nil {
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if c.Routes.Match(chi.NewRouteContext(), m, q.URL.Path) {
				q.answer.Header().Add("Allow", m)
			}
		}
	}
	return tenant.ErrMethodNotAllowed
}

// log writes one line for a request, and what went wrong if it was our fault.
func (d *Door) log(q *Request, route string, status int, took time.Duration, e *tenant.Error) {
	level := slog.LevelInfo
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("request_id", q.ID), slog.String("surface", d.name), slog.String("method", q.Method), slog.String("route", route),
		slog.Int("status", status), slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("ip", q.IP.String()),
	)
	if trace := traceID(q.Header.Get("Traceparent")); trace != "" {
		attrs = append(attrs, slog.String("trace_id", trace))
	}
	if q.Tenant != nil {
		attrs = append(attrs, slog.String("tenant", q.Tenant.Slug))
	}
	if q.run != "" {
		attrs = append(attrs, slog.String("flow_id_hash", tenant.RunHash(q.run)))
	}
	if e != nil {
		attrs = append(attrs, slog.String("reason", string(e.Reason)))
		cause := errors.Unwrap(e)
		gone := errors.Is(cause, context.Canceled) && q.Context().Err() != nil
		if cause != nil && !gone && (e.Kind == tenant.Internal || e.Kind == tenant.Unavailable) {
			level = slog.LevelError
			attrs = append(attrs, slog.String("cause", cause.Error()))
		}
	}
	// Not by the logger, which would look up the line of code that this is.
	if h := d.options.Log.Handler(); h.Enabled(q.Context(), level) {
		r := slog.NewRecord(time.Now(), level, "request", 0)
		r.AddAttrs(attrs...)
		_ = h.Handle(q.Context(), r) // there is nowhere to tell
	}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// write sends a body as JSON; nil for none.
func write(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic(err) // bodies are our own types
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that has gone away has nothing to hear
}
