package graph

import (
	"fmt"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// A decision is which roles the caller has at a tenant, and what those may do.
// How many tenants there are plays no part; how many the caller has does.
func BenchmarkDecision(b *testing.B) {
	p, err := newPolicy()
	if err != nil {
		b.Fatal(err)
	}
	h := &handler{policy: p}
	for _, tenants := range []int{1, 1000} {
		c := &caller{}
		for i := range tenants {
			c.grants = append(c.grants, tenant.Grant{Role: tenant.Editor, Domain: fmt.Sprintf("0198c0de-0000-7000-8000-%012d", i)})
		}
		last := c.grants[tenants-1].Domain
		b.Run(fmt.Sprintf("caller with %d grants", tenants), func(b *testing.B) {
			for b.Loop() {
				if err := h.decide(c.rolesIn(last, "admin"), ObjectConfig, ActionWrite); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
