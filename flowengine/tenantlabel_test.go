package flowengine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/tenant"
)

// byTenant is what a scrape says of runs by tenant, and of all of them.
func byTenant(t *testing.T, reg *prometheus.Registry) (counts map[string]float64, all float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts = map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "usher_flows_finished_total":
				all += m.GetCounter().GetValue()
			case "usher_tenant_flows_total":
				for _, l := range m.GetLabel() {
					if l.GetName() == "tenant" {
						counts[l.GetValue()] += m.GetCounter().GetValue()
					}
				}
			}
		}
	}
	return counts, all
}

func sum(counts map[string]float64) (n float64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// A hundred thousand tenants fill no more than the slots, and what is counted by
// tenant adds up to what is counted in all.
func TestTenantLabelIsBoundedAndConserves(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg, MetricsOptions{TenantSlots: 50, Pinned: []string{"dear"}})
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		slug := fmt.Sprintf("t%d", r.IntN(100_000))
		m.flowFinished(slug, tenant.FlowTypes[r.IntN(len(tenant.FlowTypes))], "flowapi", outcomes[r.IntN(len(outcomes))], 0)
	}
	m.flowFinished("dear", tenant.Login, "flowapi", Succeeded, 0)
	m.flowFinished("", tenant.Login, "flowapi", Expired, 0)
	counts, all := byTenant(t, reg)
	if len(counts) != 51 {
		t.Errorf("%d values of the label, want 50 slots and %s", len(counts), otherTenants)
	}
	if sum(counts) != all || all != 100_002 {
		t.Errorf("by tenant %v, in all %v", sum(counts), all)
	}
	if counts["dear"] != 1 {
		t.Errorf("the pinned tenant counts %v", counts["dear"])
	}
}

func TestNoTenantNeedHaveALabel(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg, MetricsOptions{})
	m.flowFinished("acme", tenant.Login, "flowapi", Succeeded, 0)
	if counts, all := byTenant(t, reg); len(counts) != 1 || counts[otherTenants] != 1 || all != 1 {
		t.Errorf("by tenant %v, in all %v", counts, all)
	}
}

// The busiest take over the slots of those whose hour is up, pinned ones aside,
// and each count still lands in exactly one series.
func TestTenantLabelFollowsTheBusiest(t *testing.T) {
	now := time.Unix(0, 0)
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg, MetricsOptions{TenantSlots: 3, Pinned: []string{"dear"}, Now: func() time.Time { return now }})
	finish := func(slug string, times int) {
		for range times {
			before, _ := byTenant(t, reg)
			m.flowFinished(slug, tenant.Login, "flowapi", Succeeded, 0)
			after, _ := byTenant(t, reg)
			for s := range before {
				if _, kept := after[s]; !kept {
					after[s] = before[s] // its series went along with its slot
				}
			}
			if sum(after)-sum(before) != 1 {
				t.Fatalf("one run of %s counted %v times", slug, sum(after)-sum(before))
			}
		}
	}
	finish("old", 1)
	finish("steady", 1)
	finish("new", 20) // no slot left
	if counts, _ := byTenant(t, reg); counts[otherTenants] != 20 || counts["old"] != 1 {
		t.Fatalf("before the hour: %v", counts)
	}
	for range 5 { // the windows of the hour in which a slot is safe
		now = now.Add(11 * time.Minute)
		finish("new", 20)
		finish("steady", 30)
	}
	if counts, _ := byTenant(t, reg); counts["old"] != 1 {
		t.Fatalf("the slot was lost within the hour: %v", counts)
	}
	now = now.Add(11 * time.Minute)
	finish("new", 20)
	counts, _ := byTenant(t, reg)
	if _, ok := counts["old"]; ok || counts["new"] != 20 || counts["steady"] == 0 {
		t.Errorf("after the hour: %v", counts)
	}
	if _, ok := counts["dear"]; !ok || len(counts) != 4 {
		t.Errorf("pinned, two more and the others: %v", counts)
	}
}
