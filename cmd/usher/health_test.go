package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	type world struct {
		started, draining bool
		ping, redis, full error
		have, want        int64
	}
	for name, c := range map[string]struct {
		world
		live, ready, startup int
		reason               string
	}{
		"serving":       {world{started: true, have: 3, want: 3}, 200, 200, 200, ""},
		"starting":      {world{have: 3, want: 3}, 200, 503, 503, "starting"},
		"draining":      {world{started: true, draining: true, have: 3, want: 3}, 200, 503, 200, "draining"},
		"database gone": {world{started: true, ping: errors.New("refused"), have: 3, want: 3}, 200, 503, 200, "the database does not answer"},
		"disk full":     {world{started: true, full: errors.New("disk is full"), have: 3, want: 3}, 200, 503, 200, "the database can't be written: disk is full"},
		"redis gone":    {world{started: true, redis: errors.New("refused"), have: 3, want: 3}, 200, 503, 200, "Redis does not answer"},
		"newer schema":  {world{started: true, have: 4, want: 3}, 200, 503, 200, "the database's schema is 4, this binary needs 3"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &health{
				ping:   func(context.Context) error { return c.ping },
				schema: func(context.Context) (int64, int64, error) { return c.have, c.want, nil },
				writes: func(context.Context) error { return c.full },
				redis:  func(context.Context) error { return c.redis },
				deaf:   func() bool { return false },
				log:    slog.New(slog.DiscardHandler),
			}
			h.started.Store(c.started)
			h.draining.Store(c.draining)
			public, private := http.NewServeMux(), http.NewServeMux()
			h.routes(public, false)
			h.routes(private, true)
			for path, want := range map[string]int{"live": c.live, "ready": c.ready, "startup": c.startup} {
				for listener, mux := range map[string]*http.ServeMux{"public": public, "private": private} {
					w := httptest.NewRecorder()
					mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz/"+path, nil))
					if w.Code != want {
						t.Errorf("%s %s: %d, want %d", listener, path, w.Code, want)
					}
					shows := strings.Contains(w.Body.String(), "reasons")
					if shows != (listener == "private" && want == 503) {
						t.Errorf("%s %s: reasons shown: %v in %s", listener, path, shows, w.Body)
					}
					if listener == "private" && path == "ready" && !strings.Contains(w.Body.String(), c.reason) {
						t.Errorf("%s does not name %q", w.Body, c.reason)
					}
				}
			}
		})
	}
}

func TestHealthAsksTheDatabaseOncePerSecond(t *testing.T) {
	asked := 0
	h := &health{
		ping:   func(context.Context) error { asked++; return nil },
		schema: func(context.Context) (int64, int64, error) { return 1, 1, nil },
		writes: func(context.Context) error { return nil },
		log:    slog.New(slog.DiscardHandler),
	}
	for range 100 {
		h.dependencies()
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	h.checked = time.Now().Add(-pingBelief)
	h.dependencies()
	if asked != 2 {
		t.Errorf("an old answer was believed")
	}
}
