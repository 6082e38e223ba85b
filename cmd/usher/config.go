package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/usher-id/usher/flowengine/admin"
)

// settings is the configuration of the process, the same for every command. Each
// field is a flag, a variable of the environment (USHER_ and the name in upper
// case) and a key of the configuration file (the name with underscores); a flag
// goes before the environment and that before the file. docs/configuration.md is
// generated from these tags and from those of [serving].
type settings struct {
	Config        string `help:"Read settings from this YAML file." placeholder:"FILE"`
	Dev           bool   `help:"Run for development: plain HTTP is accepted, the master key is made when missing, an empty database gets a demo tenant, the GraphQL schema can be introspected."`
	DatabaseURL   string `name:"database-url" default:"sqlite:usher.db" placeholder:"URL" help:"Where everything is kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME."`
	MasterKeyFile string `placeholder:"FILE" help:"The key that wraps the tenants' keys; usher master-key makes one. With --dev it is made when missing: beside a SQLite database, else in the user's state directory."`
	MasterKey     string `secret:"" hidden:"" help:"The master key itself, instead of a file."`
	AdminHost     string `placeholder:"HOST" help:"The host of the admin API and of the admins' sign-in. With --dev it is admin.localhost unless set."`
	LogFormat     string `enum:"auto,json,text" default:"auto" help:"json, text, or auto: text with --dev and json without."`
	LogLevel      string `enum:"debug,info,warn,error" default:"info" help:"The least that is logged: debug, info, warn or error."`

	PublicURLScheme string `name:"public-url-scheme" enum:"https,http,auto" default:"auto" help:"The scheme of the URLs that are handed out: https, http, or auto: http with --dev and https without."`
	PublicPort      int    `placeholder:"PORT" help:"The port of the URLs that are handed out; 0 for the scheme's own, and with --dev for the one that serve listens on."`

	devPort int // what serve listens on, with --dev; as far as is known
}

// serving is what only the server needs to know.
type serving struct {
	Listen          string        `default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"Where users and admins are served. Port 0 picks a free one; the log says which."`
	MetricsListen   string        `default:"127.0.0.1:9464" placeholder:"ADDRESS" help:"Where /metrics and the reasons of /healthz are served. Never make it public."`
	RedisURL        string        `name:"redis-url" placeholder:"URL" help:"Keep rate limits in this Redis instead of in the database: redis://HOST:PORT/DB."`
	TrustedProxies  []string      `placeholder:"CIDR,..." help:"The proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks."`
	HashWorkers     int           `default:"0" help:"How many passwords are hashed at once; 0 for one per core. Each takes 19 MiB while it works."`
	HashQueue       int           `default:"0" help:"How many more may wait for that before logins are answered with 503; 0 for 16 per worker."`
	TenantSlots     int           `default:"200" help:"How many tenants have metrics of their own; 0 for none, 1000 at most."`
	Introspection   bool          `help:"Let admins introspect the GraphQL schema; always on with --dev."`
	Profiling       bool          `help:"Serve profiles of the process under /debug/pprof/ of the metrics listener (go tool pprof)."`
	ShutdownDelay   time.Duration `default:"0s" help:"Go on serving for so long after SIGTERM, with readiness already off, so that load balancers notice."`
	ShutdownTimeout time.Duration `default:"20s" help:"Give requests so long to finish before they are cut."`
	SMTPURL         string        `name:"smtp-url" placeholder:"URL" help:"The mail server of tenants without one of their own: smtp://USER:PASSWORD@HOST:PORT with STARTTLS, smtps:// with TLS from the start, smtp+plain:// in the clear. Without it and with --dev messages land in the inbox that GraphQL shows."`
	SMTPFrom        string        `name:"smtp-from" placeholder:"ADDRESS" help:"The sender of what goes by --smtp-url; tenants put their name before it."`

	AllowPrivateOutbound bool `help:"Let tenants' gateways, hooks and providers be at loopback and private addresses, and at plain HTTP; always on with --dev."`

	BootstrapAPIKey string `name:"bootstrap-api-key" secret:"" hidden:"" help:"An operator's API key, at least ${min_bootstrap_key} characters, that is made on a database without any."`
	AutoMigrate     bool   `default:"true" negatable:"" help:"Bring the database's schema up to date at the start."`
}

