package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/usher-id/usher/tenant"
)

// version is set by the linker: see the Makefile.
var version = "dev"

type versionCmd struct{}

func (*versionCmd) Run(_ context.Context, e *env) error {
	_, err := fmt.Fprintf(e.Stdout, "usher %s (%s, %s)\n", version, revision(), runtime.Version())
	return err
}

type migrateCmd struct {
	Status bool `help:"Only say where the schema stands; the exit code is 1 when it isn't where this binary needs it."`
}

func (*migrateCmd) Help() string {
	return `One migration runs at a time, whoever starts it; serve does it too unless it has
--no-auto-migrate. There is no way back: take a backup first.

    usher migrate --database-url postgres://usher@db/usher`
}

func (c *migrateCmd) Run(ctx context.Context, e *env) error {
	db, err := openStore(ctx, e, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	if !c.Status {
		if err := db.Migrate(ctx); err != nil {
			return err
		}
	}
	have, want, err := db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.Stdout, "schema %d, this binary needs %d\n", have, want)
	if err == nil && have != want {
		err = exitError(exitFailed)
	}
	return err
}

type auditCmds struct {
	Verify auditVerifyCmd `cmd:"" help:"Recompute the audit log's chain of hashes."`
}

type auditVerifyCmd struct {
	Slug string `arg:"" optional:"" help:"The tenant; all of them unless given."`
}

func (*auditVerifyCmd) Help() string {
	return `Each row of a tenant's audit log carries the hash of the one before it. This names
the first row that was changed, removed or put in between; the exit code is then 1.

    usher audit verify acme`
}

func (c *auditVerifyCmd) Run(ctx context.Context, e *env) error {
	return withApp(ctx, e, func(a *app) error {
		bad := false
		verify := func(slug string) error {
			report, err := a.admin.VerifyAudit(ctx, slug)
			if err != nil {
				return err
			}
			if report.Bad != nil {
				bad = true
				_, err = fmt.Fprintf(e.Stdout, "%s: row %d (%s) is bad: %s\n", slug, report.Bad.Seq, report.Bad.ID, report.Bad.Why)
			} else {
				_, err = fmt.Fprintf(e.Stdout, "%s: %d rows, head %s\n", slug, report.Rows, report.Head)
			}
			return err
		}
		err := c.each(ctx, a, verify)
		if err == nil && bad {
			err = exitError(exitFailed)
		}
		return err
	})
}

func (c *auditVerifyCmd) each(ctx context.Context, a *app, verify func(slug string) error) error {
	if c.Slug != "" {
		return verify(c.Slug)
	}
	page := tenant.Page{Limit: 500}
	for {
		tenants, err := a.store.Tenants(ctx, "", "", page)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			if err := verify(t.Slug); err != nil {
				return err
			}
		}
		if len(tenants) < page.Limit {
			return nil
		}
		page.After = tenants[len(tenants)-1].Slug
	}
}
