package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// world is a World in memory, without chance.
type world struct {
	Users []struct {
		ID             string
		Disabled       bool
		Claims         []tenant.Claim
		Authenticators []tenant.Authenticator
	}
	Ready []string // providers with credentials

	ids    int
	limit  int
	used   map[string]int
	proved []string // hashes that a password matched
}

func (w *world) Now() time.Time { return time.Unix(1700000000, 0) }
func (w *world) NewID() string  { w.ids++; return fmt.Sprint("id", w.ids) }

func (w *world) Allow(limit Limit, user string) error {
	if w.used == nil {
		w.used = map[string]int{}
	}
	bucket := string(limit) + " " + user
	if w.used[bucket]++; w.used[bucket] > w.limit {
		return tenant.ErrRateLimited
	}
	return nil
}

func (w *world) AccountByClaim(c tenant.Claim) (*tenant.Account, error) {
	for _, u := range w.Users {
		if slices.Contains(u.Claims, c) {
			return w.Account(u.ID)
		}
	}
	return nil, nil
}

func (w *world) Account(user string) (*tenant.Account, error) {
	for _, u := range w.Users {
		if u.ID == user {
			a := &tenant.Account{User: tenant.User{ID: u.ID, State: tenant.UserActive}, Authenticators: u.Authenticators}
			if u.Disabled {
				a.State = tenant.UserDisabled
			}
			return a, nil
		}
	}
	return nil, nil
}

// A hash is "h:" and the password, or "old:" and the password for a stale one.
func (w *world) Hash(s string) (string, error) { return "h:" + s, nil }

func (w *world) Matches(hash, s string) (ok, stale bool, err error) {
	old := strings.HasPrefix(hash, "old:")
	ok = hash == "h:"+s || hash == "old:"+s
	if ok {
		w.proved = append(w.proved, hash)
	}
	return ok, ok && old, nil
}

func (w *world) ProviderReady(alias string) bool { return slices.Contains(w.Ready, alias) }
