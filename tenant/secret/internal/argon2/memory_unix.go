//go:build unix

package argon2

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate maps pages of zeros. The garbage collector doesn't know of them, so
// they don't make it let the rest of the heap grow.
func allocate(kib int) ([]block, error) {
	pages, err := unix.Mmap(-1, 0, kib*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("argon2: %d KiB of memory: %w", kib, err)
	}
	return unsafe.Slice((*block)(unsafe.Pointer(&pages[0])), kib), nil //nolint:gosec // whole blocks, aligned to a page
}

func release(blocks []block) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&blocks[0])), len(blocks)*blockSize) //nolint:gosec // what allocate was given
	_ = unix.Munmap(bytes)                                                            // fails only for what wasn't mapped
}
