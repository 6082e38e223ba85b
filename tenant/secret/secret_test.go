package secret_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

func openMaster(t testing.TB, keys ...[]byte) *secret.Master {
	t.Helper()
	if len(keys) == 0 {
		keys = [][]byte{secret.NewMasterKey()}
	}
	m, err := secret.OpenMaster(keys[0], keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newTenant(t testing.TB, m *secret.Master) *tenant.Tenant {
	t.Helper()
	key, err := m.NewTenantKey()
	if err != nil {
		t.Fatal(err)
	}
	return &tenant.Tenant{ID: secret.NewID(), Key: key}
}

func TestSealedOpensOnlyInItsPlace(t *testing.T) {
	m := openMaster(t)
	a, b := newTenant(t, m), newTenant(t, m)
	plain := []byte("a hash, or the secret of a provider")
	sealed, err := m.Seal(a, "flow_state", "1", plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, plain) {
		t.Fatal("sealed in the clear")
	}
	if got, err := m.Open(a, "flow_state", "1", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Open = %q, %v", got, err)
	}

	impostor := *a // the key of a under the id of b
	impostor.ID = b.ID
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another row":       func() ([]byte, error) { return m.Open(a, "flow_state", "2", sealed) },
		"another table":     func() ([]byte, error) { return m.Open(a, "config_secret", "1", sealed) },
		"shifted names":     func() ([]byte, error) { return m.Open(a, "flow_state1", "", sealed) },
		"another tenant":    func() ([]byte, error) { return m.Open(b, "flow_state", "1", sealed) },
		"another tenant id": func() ([]byte, error) { return m.Open(&impostor, "flow_state", "1", sealed) },
		"damaged":           func() ([]byte, error) { return m.Open(a, "flow_state", "1", damaged) },
		"empty":             func() ([]byte, error) { return m.Open(a, "flow_state", "1", nil) },
		"short":             func() ([]byte, error) { return m.Open(a, "flow_state", "1", sealed[:4]) },
	} {
		if got, err := open(); !errors.Is(err, secret.ErrSealed) {
			t.Errorf("%s: Open = %q, %v, want ErrSealed", name, got, err)
		}
	}
}

func TestWrongMasterKey(t *testing.T) {
	m, other := openMaster(t), openMaster(t)
	a := newTenant(t, m)
	sealed, err := m.Seal(a, "t", "1", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(a.Key); err != nil {
		t.Errorf("Check with the right key: %v", err)
	}
	if err := other.Check(a.Key); !errors.Is(err, secret.ErrMaster) {
		t.Errorf("Check with another key: %v", err)
	}
	if _, err := other.Open(a, "t", "1", sealed); !errors.Is(err, secret.ErrMaster) {
		t.Errorf("Open with another key: %v", err)
	}
	for _, wrapped := range [][]byte{nil, {1}, bytes.Repeat([]byte{0xff}, 200), a.Key[:len(a.Key)-1]} {
		if err := m.Check(wrapped); !errors.Is(err, secret.ErrMaster) {
			t.Errorf("Check of %d damaged bytes: %v", len(wrapped), err)
		}
	}
}

func TestRotation(t *testing.T) {
	oldKey, newKey := secret.NewMasterKey(), secret.NewMasterKey()
	m := openMaster(t, oldKey)
	a := newTenant(t, m)
	seal := func(m *secret.Master, plain string) []byte {
		sealed, err := m.Seal(a, "t", "1", []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	opens := func(m *secret.Master, sealed []byte, want string) {
		t.Helper()
		if got, err := m.Open(a, "t", "1", sealed); err != nil || string(got) != want {
			t.Fatalf("Open = %q, %v, want %q", got, err, want)
		}
	}
	before := seal(m, "before")

	m = openMaster(t, newKey, oldKey) // the new master key in front of the old one
	opens(m, before, "before")
	rotated, err := m.RotateTenantKey(a.Key)
	if err != nil {
		t.Fatal(err)
	}
	a.Key = rotated
	after := seal(m, "after")
	opens(m, before, "before")
	opens(m, after, "after")
	if bytes.Equal(before[:5], after[:5]) {
		t.Error("a value sealed after the rotation names the same key")
	}

	m = openMaster(t, newKey) // the old master key is gone
	opens(m, before, "before")
	opens(m, after, "after")
}

func TestMasterKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	if _, err := secret.LoadMaster(path, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadMaster of no file: %v", err)
	}
	if err := secret.CreateMasterFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := secret.LoadMaster(path, "")
	if err != nil {
		t.Fatal(err)
	}
	a := newTenant(t, m)
	if m, err = secret.LoadMaster("", string(text)); err != nil {
		t.Fatal(err)
	}
	if err := m.Check(a.Key); err != nil {
		t.Errorf("the same key as text: %v", err)
	}
	if err := secret.CreateMasterFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating it again: %v", err)
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, text) {
		t.Error("the file was replaced")
	}
}

func TestLoadMasterRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"blank": " \n", "not base64": "sesame!", "too short": "c2VzYW1l", "too long": strings.Repeat("A", 88),
	} {
		_, err := secret.LoadMaster("", text)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: the error quotes the key: %v", name, err)
		}
	}
	if _, err := secret.LoadMaster("", ""); !errors.Is(err, secret.ErrNoMaster) {
		t.Errorf("neither: %v", err)
	}
	if _, err := secret.LoadMaster("a", "b"); err == nil {
		t.Error("both: accepted")
	}
}

func TestIDs(t *testing.T) {
	if a, b := secret.NewID(), secret.NewID(); len(a) != 36 || a[14] != '7' || a == b {
		t.Errorf("NewID = %s, %s", a, b)
	}
	p, err := tenant.ParsePFID(secret.NewPFID(7))
	if err != nil || p.Partition != 7 {
		t.Errorf("NewPFID = %+v, %v", p, err)
	}
	a, b := secret.NewToken("usher_demo_"), secret.NewToken("usher_demo_")
	if len(a) != len("usher_demo_")+32 || !strings.HasPrefix(a, "usher_demo_") || a == b {
		t.Errorf("NewToken = %s, %s", a, b)
	}
	// FIPS 180-4's example "abc", in base64url.
	if got := secret.TokenHash("abc"); got != "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0" {
		t.Errorf("TokenHash = %s", got)
	}
}

func BenchmarkSealOpen(b *testing.B) {
	m := openMaster(b)
	t := newTenant(b, m)
	plain := bytes.Repeat([]byte("x"), 600)
	id := secret.TokenHash("token")
	b.ReportAllocs()
	for b.Loop() {
		sealed, err := m.Seal(t, "flow_state", id, plain)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := m.Open(t, "flow_state", id, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
