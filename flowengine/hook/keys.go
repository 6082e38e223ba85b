package hook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// NewKey makes a signing key: text, whose bytes as they stand are the key.
func NewKey() string { return secret.NewToken("usherhook_") }

// KeyID names a signing key without telling it: the beginning of its HMAC of a
// fixed text.
func KeyID(key []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("usher hook key id"))
	return hex.EncodeToString(m.Sum(nil))[:12]
}

// keyring remembers the keys of endpoints.
type keyring struct {
	o     Options
	cache *otter.Cache[keysKey, keys]
}

// keysKey has the tenant's revision, which grows when a secret is set.
type keysKey struct {
	tenant   string
	revision int64
	endpoint string
}

type keys struct {
	current, previous outbound.Key
	until             time.Time // from then on the previous one signs no more
}

const (
	keysKept    = 10_000
	keysTimeout = 5 * time.Second
)

func newKeyring(o Options) (*keyring, error) {
	cache, err := otter.New(&otter.Options[keysKey, keys]{MaximumSize: keysKept})
	return &keyring{o: o, cache: cache}, err
}

// of gives the keys that sign a call now, the current one first.
func (k *keyring) of(ctx context.Context, t *tenant.Tenant, endpoint string) ([]outbound.Key, error) {
	both, err := k.cache.Get(ctx, keysKey{t.ID, t.Revision, endpoint}, otter.LoaderFunc[keysKey, keys](
		func(ctx context.Context, _ keysKey) (keys, error) {
			// Others wait for this too, so it doesn't end with who asked first.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
			defer cancel()
			return k.load(ctx, t, endpoint)
		}))
	if err != nil {
		return nil, err
	}
	if k.o.Now().Before(both.until) {
		return []outbound.Key{both.current, both.previous}, nil
	}
	return []outbound.Key{both.current}, nil
}

func (k *keyring) load(ctx context.Context, t *tenant.Tenant, endpoint string) (both keys, err error) {
	name, previous := tenant.HookSecretName(endpoint), tenant.PreviousHookSecretName(endpoint)
	if both.current, err = k.open(ctx, t, name); errors.Is(err, tenant.ErrNotFound) {
		both.current, err = k.make(ctx, t, endpoint)
	}
	if err != nil {
		return both, err
	}
	list, err := k.o.Store.Secrets(ctx, t.ID)
	if err != nil {
		return both, err
	}
	for _, s := range list {
		if until := s.UpdatedAt.Add(tenant.HookKeyOverlap); s.Name == previous && k.o.Now().Before(until) {
			both.until = until
			both.previous, err = k.open(ctx, t, previous)
		}
	}
	return both, err
}

func (k *keyring) open(ctx context.Context, t *tenant.Tenant, name string) (outbound.Key, error) {
	plain, err := k.o.Master.Kept(ctx, k.o.Store, t, name)
	if err != nil {
		return outbound.Key{}, err
	}
	return outbound.Key{ID: KeyID(plain), Secret: plain}, nil
}

// make makes the first key of an endpoint, unless another node was faster, so
// that no call goes out unsigned. An admin who wants to know it replaces it.
func (k *keyring) make(ctx context.Context, t *tenant.Tenant, endpoint string) (key outbound.Key, err error) {
	name, fresh := tenant.HookSecretName(endpoint), NewKey()
	sealed, err := k.o.Master.Seal(t, tenant.SecretTable, name, []byte(fresh))
	if err != nil {
		return key, err
	}
	detail, err := json.Marshal(map[string]any{"secrets": []string{name}})
	if err != nil {
		return key, err
	}
	now := k.o.Now().UTC().Truncate(time.Millisecond)
	err = k.o.Store.Change(ctx, func(tx tenant.Tx) error {
		if _, err := tx.Tenant(t.Slug); err != nil { // one at a time
			return err
		}
		if key, err = k.open(ctx, t, name); !errors.Is(err, tenant.ErrNotFound) {
			return errors.Join(err, errThere)
		}
		key = outbound.Key{ID: KeyID([]byte(fresh)), Secret: []byte(fresh)}
		if err := tx.PutSecret(t.ID, tenant.Secret{Name: name, LastFour: fresh[len(fresh)-4:], UpdatedAt: now}, sealed); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: t.ID, ID: secret.NewID(), At: now, Category: tenant.AuditSystem, Action: "hook.create_key", Outcome: "success",
			ActorKind: tenant.ActorSystem, Detail: detail,
		})
	})
	if errors.Is(err, errThere) && key.ID != "" {
		err = nil
	}
	return key, err
}

var errThere = errors.New("there is a key")
