package outbound

import "sync"

// Gate bounds how many calls are under way at once for one key, so that what
// hangs for one tenant doesn't fill the process.
type Gate struct {
	most int
	mu   sync.Mutex
	in   map[string]int
}

// NewGate makes a gate that lets so many in for each key.
func NewGate(most int) *Gate { return &Gate{most: most, in: map[string]int{}} }

// Enter lets a call in, or says that it can't be. Who was let in has to leave.
func (g *Gate) Enter(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in[key] >= g.most {
		return false
	}
	g.in[key]++
	return true
}

// Leave makes room.
func (g *Gate) Leave(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in[key]--; g.in[key] == 0 {
		delete(g.in, key)
	}
}
