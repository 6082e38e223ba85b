package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/surface/setup"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

type tenantCmds struct {
	Create    tenantCreateCmd    `cmd:"" help:"Make a tenant."`
	List      tenantListCmd      `cmd:"" help:"List tenants."`
	Apply     tenantApplyCmd     `cmd:"" help:"Put a configuration file in force."`
	Export    tenantExportCmd    `cmd:"" help:"Print a tenant's configuration."`
	Plan      tenantPlanCmd      `cmd:"" help:"Say what applying a configuration file would do."`
	Bootstrap tenantBootstrapCmd `cmd:"" help:"Make the first operator: an API key and a one-time link."`
}

// commandLine is who acts when a command does.
func commandLine() admin.Actor {
	a := admin.Actor{Kind: tenant.ActorCLI, ID: "unknown"}
	if u, err := user.Current(); err == nil {
		a.ID = u.Username
	}
	return a
}

// readFile reads a file, or what comes in when the name is "-".
func readFile(e *env, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(e.Stdin)
	}
	return os.ReadFile(name) //nolint:gosec // the operator names the file
}

type tenantCreateCmd struct {
	Slug     string   `arg:"" help:"Its short name: lower-case letters, digits and hyphens."`
	Name     string   `help:"Its name for people; the slug unless set."`
	Host     []string `placeholder:"HOST" required:"" help:"The hosts it answers to; the first one goes into links."`
	Template string   `placeholder:"SLUG" help:"Begin with this tenant's configuration instead of the defaults."`
}

func (*tenantCreateCmd) Help() string {
	return `    usher tenant create acme --name "Acme Inc" --host login.acme.com

The tenant answers at once, on every node, with e-mail and password sign-up and
login. Change that with usher tenant apply.`
}

func (c *tenantCreateCmd) Run(ctx context.Context, e *env) error {
	return withApp(ctx, e, func(a *app) error {
		t, err := a.admin.CreateTenant(ctx, commandLine(), admin.NewTenant{Slug: c.Slug, Name: c.Name, Hosts: c.Host, Template: c.Template})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.Stdout, "%s made, id %s\n", t.Slug, t.ID)
		return err
	})
}

type tenantListCmd struct {
	Search string `arg:"" optional:"" help:"The beginning of a slug, name or host."`
	JSON   bool   `name:"json" help:"One JSON object per line."`
}

func (c *tenantListCmd) Run(ctx context.Context, e *env) error {
	return withApp(ctx, e, func(a *app) error {
		table := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
		if !c.JSON {
			_, _ = fmt.Fprintln(table, "SLUG\tNAME\tSTATE\tVERSION\tHOSTS")
		}
		page := tenant.Page{Limit: 500}
		for {
			tenants, err := a.store.Tenants(ctx, c.Search, "", page)
			if err != nil {
				return err
			}
			for _, t := range tenants {
				if c.JSON {
					err = json.NewEncoder(e.Stdout).Encode(map[string]any{
						"id": t.ID, "slug": t.Slug, "name": t.Name, "state": t.State, "version": t.Version, "hosts": t.Hosts,
					})
				} else {
					_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", t.Slug, t.Name, t.State, t.Version, strings.Join(t.Hosts, " "))
				}
				if err != nil {
					return err
				}
			}
			if len(tenants) < page.Limit {
				return table.Flush()
			}
			page.After = tenants[len(tenants)-1].Slug
		}
	})
}

// change is what apply and plan have in common.
type change struct {
	Slug   string            `arg:"" help:"The tenant."`
	File   string            `arg:"" help:"The configuration, YAML or JSON; - for standard input."`
	Format string            `enum:"usher,authgear" default:"usher" help:"usher, or authgear for an Authgear project's authgear.yaml."`
	Secret map[string]string `placeholder:"NAME=FILE" help:"Set a secret, such as oauth.google.client_secret, to what the file holds."`
}

func (c *change) application(e *env) (admin.Application, error) {
	in := admin.Application{Format: admin.Format(strings.ToUpper(c.Format))}
	var err error
	if in.Document, err = readFile(e, c.File); err != nil {
		return in, err
	}
	for name, file := range c.Secret {
		value, err := readFile(e, file)
		if err != nil {
			return in, err
		}
		in.Secrets = append(in.Secrets, admin.NamedSecret{Name: name, Value: strings.TrimRight(string(value), "\r\n")})
	}
	return in, nil
}

type tenantApplyCmd struct {
	change
	Message string `short:"m" help:"Why, for the history."`
	Force   string `placeholder:"REASON" help:"Publish although users would lose their last way in."`
}

func (*tenantApplyCmd) Help() string {
	return `The file says what differs from the defaults; usher config schema describes it.
What can't work is refused whole, with every problem at once, and so is what
would leave users without a way in. Applying the same file again changes nothing.

    usher tenant export acme > acme.yaml
    usher tenant plan   acme acme.yaml
    usher tenant apply  acme acme.yaml -m "longer passwords"

An authgear.yaml is translated, and every key that can't be is listed:

    usher tenant apply  acme authgear.yaml --format authgear`
}

func (c *tenantApplyCmd) Run(ctx context.Context, e *env) error {
	return withApp(ctx, e, func(a *app) error {
		in, err := c.application(e)
		if err != nil {
			return err
		}
		in.Message, in.Force = c.Message, c.Force
		done, err := a.admin.Apply(ctx, commandLine(), c.Slug, in)
		if err != nil {
			return err
		}
		printUntranslated(e.Stdout, done.Untranslated)
		printPlan(e.Stdout, &done.Plan)
		for _, name := range done.SecretsChanged {
			_, _ = fmt.Fprintln(e.Stdout, "secret", name, "set")
		}
		if done.Published == nil {
			_, err = fmt.Fprintln(e.Stdout, "nothing to publish")
		} else {
			_, err = fmt.Fprintln(e.Stdout, "published as version", done.Published.Number)
		}
		return err
	})
}