// cli is the whole command line. The settings of serve are declared with it.
type cli struct {
	settings

	Serve     serveCmd     `cmd:"" help:"Run the server."`
	Migrate   migrateCmd   `cmd:"" help:"Bring the database's schema up to date, and say where it stands."`
	MasterKey masterKeyCmd `cmd:"" name:"master-key" help:"Write a new master key to a file."`
	Tenant    tenantCmds   `cmd:"" help:"Make tenants, and keep their configuration in files."`
	User      userCmds     `cmd:"" help:"Move users in and out."`
	Flow      flowCmds     `cmd:"" help:"Check flow definitions."`
	Config    configCmds   `cmd:"" name:"config" help:"Describe configuration documents and settings."`
	Audit     auditCmds    `cmd:"" help:"Check the audit log."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

const description = `Usher signs users up and in, for as many tenants as you have, as their admins configured it.

Try it: usher serve --dev

Every setting is a flag, an environment variable (--database-url is USHER_DATABASE_URL)
and a key of the file that --config names (database_url); docs/configuration.md lists them.`

func newParser(c *cli, getenv func(string) string, stdout, stderr io.Writer) (*kong.Kong, error) {
	var model *kong.Application
	parser, err := kong.New(c,
		kong.Name("usher"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.Vars{"min_bootstrap_key": strconv.Itoa(admin.MinBootstrapKey)},
		kong.Resolvers(&resolver{getenv: getenv}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(func(v *kong.Value) string {
			if v.Flag != nil && slices.Contains(settingsOf(model), v.Flag) {
				return v.Help + " [" + envName(v.Flag) + "]"
			}
			return v.Help
		}),
	)
	if err != nil {
		return nil, err
	}
	model = parser.Model
	return parser, nil
}

// implied fills in what --dev implies.
func (s *settings) implied() {
	scheme := "https"
	if s.Dev {
		scheme = "http"
		s.AdminHost = cmp.Or(s.AdminHost, "admin.localhost")
		s.devPort = cmp.Or(s.devPort, 8080)
	}
	if s.PublicURLScheme == "auto" {
		s.PublicURLScheme = scheme
	}
}

// Validate refuses a number that means nothing, wherever it comes from.
func (s *settings) Validate() error { return inRange("public-port", s.PublicPort, 65535) }

// Validate refuses numbers that mean nothing, wherever they come from.
func (s *serving) Validate() error {
	return errors.Join(
		inRange("hash-workers", s.HashWorkers, 1024), inRange("hash-queue", s.HashQueue, 1<<20), inRange("tenant-slots", s.TenantSlots, 1000),
	)
}

func inRange(name string, n, most int) error {
	if n < 0 || n > most {
		return fmt.Errorf("--%s is %d: it is 0 to %d", name, n, most)
	}
	return nil
}

// settingsOf lists the flags that are settings: the global ones and serve's.
func settingsOf(model *kong.Application) []*kong.Flag {
	var out []*kong.Flag
	keep := func(flags []*kong.Flag) {
		for _, f := range flags {
			if f.Name != "help" {
				out = append(out, f)
			}
		}
	}
	keep(model.Flags)
	for _, n := range model.Children {
		if n.Name == "serve" {
			keep(n.Flags)
		}
	}
	return out
}

func envName(f *kong.Flag) string {
	return "USHER_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

func fileKey(f *kong.Flag) string { return strings.ReplaceAll(f.Name, "-", "_") }

// refuseSecretFlags keeps secrets off the command line, which everybody on the
// machine can read.
func refuseSecretFlags(args []string) error {
	for _, name := range []string{"--master-key", "--bootstrap-api-key"} {
		for _, a := range args {
			if a == "--" {
				break
			}
			if a == name || strings.HasPrefix(a, name+"=") {
				env := "USHER_" + strings.ToUpper(strings.ReplaceAll(name[2:], "-", "_"))
				return fmt.Errorf("%s is a secret: set it as %s or in the file of --config", name, env)
			}
		}
	}
	return nil
}

// resolver finds settings in the environment and in the configuration file.
type resolver struct {
	getenv func(string) string
	file   map[string]string // nil until read
}

func (r *resolver) Validate(*kong.Application) error { return nil }

func (r *resolver) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	settings := settingsOf(ctx.Model)
	if r.file == nil {
		if err := r.read(ctx, settings); err != nil {
			return nil, err
		}
	}
	for _, s := range settings {
		if s != flag {
			continue
		}
		if v := r.getenv(envName(flag)); v != "" {
			return v, nil
		}
		if v, ok := r.file[fileKey(flag)]; ok {
			return v, nil
		}
	}
	return nil, nil
}

// read reads the file that --config or USHER_CONFIG names, if any.
func (r *resolver) read(ctx *kong.Context, settings []*kong.Flag) error {
	r.file = map[string]string{}
	path := r.getenv("USHER_CONFIG")
	for _, p := range ctx.Path {
		if p.Flag != nil && p.Flag.Name == "config" {
			path, _ = ctx.FlagValue(p.Flag).(string)
		}
	}
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, s := range settings {
		known[fileKey(s)] = s.Name != "config"
	}
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for key, value := range doc {
		if !known[key] {
			return fmt.Errorf("%s: there is no setting %q", path, key)
		}
		if r.file[key], err = scalar(value); err != nil {
			return fmt.Errorf("%s: %s: %w", path, key, err)
		}
	}
	return nil
}

// scalar writes a value of the file as it would stand on the command line.
func scalar(value any) (string, error) {
	switch v := value.(type) {
	case map[string]any, nil:
		return "", errors.New("a single value or a list is needed")
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			var err error
			if parts[i], err = scalar(v[i]); err != nil {
				return "", err
			}
		}
		return strings.Join(parts, ","), nil
	default:
		return fmt.Sprint(v), nil
	}
}
