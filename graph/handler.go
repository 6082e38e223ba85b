package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Options are what the admin API is made of.
type Options struct {
	Admin *admin.Service
	Store tenant.Store
	Log   *slog.Logger
	Dev   bool // allow introspection

	// Session finds the user of tenant admin whose cookie a request carries;
	// nil when nobody signs in.
	Session func(*http.Request) (userID string, ok bool, err error)
	// Client says from where a request comes and what it is called in logs;
	// nil for the peer's address and a fresh id.
	Client func(*http.Request) (ip, requestID string)

	// OnOperation hears of every operation that was executed: kind is query or
	// mutation; outcome is ok, refused or error, the worst of its parts.
	OnOperation func(kind, outcome string, took time.Duration)
	// OnReject hears of every refusal that isn't about the input of a verb:
	// parse, depth, cost, auth or forbidden.
	OnReject func(reason string)
}

// handler serves POST requests of the GraphQL over HTTP specification.
type handler struct {
	Options
	policy  policy
	exec    *executor.Executor
	adminID atomic.Value // string, once known
}

// NewHandler makes the admin API, to be served at one path.
func NewHandler(o Options) (http.Handler, error) {
	p, err := loadPolicy()
	if err != nil {
		return nil, err
	}
	h := &handler{Options: o, policy: p}
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	h.exec = executor.New(NewExecutableSchema(Config{
		Resolvers:  &Resolver{admin: o.Admin, store: o.Store, policy: p, adminTenantID: h.adminTenantID},
		Directives: DirectiveRoot{Can: h.can},
	}))
	h.exec.SetErrorPresenter(h.present)
	h.exec.SetRecoverFunc(panicked)
	h.exec.SetParserTokenLimit(MaxTokens)
	h.exec.SetQueryCache(lru.New[*ast.QueryDocument](256))
	h.exec.Use(limits{introspection: o.Dev, reject: h.reject})
	return h, nil
}

func (h *handler) reject(reason string) {
	if h.OnReject != nil {
		h.OnReject(reason)
	}
}

// ServeHTTP answers one request: who asks, what they ask, whether it is within
// the limits, and only then what comes of it.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{users: newUserLoader(h.Store)}
	if h.Client != nil {
		c.ip, c.requestID = h.Client(r)
	} else {
		c.ip, _, _ = net.SplitHostPort(r.RemoteAddr)
		c.requestID = secret.NewID()
	}
	ctx := graphql.StartOperationTrace(r.Context())
	params, err := h.accept(c, w, r)
	if err != nil {
		h.refuse(w, c, err)
		return
	}
	op, errs := h.exec.CreateOperationContext(ctx, params)
	if errs != nil {
		h.refuseQuery(w, c, errs)
		return
	}
	if err := h.guard(c, r, op); err != nil {
		h.refuse(w, c, err)
		return
	}
	start := time.Now()
	respond, ctx := h.exec.DispatchOperation(withCall(ctx, c), op)
	writeResponse(w, http.StatusOK, respond(ctx))
	h.operation(c, string(op.Operation.Operation), time.Since(start))
}

func (h *handler) operation(c *call, kind string, took time.Duration) {
	if h.OnOperation == nil {
		return
	}
	outcome := "ok"
	switch {
	case c.failed.Load():
		outcome = "error"
	case c.refused.Load():
		outcome = "refused"
	}
	h.OnOperation(kind, outcome, took)
}

// accept finds out who asks and reads what they ask. Nothing is read of a
// stranger's body.
func (h *handler) accept(c *call, w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, tenant.ErrMethodNotAllowed
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, tenant.ErrMediaType
	}
	var err error
	if c.caller, err = h.authenticate(r); err != nil {
		return nil, err
	}
	if origin := r.Header.Get("Origin"); c.cookie && origin != "" && !sameHost(origin, r.Host) {
		return nil, tenant.ErrOrigin
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBody(c)))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, tenant.ErrTooLarge.With("maximum_bytes", tooLarge.Limit)
	}
	if err != nil {
		return nil, tenant.ErrValidation.Says("the body could not be read").Because(err)
	}
	c.size = len(body)
	return decode(body)
}

// maxBody is how much a caller may send: documents only who may use one.
func (h *handler) maxBody(c *call) int64 {
	for _, g := range c.grants {
		held := []tenant.Role{g.Role}
		if h.policy.allows(held, ObjectUserBulk, ActionWrite) || h.policy.allows(held, ObjectConfig, ActionWrite) {
			return MaxDocument
		}
	}
	return MaxBody
}

