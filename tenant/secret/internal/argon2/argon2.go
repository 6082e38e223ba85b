package argon2

import (
	"encoding/binary"
	_ "unsafe" // for go:linkname

	_ "golang.org/x/crypto/argon2"
)

const (
	argon2id      = 2 // the type y of RFC 9106 section 3.1
	blockSize     = 1024
	prehashLength = 64 // RFC 9106 section 3.2
)

type block [blockSize / 8]uint64

// Memory is what one hash at a time works in.
type Memory struct{ blocks []block }

// New takes memory for hashes of that many KiB, a multiple of 4 and at least 8
// (with one lane RFC 9106 rounds down to that). Free gives it back.
func New(kib int) (*Memory, error) {
	blocks, err := allocate(kib)
	return &Memory{blocks}, err
}

// Free gives the memory back to the system. It can't be used any more.
func (m *Memory) Free() {
	release(m.blocks)
	m.blocks = nil
}

// IDKey derives a key of length bytes with Argon2id, one lane, and all of the
// memory. It leaves the memory wiped.
func (m *Memory) IDKey(password, salt []byte, passes, length uint32) []byte {
	kib := uint32(len(m.blocks)) //nolint:gosec // as given to New
	h0 := initHash(password, salt, nil, nil, passes, kib, 1, length, argon2id)
	// The first two blocks, RFC 9106 section 3.2 steps 3 and 4. The others are
	// XORed into even in the first pass, so they have to be zero.
	var b [blockSize]byte
	for i := range uint32(2) {
		binary.LittleEndian.PutUint32(h0[prehashLength:], i)
		binary.LittleEndian.PutUint32(h0[prehashLength+4:], 0)
		blake2bHash(b[:], h0[:])
		for j := range m.blocks[i] {
			m.blocks[i][j] = binary.LittleEndian.Uint64(b[8*j:])
		}
	}
	processBlocks(m.blocks, passes, kib, 1, argon2id)
	key := extractKey(m.blocks, kib, 1, length)
	clear(m.blocks)
	return key
}

//go:linkname initHash golang.org/x/crypto/argon2.initHash
func initHash(password, salt, key, data []byte, time, memory, threads, keyLen uint32, mode int) [prehashLength + 8]byte

//go:linkname blake2bHash golang.org/x/crypto/argon2.blake2bHash
func blake2bHash(out, in []byte)

//go:linkname processBlocks golang.org/x/crypto/argon2.processBlocks
func processBlocks(blocks []block, time, memory, threads uint32, mode int)

//go:linkname extractKey golang.org/x/crypto/argon2.extractKey
func extractKey(blocks []block, memory, threads, keyLen uint32) []byte
