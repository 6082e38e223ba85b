package main

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// flows measures what happens without a password being hashed.
func (s *suite) flows(ctx context.Context) error {
	argon := s.small.sites[argonSlug]
	return s.small.with(ctx, func(n *node) error {
		tokens := make([]string, 500)
		for i := range tokens {
			var err error
			if tokens[i], err = n.door.create(ctx, argon); err != nil {
				return err
			}
		}
		r := interleave(ctx, s.rounds, s.slice,
			s.yard.echo(clients),
			s.yard.loop("R", "read", clients),
			s.yard.loop("W", "insert", clients),
			load("create a flow", n.meter, clients, func(ctx context.Context) error {
				_, err := n.door.create(ctx, argon)
				return err
			}),
			load("read a state", n.meter, clients, func(ctx context.Context) error {
				return n.door.state(ctx, argon, tokens[chance(len(tokens))])
			}),
			load("check a session", n.meter, clients, func(ctx context.Context) error {
				return n.door.session(ctx, argon, chance(argon.users))
			}),
		)
		s.costs(r, "E", "R", "W", "create a flow", "read a state", "check a session")
		s.ratio(r, "(E + W) / create a flow", atLeast(0.5, 0.7), []string{"E", "W"}, []string{"create a flow"})
		s.ratio(r, "(E + R) / read a state", atLeast(0.5, 0.7), []string{"E", "R"}, []string{"read a state"})
		s.ratio(r, "check a session / (E + R)", atMost(2, 1.6), []string{"check a session"}, []string{"E", "R"})
		return nil
	})
}

// logins measures what a login costs beside its hash.
func (s *suite) logins(ctx context.Context) error {
	argon, bcrypt, light := s.small.sites[argonSlug], s.small.sites[bcryptSlug], s.small.sites[cheapSlug]
	busy := 2 * cores // clients, so that no worker waits
	return s.small.with(ctx, func(n *node) error {
		r := interleave(ctx, s.rounds, s.hashSlice,
			s.yard.loop("H argon2id", "argon2id", cores),
			s.yard.loop("our hash", "pooled", busy),
			load("login", n.meter, busy, func(ctx context.Context) error { return n.door.login(ctx, argon) }),
			load("login in three steps", n.meter, busy, func(ctx context.Context) error { return n.door.login3(ctx, argon) }),
			s.yard.loop("H bcrypt", "bcrypt", cores),
			load("login with bcrypt", n.meter, busy, func(ctx context.Context) error { return n.door.login(ctx, bcrypt) }),
			s.yard.loop("H cheap", cheap, cores),
			s.yard.echo(busy),
			load("login with a cheap hash", n.meter, busy, func(ctx context.Context) error { return n.door.login(ctx, light) }),
			load("three steps with a cheap hash", n.meter, busy, func(ctx context.Context) error { return n.door.login3(ctx, light) }),
		)
		s.costs(r, "H argon2id", "our hash", "login", "login in three steps", "H bcrypt", "login with bcrypt")
		beyond := atMost(1.5, 0)
		if s.engine.server == "" {
			beyond = atMost(0.8, 0)
		}
		s.ratio(r, "our hash / H", atMost(1.02, 0.8), []string{"our hash"}, []string{"H argon2id"})
		s.ratio(r, "H / login", atLeast(0.95, 0.97), []string{"H argon2id"}, []string{"login"})
		s.ratio(r, "H bcrypt / login with bcrypt", atLeast(0.95, 0.97), []string{"H bcrypt"}, []string{"login with bcrypt"})
		// The difference of two long hashes is lost in how they vary.
		s.beyond(r, "login beyond its hash, CPU", beyond, "login with a cheap hash", "H cheap")
		s.beyond(r, "login in three steps beyond its hash, CPU", shown, "three steps with a cheap hash", "H cheap")
		f, err := r.figure(func(at func(string) sample) float64 {
			return (at("login with a cheap hash").cpu() - at("H cheap").cpu()) / at("E").cpu()
		}, "login with a cheap hash", "H cheap", "E")
		s.show("login beyond its hash / E", "", shown, f, err)
		f, err = r.figure(func(at func(string) sample) float64 { return at("login").rate() / at("H argon2id").rate() }, "login", "H argon2id")
		s.show("logins per second / hashes per second", "", shown, f, err)
		return nil
	})
}

