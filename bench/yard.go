package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// yard is the child process of the yardsticks, seen from outside.
type yard struct {
	door  *door
	meter meter
	cmd   *exec.Cmd
	stdin io.Closer
}

// startYard starts it on a database of its own.
func startYard(ctx context.Context, database string) (*yard, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	y := &yard{cmd: exec.CommandContext(ctx, self, "-yard", database)} //nolint:gosec // this program
	y.cmd.Stderr = os.Stderr
	if y.stdin, err = y.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := y.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := y.cmd.Start(); err != nil {
		return nil, err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the yardsticks did not start: %w", err)
	}
	y.door, y.meter.pid = newDoor(strings.TrimSpace(address)), y.cmd.Process.Pid
	if strings.HasPrefix(database, "postgres") {
		y.meter.database, err = backendsOf(ctx, database)
	}
	return y, err
}

func backendsOf(ctx context.Context, database string) (*backends, error) {
	c, err := pgx.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	return findBackends(ctx, c)
}

func (y *yard) stop() {
	_ = y.stdin.Close() // the child ends
	_ = y.cmd.Wait()
}

// echo is E under as many clients as the operation it is compared with.
func (y *yard) echo(clients int) arm {
	doc := echoDocument()
	return load("E", y.meter, clients, func(ctx context.Context) error {
		var e echoed
		err := y.door.call(ctx, request{method: "POST", host: "yard", path: "/echo", body: doc}, &e)
		if err == nil && (e.Type != "login" || len(e.Action.Options) != 7) {
			err = fmt.Errorf("the echo is wrong")
		}
		return err
	})
}

// loop is one of the child's loops: argon2id, bcrypt, pooled, read, insert.
func (y *yard) loop(name, kind string, workers int) arm {
	return arm{name, func(ctx context.Context, d time.Duration) (sample, error) {
		return y.meter.during(func() (s sample, err error) {
			path := fmt.Sprintf("/loop?kind=%s&workers=%d&ms=%d", kind, workers, d.Milliseconds())
			err = y.door.call(ctx, request{method: "POST", host: "yard", path: path}, &s)
			return s, err
		})
	}}
}
