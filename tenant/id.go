package tenant

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// crockford is the alphabet of Crockford's base32: no i, l, o, u.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// UUIDv7 formats an identifier after RFC 9562 section 5.7: 48 bits of unix
// milliseconds, then chance. It sorts by time.
func UUIDv7(at time.Time, random [10]byte) string {
	var b [16]byte
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(b[:6], ms[2:])
	copy(b[6:], random[:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[:8], b[:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// PFID is a time-sorted, partitioned identifier: 32 characters of lower-case
// Crockford base32 that hold two zero bits, 48 bits of unix milliseconds, 30
// bits of partition (one per tenant) and 80 bits of chance.
// The seed document "Fetch authflow" prints its examples.
type PFID struct {
	At        int64 // unix milliseconds, 48 bits
	Partition uint32
	Random    [10]byte
}

// MaxPartition is the largest partition a PFID can name.
const MaxPartition = 1<<30 - 1

// ErrNotPFID says that a string is no PFID.
var ErrNotPFID = errors.New("not a PFID")

// PFIDOf writes the UUID of a record, version 7, as the PFID that it has in a
// partition. Both hold the same time and the same 80 bits, six of which say
// that it is such a UUID; so [PFID.UUID] gives it back, and no table is needed to
// translate. [ErrNotUUIDv7] when it isn't one.
func PFIDOf(uuid string, partition uint32) (PFID, error) {
	if len(uuid) != 36 || uuid[8] != '-' || uuid[13] != '-' || uuid[18] != '-' || uuid[23] != '-' {
		return PFID{}, ErrNotUUIDv7
	}
	var b [18]byte // the time in the last six of the first eight
	raw, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(raw) != 16 || raw[6]>>4 != 7 || raw[8]>>6 != 2 || strings.ToLower(uuid) != uuid {
		return PFID{}, ErrNotUUIDv7
	}
	copy(b[2:], raw)
	return PFID{At: int64(binary.BigEndian.Uint64(b[:8])), Partition: partition, Random: [10]byte(b[8:])}, nil //nolint:gosec // 48 bits
}

// ErrNotUUIDv7 says that a string is no UUID of version 7 in lower case.
var ErrNotUUIDv7 = errors.New("not a UUIDv7")

// UUID is what [PFIDOf] made the id of; [ErrNotUUIDv7] when it was made of none.
func (p PFID) UUID() (string, error) {
	if p.Random[0]>>4 != 7 || p.Random[2]>>6 != 2 {
		return "", ErrNotUUIDv7
	}
	return UUIDv7(time.UnixMilli(p.At), p.Random), nil
}

func (p PFID) String() string {
	// 80 bits of time and partition, with the two zero bits in front, are
	// exactly 16 characters; so are the 80 random bits.
	var head [10]byte
	at := uint64(p.At) & (1<<48 - 1) //nolint:gosec // masked
	hi := at<<14 | uint64(p.Partition>>16)
	binary.BigEndian.PutUint64(head[:8], hi)
	binary.BigEndian.PutUint16(head[8:], uint16(p.Partition)) //nolint:gosec // the low half
	return Base32(head[:]) + Base32(p.Random[:])
}

// ParsePFID reads a PFID; [ErrNotPFID] if it isn't one.
func ParsePFID(s string) (PFID, error) {
	if len(s) != 32 || s[0] > '7' {
		return PFID{}, ErrNotPFID
	}
	head, ok1 := decode80(s[:16])
	tail, ok2 := decode80(s[16:])
	if !ok1 || !ok2 {
		return PFID{}, ErrNotPFID
	}
	hi := binary.BigEndian.Uint64(head[:8])
	return PFID{
		At:        int64(hi >> 14),
		Partition: uint32(hi&(1<<14-1))<<16 | uint32(binary.BigEndian.Uint16(head[8:])),
		Random:    tail,
	}, nil
}

// Base32 writes bytes in lower-case Crockford base32. len(b) is a multiple of 5.
func Base32(b []byte) string {
	var s strings.Builder
	s.Grow(len(b) / 5 * 8)
	for ; len(b) >= 5; b = b[5:] {
		v := uint64(b[0])<<32 | uint64(b[1])<<24 | uint64(b[2])<<16 | uint64(b[3])<<8 | uint64(b[4])
		for shift := 35; shift >= 0; shift -= 5 {
			s.WriteByte(crockford[v>>shift&31])
		}
	}
	return s.String()
}

// SupportCode is what an unlucky user can tell support: the end of the run's id,
// such as 7K2M-9QXD. It says which run, and nothing to anybody else.
func SupportCode(runID string) string {
	if len(runID) != 32 {
		return ""
	}
	s := strings.ToUpper(runID[24:])
	return s[:4] + "-" + s[4:]
}

// ParseSupportCode reads a support code as people write it, and gives the end of
// the run's id.
func ParseSupportCode(code string) (suffix string, ok bool) {
	code = strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(code))
	if len(code) != 8 {
		return "", false
	}
	for _, c := range []byte(code) {
		if strings.IndexByte(crockford, c) < 0 {
			return "", false
		}
	}
	return code, true
}

func decode80(s string) (out [10]byte, ok bool) {
	for half := range 2 {
		var v uint64
		for _, c := range []byte(s[half*8 : half*8+8]) {
			i := strings.IndexByte(crockford, c)
			if i < 0 {
				return out, false
			}
			v = v<<5 | uint64(i)
		}
		for k := range 5 {
			out[half*5+k] = byte(v >> (32 - 8*k)) //nolint:gosec // one byte of it
		}
	}
	return out, true
}
