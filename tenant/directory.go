package tenant

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// Directory answers which tenant a request is for, without asking the database
// for one it knows. The tenants it gives out are shared: nobody changes them.
//
// What it promises, and how:
//
//   - A tenant it gives out is one that the store gave it, and no older
//     revision replaces a newer one. All writes to the cache happen under mu;
//     reads take no lock.
//   - A change is served as soon as its notification came ([Store.Watch]); where
//     that was lost, as soon as a poll finds the other revision, which is within
//     pollEvery and a read. A load that began before a change was heard of isn't
//     kept, since it may have read what was there before.
//   - When the database is gone, what is known goes on being served: a load that
//     fails forgets nothing, and the poll goes on from the last one that worked.
//   - Host names that strangers make up cost memory and reads only within the
//     bounds below.
type Directory struct {
	store Store
	hooks DirectoryHooks
	now   func() time.Time

	hosts, slugs, ids sync.Map // string -> *Tenant

	mu      sync.Mutex
	changes uint64               // how many changes were heard of
	unknown map[string]time.Time // hosts that are nobody's, and until when to believe it
	loading map[string]*lookup   // by kind and key, so that each is read once at a time
	reading chan struct{}        // a place for each read under way
}

// DirectoryHooks tell what a directory does. Nil ones are left out.
type DirectoryHooks struct {
	// Lookup counts how a lookup went.
	Lookup func(LookupOutcome)
	// Changed says that a tenant that was known is served in a newer revision,
	// and how long after the change that is.
	Changed func(t *Tenant, after time.Duration)
	// Followed says, every two seconds or so, that all changes up to a time have
	// been taken in.
	Followed func(newest time.Time)
	// Failed says that a change could not be followed; the poll tries again.
	Failed func(error)
}

// LookupOutcome says how a lookup by host went.
type LookupOutcome string

// The outcomes of a lookup.
const (
	LookupHit     LookupOutcome = "hit"     // known
	LookupMiss    LookupOutcome = "miss"    // read from the store
	LookupUnknown LookupOutcome = "unknown" // nobody's
	LookupError   LookupOutcome = "error"   // the store could not say
)

// LookupOutcomes lists them.
var LookupOutcomes = []LookupOutcome{LookupHit, LookupMiss, LookupUnknown, LookupError}

// The bounds of a directory.
const (
	pollEvery     = 2 * time.Second
	pollOverlap   = 30 * time.Second // covers transactions that commit late, and clocks that differ
	believeFor    = 3 * time.Second  // an unknown host
	maxUnknown    = 4096             // unknown hosts remembered
	maxLoading    = 1024             // lookups waiting for the store
	maxReading    = 8                // lookups the store sees at once
	lookupTimeout = 5 * time.Second
)

type lookup struct {
	done   chan struct{}
	tenant *Tenant
	err    error
}

// NewDirectory makes an empty directory. It follows changes while
// [Directory.Run] runs. now is the clock; nil for [time.Now].
func NewDirectory(store Store, hooks DirectoryHooks, now func() time.Time) *Directory {
	if now == nil {
		now = time.Now
	}
	if hooks.Lookup == nil {
		hooks.Lookup = func(LookupOutcome) {}
	}
	if hooks.Changed == nil {
		hooks.Changed = func(*Tenant, time.Duration) {}
	}
	if hooks.Followed == nil {
		hooks.Followed = func(time.Time) {}
	}
	if hooks.Failed == nil {
		hooks.Failed = func(error) {}
	}
	return &Directory{
		store: store, hooks: hooks, now: now,
		unknown: make(map[string]time.Time), loading: make(map[string]*lookup), reading: make(chan struct{}, maxReading),
	}
}

