package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/usher-id/usher/testenv"
)

// Scripts run the real program. Beside testscript's own commands they know:
//
//	serve [-name N] [flag...]       start a server; URL_N is its port's part, METRICS_N the other listener
//	stop [-kill] [N]                stop it, gracefully unless told otherwise
//	http [-s STATUS] [-soon] [-H 'K: V']... METHOD URL [BODY]
//	                                expect STATUS (200), with -soon after a while; the body is stdout
//	json PATH [VALUE]               the last answer has the value there, or anything
//	jsonenv NAME PATH               keep a value of the last answer
//	header NAME VALUE               the last answer has this in the header
func TestScripts(t *testing.T) {
	databases := map[string]func(t testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres}
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			open(t) // skips here, where it is seen, when there is no such database
			testscript.Run(t, testscript.Params{
				Dir:                 "testdata",
				RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					s := &script{nodes: map[string]*node{}}
					e.Values[scriptKey{}] = s
					e.Defer(s.close)
					e.Setenv("USHER_DATABASE_URL", open(t))
					e.Setenv("HOME", e.WorkDir)
					e.Setenv("usher", program)
					return os.Symlink(program, e.WorkDir+"/usher")
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"serve": cmdServe, "stop": cmdStop, "http": cmdHTTP, "json": cmdJSON, "jsonenv": cmdJSONEnv, "header": cmdHeader,
				},
			})
		})
	}
}

type scriptKey struct{}

// script is what a running script has.
type script struct {
	nodes map[string]*node
	last  *reply
}

func (s *script) close() {
	for _, n := range s.nodes {
		n.kill()
	}
}

func of(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

// named takes "-name N" off the arguments; the name is "" otherwise.
func named(args []string) (string, []string) {
	if len(args) >= 2 && args[0] == "-name" {
		return args[1], args[2:]
	}
	return "", args
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	name, args := named(args)
	var environ []string
	for _, key := range []string{
		"PATH", "HOME", "USHER_DATABASE_URL", "USHER_BOOTSTRAP_API_KEY", "USHER_MASTER_KEY_FILE", "USHER_MASTER_KEY",
		"USHER_ADMIN_HOST", "USHER_TRUSTED_PROXIES", "USHER_REDIS_URL", "USHER_CONFIG", "USHER_DEV",
	} {
		if v := ts.Getenv(key); v != "" {
			environ = append(environ, key+"="+v)
		}
	}
	n, err := startNode(context.Background(), ts.Getenv("WORK"), environ, args...)
	if neg {
		if err == nil {
			n.kill()
			ts.Fatalf("it started")
		}
		fmt.Fprintln(ts.Stderr(), err)
		return
	}
	ts.Check(err)
	of(ts).nodes[name] = n
	suffix := ""
	if name != "" {
		suffix = "_" + name
	}
	_, port, err := net.SplitHostPort(n.Listen)
	ts.Check(err)
	ts.Setenv("PORT"+suffix, port)
	ts.Setenv("METRICS"+suffix, "http://"+n.Metrics)
	fmt.Fprint(ts.Stdout(), n.out.String())
}

func cmdStop(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	kill := len(args) > 0 && args[0] == "-kill"
	if kill {
		args = args[1:]
	}
	name := strings.Join(args, "")
	n := s.nodes[name]
	if n == nil {
		ts.Fatalf("no server %q runs", name)
	}
	delete(s.nodes, name)
	if kill {
		n.signal(syscall.SIGKILL)
		<-n.ended
	} else if err := n.stop(); err != nil {
		ts.Fatalf("it stopped with %v:\n%s", err, n.out)
	}
	fmt.Fprint(ts.Stdout(), n.out.String())
}

func cmdHTTP(ts *testscript.TestScript, _ bool, args []string) {
	status, soon, header := 200, false, map[string]string{}
	for len(args) >= 2 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-soon":
			soon, args = true, args[1:]
			continue
		case "-s":
			var err error
			status, err = strconv.Atoi(args[1])
			ts.Check(err)
		case "-H":
			k, v, _ := strings.Cut(args[1], ": ")
			header[k] = v
		default:
			ts.Fatalf("http: unknown option %s", args[0])
		}
		args = args[2:]
	}
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: http [-s STATUS] [-H 'K: V']... METHOD URL [BODY]")
	}
	body := ""
	if len(args) == 3 {
		body = args[2]
		if file, ok := strings.CutPrefix(body, "@"); ok {
			body = ts.ReadFile(file)
		}
	}
	r, err := call(args[0], args[1], header, body)
	for deadline := time.Now().Add(patience); soon && err == nil && r.Status != status && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		r, err = call(args[0], args[1], header, body)
	}
	ts.Check(err)
	of(ts).last = r
	fmt.Fprintf(ts.Stdout(), "%s\n", r.Body)
	if r.Status != status {
		ts.Fatalf("%s %s: %d instead of %d\n%s", args[0], args[1], r.Status, status, r.Body)
	}
}

func value(ts *testscript.TestScript, path string) (string, bool) {
	last := of(ts).last
	if last == nil {
		ts.Fatalf("nothing was asked yet")
	}
	v := at(last.JSON, path)
	if s, ok := v.(string); ok {
		return s, true
	}
	text, err := json.Marshal(v)
	ts.Check(err)
	return string(text), v != nil
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: json PATH [VALUE]")
	}
	v, there := value(ts, args[0])
	ok := there
	if len(args) == 2 {
		ok = there && v == args[1]
	}
	if ok == neg {
		ts.Fatalf("%s is %s in %s", args[0], v, of(ts).last.Body)
	}
}

func cmdJSONEnv(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: jsonenv NAME PATH")
	}
	v, there := value(ts, args[1])
	if !there {
		ts.Fatalf("%s is not in %s", args[1], of(ts).last.Body)
	}
	ts.Setenv(args[0], v)
}

func cmdHeader(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: header NAME VALUE")
	}
	got := strings.Join(of(ts).last.Header.Values(args[0]), ", ")
	if strings.Contains(got, args[1]) == neg {
		ts.Fatalf("%s is %q", args[0], got)
	}
}