// beyond shows a difference of CPU in milliseconds.
func (s *suite) beyond(r *series, measure string, g gate, whole, part string) {
	f, err := r.figure(func(at func(string) sample) float64 { return (at(whole).cpu() - at(part).cpu()) / 1e3 }, whole, part)
	s.show(measure, "ms", g, f, err)
}

// besides measures session checks while others keep the hashing busy.
func (s *suite) besides(ctx context.Context) error {
	argon := s.small.sites[argonSlug]
	return s.small.with(ctx, func(n *node) error {
		check := func(ctx context.Context) error { return n.door.session(ctx, argon, chance(argon.users)) }
		beside := func(name string, crowd int, op func(context.Context) error) arm {
			return arm{name, func(ctx context.Context, d time.Duration) (sample, error) {
				done := make(chan error, 1)
				go func() {
					_, err := drive(ctx, d, crowd, time.Second, op)
					done <- err
				}()
				mine, err := drive(ctx, d, clients, 0, check)
				if err := <-done; err != nil {
					return mine, err
				}
				return mine, err
			}}
		}
		const alone, logins, guesses = "alone", "while 16 log in", "while 64 guess"
		r := interleave(ctx, s.rounds, s.hashSlice,
			load(alone, n.meter, clients, check),
			beside(logins, 16, func(ctx context.Context) error { return n.door.login(ctx, argon) }),
			beside(guesses, 64, func(ctx context.Context) error {
				return n.door.guess(ctx, argon, argon.login(chance(argon.users)), "", http.StatusUnauthorized, "InvalidCredentials")
			}),
		)
		for _, a := range []string{alone, logins, guesses} {
			g, share := atMost(15, 8), atLeast(0.25, 0)
			if a != logins {
				g, share = shown, shown
			}
			f, err := r.figure(func(at func(string) sample) float64 { return at(a).quantile(0.99) }, a)
			s.show("p99 "+a, "ms", g, f, err)
			f, err = r.figure(func(at func(string) sample) float64 { return at(a).rate() / at(alone).rate() }, a, alone)
			if a != alone {
				s.show("rate "+a+" / alone", "", share, f, err)
			}
		}
		return nil
	})
}

// flood measures what wrong passwords cost: with limits that are never reached
// as much as right ones, for users that there are and that there aren't; and
// next to nothing once a limit is reached.
func (s *suite) flood(ctx context.Context) error {
	argon, limited := s.small.sites[argonSlug], s.small.sites[limitedSlug]
	const guesser = "10.66.0.1"
	return s.small.with(ctx, func(n *node) error {
		if err := exhaust(ctx, n.door, limited, guesser); err != nil {
			return err
		}
		guess := func(login func() string) func(context.Context) error {
			return func(ctx context.Context) error {
				return n.door.guess(ctx, argon, login(), "", http.StatusUnauthorized, "InvalidCredentials")
			}
		}
		r := interleave(ctx, s.rounds, s.hashSlice,
			s.yard.echo(clients),
			load("right", n.meter, clients, func(ctx context.Context) error { return n.door.login(ctx, argon) }),
			load("wrong", n.meter, clients, guess(func() string { return argon.login(chance(argon.users)) })),
			load("unknown user", n.meter, clients, guess(func() string { return argon.login(argon.users + chance(argon.users)) })),
			load("over the limit", n.meter, clients, func(ctx context.Context) error {
				return n.door.guess(ctx, limited, limited.login(0), guesser, http.StatusTooManyRequests, "RateLimited")
			}),
		)
		s.ratio(r, "wrong / right", shown, []string{"wrong"}, []string{"right"})
		s.ratio(r, "unknown user / wrong", shown, []string{"unknown user"}, []string{"wrong"})
		f, err := r.figure(func(at func(string) sample) float64 {
			return at("unknown user").quantile(0.5) / at("wrong").quantile(0.5)
		}, "unknown user", "wrong")
		s.show("unknown user / wrong, median time", "", shown, f, err)
		s.costs(r, "over the limit")
		s.ratio(r, "over the limit / E", shown, []string{"over the limit"}, []string{"E"})
		return nil
	})
}

// exhaust guesses until the limits of a site say no.
func exhaust(ctx context.Context, d *door, s *site, from string) error {
	for range 200 {
		err := d.guess(ctx, s, s.login(0), from, http.StatusTooManyRequests, "RateLimited")
		var answered *unexpected
		if !errors.As(err, &answered) || answered.status != http.StatusUnauthorized {
			return err
		}
	}
	return errors.New("200 wrong passwords reached no limit")
}