// ByHost finds the tenant that a Host header names. [ErrTenantNotFound]
// when it is nobody's, [ErrUnavailable] when the store can't say.
func (d *Directory) ByHost(ctx context.Context, host string) (*Tenant, error) {
	// Nearly every header is in canonical form, but for a port.
	name := host
	if i := strings.IndexByte(host, ':'); i >= 0 {
		name = host[:i]
	}
	if t, ok := d.hosts.Load(name); ok {
		d.hooks.Lookup(LookupHit)
		return t.(*Tenant), nil
	}
	if name = NormalizeHost(host); name == "" {
		d.hooks.Lookup(LookupUnknown)
		return nil, ErrTenantNotFound
	}
	if t, ok := d.hosts.Load(name); ok {
		d.hooks.Lookup(LookupHit)
		return t.(*Tenant), nil
	}
	t, err := d.load(ctx, "host", name, &d.hosts, d.store.TenantByHost)
	switch {
	case err == nil:
		d.hooks.Lookup(LookupMiss)
	case errors.Is(err, ErrTenantNotFound):
		d.hooks.Lookup(LookupUnknown)
	default:
		d.hooks.Lookup(LookupError)
	}
	return t, err
}

// BySlug finds a tenant by its slug; errors as [Directory.ByHost].
func (d *Directory) BySlug(ctx context.Context, slug string) (*Tenant, error) {
	if t, ok := d.slugs.Load(slug); ok {
		return t.(*Tenant), nil
	}
	return d.load(ctx, "slug", slug, &d.slugs, d.store.TenantBySlug)
}

// ByID finds a tenant by its id; errors as [Directory.ByHost].
func (d *Directory) ByID(ctx context.Context, id string) (*Tenant, error) {
	if t, ok := d.ids.Load(id); ok {
		return t.(*Tenant), nil
	}
	return d.load(ctx, "id", id, &d.ids, d.store.TenantByID)
}

// load reads a tenant that wasn't known, once for all who ask at the same time.
func (d *Directory) load(ctx context.Context, kind, key string, known *sync.Map, read func(context.Context, string) (*Tenant, error)) (*Tenant, error) {
	d.mu.Lock()
	if until, ok := d.unknown[key]; ok && kind == "host" && d.now().Before(until) {
		d.mu.Unlock()
		return nil, ErrTenantNotFound
	}
	if t, ok := known.Load(key); ok { // it came while this one waited for its turn
		d.mu.Unlock()
		return t.(*Tenant), nil
	}
	l := d.loading[kind+key]
	if l == nil {
		if len(d.loading) >= maxLoading {
			d.mu.Unlock()
			return nil, ErrUnavailable.With("retry_after_seconds", 1)
		}
		l = &lookup{done: make(chan struct{})}
		d.loading[kind+key] = l
		// One who goes away must not take the answer from the others.
		go d.fetch(context.WithoutCancel(ctx), l, kind, key, read)
	}
	d.mu.Unlock()
	select {
	case <-l.done:
		return l.tenant, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *Directory) fetch(ctx context.Context, l *lookup, kind, key string, read func(context.Context, string) (*Tenant, error)) {
	d.reading <- struct{}{}
	defer func() { <-d.reading }()
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()

	d.mu.Lock()
	before := d.changes
	d.mu.Unlock()
	l.tenant, l.err = read(ctx, key)

	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.loading, kind+key)
	close(l.done)
	switch {
	case d.changes != before: // what was read may be what was there before
	case l.err == nil:
		d.put(l.tenant)
	case kind == "host" && errors.Is(l.err, ErrTenantNotFound):
		d.putUnknown(key)
	}
}

// put keeps a tenant and forgets the hosts it no longer has. mu is held.
func (d *Directory) put(t *Tenant) {
	var old *Tenant
	if v, ok := d.ids.Load(t.ID); ok {
		old = v.(*Tenant)
		if old.Revision > t.Revision {
			return
		}
		if old.Slug != t.Slug {
			d.slugs.CompareAndDelete(old.Slug, old)
		}
	}
	d.ids.Store(t.ID, t)
	d.slugs.Store(t.Slug, t)
	for _, h := range t.Hosts {
		d.hosts.Store(h, t)
	}
	if old != nil {
		for _, h := range old.Hosts {
			d.hosts.CompareAndDelete(h, old) // unless it is t's again, or another's by now
		}
	}
}

