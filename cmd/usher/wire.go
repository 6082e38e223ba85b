package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/botcheck"
	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/flowengine/ldap"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/graph"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/surface/authflows"
	"github.com/usher-id/usher/surface/flowapi"
	"github.com/usher-id/usher/surface/flowinstances"
	"github.com/usher-id/usher/surface/pages"
	"github.com/usher-id/usher/surface/selfservice"
	"github.com/usher-id/usher/surface/setup"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/tenant/store"
)

// app is what every command that works with the database has.
type app struct {
	store  *store.Store
	master *secret.Master
	hasher *secret.Hasher
	admin  *admin.Service
}

// openStore opens the database; m is nil where nobody watches.
func openStore(ctx context.Context, e *env, m *metrics) (*store.Store, error) {
	o := store.Options{OnWatchError: func(err error) {
		e.Log.Warn("notifications of changes broke off; polling goes on", "error", err)
	}}
	if m != nil {
		o.OnQuery, o.OnRetry = m.storage.query, m.storage.retries.Inc
	}
	return store.Open(ctx, e.Settings.DatabaseURL, o)
}

// withApp runs a command of the command line.
func withApp(ctx context.Context, e *env, run func(*app) error) error {
	db, err := openStore(ctx, e, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := checkSchema(ctx, db); err != nil {
		return err
	}
	a, err := newApp(ctx, e, db, secret.HasherOptions{Workers: runtime.GOMAXPROCS(0)})
	if err != nil {
		return err
	}
	defer a.hasher.Close()
	return run(a)
}

// checkSchema refuses to work on a schema that this binary isn't made for.
func checkSchema(ctx context.Context, db *store.Store) error {
	have, want, err := db.SchemaVersion(ctx)
	switch {
	case err != nil:
		return err
	case have < want:
		return fmt.Errorf("the database's schema is %d and this binary needs %d: run usher migrate", have, want)
	case have > want:
		return fmt.Errorf("the database's schema is %d and this binary knows %d: it is too old for this database", have, want)
	}
	return nil
}

// newApp opens the master key, checks that it is the one this database was made
// with, and puts the admin's verbs together.
func newApp(ctx context.Context, e *env, db *store.Store, h secret.HasherOptions) (*app, error) {
	master, err := openMaster(e)
	if err != nil {
		return nil, err
	}
	some, err := db.Tenants(ctx, "", "", tenant.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	for _, t := range some {
		if err := master.Check(t.Key); err != nil {
			return nil, fmt.Errorf("this is not the master key that the database was made with: %w", err)
		}
	}
	hasher := secret.NewHasher(h)
	return &app{
		store: db, master: master, hasher: hasher,
		admin: &admin.Service{Store: db, Master: master, Hasher: hasher, Now: time.Now, Log: e.Log, AdminHost: e.Settings.AdminHost},
	}, nil
}

// metrics are all families of a server.
type metrics struct {
	registry *prometheus.Registry
	engine   *flowengine.Metrics
	http     *surface.Metrics
	storage  *storage
	graphql  *graphqlMetrics
	hooks    *hook.Metrics
	bots     *botcheck.Metrics
	ldap     *ldap.Metrics
}

func newMetrics(s *serving) *metrics {
	r := newRegistry()
	return &metrics{
		registry: r,
		engine:   flowengine.NewMetrics(r, flowengine.MetricsOptions{TenantSlots: s.TenantSlots, LocksUncounted: s.RedisURL != ""}),
		http:     surface.NewMetrics(r),
		storage:  newStorage(r, s.RedisURL != ""),
		graphql:  newGraphQLMetrics(r),
		hooks:    hook.NewMetrics(r),
		bots:     botcheck.NewMetrics(r),
		ldap:     ldap.NewMetrics(r),
	}
}

// server is a server put together, before it listens.
type server struct {
	*app
	handler    http.Handler
	telemetry  http.Handler
	health     *health
	background []func(context.Context) error
	draining   func() // connections that have no end of their own are ended
	close      func()
}

// assemble is the one place that knows which package is given which.
func assemble(ctx context.Context, e *env, c *serveCmd) (*server, error) {
	s := &server{close: func() {}}
	closeWith := func(f func()) { before := s.close; s.close = func() { f(); before() } }
	ok := false
	defer func() {
		if !ok {
			s.close()
		}
	}()
	m := newMetrics(&c.serving)
	db, err := openStore(ctx, e, m)
	if err != nil {
		return nil, err
	}
	closeWith(func() { _ = db.Close() })
	m.storage.watchPool(m.registry, db.Connections)
	if err := prepareSchema(ctx, db, c.AutoMigrate); err != nil {
		return nil, err
	}
	s.app, err = newApp(ctx, e, db, secret.HasherOptions{
		Workers: c.HashWorkers, Queue: c.HashQueue, OnHash: m.engine.Hashed, OnShed: m.engine.Shed,
	})
	if err != nil {
		return nil, err
	}
	closeWith(s.hasher.Close)

	s.health = &health{ping: db.Ping, schema: db.SchemaVersion, writes: db.Writable, deaf: db.Deaf, log: e.Log}
	limiter, closeLimiter, err := openLimiter(c.RedisURL, db, s.health, m.engine)
	if err != nil {
		return nil, err
	}
	closeWith(closeLimiter)
	countDeeds(s.admin, m.engine)
	directory := tenant.NewDirectory(db, m.engine.DirectoryHooks(func(err error) {
		e.Log.Warn("changes could not be followed; trying again", "error", err)
	}), nil)
	engine, outbox, err := newEngine(e, c, m, s.app, limiter, directory)
	if err != nil {
		return nil, err
	}
	s.telemetry = telemetryHandler(m.registry, s.health, c.Profiling)
	s.handler, err = newHandler(e, c, m, s, engine, directory)
	if err != nil {
		return nil, err
	}
	s.draining = engine.StopListening
	s.background = []func(context.Context) error{
		directory.Run,
		engine.Run,
		outbox.Run,
		tellHooks(s.admin.Hooks, directory, engine),
		func(ctx context.Context) error { m.storage.watch(ctx, db, s.health); return nil },
	}
	ok = true
	return s, nil
}

// newEngine makes the engine with what it tells the world through.
func newEngine(e *env, c *serveCmd, m *metrics, a *app, limiter limit.Limiter, directory *tenant.Directory) (engine *flowengine.Engine, outbox *deliver.Worker, err error) {
	outbox, err = newOutbox(e, c, a, m.engine, limiter, directory, func(ctx context.Context, t *tenant.Tenant) (*tenant.Config, error) {
		return engine.Config(ctx, t)
	})
	if err != nil {
		return nil, nil, err
	}
	a.admin.Hooks, err = newHooks(e, c, a, m)
	if err != nil {
		return nil, nil, err
	}
	a.admin.Messages, a.admin.Limiter = outbox, limiter
	engine, err = flowengine.New(flowengine.Options{
		Store: a.store, Directory: directory, Limiter: limiter, Master: a.master, Hasher: a.hasher, Metrics: m.engine, Log: e.Log,
		Outbox: outbox, Hooks: a.admin.Hooks, Bots: newBots(e, c, a, m), LDAP: newDirectories(e, c, a, m), PublicURL: e.Settings.flowURL, ForgetDue: a.admin.ForgetDue,
	})
	return engine, outbox, err
}

func prepareSchema(ctx context.Context, db *store.Store, migrate bool) error {
	have, want, err := db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if migrate && have < want {
		if err := db.Migrate(ctx); err != nil {
			return err
		}
	}
	return checkSchema(ctx, db)
}

// openLimiter keeps the rate limits in Redis when there is one, and has health
// watch it; else in the database.
func openLimiter(redisURL string, db *store.Store, h *health, m *flowengine.Metrics) (l limit.Limiter, closeIt func(), err error) {
	if redisURL == "" {
		return limit.SQL(db), func() {}, nil
	}
	pool, err := limit.OpenRedis(redisURL)
	if err != nil {
		return nil, nil, err
	}
	h.redis = func(ctx context.Context) error {
		c, err := pool.GetContext(ctx)
		if err != nil {
			return err
		}
		_, err = c.Do("PING")
		return errors.Join(err, c.Close())
	}
	return limit.Redis(pool, m.CacheDone), func() { _ = pool.Close() }, nil
}

// countDeeds has the metrics hear of what admins do.
func countDeeds(s *admin.Service, m *flowengine.Metrics) {
	s.OnPublish, s.OnCancel = m.Published, m.FlowCancelled
	s.OnChange = func(d admin.Deed) {
		m.SessionsRevoked(true, d.Revoked)
		// A change that was refused owes the audit log nothing.
		if k := tenant.AsError(d.Err).Kind; d.Err == nil || k == tenant.Internal || k == tenant.Unavailable {
			m.Audited(d.Category(), d.Took, d.Err)
		}
	}
}

// newHandler is what users and admins reach: health, then the admin host with
// GraphQL, setup and the admins' own sign-in, then every other tenant's flow API.
func newHandler(e *env, c *serveCmd, m *metrics, s *server, engine *flowengine.Engine, directory *tenant.Directory) (http.Handler, error) {
	options := surface.Options{
		Tenants: directory,
		Origins: func(ctx context.Context, t *tenant.Tenant) ([]string, error) {
			cfg, err := engine.Config(ctx, t)
			if err != nil {
				return nil, err
			}
			return cfg.Web.AllowedOrigins, nil
		},
		TrustedProxies: c.proxies, Dev: e.Settings.Dev, Log: e.Log, Metrics: m.http,
	}
	flows := flowapi.New(engine, options)
	gql, err := graph.NewHandler(graph.Options{
		Admin: s.admin, Store: s.store, Log: e.Log, Dev: e.Settings.Dev || c.Introspection,
		Session:     adminSession(engine, directory, e.Settings.Dev),
		Client:      func(r *http.Request) (ip, requestID string) { return peer(r), r.Header.Get("X-Request-Id") },
		OnOperation: m.graphql.operation, OnReject: m.graphql.rejected,
	})
	if err != nil {
		return nil, err
	}
	if s.admin.May, err = graph.May(); err != nil {
		return nil, err
	}
	complete := func(r *http.Request, token, password string) error {
		by := admin.Actor{Kind: tenant.ActorNobody, IP: peer(r), RequestID: r.Header.Get("X-Request-Id")}
		_, err := s.admin.CompleteSetup(r.Context(), by, token, password)
		return err
	}
	mux := http.NewServeMux()
	s.health.routes(mux, false)
	mux.Handle("/", flows)
	mux.Handle(pages.Path, pages.New(engine, options))
	mountAt(mux, authflows.New(s.admin, options), authflows.Path, authflows.Path+"/")
	mountAt(mux, selfservice.New(engine, options), selfservice.Paths...)
	onAdminHost := func(path string, h http.Handler) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if t, err := directory.ByHost(r.Context(), r.Host); err != nil || t.Slug != tenant.AdminSlug {
				flows.ServeHTTP(w, r) // which has no such route
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	onAdminHost("/graphql", surface.NewDoor("graphql", plainly, options).Raw(gql))
	if e.Settings.Dev || c.Introspection {
		onAdminHost("/graphiql/", surface.NewDoor("admin_ui", plainly, options).Raw(graph.GraphiQL()))
	}
	onAdminHost(setup.Path, surface.NewDoor("pages", plainly, options).Raw(setup.Handler(complete, e.Log)))
	return under(flowinstances.Base, flowinstances.New(engine, s.admin, options), asWritten(mux, flows)), nil
}

// plainly says no where the handler behind the door wasn't asked.
func plainly(e *tenant.Error, requestID string, _ any) (int, any) {
	return surface.Status(e), map[string]any{"errors": []any{map[string]any{
		"message": e.Message, "extensions": map[string]any{"code": e.Kind, "reason": e.Reason, "requestId": requestID},
	}}}
}

// peer is the client's address, as the door has settled it.
func peer(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return a.Addr().String()
}

// adminSession finds the admin whose session cookie a request carries.
func adminSession(engine *flowengine.Engine, directory *tenant.Directory, dev bool) func(*http.Request) (string, bool, error) {
	return func(r *http.Request) (userID string, ok bool, err error) {
		t, err := directory.BySlug(r.Context(), tenant.AdminSlug)
		if err != nil {
			return "", false, err
		}
		s, _, err := engine.CheckSession(r.Context(), t, flowapi.SessionToken(r, dev))
		switch {
		case errors.Is(err, tenant.ErrUnauthenticated):
			return "", false, nil
		case err != nil:
			return "", false, err
		}
		return s.UserID, true, nil
	}
}

// parsePrefixes reads --trusted-proxies: networks, or single addresses.
func parsePrefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies: %q is neither an address nor a network", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// runAll runs jobs until ctx ends and all of them have returned.
func runAll(ctx context.Context, jobs []func(context.Context) error, failed func(error)) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, job := range jobs {
		wg.Go(func() {
			if err := job(ctx); err != nil {
				failed(err)
			}
		})
	}
	return &wg
}
