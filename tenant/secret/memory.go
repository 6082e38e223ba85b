package secret

import (
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret/internal/argon2"
)

// memory lends the workers what argon2id fills: as much as was needed at once so
// far, and nothing after a quiet while.
type memory struct {
	mu    sync.Mutex
	spare []*argon2.Memory
	quiet *time.Timer // frees what is spare
}

const quietTime = time.Minute

// idKey derives a key with our own parameters of argon2id.
func (m *memory) idKey(password string, salt []byte, length int) ([]byte, error) {
	work, err := m.borrow()
	if err != nil { // the system has no memory to spare
		return nil, tenant.ErrUnavailable.With("retry_after_seconds", 1).Because(err)
	}
	key := work.IDKey([]byte(password), salt, argonPasses, uint32(length)) //nolint:gosec // at most maxTag
	m.giveBack(work)
	return key, nil
}

func (m *memory) borrow() (*argon2.Memory, error) {
	m.mu.Lock()
	if last := len(m.spare) - 1; last >= 0 {
		work := m.spare[last]
		m.spare = m.spare[:last]
		m.mu.Unlock()
		return work, nil
	}
	m.mu.Unlock()
	return argon2.New(argonMemory)
}

func (m *memory) giveBack(work *argon2.Memory) {
	m.mu.Lock()
	m.spare = append(m.spare, work)
	if m.quiet == nil {
		m.quiet = time.AfterFunc(quietTime, m.free)
	}
	m.quiet.Reset(quietTime)
	m.mu.Unlock()
}

func (m *memory) free() {
	m.mu.Lock()
	for _, work := range m.spare {
		work.Free()
	}
	m.spare = nil
	if m.quiet != nil {
		m.quiet.Stop()
	}
	m.mu.Unlock()
}
