package secret

import (
	"container/list"
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/usher-id/usher/tenant"
)

// HasherOptions sizes a [Hasher].
type HasherOptions struct {
	Workers int // hashes at once; default 1
	Queue   int // hashes that may wait for a worker; default 32 per worker

	// OnHash is told of every hash: the algorithm as the hash names it, op
	// ("hash" or "verify"), how long it took and how long it waited before.
	// It runs on the worker.
	OnHash func(algorithm, op string, took, queued time.Duration)
	// OnShed is told of every hash that was refused because the queue was full.
	OnShed func()
}

// Hasher hashes passwords on a few workers of its own. A login storm therefore
// costs Workers cores and Workers times the memory of one hash, however many
// clients there are; those that don't fit into the queue are turned away.
//
// For requests that hash nothing to stay fast meanwhile, the scheduler needs
// room beside the workers: GOMAXPROCS = cores + Workers. (Locking the workers to
// threads adds nothing to that, as measured.)
type Hasher struct {
	o      HasherOptions
	memory memory

	mu      sync.Mutex
	wake    sync.Cond // signalled when queue grows or closed is set
	queue   list.List // of *job, the oldest first
	idle    int       // workers that wait for a job
	closed  bool
	mean    time.Duration // of the last few hashes, for Retry-After
	workers sync.WaitGroup
}

type job struct {
	run      func()
	enqueued time.Time
	place    *list.Element // nil once a worker has it
	started  time.Time
	took     time.Duration
	done     chan struct{}
}

// NewHasher starts the workers. Close stops them.
func NewHasher(o HasherOptions) *Hasher {
	if o.Workers < 1 {
		o.Workers = 1
	}
	if o.Queue < 1 {
		o.Queue = 32 * o.Workers
	}
	if o.OnHash == nil {
		o.OnHash = func(string, string, time.Duration, time.Duration) {}
	}
	if o.OnShed == nil {
		o.OnShed = func() {}
	}
	h := &Hasher{o: o}
	h.wake.L = &h.mu
	for range o.Workers {
		h.workers.Go(h.work)
	}
	return h
}

// Close lets what is queued finish, refuses what comes after, and returns when
// the workers have ended.
func (h *Hasher) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.wake.Broadcast()
	h.workers.Wait()
	h.memory.free()
}

func (h *Hasher) work() {
	for {
		h.mu.Lock()
		for h.queue.Len() == 0 && !h.closed {
			h.idle++
			h.wake.Wait()
			h.idle--
		}
		if h.queue.Len() == 0 {
			h.mu.Unlock()
			return
		}
		j := h.queue.Remove(h.queue.Front()).(*job)
		j.place = nil
		h.mu.Unlock()

		j.started = time.Now()
		j.run()
		j.took = time.Since(j.started)

		h.mu.Lock()
		h.mean += (j.took - h.mean) / 8
		h.mu.Unlock()
		close(j.done)
	}
}

// do runs fn on a worker and waits for it. When ctx ends first, a waiting fn is
// never run; a running one is left to end alone, so fn must share nothing with
// the caller that the caller looks at after an error.
func (h *Hasher) do(ctx context.Context, algorithm, op string, fn func()) error {
	if err := ctx.Err(); err != nil {
		return ended(err)
	}
	j := &job{enqueued: time.Now(), done: make(chan struct{})}
	j.run = func() {
		fn()
		h.o.OnHash(algorithm, op, time.Since(j.started), j.started.Sub(j.enqueued))
	}

	h.mu.Lock()
	if h.closed || h.queue.Len() >= h.o.Queue+h.idle {
		wait, closed := h.backlog(), h.closed
		h.mu.Unlock()
		if !closed {
			h.o.OnShed()
		}
		return tenant.ErrUnavailable.With("retry_after_seconds", wait)
	}
	j.place = h.queue.PushBack(j)
	h.mu.Unlock()
	h.wake.Signal()

	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	if j.place != nil { // a client that has gone must not keep others out
		h.queue.Remove(j.place)
		j.place = nil
	}
	h.mu.Unlock()
	return ended(ctx.Err())
}

// backlog is how many seconds the workers need for what is queued, at least 1.
func (h *Hasher) backlog() int {
	s := h.mean.Seconds() * float64(h.queue.Len()+h.o.Workers) / float64(h.o.Workers)
	return max(1, int(math.Ceil(s)))
}

// ended turns the end of a context into an answer: a deadline is ours, so the
// client may come again; a cancellation means that nobody listens.
func ended(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return tenant.ErrUnavailable.With("retry_after_seconds", 1).Because(err)
	}
	return err
}
