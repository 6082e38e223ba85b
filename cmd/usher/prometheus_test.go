package main

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-id/usher/testenv"
)

func TestPrometheus(t *testing.T) {
	prometheus, promtool := tool(t, "USHER_TEST_PROMETHEUS"), tool(t, "USHER_TEST_PROMTOOL")
	n := serveNode(t, dev(t, testenv.SQLite(t)))
	must(t, 200)(signup(n, "ada"))

	scrape := must(t, 200)(call("GET", "http://"+n.Metrics+"/metrics", nil, ""))
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(string(scrape.Body))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	text, err := os.ReadFile("../../deploy/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text = []byte(strings.NewReplacer("127.0.0.1:9464", n.Metrics, "15s", "1s").Replace(string(text)))
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "config", config).CombinedOutput(); err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
	address := freeAddress(t)
	server := exec.Command(prometheus, "--config.file="+config, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address, "--log.level=warn")
	log := &output{}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	for query, want := range map[string]string{
		`up{job="usher"}`: "1",
		`sum(usher_flows_finished_total{flow_type="signup",outcome="success"})`: "1",
		`count(usher_build_info)`:                               "1",
		`sum(usher_locked_subjects)`:                            "0",
		`count(usher_locked_subjects)`:                          "2",
		`usher_audit_chain_ok`:                                  "1",
		`usher_audit_chain_verified_timestamp_seconds > bool 0`: "1",
		`count(usher_degraded == 0)`:                            "3",
		`count(usher_cache_operations_total == 0)`:              "8",
	} {
		eventually(t, patience, query+" is "+want, func() bool {
			r, err := call("GET", "http://"+address+"/api/v1/query?query="+url.QueryEscape(query), nil, "")
			return err == nil && at(r.JSON, "data.result.0.value.1") == want
		})
	}
}

// tool is a program that scripts/services.sh has found or installed.
func tool(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set", variable)
		}
		t.Skipf("SKIPPED: %s is not set; scripts/services.sh prints it", variable)
	}
	return path
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
