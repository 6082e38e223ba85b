package limit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/limit/limittest"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

// migrated opens a database as a node does.
func migrated(t testing.TB, url string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSQL(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		t.Run(name, func(t *testing.T) {
			url := url(t) // one database, emptied for each case
			limittest.Run(t, func(t *testing.T) limittest.Open {
				if _, err := migrated(t, url, store.Options{}).DB().NewDelete().Table("rate_bucket").Where("TRUE").Exec(t.Context()); err != nil {
					t.Fatal(err)
				}
				return func() limit.Limiter { return limit.SQL(migrated(t, url, store.Options{})) }
			})
		})
	}
}

func TestRedis(t *testing.T) {
	limittest.Run(t, func(t *testing.T) limittest.Open {
		url := testenv.Redis(t)
		return func() limit.Limiter { return limit.Redis(client(t, url), nil) }
	})
}

// What can't be right is refused before anything is connected to, and isn't repeated.
func TestOpenRedis(t *testing.T) {
	for url, fine := range map[string]bool{
		"redis://127.0.0.1:1": true, "redis://u:hunter2@127.0.0.1:1/7": true, "rediss://cache.example:6380/0": true,
		"": false, "127.0.0.1:6379": false, "http://u:hunter2@h/0": false, "redis:///0": false, "redis://u:hunter2@h/zero": false, "redis://u:hunter2@h:x/0": false, "redis://h/-1": false,
	} {
		p, err := limit.OpenRedis(url)
		if (err == nil) != fine || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
		if err == nil {
			_ = p.Close()
		}
	}
}