// drop forgets a tenant. mu is held.
func (d *Directory) drop(id string) {
	v, ok := d.ids.LoadAndDelete(id)
	if !ok {
		return
	}
	t := v.(*Tenant)
	d.slugs.CompareAndDelete(t.Slug, t)
	for _, h := range t.Hosts {
		d.hosts.CompareAndDelete(h, t)
	}
}

// putUnknown remembers that a host is nobody's. When there are too many, the
// ones past their time go, and if that doesn't help, all: they are soon found
// out again, by at most maxReading reads at a time. mu is held.
func (d *Directory) putUnknown(host string) {
	now := d.now()
	if len(d.unknown) >= maxUnknown {
		for h, until := range d.unknown {
			if !now.Before(until) {
				delete(d.unknown, h)
			}
		}
		if len(d.unknown) >= maxUnknown {
			clear(d.unknown)
		}
	}
	d.unknown[host] = now.Add(believeFor)
}

// Run follows what changes until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	changed := make(chan string, 1024)
	var watching sync.WaitGroup
	watching.Go(func() { d.watch(ctx, changed) })
	defer watching.Wait()

	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	since := d.now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			since = d.poll(ctx, since)
		case id := <-changed:
			if id == "" {
				since = d.poll(ctx, since)
			} else if err := d.refresh(ctx, id); err != nil {
				d.hooks.Failed(err)
			}
		}
	}
}

// watch hands over what notifications tell of.
func (d *Directory) watch(ctx context.Context, changed chan<- string) {
	for ctx.Err() == nil {
		err := d.store.Watch(ctx, func(id string) {
			d.heard()
			select {
			case changed <- id:
			default: // too many to follow one by one; the poll finds them
			}
		})
		if ctx.Err() == nil { // the poll carries on alone until it is back
			d.hooks.Failed(err)
			select {
			case <-ctx.Done():
			case <-time.After(pollEvery):
			}
		}
	}
}

// heard notes that something changed: no load under way is to be kept, and a
// host that was nobody's may be somebody's.
func (d *Directory) heard() {
	d.mu.Lock()
	d.changes++
	clear(d.unknown)
	d.mu.Unlock()
}

// poll looks for changes that no notification told of, and says from when on
// the next poll has to look.
func (d *Directory) poll(ctx context.Context, since time.Time) time.Time {
	begun := d.now()
	newest, err := d.store.NewestChange(ctx) // before the changes are asked for, so that it promises none too many
	if err != nil {
		d.hooks.Failed(err)
		return since
	}
	revisions, err := d.store.ChangedSince(ctx, since.Add(-pollOverlap))
	for id, revision := range revisions {
		if t, ok := d.ids.Load(id); ok && t.(*Tenant).Revision != revision {
			d.heard()
			err = errors.Join(err, d.refresh(ctx, id))
		}
	}
	if err != nil {
		d.hooks.Failed(err)
		return since
	}
	d.hooks.Followed(newest)
	return begun
}

// refresh reads a tenant again if it is known. Run alone calls it, so no two
// refreshes overtake each other.
func (d *Directory) refresh(ctx context.Context, id string) error {
	v, ok := d.ids.Load(id)
	if !ok {
		return nil
	}
	old := v.(*Tenant)
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	t, err := d.store.TenantByID(ctx, id)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case errors.Is(err, ErrTenantNotFound):
		d.drop(id)
	case err != nil:
		return err
	case t.Revision > old.Revision:
		d.put(t)
		d.hooks.Changed(t, max(0, d.now().Sub(t.ChangedAt)))
	}
	return nil
}
