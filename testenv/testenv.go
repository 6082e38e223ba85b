package testenv

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/jackc/pgx/v5"
)

const patience = 30 * time.Second

// Databases runs a test on each database as a subtest, with its URL.
func Databases(t *testing.T, run func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { run(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { run(t, Postgres(t)) })
}

// SQLite is the URL of a database that doesn't exist yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "usher.db")
}

// Postgres makes an empty database, drops it after the test, and gives its URL.
func Postgres(t testing.TB) string {
	t.Helper()
	server := need(t, "USHER_TEST_POSTGRES_URL")
	name := "usher_test_" + strings.ToLower(rand.Text())
	execute(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func execute(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

// Redis is the URL of an empty Redis database that no other test uses until
// this one is over. The databases 1 to 15 are leased in database 0.
func Redis(t testing.TB) string {
	t.Helper()
	server := need(t, "USHER_TEST_REDIS_URL")
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/0"
	leases := u.String()
	number := lease(t, leases)
	u.Path = "/" + strconv.Itoa(number)
	mine := u.String()
	t.Cleanup(func() {
		command(t, mine, "FLUSHDB")
		command(t, leases, "DEL", leaseKey(number))
	})
	command(t, mine, "FLUSHDB")
	return mine
}

func leaseKey(number int) string { return "usher_test_lease:" + strconv.Itoa(number) }

// lease waits for a free database. A killed test gives its own back by timeout.
func lease(t testing.TB, server string) int {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for number := 1; number <= 15; number++ {
			if command(t, server, "SET", leaseKey(number), "taken", "NX", "EX", 600) != nil {
				return number
			}
		}
	}
	t.Fatal("no free Redis database")
	return 0
}

func command(t testing.TB, server, name string, args ...any) (answer any) {
	t.Helper()
	c, err := redis.DialURL(server, redis.DialConnectTimeout(patience), redis.DialReadTimeout(patience))
	if err == nil {
		answer, err = c.Do(name, args...)
		_ = c.Close() // one command was all
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func need(t testing.TB, variable string) string {
	t.Helper()
	v := os.Getenv(variable)
	if v == "" {
		lacking(t, variable+" is not set; scripts/services.sh starts what is needed and prints it")
	}
	return v
}

// lacking skips a test loudly; a build fails.
func lacking(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("a build must not skip this test: %s", why)
	}
	t.Skipf("SKIPPED: %s", why)
}
