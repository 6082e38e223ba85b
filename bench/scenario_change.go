package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// changes publishes configurations at one node and watches another until it
// serves them: at rest, while 16 clients log in, and with notifications lost.
func (s *suite) propagation(ctx context.Context) error {
	if s.engine.server == "" {
		return nil // SQLite has one node
	}
	argon := s.small.sites[argonSlug]
	return s.small.with(ctx, func(here *node) error {
		return s.small.with(ctx, func(there *node) error {
			p := &publisher{suite: s, here: here, there: there, site: argon}
			for _, n := range []*node{here, there} {
				if err := p.await(ctx, n, []string{"email"}); err != nil {
					return err
				}
			}
			took, err := p.repeat(ctx, s.plan.changes)
			p.showDelays("a change reaches another node", took, err)

			var over atomic.Bool
			enough, done := errors.New("enough"), make(chan error, 1)
			go func() {
				_, err := drive(ctx, time.Hour, 16, time.Second, func(ctx context.Context) error {
					if over.Load() {
						return enough
					}
					return there.door.login(ctx, argon)
				})
				done <- err
			}()
			took, err = p.repeat(ctx, s.plan.changes)
			over.Store(true)
			if crowd := <-done; !errors.Is(crowd, enough) {
				err = errors.Join(err, crowd)
			}
			p.showDelays("the same while 16 log in", took, err)

			lost, err := p.lost(ctx)
			s.show("a change whose notification is lost", "s", atMost(5, 0), lost, err)
			return nil
		})
	})
}

// publisher changes how users of a site may identify, back and forth.
type publisher struct {
	*suite
	here, there *node
	site        *site
	usernames   bool // whether usernames are on now
}

var (
	emailAlone       = []string{"email"}
	emailAndUsername = []string{"email", "username"}
)

const publishMutation = `mutation($in: UpdateIdentificationsInput!) { updateIdentifications(input: $in) { version { number } userErrors { pointer reason message } } }`

// publish makes a change at the first node and says what flows offer after it.
func (p *publisher) publish(ctx context.Context) ([]string, error) {
	p.usernames = !p.usernames
	want := emailAlone
	if p.usernames {
		want = emailAndUsername
	}
	var answer struct {
		UpdateIdentifications struct {
			Version    *struct{ Number int }
			UserErrors []struct{ Pointer, Reason, Message string }
		}
	}
	in := map[string]any{"tenant": p.site.slug, "enabled": want, "autoPublish": true, "message": "bench", "force": "bench"}
	err := p.query(ctx, p.here.door, publishMutation, map[string]any{"in": in}, &answer)
	if err == nil && answer.UpdateIdentifications.Version == nil {
		err = fmt.Errorf("the change was refused: %v", answer.UpdateIdentifications.UserErrors)
	}
	return want, err
}

// await asks a node until its flows offer what they should.
func (p *publisher) await(ctx context.Context, n *node, want []string) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r, err := n.door.flow(ctx, p.site, flowsPath, createBody, "identify")
		if err != nil {
			return err
		}
		var offered []string
		for _, o := range r.Result.Action.Data.Options {
			offered = append(offered, o.Identification)
		}
		if slices.Equal(offered, want) {
			return nil
		}
	}
	return fmt.Errorf("after 30 s the change is not served: want %v", want)
}

// repeat publishes, and measures from the answer of the admin API until the
// other node serves the change, in milliseconds.
func (p *publisher) repeat(ctx context.Context, times int) ([]time.Duration, error) {
	var took []time.Duration
	for range times {
		want, err := p.publish(ctx)
		if err != nil {
			return nil, err
		}
		begun := time.Now()
		if err := p.await(ctx, p.there, want); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
		time.Sleep(time.Duration(chance(20)) * time.Millisecond) // don't beat in time with a poll
	}
	slices.Sort(took)
	return took, nil
}

func (p *publisher) showDelays(what string, took []time.Duration, err error) {
	p.show(what+", p50", "ms", shown, one(quantile(took, 0.5)), err)
	p.show(what+", p99", "ms", atMost(500, 100), one(quantile(took, 0.99)), err)
}

// lost publishes behind the nodes' backs, with the statements of a publication
// but without its notification, and measures how old a node's view gets, in
// seconds.
func (p *publisher) lost(ctx context.Context) (figure, error) {
	c, err := pgx.Connect(ctx, p.small.db.url)
	if err != nil {
		return figure{}, err
	}
	defer c.Close(ctx)
	var took []float64
	for range max(2, p.plan.changes/10) {
		p.usernames = !p.usernames
		want := emailAlone
		if p.usernames {
			want = emailAndUsername
		}
		if err := p.publishSilently(ctx, c); err != nil {
			return figure{}, err
		}
		begun := time.Now()
		if err := p.await(ctx, p.there, want); err != nil {
			return figure{}, err
		}
		took = append(took, time.Since(begun).Seconds())
		time.Sleep(time.Duration(chance(1000)) * time.Millisecond)
	}
	f := figureOf(took)
	f.Median = f.Max // the gate is about the oldest view there ever is
	return f, nil
}

// publishSilently publishes the version before the present one again.
func (p *publisher) publishSilently(ctx context.Context, c *pgx.Conn) error {
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO config_version (tenant_id, number, document, hash, message, author, created_at)
			SELECT v.tenant_id, t.version + 1, v.document, v.hash, 'bench', 'bench', $2::bigint
			FROM tenant t JOIN config_version v ON v.tenant_id = t.id AND v.number = t.version - 1 WHERE t.id = $1`,
			p.site.id, time.Now().UnixMilli())
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return errors.New("there is no earlier version")
		}
		_, err = tx.Exec(ctx, "UPDATE tenant SET version = version + 1, revision = revision + 1, changed_at = $2::bigint WHERE id = $1",
			p.site.id, time.Now().UnixMilli())
		return err
	})
}
