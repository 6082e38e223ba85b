package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/usher-id/usher/tenant"
)

// newLogger writes JSON for machines, or text for a developer's eyes.
func newLogger(w io.Writer, s *settings) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // the parser admits only its names
	o := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" || s.LogFormat == "auto" && s.Dev {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// explain tells the person at the terminal why a command failed: a refusal with
// everything that is known about it, anything else as it is.
func explain(w io.Writer, err error) {
	var refusal *tenant.Error
	if !errors.As(err, &refusal) {
		_, _ = fmt.Fprintln(w, "usher:", err)
		return
	}
	_, _ = fmt.Fprintf(w, "usher: %v\n", err)
	if problems, ok := refusal.Info["problems"].([]tenant.Problem); ok {
		for _, p := range problems {
			_, _ = fmt.Fprintf(w, "  %s: %s (%s)\n", pointerOrRoot(p.Pointer), p.Message, p.Reason)
		}
	}
	if causes, ok := refusal.Info["causes"].([]tenant.Cause); ok {
		for _, c := range causes {
			_, _ = fmt.Fprintf(w, "  %s: %s %v\n", pointerOrRoot(c.Location), c.Kind, c.Details)
		}
	}
}

func pointerOrRoot(p string) string {
	if p == "" {
		return "(whole document)"
	}
	return p
}
