package flowengine

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/tenant"
)

// How tenants come to a series of their own.
const (
	maxSlots     = 1000
	slotWindow   = 10 * time.Minute // over which the busiest are found
	slotHeld     = time.Hour        // before a tenant can lose its slot
	otherTenants = "_other"         // the label of everybody else; no slug begins so
)

// tenantLabel counts ended runs by tenant, for a bounded number of tenants: ten
// thousand would make a scrape of 26 MB. Pinned tenants have a slot for good,
// the others as long as they are among the busiest, and at least slotHeld.
// Whoever has no slot is counted as _other, so each count lands in one series.
// A tenant that loses its slot takes its series along.
//
// Who is busy is found with a space-saving sketch (Metwally, Agrawal, El Abbadi
// 2005) of twice as many counters as there are slots.
type tenantLabel struct {
	flows    *prometheus.CounterVec
	overflow prometheus.Counter
	used     prometheus.Gauge
	now      func() time.Time

	mu     sync.Mutex
	slots  int
	pinned map[string]bool
	since  map[string]time.Time // when each holder got its slot
	sketch sketch
	ends   time.Time // of the window
}

var (
	tenantFlowTypes = []string{string(tenant.Login), string(tenant.Signup), "other"}
	tenantOutcomes  = []string{"success", "failure", "error"}
)

func newTenantLabel(reg prometheus.Registerer, o MetricsOptions) *tenantLabel {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := registrar{reg}
	l := &tenantLabel{
		flows:    r.counters("usher_tenant_flows_total", "Runs of flows ended, by tenant; _other is every tenant without a slot.", "tenant", "flow_type", "outcome"),
		overflow: r.counter("usher_tenant_label_overflow_total", "Ended runs counted under _other."),
		used:     r.gauges("usher_tenant_label_slots", "Tenants that have series of their own.").WithLabelValues(),
		now:      o.Now,
		slots:    min(o.TenantSlots, maxSlots),
		pinned:   map[string]bool{},
		since:    map[string]time.Time{},
	}
	l.sketch = sketch{size: 2 * l.slots, at: map[string]*tally{}}
	l.ends = l.now().Add(slotWindow)
	l.series(otherTenants)
	for _, slug := range o.Pinned {
		if len(l.since) < l.slots {
			l.pinned[slug] = true
			l.give(slug)
		}
	}
	return l
}

// count counts one ended run; slug is "" for that of a tenant that is gone.
func (l *tenantLabel) count(slug string, t tenant.FlowType, o Outcome) {
	flowType, outcome := string(t), "failure"
	if t != tenant.Login && t != tenant.Signup {
		flowType = "other"
	}
	switch o {
	case Succeeded:
		outcome = "success"
	case SystemError:
		outcome = "error"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); !now.Before(l.ends) {
		l.reassign(now)
	}
	l.flows.WithLabelValues(l.label(slug), flowType, outcome).Inc()
}

// label is the value that a tenant is counted under.
func (l *tenantLabel) label(slug string) string {
	if slug != "" && l.slots > 0 {
		l.sketch.add(slug)
		if _, ok := l.since[slug]; ok {
			return slug
		}
		if len(l.since) < l.slots {
			l.give(slug)
			return slug
		}
	}
	l.overflow.Inc()
	return otherTenants
}

// reassign ends a window: tenants that were busier than a holder whose time is
// up take its slot.
func (l *tenantLabel) reassign(now time.Time) {
	var waiting []*tally // the busiest first
	for _, t := range l.sketch.heap {
		if _, holds := l.since[t.slug]; !holds {
			waiting = append(waiting, t)
		}
	}
	slices.SortFunc(waiting, func(a, b *tally) int { return cmp.Compare(b.n, a.n) })
	var leaving []string // the least busy first
	for slug, since := range l.since {
		if !l.pinned[slug] && now.Sub(since) >= slotHeld {
			leaving = append(leaving, slug)
		}
	}
	slices.SortFunc(leaving, func(a, b string) int { return cmp.Compare(l.sketch.count(a), l.sketch.count(b)) })
	for i, slug := range leaving {
		if i == len(waiting) || l.sketch.count(slug) >= waiting[i].n {
			break
		}
		delete(l.since, slug)
		l.flows.DeletePartialMatch(prometheus.Labels{"tenant": slug})
		l.give(waiting[i].slug)
	}
	l.sketch.reset()
	l.ends = now.Add(slotWindow)
}

func (l *tenantLabel) give(slug string) {
	l.since[slug] = l.now()
	l.used.Set(float64(len(l.since)))
	l.series(slug)
}

// series makes a tenant's series, at 0.
func (l *tenantLabel) series(slug string) {
	for _, t := range tenantFlowTypes {
		for _, o := range tenantOutcomes {
			l.flows.WithLabelValues(slug, t, o)
		}
	}
}

// sketch counts the most frequent of many names in bounded space. A count is
// never too low, and too high by at most the smallest one.
type sketch struct {
	size int
	at   map[string]*tally
	heap tallies
}

type tally struct {
	slug  string
	n     int
	place int // in the heap
}

func (s *sketch) add(slug string) {
	t := s.at[slug]
	switch {
	case t != nil:
		t.n++
		heap.Fix(&s.heap, t.place)
	case len(s.heap) < s.size:
		t = &tally{slug: slug, n: 1}
		s.at[slug] = t
		heap.Push(&s.heap, t)
	default: // it takes over the smallest count
		t = s.heap[0]
		delete(s.at, t.slug)
		t.slug, t.n = slug, t.n+1
		s.at[slug] = t
		heap.Fix(&s.heap, 0)
	}
}

func (s *sketch) count(slug string) int {
	if t := s.at[slug]; t != nil {
		return t.n
	}
	return 0
}

func (s *sketch) reset() {
	clear(s.at)
	s.heap = s.heap[:0]
}

// tallies is a heap with the smallest count on top.
type tallies []*tally

func (h tallies) Len() int           { return len(h) }
func (h tallies) Less(i, j int) bool { return h[i].n < h[j].n }
func (h tallies) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is heap.Interface's.
func (h *tallies) Push(x any) {
	t := x.(*tally)
	t.place = len(*h)
	*h = append(*h, t)
}

// Pop is heap.Interface's; the sketch never shrinks.
func (h *tallies) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	*h = (*h)[:last]
	return t
}
