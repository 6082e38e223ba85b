package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// health answers the probes of an orchestrator. Liveness is the process alone: a
// database that is gone is no reason to kill it. Readiness also says when not to
// send requests here.
type health struct {
	ping   func(context.Context) error                       // the database answers
	schema func(context.Context) (have, want int64, _ error) // its schema
	writes func(context.Context) error                       // it can be written, as far as is known
	redis  func(context.Context) error                       // Redis answers; nil without one
	deaf   func() bool                                       // nobody tells of changes
	log    *slog.Logger

	started  atomic.Bool
	draining atomic.Bool

	mu      sync.Mutex // held while checking, so that one check serves all who ask
	checked time.Time
	missing map[string]string // what is wrong with a dependency, by its name
	full    bool              // the database answers, and takes no writes
}

// What the process depends on, as metrics name it.
const (
	depDatabase = "database"
	depRedis    = "redis"
)

// In which ways a process goes on with less than it should have.
const (
	modeReadOnly     = "read_only"     // the database takes no writes: sessions are checked, and that is all
	modeLimitsClosed = "limits_closed" // Redis is away: what is limited is refused
	modePolling      = "polling"       // nobody tells of changes: they are served seconds later
)

var modes = []string{modeReadOnly, modeLimitsClosed, modePolling}

// degraded says which of them the process is in.
func (h *health) degraded() map[string]bool {
	missing := h.dependencies()
	h.mu.Lock()
	defer h.mu.Unlock()
	return map[string]bool{modeReadOnly: h.full, modeLimitsClosed: missing[depRedis] != "", modePolling: h.deaf()}
}

// How long a check may take and how long it is believed. Together they bound how
// late the database's return is seen.
const (
	pingTimeout = time.Second
	pingBelief  = time.Second
)

// dependencies says what is wrong with each that can't be used, by its name. The
// log hears of it when that changes.
func (h *health) dependencies() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.checked) < pingBelief {
		return h.missing
	}
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	missing := map[string]string{}
	note := func(name, reason string, cause error) {
		if reason != "" {
			missing[name] = reason
		}
		switch reason {
		case h.missing[name]: // nothing new
		case "":
			h.log.Info("a dependency is back", "dependency", name)
		default:
			h.log.Error("a dependency is missing", "dependency", name, "reason", reason, "cause", cause)
		}
	}
	reason, cause := h.database(ctx)
	note(depDatabase, reason, cause)
	if h.redis != nil {
		reason, cause = "", h.redis(ctx)
		if cause != nil {
			reason = "Redis does not answer"
		}
		note(depRedis, reason, cause)
	}
	h.missing, h.checked = missing, time.Now()
	return missing
}

// database says what is wrong with the database, "" for nothing.
func (h *health) database(ctx context.Context) (reason string, cause error) {
	h.full = false
	if err := h.ping(ctx); err != nil {
		return "the database does not answer", err
	}
	have, want, err := h.schema(ctx)
	switch {
	case err != nil:
		return "the database's schema can't be read", err
	case have != want:
		return fmt.Sprintf("the database's schema is %d, this binary needs %d", have, want), nil
	}
	err = h.writes(ctx)
	if h.full = err != nil; h.full {
		return fmt.Sprintf("the database can't be written: %v", err), err
	}
	return "", nil
}

// readiness lists the reasons against sending requests here.
func (h *health) readiness() []string {
	var reasons []string
	if !h.started.Load() {
		reasons = append(reasons, "starting")
	}
	if h.draining.Load() {
		reasons = append(reasons, "draining")
	}
	missing := h.dependencies()
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		reasons = append(reasons, missing[name])
	}
	return reasons
}

func (h *health) startup() []string {
	if !h.started.Load() {
		return []string{"starting"}
	}
	return nil
}

func (h *health) liveness() []string { return nil }

// routes answers /healthz/*. Only the telemetry listener may show reasons.
func (h *health) routes(mux *http.ServeMux, showReasons bool) {
	for path, reasons := range map[string]func() []string{
		"/healthz/live": h.liveness, "/healthz/ready": h.readiness, "/healthz/startup": h.startup,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			answerHealth(w, reasons(), showReasons)
		})
	}
}

func answerHealth(w http.ResponseWriter, reasons []string, show bool) {
	answer := struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons,omitempty"`
	}{Status: "ok"}
	code := http.StatusOK
	if len(reasons) > 0 {
		answer.Status, code = "unavailable", http.StatusServiceUnavailable
		if show {
			answer.Reasons = reasons
		}
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer) // a probe that has gone needs no answer
}
