package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
)

// The demo that --dev makes on an empty database.
const (
	demoSlug  = "demo"
	demoHost  = "demo.localhost"
	demoAdmin = "admin@example.com"
)

const demoConfig = `
identifications:
  enabled: [email, username]
`

// firstly is what a start found or made.
type firstly struct {
	password string // of the demo's operator, when this start made them
	demo     bool   // tenant demo is there
}

// firstStart makes what a fresh database lacks: with --dev everything to try
// Usher with, else what the operator asked for and no more.
func firstStart(ctx context.Context, e *env, c *serveCmd, a *app) (first firstly, err error) {
	some, err := a.store.Tenants(ctx, "", "", tenant.Page{Limit: 2})
	if err != nil {
		return first, err
	}
	operated, err := hasOperator(ctx, a)
	if err != nil {
		return first, err
	}
	if e.Settings.Dev || c.BootstrapAPIKey != "" || len(some) > 0 {
		if err := ensureAdmin(ctx, e, c, a); err != nil {
			return first, err
		}
	}
	if !e.Settings.Dev {
		if !operated && c.BootstrapAPIKey == "" {
			e.Log.Warn("there is no operator yet: run usher tenant bootstrap")
		}
		return first, nil
	}
	if !operated {
		if first.password, err = makeDemo(ctx, a, len(some)); err != nil {
			return first, fmt.Errorf("the demo can't be made: %w", err)
		}
	}
	_, err = a.store.TenantByHost(ctx, demoHost)
	first.demo = err == nil
	return first, nil
}

// hasOperator says whether anybody could administer this platform.
func hasOperator(ctx context.Context, a *app) (bool, error) {
	grants, err := a.store.GrantsIn(ctx, tenant.PlatformDomain)
	if err != nil || len(grants) > 0 {
		return len(grants) > 0, err
	}
	t, err := a.store.TenantBySlug(ctx, tenant.AdminSlug)
	if errors.Is(err, tenant.ErrTenantNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	keys, err := a.store.APIKeys(ctx, t.ID, tenant.Page{Limit: 1})
	return len(keys) > 0, err
}

// ensureAdmin makes tenant admin, its host and the bootstrap key, each unless it
// is there.
func ensureAdmin(ctx context.Context, e *env, c *serveCmd, a *app) error {
	if _, made, err := a.admin.EnsureAdminTenant(ctx, e.Settings.AdminHost); err != nil {
		return err
	} else if made {
		e.Log.Info("tenant admin made", "host", e.Settings.AdminHost)
	}
	if c.BootstrapAPIKey == "" {
		return nil
	}
	made, err := a.admin.EnsureBootstrapKey(ctx, c.BootstrapAPIKey)
	if made {
		e.Log.Info("bootstrap API key made")
	}
	return err
}

// makeDemo makes tenant demo, unless there are tenants already, and an operator.
// The operator comes last: as long as there is none, the next start goes on.
func makeDemo(ctx context.Context, a *app, tenants int) (password string, err error) {
	if tenants < 2 { // tenant admin at most
		_, err := a.admin.CreateTenant(ctx, admin.System, admin.NewTenant{Slug: demoSlug, Name: "Demo", Hosts: []string{demoHost}})
		if err != nil && !errors.Is(err, tenant.ErrAlreadyExists) {
			return "", err
		}
		if _, err := a.admin.Apply(ctx, admin.System, demoSlug, admin.Application{Document: []byte(demoConfig), Message: "the demo"}); err != nil {
			return "", err
		}
	}
	password = strings.ToLower(rand.Text()[:20])
	operator, err := a.admin.CreateUser(ctx, admin.System, tenant.AdminSlug, admin.NewUser{
		Identities: []admin.NewIdentity{{Kind: "email", Value: demoAdmin, Verified: true}}, Password: password,
	})
	if errors.Is(err, tenant.ErrDuplicatedIdentity) { // of a start that was cut short here
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return password, a.admin.SetMemberRole(ctx, admin.System, tenant.AdminSlug, operator.ID, tenant.Operator)
}

const flowsPath = "/api/v1/authentication_flows"

// tryNext is what --dev prints: commands that work as they stand.
func (f firstly) tryNext(s *settings, metrics string) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	curl := func(url, body string) { say("  curl -s %s -H 'Content-Type: application/json' -d '%s'\n", url, body) }
	say("")
	if f.demo {
		flows := s.publicURL(demoHost, flowsPath)
		say("Demo tenant   %s", s.publicURL(demoHost, ""))
		say("Sign a user up:\n")
		curl(flows, `{"type":"signup","name":"default","batch_input":[{"identification":"email","login_id":"ada@example.com"},{"authentication":"primary_password","new_password":"correct horse battery"}]}`)
		say("Log them in:\n")
		curl(flows, `{"type":"login","name":"default","session":"token","batch_input":[{"identification":"email","login_id":"ada@example.com"},{"authentication":"primary_password","password":"correct horse battery"}]}`)
	}
	say("Admin         %s", s.adminURL(""))
	if f.password != "" {
		say("Operator      %s, password %s (shown this once)", demoAdmin, f.password)
		say("Sign in, then ask the GraphQL API:\n")
		curl(s.adminURL(flowsPath)+" -c cookies.txt", `{"type":"login","name":"default","batch_input":[{"identification":"email","login_id":"`+demoAdmin+`"},{"authentication":"primary_password","password":"`+f.password+`"}]}`)
		curl(s.adminURL("/graphql")+" -b cookies.txt -H 'Origin: "+s.adminURL("")+"'", `{"query":"{ tenants(first: 10) { nodes { slug } } }"}`)
	} else {
		say("Operator      made at an earlier start; for a new one: usher tenant bootstrap --dev --database-url %s --email you@example.com", s.DatabaseURL)
	}
	say("GraphiQL      %s", s.adminURL("/graphiql/"))
	say("Metrics       http://%s/metrics\n", metrics)
	return b.String()
}
