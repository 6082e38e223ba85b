package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/store"
	"github.com/usher-id/usher/testenv"
)

func TestKilledAtAnyMoment(t *testing.T) {
	const kills, clients = 50, 4
	testenv.Databases(t, func(t *testing.T, databaseURL string) {
		environ := dev(t, databaseURL)
		first := serveNode(t, environ)
		usher(t, environ, unlimited, "tenant", "apply", "demo", "-")
		first.kill()

		var mu sync.Mutex
		var acknowledged []string
		for i := range kills {
			n := serveNode(t, environ)
			enough, left := make(chan struct{}), 1+rand.IntN(6) // so many are answered before it dies
			var working sync.WaitGroup
			for c := range clients {
				working.Go(func() {
					for k := 0; ; k++ {
						name := fmt.Sprintf("user-%d-%d-%d", i, c, k)
						r, err := signup(n, name)
						if err != nil {
							return // the server has gone
						}
						if r.Status != 200 {
							t.Errorf("%s: %d %s", name, r.Status, r.Body)
							return
						}
						mu.Lock()
						acknowledged = append(acknowledged, name)
						if left--; left == 0 {
							close(enough)
						}
						mu.Unlock()
					}
				})
			}
			select {
			case <-enough:
			case <-time.After(patience):
				t.Error("nobody could sign up")
			}
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
			n.kill()
			working.Wait()
		}

		n := serveNode(t, environ)
		t.Logf("%d sign-ups acknowledged before %d kills", len(acknowledged), kills)
		for _, name := range acknowledged {
			if r, err := login(n, name); err != nil || r.Status != 200 {
				t.Fatalf("%s was acknowledged and can't log in: %v %s", name, err, r.Body)
			}
		}
		checkWhole(t, databaseURL, len(acknowledged))
		usher(t, environ, "", "audit", "verify")
	})
}

// checkWhole sees that every user of the demo has an identity and an authenticator.
func checkWhole(t *testing.T, databaseURL string, least int) {
	t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, databaseURL, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	demo, err := db.TenantBySlug(ctx, demoSlug)
	if err != nil {
		t.Fatal(err)
	}
	users, err := db.Users(ctx, demo.ID, tenant.UserFilter{}, tenant.Page{Limit: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	if len(users) < least {
		t.Errorf("%d users, but %d were acknowledged", len(users), least)
	}
	for _, u := range users {
		if len(u.Identities) == 0 || len(u.Authenticators) == 0 {
			t.Errorf("user %s is half made: %+v", u.ID, u)
		}
	}
}
