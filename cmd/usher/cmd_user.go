package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/usher-id/usher/flowengine/admin"
)

type userCmds struct {
	Import userImportCmd `cmd:"" help:"Make users of a file."`
	Export userExportCmd `cmd:"" help:"Write a tenant's users to a file."`
}

type userImportCmd struct {
	Slug   string `arg:"" help:"The tenant."`
	File   string `arg:"" help:"The document; - for standard input."`
	Format string `enum:"usher,authgear" default:"usher" help:"usher or authgear."`
	DryRun bool   `help:"Change nothing and say what would happen."`
	All    bool   `help:"Print every record, not only those that failed or have warnings."`
}

func (*userImportCmd) Help() string {
	return `Password hashes come along as they are (bcrypt, argon2, scrypt, PBKDF2) and are
replaced by the tenant's own kind when their owners next log in. A record that
fails doesn't stop the others; the exit code is then 1.

    usher user import acme users.json --dry-run
    usher user import acme users.json`
}

func (c *userImportCmd) Run(ctx context.Context, e *env) error {
	return withApp(ctx, e, func(a *app) error {
		doc := e.Stdin
		if c.File != "-" {
			f, err := os.Open(c.File)
			if err != nil {
				return err
			}
			defer f.Close()
			doc = f
		}
		result, err := a.admin.ImportUsers(ctx, commandLine(), c.Slug, bufio.NewReader(doc), admin.Import{
			Format: admin.Format(strings.ToUpper(c.Format)),
			DryRun: c.DryRun,
			Each:   func(d admin.ImportDetail) error { return c.print(e.Stdout, d) },
		})
		if err != nil && (result == nil || result.Summary.Total == 0) {
			return err
		}
		s := result.Summary // also of a document that can't be read on: what was read is imported
		_, failed := fmt.Fprintf(e.Stdout, "%d records: %d inserted, %d updated, %d skipped, %d failed\n",
			s.Total, s.Inserted, s.Updated, s.Skipped, s.Failed)
		err = cmp.Or(err, failed)
		if err == nil && s.Failed > 0 {
			err = exitError(exitFailed)
		}
		return err
	})
}

func (c *userImportCmd) print(w io.Writer, d admin.ImportDetail) error {
	if !c.All && len(d.Errors) == 0 && len(d.Warnings) == 0 {
		return nil
	}
	return json.NewEncoder(w).Encode(d)
}

type userExportCmd struct {
	Slug   string `arg:"" help:"The tenant."`
	Out    string `short:"o" placeholder:"FILE" help:"Write to this file, which only you can read, instead of standard output."`
	Hashes bool   `help:"Include password hashes and authenticators' secrets: the file is then as sensitive as the database."`
}

func (*userExportCmd) Help() string {
	return `    usher user export acme -o users.json
    usher user import other users.json`
}

func (c *userExportCmd) Run(ctx context.Context, e *env) error {
	return withApp(ctx, e, func(a *app) (err error) {
		out := e.Stdout
		if c.Out != "" {
			f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			defer func() {
				if closed := f.Close(); err == nil {
					err = closed
				}
			}()
			out = f
		}
		buffered := bufio.NewWriter(out)
		n, err := a.admin.ExportUsers(ctx, commandLine(), c.Slug, buffered, c.Hashes)
		if err != nil {
			return err
		}
		if err := buffered.Flush(); err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.Stderr, "%d users\n", n)
		return err
	})
}
