package main

import (
	"context"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/hook"
	"github.com/usher-id/usher/tenant"
)

// newHooks makes what calls tenants' hooks.
func newHooks(e *env, c *serveCmd, a *app, m *metrics) (*hook.Hooks, error) {
	return hook.New(hook.Options{Store: a.store, Master: a.master, Guard: c.guard(e.Settings.Dev), Metrics: m.hooks, Log: e.Log})
}

// tellHooks delivers what hooks are told.
func tellHooks(h *hook.Hooks, d *tenant.Directory, engine *flowengine.Engine) func(context.Context) error {
	return func(ctx context.Context) error { return h.Run(ctx, hook.Tenants{ByID: d.ByID, Config: engine.Config}) }
}