func decode(body []byte) (*graphql.RawParams, error) {
	body = bytes.TrimLeft(body, " \t\r\n")
	if bytes.HasPrefix(body, []byte("[")) {
		return nil, tenant.Invalidf("", "batch", "send one operation at a time")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var p graphql.RawParams
	if err := d.Decode(&p); err != nil {
		return nil, tenant.Invalidf("", "format", "the body is not the JSON object of a GraphQL request").Because(err)
	}
	if d.More() {
		return nil, tenant.Invalidf("", "format", "the body has more after its JSON object")
	}
	if p.Query == "" {
		return nil, tenant.Invalidf("/query", "required", "query is missing")
	}
	return &p, nil
}

// guard checks what is known only once the operation is.
func (h *handler) guard(c *call, r *http.Request, op *graphql.OperationContext) error {
	if c.size > MaxBody && !carriesDocument(op.Operation) {
		return tenant.ErrTooLarge.With("maximum_bytes", MaxBody)
	}
	if op.Operation.Operation == ast.Mutation && c.cookie && !sameHost(r.Header.Get("Origin"), r.Host) {
		return tenant.ErrOrigin
	}
	return nil
}

// carriesDocument says whether an operation is one whose input may be large,
// and nothing else.
func carriesDocument(op *ast.OperationDefinition) bool {
	for _, s := range op.SelectionSet {
		f, ok := s.(*ast.Field)
		if !ok || f.Name != "applyConfig" && f.Name != "importUsers" {
			return false
		}
	}
	return true
}

// sameHost says whether an Origin (RFC 6454) is the host that was asked.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// refuseQuery answers a query that was refused before it was executed.
func (h *handler) refuseQuery(w http.ResponseWriter, c *call, errs gqlerror.List) {
	var e *tenant.Error
	if errors.As(errs, &e) { // of limits, which has counted it
		writeResponse(w, status(e), &graphql.Response{Errors: gqlerror.List{refusal(e, c.requestID)}})
		return
	}
	if strings.HasPrefix(errs[0].Message, "exceeded token limit") {
		h.reject("cost")
		e = tenant.ErrQueryTooComplex.With("limit", "tokens").With("maximum", MaxTokens)
		writeResponse(w, status(e), &graphql.Response{Errors: gqlerror.List{refusal(e, c.requestID)}})
		return
	}
	h.reject("parse")
	const most = 10 // a query can be wrong in many places
	out := gqlerror.List{}
	for _, err := range errs[:min(len(errs), most)] {
		shown := refusal(tenant.ErrValidation.Says("%s", err.Message), c.requestID)
		shown.Locations, shown.Path = err.Locations, err.Path
		out = append(out, shown)
	}
	writeResponse(w, http.StatusBadRequest, &graphql.Response{Errors: out})
}

// refuse answers a request that was refused before its query was looked at.
func (h *handler) refuse(w http.ResponseWriter, c *call, err error) {
	e := tenant.AsError(err)
	switch e.Kind {
	case tenant.Unauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
		h.reject("auth")
	case tenant.Forbidden:
		h.reject("forbidden")
	case tenant.TooLarge:
		h.reject("cost")
	case tenant.Internal:
		h.Log.Error("admin API", "request_id", c.requestID, "error", err)
	default:
		h.reject("parse")
	}
	if after := e.RetryAfter(); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	}
	writeResponse(w, status(e), &graphql.Response{Errors: gqlerror.List{refusal(e, c.requestID)}})
}

// status is the HTTP status of a refusal.
func status(e *tenant.Error) int {
	switch {
	case errors.Is(e, tenant.ErrMethodNotAllowed):
		return http.StatusMethodNotAllowed
	case errors.Is(e, tenant.ErrMediaType):
		return http.StatusUnsupportedMediaType
	}
	return map[tenant.Kind]int{
		tenant.Invalid:       http.StatusBadRequest,
		tenant.Unauthorized:  http.StatusUnauthorized,
		tenant.Forbidden:     http.StatusForbidden,
		tenant.NotFound:      http.StatusNotFound,
		tenant.AlreadyExists: http.StatusConflict,
		tenant.Conflict:      http.StatusConflict,
		tenant.TooLarge:      http.StatusRequestEntityTooLarge,
		tenant.TooMany:       http.StatusTooManyRequests,
		tenant.Unavailable:   http.StatusServiceUnavailable,
		tenant.Internal:      http.StatusInternalServerError,
	}[e.Kind]
}

func writeResponse(w http.ResponseWriter, status int, response *graphql.Response) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(response) // the client has gone
}
