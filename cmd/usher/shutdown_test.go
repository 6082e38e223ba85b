package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/usher-id/usher/testenv"
)

func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	const requests = 12
	environ := dev(t, testenv.SQLite(t))
	n := serveNode(t, environ, "--hash-workers", "1")
	usher(t, environ, unlimited, "tenant", "apply", "demo", "-")
	eventually(t, promised, "no limits", func() bool { _, err := login(n, "ada"); return err == nil })
	must(t, 200)(signup(n, "ada"))

	answers := make(chan error, requests)
	for range requests {
		go func() {
			r, err := login(n, "ada")
			if err == nil && r.Status != 200 {
				err = fmt.Errorf("%d %s", r.Status, r.Body)
			}
			answers <- err
		}()
	}
	eventually(t, promised, "all under way", func() bool {
		r := must(t, 200)(call("GET", "http://"+n.Metrics+"/metrics", nil, ""))
		var now int
		for line := range strings.Lines(string(r.Body)) {
			_, _ = fmt.Sscanf(line, `usher_http_requests_in_flight{surface="flowapi"} %d`, &now)
		}
		return now+len(answers) == requests
	})
	if err := n.stop(); err != nil {
		t.Errorf("it stopped with %v", err)
	}
	for range requests {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

func TestDrainingServesOnAndASecondSignalEndsAtOnce(t *testing.T) {
	n := serveNode(t, dev(t, testenv.SQLite(t)), "--shutdown-delay", "10m")
	must(t, 200)(call("GET", "http://"+n.Listen+"/healthz/ready", nil, ""))
	n.signal(syscall.SIGTERM)
	eventually(t, promised, "draining", func() bool {
		r, err := call("GET", "http://"+n.Listen+"/healthz/ready", nil, "")
		return err == nil && r.Status == 503
	})
	must(t, 200)(signup(n, "ada"))
	n.signal(syscall.SIGTERM)
	select {
	case <-n.ended:
	case <-time.After(promised):
		t.Fatal("it goes on")
	}
	if s, ok := n.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v", n.cmd.ProcessState)
	}
}
