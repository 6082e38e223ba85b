package main

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/usher-id/usher/testenv"
)

// Records of runs tell a database that is away from one that fails them; both
// are a 500 in that dialect.
func TestAuthflowsWithoutTheirDatabase(t *testing.T) {
	databaseURL := testenv.Postgres(t)
	behind, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, behind.Host)
	behind.Host = w.Addr().String()
	const key = "8mUjv2CkNQ5bYxTzR4dWfH7sLpGa9eKq" // an operator's
	n := serveNode(t, append(dev(t, behind.String()), "USHER_BOOTSTRAP_API_KEY="+key))
	id := at(must(t, 200)(signup(n, "ada")).JSON, "result.id").(string)
	fetch := func() (*reply, error) {
		return call("GET", n.demo("/api/v1/authflow/"+id), map[string]string{"Authorization": "Bearer " + key}, "")
	}
	must(t, 200)(fetch())

	w.cut(true)
	if r := must(t, 500)(fetch()); at(r.JSON, "code") != "unknown" || r.Header.Get("Retry-After") == "" {
		t.Errorf("away: %v %s", r.Header, r.Body)
	}
	w.cut(false)
	eventually(t, promised, "it is back", func() bool { r, err := fetch(); return err == nil && r.Status == 200 })

	conn, err := pgx.Connect(context.Background(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	change := func(statement string) {
		t.Helper()
		if _, err := conn.Exec(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	change("ALTER TABLE flow_run RENAME TO elsewhere")
	if r := must(t, 500)(fetch()); at(r.JSON, "code") != "unexpected" || r.Header.Get("Retry-After") != "" {
		t.Errorf("broken: %v %s", r.Header, r.Body)
	}
	change("ALTER TABLE elsewhere RENAME TO flow_run")
	must(t, 200)(fetch())
}
