package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// metric is the value of a series, as it is scraped; there must be one.
func (n *node) metric(t *testing.T, series string) float64 {
	t.Helper()
	r := must(t, 200)(call("GET", "http://"+n.Metrics+"/metrics", nil, ""))
	for line := range strings.Lines(string(r.Body)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("there is no %s", series)
	return 0
}

// Whoever changes a row of the audit log behind the server's back pages somebody,
// who can see which it is.
func TestAuditLogIsWatched(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, databaseURL string) {
		environ := dev(t, databaseURL)
		n := serveNode(t, environ)
		must(t, 200)(signup(n, "ada"))
		whole := func() {
			t.Helper()
			eventually(t, patience, "every chain was looked at", func() bool { return n.metric(t, "usher_audit_chain_verified_timestamp_seconds") > 0 })
			if n.metric(t, "usher_audit_chain_ok") != 1 {
				t.Error("it is not ok")
			}
		}
		whole()

		db, err := store.Open(t.Context(), databaseURL, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		swap := func(from, to string) {
			t.Helper()
			if err := n.stop(); err != nil {
				t.Fatal(err)
			}
			_, err := db.DB().NewRaw(`UPDATE audit_log SET action = ?0 WHERE seq = 1 AND action = ?1 AND tenant_id = (SELECT id FROM tenant WHERE slug = 'demo')`, to, from).Exec(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n = serveNode(t, environ)
		}
		swap("tenant.create", "tenant.nothing")
		eventually(t, patience, "somebody is paged", func() bool { return n.metric(t, "usher_audit_chain_ok") == 0 })
		for _, says := range []string{`"tenant":"demo"`, `"seq":1`, "its content was changed"} {
			if !strings.Contains(n.out.String(), says) {
				t.Errorf("the log doesn't say %s", says)
			}
		}
		swap("tenant.nothing", "tenant.create")
		whole()
	})
}
