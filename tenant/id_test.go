package tenant

import (
	"errors"
	"regexp"
	"testing"
	"time"
)

// The example identifiers of the seed document "Fetch authflow".
func TestPFIDSeed(t *testing.T) {
	for _, s := range []string{
		"013xrzp12g3nqk8n6cyr5x0k8yb10h59", "013xrzp12g3nqk8ncwfp3ra29yjzx1gs", "013xrzp12g3nqk8n32sd3jyxq5a8ywe2",
		"013xrzp12g3nqk8ny06sgdxs6ed3w5wy", "013xrzp12g3nqk8ng09nmc8kwqzfafa2", "013xrzp12g3nqk8nkv4y96wrbzje9dsr",
	} {
		p, err := ParsePFID(s)
		if err != nil {
			t.Fatal(s, err)
		}
		if p.At != 1234567890000 || p.Partition != 123456789 {
			t.Errorf("%s: at %d, partition %d", s, p.At, p.Partition)
		}
		if p.String() != s {
			t.Errorf("%s written again is %s", s, p)
		}
	}
	for _, s := range []string{"", "813xrzp12g3nqk8n6cyr5x0k8yb10h59", "013xrzp12g3nqk8n6cyr5x0k8yb10h5u", "013xrzp12g3nqk8n6cyr5x0k8yb10h5"} {
		if _, err := ParsePFID(s); err == nil {
			t.Errorf("%q was taken for a PFID", s)
		}
	}
}

func TestUUIDv7(t *testing.T) {
	got := UUIDv7(time.UnixMilli(0x017F22E279B0), [10]byte{0x0C, 0xC3, 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F})
	if want := "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"; got != want { // RFC 9562, A.6
		t.Errorf("got %s, want %s", got, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(UUIDv7(time.Now(), [10]byte{})) {
		t.Error("not a version 7 UUID")
	}
}

func TestPFIDOfUUID(t *testing.T) {
	const uuid = "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
	p, err := PFIDOf(uuid, 123456789)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParsePFID(p.String())
	if err != nil || again != p || p.At != 0x0193a1b2c3d4 || p.Partition != 123456789 {
		t.Errorf("%+v, read as %+v, %v", p, again, err)
	}
	if back, err := again.UUID(); err != nil || back != uuid {
		t.Errorf("back: %s, %v", back, err)
	}
	for _, bad := range []string{
		"", "0193a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b", "0193a1b2-c3d4-7e5f-ca9b-0c1d2e3f4a5b", "0193A1B2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
		"0193a1b2c3d4-7e5f-8a9b-0c1d2e3f4a5b-", "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5g", "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b0",
	} {
		if _, err := PFIDOf(bad, 1); !errors.Is(err, ErrNotUUIDv7) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := (PFID{Random: [10]byte{1}}).UUID(); !errors.Is(err, ErrNotUUIDv7) {
		t.Errorf("of chance: %v", err)
	}
}
