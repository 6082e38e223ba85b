package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"time"
)

// Bounds on what a client may make a connection cost. Nothing that Usher is sent
// is large, and no answer waits for anything but a hash and the database.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// listener is one address with what is served there.
type listener struct {
	net.Listener
	server *http.Server
}

func listen(ctx context.Context, address string, h http.Handler, log *slog.Logger) (*listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("can't listen: %w", err)
	}
	return &listener{l, &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // clients that break off
	}}, nil
}

// serve serves until the listener is shut; that is no error.
func (l *listener) serve() error {
	if err := l.server.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shut stops taking requests, lets those under way finish until ctx ends, and
// cuts the rest.
func (l *listener) shut(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	if err != nil {
		_ = l.server.Close() // err says already that it didn't go well
	}
	return err
}

// serveUntil serves both listeners until ctx ends or one of them fails, then
// drains: readiness goes first, so that nobody sends more; after delay no new
// request is taken; those under way get timeout to finish. The telemetry
// listener is the last to go, so that the end can be watched.
func serveUntil(ctx context.Context, public, telemetry *listener, h *health, delay, timeout time.Duration, log *slog.Logger) error {
	failed := make(chan error, 2)
	go func() { failed <- public.serve() }()
	go func() { failed <- telemetry.serve() }()
	h.started.Store(true)
	addresses := []any{"listening", public.Addr().String(), "metrics", telemetry.Addr().String()}
	if reasons := h.readiness(); len(reasons) > 0 {
		log.Warn("serving, and not ready yet", append(addresses, "reasons", reasons)...)
	} else {
		log.Info("ready", addresses...)
	}

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		h.draining.Store(true)
		log.Info("draining", "delay", delay.String(), "timeout", timeout.String())
		time.Sleep(delay)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if cut := public.shut(drain); cut != nil {
		log.Warn("requests were cut", "error", cut)
	}
	_ = telemetry.server.Close() // scrapes need no grace
	log.Info("stopped")
	return err
}

// under serves what is below a path by a handler that no mux stands before: a mux
// redirects paths that it would rather have otherwise.
func under(path string, h, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, path) {
			h.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// asWritten keeps the mux from answering a path with "//" or ".." itself, by a
// redirect without our headers: it is answered as one that there isn't.
func asWritten(mux *http.ServeMux, door http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
			door.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// mountAt puts a door with more than one way in behind a mux.
func mountAt(mux *http.ServeMux, h http.Handler, paths ...string) {
	for _, path := range paths {
		mux.Handle(path, h)
	}
}
