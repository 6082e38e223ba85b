package store

import (
	"errors"
	"os"
	"syscall"
)

// syncData writes a file's content to the disk, and of what the system keeps
// about it only what is needed to read that: not when it was changed, which
// would cost a write of its own.
func syncData(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.EINTR
		for failed == syscall.EINTR {
			failed = syscall.Fdatasync(int(fd))
		}
	})
	return errors.Join(err, failed)
}
