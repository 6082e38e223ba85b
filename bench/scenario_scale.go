package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// manyTenants compares a server whose users are all one tenant's with one whose
// users have a tenant each.
func (s *suite) manyTenants(ctx context.Context) error {
	most := s.tenants[len(s.tenants)-1]
	w, err := s.newWorld(ctx, s.engine)
	if err != nil {
		return err
	}
	defer w.drop()
	err = w.seed(ctx, func(ctx context.Context, w *world, seed *seeder) error {
		for i := range most {
			// No two configurations are equal, so nothing is shared that tenants would not share.
			if err := w.add(seed.site(ctx, numbered(i), distinct(i), 1)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.startWith(ctx, w, most); err != nil {
		return err
	}
	return s.small.with(ctx, func(lone *node) error {
		return w.with(ctx, func(many *node) error {
			if err := s.memoryOf(ctx, lone, many, w, most); err != nil {
				return err
			}
			if err := s.spread(ctx, lone, many, w); err != nil {
				return err
			}
			return s.listTenants(ctx, many, most)
		})
	})
}

// startWith compares how long the program takes to start.
func (s *suite) startWith(ctx context.Context, w *world, most int) error {
	var ratios []float64
	for range s.starts {
		var few, many float64
		err := s.small.with(ctx, func(n *node) (err error) {
			few, err = n.firstAnswer(ctx, s.small.sites[argonSlug])
			return err
		})
		if err != nil {
			return err
		}
		err = w.with(ctx, func(n *node) (err error) {
			many, err = n.firstAnswer(ctx, w.sites[numbered(0)])
			return err
		})
		if err != nil {
			return err
		}
		ratios = append(ratios, many/few)
	}
	s.show(fmt.Sprintf("start with %d tenants / with 5", most), "", atMost(1.2, 0), figureOf(ratios), nil)
	return nil
}

// memoryOf measures what tenants weigh before and after somebody has come to
// each of them.
func (s *suite) memoryOf(ctx context.Context, lone, many *node, w *world, most int) error {
	for n, t := range map[*node]*site{lone: s.small.sites[argonSlug], many: w.sites[numbered(0)]} {
		if _, err := n.firstAnswer(ctx, t); err != nil {
			return err
		}
	}
	time.Sleep(s.rest)
	few, _, err := lone.resident()
	if err != nil {
		return err
	}
	cold, _, err := many.resident()
	if err != nil {
		return err
	}
	s.show("memory of a cold tenant", "KiB", atMost(6, 0), one(max(0, cold-few)*1024/float64(most)), nil)
	liveBefore, err := many.live(ctx)
	if err != nil {
		return err
	}
	for i := range most {
		t := w.sites[numbered(i)]
		if _, err := many.door.create(ctx, t); err != nil {
			return err
		}
		if err := many.door.session(ctx, t, 0); err != nil {
			return err
		}
	}
	time.Sleep(s.rest)
	hot, _, err := many.resident()
	if err != nil {
		return err
	}
	live, err := many.live(ctx)
	s.show(fmt.Sprintf("live heap that %d visited tenants add", most), "MiB", atMost(64, 0), one(live-liveBefore), err)
	s.show("the same with what awaits collection (RSS)", "MiB", shown, one(hot-cold), nil)
	text, err := many.scrape(ctx)
	if err != nil {
		return err
	}
	small, err := lone.scrape(ctx)
	s.show(fmt.Sprintf("scrape after a visit to %d tenants", most), "KiB", atMost(1024, 512), one(float64(len(text))/1024), err)
	s.show("the same of 5 tenants", "KiB", shown, one(float64(len(small))/1024), err)
	return nil
}

// spread compares the cost of requests to one tenant with those to many.
func (s *suite) spread(ctx context.Context, lone, many *node, w *world) error {
	argon := s.small.sites[argonSlug]
	arms := []arm{
		load("create", lone.meter, clients, func(ctx context.Context) error { _, err := lone.door.create(ctx, argon); return err }),
		load("session", lone.meter, clients, func(ctx context.Context) error { return lone.door.session(ctx, argon, chance(argon.users)) }),
	}
	var ops atomic.Int64
	name := func(what string, tenants int) string { return fmt.Sprintf("%s, %d tenants", what, tenants) }
	for _, tenants := range s.tenants {
		pick := func() *site { ops.Add(1); return w.sites[numbered(chance(tenants))] }
		arms = append(arms,
			load(name("create", tenants), many.meter, clients, func(ctx context.Context) error { _, err := many.door.create(ctx, pick()); return err }),
			load(name("session", tenants), many.meter, clients, func(ctx context.Context) error { return many.door.session(ctx, pick(), 0) }),
		)
	}
	before, err := many.counted(ctx)
	if err != nil {
		return err
	}
	r := interleave(ctx, s.rounds, s.slice, arms...)
	after, err := many.counted(ctx)
	for _, what := range []string{"create", "session"} {
		for i, tenants := range s.tenants {
			g := shown
			if i == len(s.tenants)-1 {
				g = atMost(1.1, 0)
			}
			s.ratio(r, name(what, tenants)+" / the only one", g, []string{name(what, tenants)}, []string{what})
		}
	}
	reads := after["tenant_read"] - before["tenant_read"] + after["config_read"] - before["config_read"]
	s.show("reads of tenants and configurations per warm request", "", atMost(0.01, 0), one(reads/float64(ops.Load())), err)
	return nil
}

const tenantsQuery = `query($after: String) { tenants(first: 100, after: $after) { nodes { slug name state } pageInfo { hasNextPage endCursor } } }`

type tenantsPage struct {
	Tenants struct {
		Nodes    []struct{ Slug string }
		PageInfo struct {
			HasNextPage bool
			EndCursor   string
		}
	}
}

// listTenants walks through the list of tenants as an admin does.
func (s *suite) listTenants(ctx context.Context, n *node, most int) error {
	page := func(ctx context.Context, after any) (p tenantsPage, err error) {
		return p, s.query(ctx, n.door, tenantsQuery, map[string]any{"after": after}, &p)
	}
	seen, pages := 0, 0
	var after any
	var last any // the cursor of the last whole page
	whole, err := n.meter.during(func() (sample, error) {
		for {
			p, err := page(ctx, after)
			if err != nil {
				return sample{}, err
			}
			seen += len(p.Tenants.Nodes)
			pages++
			if !p.Tenants.PageInfo.HasNextPage {
				return sample{Ops: pages}, nil
			}
			last, after = after, p.Tenants.PageInfo.EndCursor
		}
	})
	if err == nil && seen < most {
		err = fmt.Errorf("the list has %d of %d tenants", seen, most)
	}
	s.show(fmt.Sprintf("admin list of %d tenants, a page of 100, CPU", most), "ms", shown, one(whole.cpu()/1e3), err)
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	at := func(name string, after any) arm {
		return load(name, n.meter, 1, func(ctx context.Context) error {
			p, err := page(ctx, after)
			if err == nil && len(p.Tenants.Nodes) != 100 {
				err = fmt.Errorf("a page of %d", len(p.Tenants.Nodes))
			}
			return err
		})
	}
	r := interleave(ctx, s.rounds, s.slice, at("first page", nil), at("last page", last))
	s.ratio(r, "last whole page / first page", atMost(1.25, 0), []string{"last page"}, []string{"first page"})
	return nil
}

// manyUsers compares tenants of few and of very many users.
func (s *suite) manyUsers(ctx context.Context) error {
	w, err := s.newWorld(ctx, s.engine)
	if err != nil {
		return err
	}
	defer w.drop()
	slug := func(users int) string { return fmt.Sprintf("users-%d", users) }
	err = w.seed(ctx, func(ctx context.Context, w *world, seed *seeder) error {
		for _, users := range s.users {
			if err := w.add(seed.site(ctx, slug(users), unlimited(), users)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.with(ctx, func(n *node) error {
		var arms []arm
		name := func(what string, users int) string { return fmt.Sprintf("%s, %d users", what, users) }
		for _, users := range s.users {
			t := w.sites[slug(users)]
			arms = append(arms,
				load(name("session", users), n.meter, clients, func(ctx context.Context) error { return n.door.session(ctx, t, chance(users)) }),
				load(name("login up to the password", users), n.meter, clients, func(ctx context.Context) error { return n.door.identify(ctx, t) }),
			)
		}
		r := interleave(ctx, s.rounds, s.slice, arms...)
		few := s.users[0]
		for _, what := range []string{"session", "login up to the password"} {
			for _, users := range s.users[1:] {
				g := shown
				if users == s.users[len(s.users)-1] {
					g = atMost(1.25, 1.1)
				}
				s.ratio(r, fmt.Sprintf("%s / %d", name(what, users), few), g, []string{name(what, users)}, []string{name(what, few)})
			}
		}
		return nil
	})
}
