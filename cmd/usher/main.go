package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// env is what a command may use of the world outside.
type env struct {
	Settings settings
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Log      *slog.Logger
	Model    *kong.Application // for the commands that describe the others
}

// Exit codes. A command that did its work and found something wrong, such as
// a configuration with problems, exits like a failed one.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// run is the program: everything it needs of the process is an argument.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c cli
	parser, err := newParser(&c, getenv, stdout, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "usher:", err)
		return exitUsage
	}
	parsed, code := parse(parser, args, stderr)
	if parsed == nil {
		return code
	}
	c.implied()
	e := &env{
		Settings: c.settings, Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Log: newLogger(stderr, &c.settings), Model: parser.Model,
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(e); err != nil {
		var silent exitError
		if errors.As(err, &silent) {
			return int(silent)
		}
		explain(stderr, err)
		return exitFailed
	}
	return exitOK
}

// exitError ends the program with a code; what there was to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// earlyExit carries the exit code of --help out of kong.
type earlyExit int

func parse(parser *kong.Kong, args []string, stderr io.Writer) (parsed *kong.Context, code int) {
	parser.Exit = func(code int) { panic(earlyExit(code)) }
	defer func() {
		if r := recover(); r != nil {
			exit, ok := r.(earlyExit)
			if !ok {
				panic(r)
			}
			parsed, code = nil, int(exit)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if err := refuseSecretFlags(args); err != nil {
		_, _ = fmt.Fprintln(stderr, "usher:", err)
		return nil, exitUsage
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "usher:", err)
		_, _ = fmt.Fprintln(stderr, "Run usher --help, or usher COMMAND --help, to see what there is.")
		return nil, exitUsage
	}
	return parsed, exitOK
}
