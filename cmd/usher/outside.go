package main

import (
	"github.com/usher-id/usher/flowengine/botcheck"
	"github.com/usher-id/usher/flowengine/ldap"
)

// newBots makes what asks tenants' providers whether users are human.
func newBots(e *env, c *serveCmd, a *app, m *metrics) *botcheck.Checker {
	return botcheck.New(botcheck.Options{Secrets: a.store, Master: a.master, Guard: c.guard(e.Settings.Dev), Metrics: m.bots, Log: e.Log})
}

// newDirectories makes what asks tenants' directories for users.
func newDirectories(e *env, c *serveCmd, a *app, m *metrics) *ldap.Directories {
	return ldap.New(ldap.Options{Secrets: a.store, Master: a.master, Guard: c.guard(e.Settings.Dev), Metrics: m.ldap, Log: e.Log})
}
