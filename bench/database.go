package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// engine is a kind of database.
type engine struct {
	name   string // SQLite or PostgreSQL
	server string // URL of the PostgreSQL server; "" for SQLite
}

// database is an empty database of our own.
type database struct {
	url      string
	backends *backends // nil for SQLite
	drop     func()
}

// newDatabase makes one.
func (b *bench) newDatabase(ctx context.Context, e engine) (*database, error) {
	name := "usher_bench_" + strings.ToLower(rand.Text()[:12])
	if e.server == "" {
		return &database{url: "sqlite:" + filepath.Join(b.dir, name+".db"), drop: func() {}}, nil
	}
	if err := onServer(ctx, e.server, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	u, err := url.Parse(e.server)
	if err != nil {
		return nil, err
	}
	u.Path = "/" + name
	d := &database{url: u.String(), drop: func() {
		_ = onServer(context.WithoutCancel(ctx), e.server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") // tidying up
	}}
	d.backends, err = backendsOf(ctx, d.url)
	return d, err
}

func onServer(ctx context.Context, server, statement string) error {
	c, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}
