package flowengine

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
	"weak"

	"github.com/maypok86/otter/v2"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// The bounds of what is kept of configurations.
const (
	programBytes   = 64 << 20 // of compiled programs, as estimated by programCost
	programEntry   = 256      // of a program that another entry accounts for
	secretsEntries = 4096
	loadTimeout    = 5 * time.Second
)

// programs gives out compiled configurations. A published version never changes,
// so nothing here is ever invalidated; it only makes room. Equal documents share
// a program for as long as anything uses it: ten thousand tenants made from one
// template cost one program and ten thousand small entries.
type programs struct {
	store    tenant.ConfigReader
	metrics  *Metrics
	versions *otter.Cache[versionKey, version]
	secrets  *otter.Cache[secretsKey, map[string]bool]

	mu     sync.Mutex
	shared map[string]weak.Pointer[flow.Program] // by tenant.Version.Hash
}

type versionKey struct {
	tenant string
	number int64
}

type version struct {
	program *flow.Program
	cost    uint32
}

// secretsKey has the revision, which grows when a secret is set.
type secretsKey struct {
	tenant   string
	revision int64
}

func newPrograms(store tenant.ConfigReader, m *Metrics) (*programs, error) {
	versions, err := otter.New(&otter.Options[versionKey, version]{
		MaximumWeight: programBytes,
		Weigher:       func(_ versionKey, v version) uint32 { return v.cost },
	})
	if err != nil {
		return nil, err
	}
	secrets, err := otter.New(&otter.Options[secretsKey, map[string]bool]{MaximumSize: secretsEntries})
	if err != nil {
		return nil, err
	}
	return &programs{store: store, metrics: m, versions: versions, secrets: secrets, shared: map[string]weak.Pointer[flow.Program]{}}, nil
}

// of gives the program of one version of a tenant's configuration. One caller
// reads and compiles it, the others wait.
func (p *programs) of(ctx context.Context, tenantID string, number int64) (*flow.Program, error) {
	key := versionKey{tenantID, number}
	if v, ok := p.versions.GetIfPresent(key); ok {
		p.metrics.configCache.WithLabelValues("hit").Inc()
		return v.program, nil
	}
	v, err := p.versions.Get(ctx, key, otter.LoaderFunc[versionKey, version](p.load))
	return v.program, err
}

func (p *programs) load(ctx context.Context, key versionKey) (version, error) {
	// Others wait for this too, so it doesn't end with who asked first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
	defer cancel()
	v, err := p.store.Version(ctx, key.tenant, key.number)
	if err != nil {
		p.metrics.configErrors.WithLabelValues("store").Inc()
		if e := tenant.AsError(err); e.Kind == tenant.Unavailable {
			return version{}, e
		}
		return version{}, fmt.Errorf("configuration %d of tenant %s: %w", key.number, key.tenant, hidden{err})
	}
	p.mu.Lock()
	program := p.shared[v.Hash].Value()
	p.mu.Unlock()
	if program != nil {
		p.metrics.configCache.WithLabelValues("shared").Inc()
		return version{program, programEntry}, nil
	}
	p.metrics.configCache.WithLabelValues("miss").Inc()
	program, err = compile(v.Document)
	if err != nil {
		p.metrics.configErrors.WithLabelValues("invalid").Inc()
		return version{}, fmt.Errorf("configuration %d of tenant %s: %w", key.number, key.tenant, err)
	}
	p.share(v.Hash, program)
	return version{program, programCost(v.Document)}, nil
}

// share lets others find a program, and tidies away those that nobody uses.
func (p *programs) share(hash string, program *flow.Program) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.shared) > 0 && len(p.shared)%1024 == 0 {
		for h, w := range p.shared {
			if w.Value() == nil {
				delete(p.shared, h)
			}
		}
	}
	p.shared[hash] = weak.Make(program)
}

// compile reads a published document. It was checked strictly when it was
// published, perhaps by a newer binary during a rolling upgrade, so a key that
// this one doesn't know is no reason to turn users away.
func compile(document []byte) (*flow.Program, error) {
	cfg := tenant.DefaultConfig()
	if err := json.Unmarshal(document, cfg); err != nil {
		return nil, hidden{err}
	}
	program, problems := flow.Compile(cfg)
	if len(problems) > 0 {
		return nil, hidden{tenant.Problems(problems).Says("%s", problems[0])}
	}
	return program, nil
}

// programCost estimates the memory of a program. Of the default document it is
// about usualProgram, since the derived flows are shared; what a tenant adds to
// the document, its own flows above all, weighs a few times its text.
func programCost(document []byte) uint32 {
	return uint32(usualProgram + 4*min(max(0, len(document)-usualDocument()), programBytes/8))
}

const usualProgram = 4 << 10 // bytes

// usualDocument is the size of the default document.
var usualDocument = sync.OnceValue(func() int {
	document, err := json.Marshal(tenant.DefaultConfig())
	if err != nil {
		panic(err) // plain values
	}
	return len(document)
})

// secretNames says which secrets of its configuration a tenant has.
func (p *programs) secretNames(ctx context.Context, t *tenant.Tenant) (map[string]bool, error) {
	return p.secrets.Get(ctx, secretsKey{t.ID, t.Revision}, otter.LoaderFunc[secretsKey, map[string]bool](
		func(ctx context.Context, key secretsKey) (map[string]bool, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
			defer cancel()
			list, err := p.store.Secrets(ctx, key.tenant)
			names := make(map[string]bool, len(list))
			for _, s := range list {
				names[s.Name] = true
			}
			return names, err
		}))
}

// hidden keeps a refusal that isn't about the client's request from reaching
// the client: errors.As doesn't find it.
type hidden struct{ err error }

func (h hidden) Error() string { return h.err.Error() }
