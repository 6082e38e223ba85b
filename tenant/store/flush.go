package store

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

// flush makes what has been committed survive the machine. PostgreSQL does that
// itself. SQLite's connection appends to the log and leaves it to the system to
// write it down (synchronous=NORMAL); with the log on the disk a commit is as
// safe as synchronous=FULL makes it, and the next writer needn't wait for that.
func (s *Store) flush() error {
	if s.postgres() {
		return nil
	}
	return s.flushes.do(func() error {
		start := time.Now()
		log, err := os.OpenFile(s.log, os.O_RDWR, 0)
		if err == nil {
			err = errors.Join(syncData(log), log.Close())
		}
		if err != nil {
			s.disk.refuses(err)
			err = tenant.ErrUnavailable.With("retry_after_seconds", 1).Because(err)
		}
		s.observe(flush, start, err)
		return err
	})
}

// shared is work that serves everybody who asked before it began: those who ask
// while it is being done share the next one.
type shared struct {
	turn sync.Mutex // to do it
	mu   sync.Mutex // guards next
	next *round     // that hasn't begun; nil while nobody waits for one
}

type round struct {
	done bool
	err  error
}

func (s *shared) do(work func() error) error {
	s.mu.Lock()
	if s.next == nil {
		s.next = &round{}
	}
	mine := s.next
	s.mu.Unlock()

	s.turn.Lock()
	defer s.turn.Unlock()
	if !mine.done {
		s.mu.Lock()
		s.next = nil
		s.mu.Unlock()
		mine.err = work()
		mine.done = true
	}
	return mine.err
}
