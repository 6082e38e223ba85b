package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// parseSettings parses a command line of serve without running it.
func parseSettings(t *testing.T, environ map[string]string, args ...string) (*cli, error) {
	t.Helper()
	var c cli
	p, err := newParser(&c, func(k string) string { return environ[k] }, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Parse(append([]string{"serve"}, args...))
	return &c, err
}

func TestSettingsComeFromFlagsThenEnvironmentThenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usher.yaml")
	text := "listen: 127.0.0.1:1\nmetrics_listen: 127.0.0.1:1\ntrusted_proxies: [10.0.0.0/8, 127.0.0.1]\nhash_workers: 7\ndev: true\nshutdown_delay: 3s\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := map[string]string{"USHER_CONFIG": file, "USHER_LISTEN": "127.0.0.1:2", "USHER_METRICS_LISTEN": "127.0.0.1:2", "USHER_REDIS_URL": ""}
	c, err := parseSettings(t, environ, "--listen", "127.0.0.1:3")
	if err != nil {
		t.Fatal(err)
	}
	s := c.Serve.serving
	for name, pair := range map[string][2]any{
		"flag before environment": {s.Listen, "127.0.0.1:3"},
		"environment before file": {s.MetricsListen, "127.0.0.1:2"},
		"list in the file":        {s.TrustedProxies, []string{"10.0.0.0/8", "127.0.0.1"}},
		"number in the file":      {s.HashWorkers, 7},
		"duration in the file":    {s.ShutdownDelay.String(), "3s"},
		"truth in the file":       {c.Dev, true},
		"default":                 {c.DatabaseURL, "sqlite:usher.db"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	// --config goes before USHER_CONFIG.
	other := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(other, []byte("log_level: debug\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = parseSettings(t, environ, "--config", other); err != nil || c.LogLevel != "debug" || c.Dev {
		t.Errorf("%v: %+v", err, c.settings)
	}
}

func TestSettingsAreRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		f := filepath.Join(dir, "f.yaml")
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, c := range map[string]struct{ file, environ, value, says string }{
		"unknown key":        {file: "lisen: x\n", says: `no setting "lisen"`},
		"flag's spelling":    {file: "database-url: x\n", says: `no setting "database-url"`},
		"config in config":   {file: "config: x\n", says: `no setting "config"`},
		"nested value":       {file: "listen: {a: b}\n", says: "single value"},
		"empty value":        {file: "listen:\n", says: "single value"},
		"not YAML":           {file: "{", says: "yaml"},
		"not in the list":    {environ: "USHER_LOG_LEVEL", value: "loud", says: "log-level"},
		"not a number":       {environ: "USHER_HASH_WORKERS", value: "many", says: "hash-workers"},
		"not a duration":     {environ: "USHER_SHUTDOWN_DELAY", value: "soon", says: "duration"},
		"no such file":       {environ: "USHER_CONFIG", value: filepath.Join(dir, "none"), says: "no such file"},
		"neither yes nor no": {environ: "USHER_DEV", value: "perhaps", says: "dev"},
		"no port":            {environ: "USHER_PUBLIC_PORT", value: "99999", says: "--public-port is 99999"},
		"too many slots":     {file: "tenant_slots: 5000\n", says: "--tenant-slots is 5000"},
		"fewer than none":    {environ: "USHER_HASH_QUEUE", value: "-1", says: "--hash-queue is -1"},
	} {
		environ := map[string]string{c.environ: c.value}
		if c.file != "" {
			environ["USHER_CONFIG"] = write(c.file)
		}
		if _, err := parseSettings(t, environ); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// do runs the program in this process.
func do(t *testing.T, environ map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, func(k string) string { return environ[k] }, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	db := "sqlite:" + filepath.Join(dir, "none", "usher.db")
	loose := filepath.Join(dir, "loose.key")
	if err := os.WriteFile(loose, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ map[string]string
		args    string
		code    int
		says    string
	}{
		"help":                     {args: "--help", code: 0, says: "usher serve --dev"},
		"nothing":                  {code: 0, says: "usher serve --dev"},
		"help of a command":        {args: "tenant apply --help", code: 0, says: "usher tenant plan   acme acme.yaml"},
		"help names the variable":  {args: "serve --help", code: 0, says: "USHER_METRICS_LISTEN"},
		"version":                  {args: "version", code: 0, says: "usher dev"},
		"unknown command":          {args: "frobnicate", code: 2, says: "frobnicate"},
		"secret flag":              {args: "serve --master-key abc", code: 2, says: "USHER_MASTER_KEY"},
		"other secret flag":        {args: "serve --bootstrap-api-key=abc", code: 2, says: "USHER_BOOTSTRAP_API_KEY"},
		"no admin host":            {args: "serve", code: 1, says: "--admin-host"},
		"no master key":            {environ: map[string]string{"USHER_DATABASE_URL": db}, args: "serve --admin-host a.example.com", code: 1, says: "USHER_MASTER_KEY_FILE"},
		"loose master key":         {environ: map[string]string{"USHER_DATABASE_URL": db, "USHER_MASTER_KEY_FILE": loose}, args: "serve --admin-host a.example.com", code: 1, says: "chmod 600"},
		"bad proxies":              {args: "serve --dev --trusted-proxies here", code: 1, says: "--trusted-proxies"},
		"unknown database":         {environ: map[string]string{"USHER_DATABASE_URL": "mysql://x"}, args: "migrate", code: 1, says: "sqlite:PATH or postgres://"},
		"schema":                   {args: "config schema", code: 0, says: `"identifications"`},
		"database before migrate":  {environ: map[string]string{"USHER_DATABASE_URL": db + "2", "USHER_DEV": "true"}, args: "tenant list", code: 1, says: "usher migrate"},
		"file that is not there":   {args: "flow check none.yaml", code: 1, says: "none.yaml"},
		"missing argument":         {args: "tenant create --host a.localhost", code: 2, says: "<slug>"},
		"settings of serve stay":   {args: "tenant list --listen x", code: 2, says: "--listen"},
		"secrets are in no help":   {args: "serve --help", code: 0, says: "--hash-workers"},
		"reference has every flag": {args: "config reference", code: 0, says: "`USHER_BOOTSTRAP_API_KEY`"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := do(t, c.environ, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out+errs, c.says) {
				t.Errorf("exit %d, want %d with %q\n%s%s", code, c.code, c.says, out, errs)
			}
		})
	}
}

// What is generated from the code is what is committed.
func TestReferenceIsCurrent(t *testing.T) {
	for file, args := range map[string][]string{
		"configuration.md":   {"config", "reference"},
		"config.schema.json": {"config", "schema"},
	} {
		want, err := os.ReadFile(filepath.Join("..", "..", "docs", file))
		if err != nil {
			t.Fatal(err)
		}
		if _, out, _ := do(t, nil, args...); out != string(want) {
			t.Errorf("docs/%s is stale: run make generate", file)
		}
	}
}

func TestPublicURL(t *testing.T) {
	for name, c := range map[string]struct {
		settings
		want string
	}{
		"production":          {settings{PublicURLScheme: "auto"}, "https://a.example.com/x"},
		"production, a port":  {settings{PublicURLScheme: "auto", PublicPort: 8443}, "https://a.example.com:8443/x"},
		"the port of https":   {settings{PublicURLScheme: "https", PublicPort: 443}, "https://a.example.com/x"},
		"development":         {settings{Dev: true, PublicURLScheme: "auto", devPort: 8080}, "http://a.example.com:8080/x"},
		"development, proxy":  {settings{Dev: true, PublicURLScheme: "https", PublicPort: 443, devPort: 8080}, "https://a.example.com/x"},
		"development, no one": {settings{Dev: true, PublicURLScheme: "auto"}, "http://a.example.com:8080/x"},
	} {
		c.implied()
		if got := c.publicURL("a.example.com", "/x"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
