package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"

	"github.com/usher-id/usher/tenant"
)

// scenario measures one thing on one database.
type scenario struct {
	name string
	run  func(s *suite, ctx context.Context) error
}

// scenarios in the order in which they are run: the small world first, while it
// is small.
var scenarios = []scenario{
	{"start and memory", (*suite).start},
	{"login storm", (*suite).storm},
	{"flows and sessions", (*suite).flows},
	{"logins", (*suite).logins},
	{"other factors", (*suite).factors},
	{"sessions while 16 log in", (*suite).besides},
	{"wrong passwords", (*suite).flood},
	{"strangers", (*suite).strangers},
	{"statements", (*suite).statements},
	{"many tenants", (*suite).manyTenants},
	{"many users", (*suite).manyUsers},
	{"configuration change", (*suite).propagation},
	{"peers", (*suite).peers},
}

// alone are the scenarios that need no database.
var alone = []struct {
	name string
	run  func(b *bench, ctx context.Context) error
}{
	{"binary", (*bench).binary},
	{"casbin decision", (*bench).casbin},
}

// clients is how many clients ask at once, unless a scenario is about that.
const clients = 4

var cores = runtime.NumCPU()

// suite is the run on one database.
type suite struct {
	*bench
	engine   engine
	yard     *yard
	scenario string
	small    *world // a few tenants
}

// suite runs the scenarios on a database.
func (b *bench) suite(ctx context.Context, e engine, only *regexp.Regexp) error {
	s := &suite{bench: b, engine: e}
	db, err := b.newDatabase(ctx, e)
	if err != nil {
		return err
	}
	defer db.drop()
	if s.yard, err = startYard(ctx, db.url); err != nil {
		return err
	}
	defer s.yard.stop()
	if s.small, err = b.newWorld(ctx, e); err != nil {
		return err
	}
	defer s.small.drop()
	if err := s.small.seed(ctx, s.smallSites); err != nil {
		return err
	}
	for _, sc := range scenarios {
		if !only.MatchString(sc.name) {
			continue
		}
		s.scenario = sc.name
		b.attempt(ctx, row{Scenario: sc.name, Database: e.name}, func() error { return sc.run(s, ctx) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// The tenants of the small world.
const (
	argonSlug   = "argon"   // e-mail and password, limits that are counted and never reached
	bcryptSlug  = "bcrypt"  // the same with bcrypt
	cheapSlug   = "cheap"   // the same with a hash that costs next to nothing, so that the rest can be weighed
	limitedSlug = "limited" // the default limits, but ten wrong passwords are enough for a day
)

func (s *suite) smallSites(ctx context.Context, w *world, seed *seeder) error {
	bcrypt, limited := unlimited(), tenant.DefaultConfig()
	bcrypt.Authenticators.Password.Algorithm = "bcrypt"
	limited.Limits.PasswordPerUserPerIP = tenant.Rate{Burst: 10, PeriodSeconds: 86400}
	users := s.tenants[len(s.tenants)-1] // as many as there are tenants of one user each
	patient := max(users, 2000)          // so many that nobody comes twice within the half minute of an app's code
	return errors.Join(
		w.add(seed.site(ctx, argonSlug, unlimited(), users)),
		w.add(seed.site(ctx, bcryptSlug, bcrypt, users)),
		w.add(seed.site(ctx, limitedSlug, limited, users)),
		w.add(seed.cheapSite(ctx, cheapSlug, users)),
		w.add(seed.site(ctx, codeSlug, codeConfig(), patient)),
		w.add(seed.site(ctx, strangersSlug, strangersConfig(), users)),
		w.add(seed.appSite(ctx, patient)),
	)
}

// world is a database with what is in it.
type world struct {
	b     *bench
	db    *database
	sites map[string]*site
}

// newWorld makes a database as the first start of the program leaves it.
func (b *bench) newWorld(ctx context.Context, e engine) (*world, error) {
	db, err := b.newDatabase(ctx, e)
	if err != nil {
		return nil, err
	}
	n, err := b.startNode(ctx, db)
	if err == nil {
		err = n.stop()
	}
	if err != nil {
		db.drop()
		return nil, fmt.Errorf("first start on %s: %w", e.name, err)
	}
	return &world{b: b, db: db, sites: map[string]*site{}}, nil
}

func (w *world) drop() { w.db.drop() }

func (w *world) add(s *site, err error) error {
	if err == nil {
		w.sites[s.slug] = s
	}
	return err
}

// seed fills the database while no server runs on it.
func (w *world) seed(ctx context.Context, fill func(context.Context, *world, *seeder) error) error {
	seed, err := w.b.newSeeder(ctx, w.db)
	if err != nil {
		return err
	}
	return errors.Join(fill(ctx, w, seed), seed.close(ctx))
}

// with runs something on a server that is started for it. That the server logged
// an error is one too.
func (w *world) with(ctx context.Context, do func(n *node) error) error {
	n, err := w.b.startNode(ctx, w.db)
	if err != nil {
		return err
	}
	return errors.Join(do(n), n.stop())
}

// show adds a figure to the report.
func (s *suite) show(measure, unit string, g gate, f figure, err error) {
	s.bench.show(row{Scenario: s.scenario, Database: s.engine.name, Measure: measure, Unit: unit}, g, f, err)
}

func (b *bench) show(v row, g gate, f figure, err error) {
	v.Gate = g.String()
	if err != nil {
		v.Verdict, v.Why = void, err.Error()
	} else {
		v.Figure = &f
		if !b.smoke { // so short a run proves nothing
			v.Verdict = g.judge(f)
		}
	}
	b.report.add(v)
}

// costs shows what the arms cost, for orientation.
func (s *suite) costs(r *series, arms ...string) {
	for _, a := range arms {
		f, err := r.figure(func(at func(string) sample) float64 { return at(a).cpu() }, a)
		s.show(a+", CPU", "µs", shown, f, err)
	}
}

// ratio shows a ratio of two sums of CPU per operation.
func (s *suite) ratio(r *series, measure string, g gate, over, under []string) {
	sum := func(at func(string) sample, arms []string) (total float64) {
		for _, a := range arms {
			total += at(a).cpu()
		}
		return total
	}
	f, err := r.figure(func(at func(string) sample) float64 { return sum(at, over) / sum(at, under) }, append(append([]string(nil), over...), under...)...)
	s.show(measure, "", g, f, err)
}
