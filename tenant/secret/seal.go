package secret

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/maypok86/otter/v2"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/usher-id/usher/tenant"
)

// ErrMaster says that a tenant's key can't be unwrapped: the master key is
// another one than it was wrapped with, or the wrapped key is damaged.
var ErrMaster = errors.New("secret: the master key does not open this tenant's key: it is another master key, or the tenant's key is damaged")

// ErrSealed says that a sealed value can't be opened: it is damaged, or it was
// sealed for another tenant, table or row.
var ErrSealed = errors.New("secret: a sealed value does not open")

// maxUnwrapped bounds the unwrapped keys in memory, about 2 KiB each.
const maxUnwrapped = 10_000

// Master is the platform's key. It wraps one data key per tenant, and with that
// seals values (AES-256-GCM). Every wrapped key and every sealed value begins
// with the id of the key it was made with, so each level can be rotated: a
// keyset that has gained a new key goes on opening what an older one sealed.
type Master struct {
	aead tink.AEAD
	keys *otter.Cache[string, unwrapped] // by tenant id
}

type unwrapped struct {
	wrapped []byte // what it was unwrapped from; a rotated key has other bytes
	aead    tink.AEAD
}

// OpenMaster makes a Master of 32-byte keys: the first wraps, all unwrap, so
// that a master key can be replaced by putting the new one in front.
func OpenMaster(key []byte, older ...[]byte) (*Master, error) {
	m := keyset.NewManager()
	for _, k := range append([][]byte{key}, older...) {
		if err := addMasterKey(m, k); err != nil {
			return nil, err
		}
	}
	primary := masterKeyID(key)
	if err := m.SetPrimary(primary); err != nil {
		return nil, fmt.Errorf("secret: master key: %w", err)
	}
	handle, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("secret: master key: %w", err)
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("secret: master key: %w", err)
	}
	keys, err := otter.New(&otter.Options[string, unwrapped]{MaximumSize: maxUnwrapped})
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return &Master{aead: a, keys: keys}, nil
}

func addMasterKey(m *keyset.Manager, key []byte) error {
	if len(key) != masterKeySize {
		return fmt.Errorf("secret: a master key has %d bytes, not %d", masterKeySize, len(key))
	}
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: masterKeySize, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
	})
	if err != nil {
		return fmt.Errorf("secret: master key: %w", err)
	}
	k, err := aesgcm.NewKey(secretdata.NewBytesFromData(key, insecuresecretdataaccess.Token{}), masterKeyID(key), params)
	if err != nil {
		return fmt.Errorf("secret: master key: %w", err)
	}
	if _, err := m.AddKey(k); err != nil {
		return fmt.Errorf("secret: master key: %w", err)
	}
	return nil
}

// masterKeyID names a master key by a hash of it, so that the file needs no more
// than the key.
func masterKeyID(key []byte) uint32 {
	sum := sha256.Sum256(append([]byte("usher master key id\x00"), key...))
	return max(1, binary.BigEndian.Uint32(sum[:]))
}

// wrapContext is the associated data of wrapped keys: it keeps them apart from
// anything else that a master key may come to seal.
var wrapContext = []byte("usher tenant key")

// NewTenantKey makes a data key, wrapped.
func (m *Master) NewTenantKey() (wrapped []byte, err error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("secret: tenant key: %w", err)
	}
	return m.wrap(handle)
}

// RotateTenantKey adds a new data key to a wrapped one: new values are sealed
// with the new key, old ones go on opening. It also wraps with the newest
// master key.
func (m *Master) RotateTenantKey(wrapped []byte) ([]byte, error) {
	handle, err := m.unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("secret: tenant key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("secret: tenant key: %w", err)
	}
	if handle, err = manager.Handle(); err != nil {
		return nil, fmt.Errorf("secret: tenant key: %w", err)
	}
	return m.wrap(handle)
}

// Check says whether this is the master key that a tenant's key was wrapped
// with; [ErrMaster] when it isn't.
func (m *Master) Check(wrapped []byte) error {
	_, err := m.unwrap(wrapped)
	return err
}

func (m *Master) wrap(handle *keyset.Handle) ([]byte, error) {
	var b bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&b), m.aead, wrapContext); err != nil {
		return nil, fmt.Errorf("secret: tenant key: %w", err)
	}
	return b.Bytes(), nil
}

func (m *Master) unwrap(wrapped []byte) (*keyset.Handle, error) {
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(wrapped)), m.aead, wrapContext)
	if err != nil {
		return nil, ErrMaster // the cause says no more, and could quote what it read
	}
	return handle, nil
}

// Seal encrypts a value for one row of one table of a tenant. It opens there
// and nowhere else.
func (m *Master) Seal(t *tenant.Tenant, table, id string, plain []byte) ([]byte, error) {
	a, err := m.dataKey(t)
	if err != nil {
		return nil, err
	}
	sealed, err := a.Encrypt(plain, associated(t.ID, table, id))
	if err != nil {
		return nil, fmt.Errorf("secret: seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same tenant, table and row; [ErrSealed]
// when it was made for another or is damaged, [ErrMaster] when the tenant's key
// doesn't open.
func (m *Master) Open(t *tenant.Tenant, table, id string, sealed []byte) ([]byte, error) {
	a, err := m.dataKey(t)
	if err != nil {
		return nil, err
	}
	plain, err := a.Decrypt(sealed, associated(t.ID, table, id))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// SealText is Seal for a column of text: unpadded base64url.
func (m *Master) SealText(t *tenant.Tenant, table, id, plain string) (string, error) {
	sealed, err := m.Seal(t, table, id, []byte(plain))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// OpenText opens what SealText sealed; ErrSealed for anything else.
func (m *Master) OpenText(t *tenant.Tenant, table, id, sealed string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return "", ErrSealed
	}
	plain, err := m.Open(t, table, id, b)
	return string(plain), err
}

func (m *Master) dataKey(t *tenant.Tenant) (tink.AEAD, error) {
	if k, ok := m.keys.GetIfPresent(t.ID); ok && bytes.Equal(k.wrapped, t.Key) {
		return k.aead, nil
	}
	handle, err := m.unwrap(t.Key)
	if err != nil {
		return nil, err
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("secret: tenant key: %w", err)
	}
	m.keys.Set(t.ID, unwrapped{wrapped: bytes.Clone(t.Key), aead: a})
	return a, nil
}

// associated encodes the place of a value, each part behind its length so that
// no two places read the same.
func associated(parts ...string) []byte {
	b := make([]byte, 0, 128)
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}
