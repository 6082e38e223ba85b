package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"time"
)

type serveCmd struct {
	serving
	proxies []netip.Prefix
}

func (*serveCmd) Help() string {
	return `Try it, with a demo tenant on SQLite; it prints what to do next:

    usher serve --dev

For production, behind a proxy that speaks HTTPS:

    usher master-key /etc/usher/master.key
    usher serve --database-url postgres://usher@db/usher --master-key-file /etc/usher/master.key \
      --admin-host admin.example.com --trusted-proxies 10.0.0.0/8

SIGTERM ends it once what is under way is finished, a second one at once.`
}

func (c *serveCmd) Run(ctx context.Context, e *env) (err error) {
	s := &e.Settings
	if s.AdminHost == "" {
		return errors.New("set --admin-host (USHER_ADMIN_HOST), the host that admins sign in at; or try usher serve --dev")
	}
	if c.proxies, err = parsePrefixes(c.TrustedProxies); err != nil {
		return err
	}
	if c.HashWorkers <= 0 {
		c.HashWorkers = runtime.GOMAXPROCS(0) // the cores that this process may use
	}
	if c.HashQueue <= 0 {
		c.HashQueue = 16 * c.HashWorkers
	}
	// The hash workers keep their threads busy for tens of milliseconds at a
	// time; everything else gets as many threads as there are cores beside them.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + c.HashWorkers)

	srv, err := assemble(ctx, e, c)
	if err != nil {
		return err
	}
	defer srv.close()
	public, err := listen(ctx, c.Listen, srv.handler, e.Log)
	if err != nil {
		return err
	}
	defer public.Close()
	public.server.RegisterOnShutdown(srv.draining)
	telemetry, err := listen(ctx, c.MetricsListen, srv.telemetry, e.Log)
	if err != nil {
		return err
	}
	defer telemetry.Close()
	// Only now: what a start makes and shows once must not be lost to a taken port.
	first, err := firstStart(ctx, e, c, srv.app)
	if err != nil {
		return err
	}
	if s.Dev {
		s.devPort = portOf(public.Addr())
		if _, err := fmt.Fprint(e.Stdout, first.tryNext(s, telemetry.Addr().String())); err != nil {
			return err
		}
	}

	// Jobs outlive the listeners: what the last request leaves is still chained.
	jobs, stop := context.WithCancel(context.WithoutCancel(ctx))
	running := runAll(jobs, srv.background, func(err error) { e.Log.Error("a job ended", "error", err) })
	time.AfterFunc(settleAfter, settle)
	err = serveUntil(ctx, public, telemetry, srv.health, c.ShutdownDelay, c.ShutdownTimeout, e.Log)
	stop()
	running.Wait()
	return err
}

// settleAfter is how long after the start its memory is given back: later than
// the first requests, which shouldn't wait for it.
const settleAfter = 3 * time.Second

func portOf(a net.Addr) int {
	_, port, _ := net.SplitHostPort(a.String())
	n, _ := strconv.Atoi(port)
	return n
}