type tenantPlanCmd struct{ change }

func (*tenantPlanCmd) Help() string {
	return `Nothing is changed. The exit code is 1 when the file has problems or when applying
it would be refused.

    usher tenant plan acme acme.yaml`
}

func (c *tenantPlanCmd) Run(ctx context.Context, e *env) error {
	return withApp(ctx, e, func(a *app) error {
		in, err := c.application(e)
		if err != nil {
			return err
		}
		in.DryRun = true
		done, err := a.admin.Apply(ctx, commandLine(), c.Slug, in)
		if err != nil {
			return err
		}
		printUntranslated(e.Stdout, done.Untranslated)
		printPlan(e.Stdout, &done.Plan)
		if len(done.Problems) > 0 || done.Users.Refused() {
			return exitError(exitFailed)
		}
		return nil
	})
}

func printUntranslated(w io.Writer, untranslated []tenant.Problem) {
	for _, p := range untranslated {
		_, _ = fmt.Fprintf(w, "not translated %s: %s (%s)\n", pointerOrRoot(p.Pointer), p.Message, p.Reason)
	}
}

func printPlan(w io.Writer, p *admin.Plan) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	for _, problem := range p.Problems {
		say("problem at %s: %s (%s)", pointerOrRoot(problem.Pointer), problem.Message, problem.Reason)
	}
	for _, c := range p.Changes {
		say("%s %s: %s", c.Kind, pointerOrRoot(c.Pointer), c.Words)
	}
	for _, f := range p.Flows {
		say("flow %s %s %s", f.Flow.Type, f.Flow.Name, f.Kind)
		for _, step := range f.Steps {
			say("  %s", step)
		}
	}
	for _, name := range p.MissingSecrets {
		say("the secret %s is missing", name)
	}
	if n := p.Users.Losing; n > 0 {
		say("%d users would lose their last way in", n)
	}
	if p.Users.LastAdmin {
		say("no operator could sign in any more")
	}
	if p.Empty() && len(p.Problems) == 0 {
		say("no changes")
	}
}

type tenantExportCmd struct {
	Slug    string `arg:"" help:"The tenant."`
	Format  string `enum:"yaml,json" default:"yaml" help:"yaml or json."`
	Version int64  `placeholder:"N" help:"An older version; the one in force unless set."`
}

func (*tenantExportCmd) Help() string {
	return `The document is whole, defaults included, and never has a secret in it.

    usher tenant export acme > acme.yaml`
}

func (c *tenantExportCmd) Run(ctx context.Context, e *env) error {
	return withApp(ctx, e, func(a *app) error {
		t, err := a.store.TenantBySlug(ctx, c.Slug)
		if err != nil {
			return err
		}
		cfg, err := a.admin.Version(ctx, t, cmp.Or(c.Version, t.Version))
		if err != nil {
			return err
		}
		text := document.YAML(cfg)
		if c.Format == "json" {
			compact, _ := document.Encode(cfg)
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, compact, "", "  "); err != nil {
				return err
			}
			text = append(pretty.Bytes(), '\n')
		}
		_, err = e.Stdout.Write(text)
		return err
	})
}

type tenantBootstrapCmd struct {
	Email string `required:"" placeholder:"ADDRESS" help:"The operator's e-mail address."`
}

func (*tenantBootstrapCmd) Help() string {
	return `Makes an operator: somebody who may do everything for every tenant. It prints a
link, good once and for 24 hours, where they choose their password, and an API
key for programs. Run it again to get new ones for the same person.

    usher tenant bootstrap --email you@example.com --admin-host admin.example.com`
}

func (c *tenantBootstrapCmd) Run(ctx context.Context, e *env) error {
	s := &e.Settings
	if s.AdminHost == "" {
		return errors.New("set --admin-host (USHER_ADMIN_HOST), the host that admins sign in at")
	}
	return withApp(ctx, e, func(a *app) error {
		if _, _, err := a.admin.EnsureAdminTenant(ctx, s.AdminHost); err != nil {
			return err
		}
		b, err := a.admin.Bootstrap(ctx, commandLine(), c.Email)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.Stdout, `Operator   %s
Password   choose it at %s (once, within 24 hours)
API key    %s (shown this once; 90 days)

curl -s %s -H 'Authorization: Bearer %s' \
  -H 'Content-Type: application/json' -d '{"query":"{ tenants(first: 10) { nodes { slug } } }"}'
`, c.Email, s.adminURL(setup.Path)+"?token="+url.QueryEscape(b.SetupToken), b.Key, s.adminURL("/graphql"), b.Key)
		return err
	})
}

// adminURL is a URL on the admin host, made from settings alone and never from a
// request.
func (s *settings) adminURL(path string) string { return s.publicURL(s.AdminHost, path) }

func (s *settings) publicURL(host, path string) string {
	port := s.PublicPort
	if port == 0 && s.Dev {
		port = s.devPort
	}
	if port != 0 && !(port == 443 && s.PublicURLScheme == "https") && !(port == 80 && s.PublicURLScheme == "http") {
		host = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return s.PublicURLScheme + "://" + host + path
}