// Whoever reads why Redis can't be used learns where it was looked for, and no password.
func TestRedisThatIsNotThere(t *testing.T) {
	_, err := client(t, "redis://u:hunter2@127.0.0.1:1/7").GetContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "Redis at 127.0.0.1:1: ") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func client(t testing.TB, url string) *redis.Pool {
	t.Helper()
	p, err := limit.OpenRedis(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// taken is the outcome of a try.
func taken(_ bool, err error) error { return err }

func TestStatements(t *testing.T) {
	count := 0
	l := limit.SQL(migrated(t, testenv.SQLite(t), store.Options{OnQuery: func(string, time.Duration, error) { count++ }}))
	now := time.Now()
	three := []limit.Bucket{{Key: "a", Rate: tenant.Rate{Burst: 2, PeriodSeconds: 9}}, {Key: "b", Rate: tenant.Rate{Burst: 1, PeriodSeconds: 9}}, {Key: "c", Rate: tenant.Rate{Burst: 9, PeriodSeconds: 9}}}
	locking := []limit.Bucket{
		{Key: "e", Rate: tenant.Rate{Burst: 9, PeriodSeconds: 9}},
		{Key: "f", By: "ip", Lockout: &tenant.Lockout{MaxAttempts: 2, HistorySeconds: 60, MinimumSeconds: 60, MaximumSeconds: 60, BackoffFactor: 1, Type: tenant.LockoutPerUser}},
	}
	for _, step := range []struct {
		what string
		do   func() error
		want int
	}{
		{"a try", func() error { return taken(l.Take(t.Context(), "t", now, three...)) }, 1},
		{"a refused one", func() error { return taken(l.Take(t.Context(), "t", now, three...)) }, 2},
		{"refunds of four buckets", func() error {
			return l.Refund(t.Context(), now, limit.Try{TenantID: "t", Buckets: three}, limit.Try{TenantID: "u", Buckets: three[:1]})
		}, 1},
		{"a try that may lock out", func() error { return taken(l.Take(t.Context(), "t", now, locking...)) }, 1},
		{"one that locks out", func() error { return taken(l.Take(t.Context(), "t", now, locking...)) }, 1},
		{"one while locked out", func() error { return taken(l.Take(t.Context(), "t", now, locking...)) }, 3},
		{"a lockout that is off", func() error { return taken(l.Take(t.Context(), "t", now, limit.Bucket{Lockout: &tenant.Lockout{}})) }, 0},
		{"no limit", func() error { return taken(l.Take(t.Context(), "t", now, limit.Bucket{Key: "d"})) }, 0},
	} {
		before := count
		if err := step.do(); err != nil && !errors.Is(err, tenant.ErrRateLimited) && !errors.Is(err, tenant.ErrAccountLockout) {
			t.Fatal(err)
		}
		if got := count - before; got != step.want {
			t.Errorf("%s: %d statements, want %d", step.what, got, step.want)
		}
	}
}

func TestPurgeForgetsOnlyFullBuckets(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		st := migrated(t, url, store.Options{})
		l, db := limit.SQL(st), st.DB()
		now := time.Now()
		const each = 2300 // more than two windows
		var rows []string
		for i := range each {
			rows = append(rows, fmt.Sprintf("('t%d', 'full %d', %d)", i%7, i, now.Add(-time.Hour).UnixMicro()),
				fmt.Sprintf("('t%d', 'live %d', %d)", i%7, i, now.Add(time.Second).UnixMicro()))
		}
		if _, err := db.ExecContext(t.Context(), "INSERT INTO rate_bucket (tenant_id, bucket, tat) VALUES "+strings.Join(rows, ", ")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []struct {
			at   time.Time
			left int
		}{{now, each}, {now.Add(time.Hour), 0}, {now.Add(time.Hour), 0}} {
			if _, err := l.Purge(t.Context(), want.at); err != nil {
				t.Fatal(err)
			}
			left, err := db.NewSelect().Table("rate_bucket").Count(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if int(left) != want.left {
				t.Errorf("%d rows are left, want %d", left, want.left)
			}
		}
	})
}

// Where nothing can be counted nothing is allowed, and the client may come again.
func TestOutage(t *testing.T) {
	b := limit.Bucket{Key: "b", Rate: tenant.Rate{Burst: 1, PeriodSeconds: 1}}
	refused := func(t *testing.T, l limit.Limiter) {
		t.Helper()
		for what, err := range map[string]error{
			"Take": taken(l.Take(t.Context(), "t", time.Now(), b)), "Refund": l.Refund(t.Context(), time.Now(), limit.Try{TenantID: "t", Buckets: []limit.Bucket{b}}),
		} {
			if e := tenant.AsError(err); e.Reason != tenant.ErrUnavailable.Reason || e.RetryAfter() != time.Second {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	t.Run("sql", func(t *testing.T) {
		db := migrated(t, testenv.SQLite(t), store.Options{})
		_ = db.Close()
		l := limit.SQL(db)
		refused(t, l)
		if _, err := l.Purge(t.Context(), time.Now()); !errors.Is(err, tenant.ErrUnavailable) {
			t.Errorf("Purge: %v", err)
		}
	})
	t.Run("redis is gone", func(t *testing.T) {
		p := newProxy(t, testenv.Redis(t))
		done := map[string]int{}
		l := limit.Redis(client(t, p.url), func(op string, err error) { done[fmt.Sprint(op, " ", err == nil)]++ })
		if _, err := l.Take(t.Context(), "t", time.Now(), limit.Bucket{Key: "a", Rate: b.Rate}); err != nil {
			t.Fatal(err)
		}
		p.cut()
		refused(t, l)
		gone, leave := context.WithCancel(t.Context())
		leave()
		_, _ = l.Take(gone, "t", time.Now(), b) // whoever goes away says nothing of Redis
		if want := map[string]int{"take true": 1, "take false": 1, "refund false": 1}; !maps.Equal(done, want) {
			t.Errorf("it is told of %v, want %v", done, want)
		}
	})
}

// proxy stands between a client and Redis, and can be cut.
type proxy struct {
	url      string
	listener net.Listener
	conns    chan net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	address := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Addr().String()
	p := &proxy{url: u.String(), listener: l, conns: make(chan net.Conn, 64)}
	t.Cleanup(p.cut)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", address)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.conns <- in
			p.conns <- out
			go pipe(in, out)
			go pipe(out, in)
		}
	}()
	return p
}

func pipe(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (p *proxy) cut() {
	_ = p.listener.Close()
	for {
		select {
		case c := <-p.conns:
			_ = c.Close()
		default:
			return
		}
	}
}

func BenchmarkTake(b *testing.B) {
	for _, place := range []struct {
		name string
		open func() limit.Limiter
	}{
		{"sqlite", func() limit.Limiter { return limit.SQL(migrated(b, testenv.SQLite(b), store.Options{})) }},
		{"postgres", func() limit.Limiter { return limit.SQL(migrated(b, testenv.Postgres(b), store.Options{})) }},
		{"redis", func() limit.Limiter { return limit.Redis(client(b, testenv.Redis(b)), nil) }},
	} {
		b.Run(place.name, func(b *testing.B) {
			l, n := place.open(), 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				user, ip := fmt.Sprint("user:", n), fmt.Sprint("ip:", n%100)
				_, err := l.Take(context.Background(), "t", time.Now(),
					limit.Bucket{Key: user, Rate: tenant.Rate{Burst: 10, PeriodSeconds: 60}},
					limit.Bucket{Key: ip, Rate: tenant.Rate{Burst: 1_000_000, PeriodSeconds: 60}})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
