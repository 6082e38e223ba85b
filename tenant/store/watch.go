package store

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// What PostgreSQL's notifications go by: of changes, and of runs.
const (
	channel    = "usher_changed"
	runChannel = "usher_run"
)

const (
	quiet   = 2 * time.Second // without a notification the connection is checked
	redial  = 250 * time.Millisecond
	dialing = 5 * time.Second
)

// Watch implements [tenant.Store]. It calls changed with "" once it hears, and
// again whenever it hears again.
func (s *Store) Watch(ctx context.Context, changed func(tenantID string)) error {
	return s.watch(ctx, channel, &s.local, changed)
}

// WatchRuns implements [tenant.RunStore].
func (s *Store) WatchRuns(ctx context.Context, told func(tenantID, runID string)) error {
	return s.watch(ctx, runChannel, &s.runs, func(news string) {
		tenantID, runID, _ := strings.Cut(news, " ")
		told(tenantID, runID)
	})
}

// Deaf says whether PostgreSQL's notifications are waited for and don't come. Who
// polls hears of changes later then.
func (s *Store) Deaf() bool { return s.deaf.Load() > 0 }

// TellRun implements [tenant.RunStore].
func (s *Store) TellRun(ctx context.Context, tenantID, runID string) error {
	if !s.postgres() {
		s.runs.tell(tenantID + " " + runID)
		return nil
	}
	_, err := s.fast.ExecContext(in(ctx, notify), "SELECT pg_notify(?, ?)", runChannel, tenantID+" "+runID)
	return refuse(err)
}

func (s *Store) watch(ctx context.Context, channel string, local *fanout, changed func(string)) error {
	if !s.postgres() {
		return local.watch(ctx, changed)
	}
	deaf := false
	heard := func() {
		if deaf {
			deaf = false
			s.deaf.Add(-1)
		}
	}
	defer heard()
	for {
		err := s.listen(ctx, channel, func(news string) {
			heard()
			changed(news)
		})
		if ctx.Err() != nil {
			return nil
		}
		if !deaf {
			deaf = true
			s.deaf.Add(1)
		}
		if s.o.OnWatchError != nil {
			s.o.OnWatchError(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(redial):
		}
	}
}

// listen hears PostgreSQL until the connection breaks.
func (s *Store) listen(ctx context.Context, channel string, changed func(string)) error {
	dial, cancel := context.WithTimeout(ctx, dialing)
	defer cancel()
	conn, err := pgx.Connect(dial, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(dial))
	if _, err := conn.Exec(dial, "LISTEN "+channel); err != nil {
		return err
	}
	changed("")
	for {
		n, err := hear(ctx, conn)
		switch {
		case err == nil:
			changed(n)
		case ctx.Err() != nil || conn.IsClosed():
			return err
		default: // quiet; a dead peer shows only when it is asked
			ask, cancel := context.WithTimeout(ctx, quiet)
			err := conn.Ping(ask)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

func hear(ctx context.Context, conn *pgx.Conn) (tenantID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	if err != nil {
		return "", err
	}
	return n.Payload, nil
}

// fanout tells the watchers of this process. It never waits for one.
type fanout struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

type watcher struct {
	news map[string]struct{} // what it hasn't heard yet
	wake chan struct{}
}

func (f *fanout) tell(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		w.news[id] = struct{}{}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (f *fanout) watch(ctx context.Context, changed func(string)) error {
	w := &watcher{news: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.watchers == nil {
		f.watchers = map[*watcher]struct{}{}
	}
	f.watchers[w] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watchers, w)
		f.mu.Unlock()
	}()
	changed("")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		f.mu.Lock()
		news := maps.Clone(w.news)
		clear(w.news)
		f.mu.Unlock()
		for id := range news {
			changed(id)
		}
	}
}
