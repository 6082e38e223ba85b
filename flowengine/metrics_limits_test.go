package flowengine

import (
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

// Who is locked out is counted by the janitor, and who isn't any more isn't.
func TestLockedSubjectsAreCounted(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		is := func(what string, perUser, perUserPerIP float64) {
			t.Helper()
			check(t, r.purgeLimits(t.Context()))
			got := map[string]float64{}
			families, err := r.registry.Gather()
			check(t, err)
			for _, f := range families {
				if f.GetName() == "usher_locked_subjects" {
					for _, m := range f.GetMetric() {
						got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
					}
				}
			}
			if len(got) != 2 || got["per_user"] != perUser || got["per_user_per_ip"] != perUserPerIP {
				t.Errorf("%s: %v", what, got)
			}
		}
		is("nobody", 0, 0)
		rules := tenant.DefaultLockout()
		rules.MaxAttempts, rules.MinimumSeconds = 1, 600
		for i, subject := range []string{"a", "b", "c"} {
			rules.Type = []tenant.LockoutType{tenant.LockoutPerUserPerIP, tenant.LockoutPerUser}[i%2]
			_, err := r.limiter.Take(t.Context(), "t", r.now(), limit.Bucket{Key: limit.LockoutKey(subject), By: "192.0.2.1", Lockout: &rules})
			check(t, err)
		}
		is("three", 1, 2)
		r.wait(11 * time.Minute)
		is("nobody any more", 0, 0)
	})
}
