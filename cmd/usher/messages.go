package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// guard says which addresses tenants' settings may name.
func (c *serveCmd) guard(dev bool) outbound.Guard {
	return outbound.Guard{AllowPrivate: dev || c.AllowPrivateOutbound}
}

// newOutbox makes the worker that sends messages. config says what is in force
// at a tenant; it is asked once the worker runs.
func newOutbox(e *env, c *serveCmd, a *app, m *flowengine.Metrics, l limit.Limiter, d *tenant.Directory,
	config func(context.Context, *tenant.Tenant) (*tenant.Config, error),
) (*deliver.Worker, error) {
	o := deliver.Options{
		Store: a.store, Master: a.master, Limiter: l, Log: e.Log, Tenant: d.ByID, Config: config,
		PublicURL: e.Settings.publicURL, Guard: c.guard(e.Settings.Dev), Dev: e.Settings.Dev, Sent: m.MessageSent, Queue: m.MessageQueue,
	}
	if c.SMTPURL != "" {
		platform, err := deliver.ParsePlatform(c.SMTPURL, c.SMTPFrom)
		if err != nil {
			return nil, fmt.Errorf("--smtp-url and --smtp-from: %w", err)
		}
		o.Platform = platform
	}
	return deliver.New(o), nil
}

// flowURL makes the URLs that the engine hands out.
func (s *settings) flowURL(scheme flowengine.Scheme, host, path string) string {
	u := s.publicURL(host, path)
	if scheme == flowengine.WebSocket {
		u = "ws" + strings.TrimPrefix(u, "http") // wss where it is https
	}
	return u
}
