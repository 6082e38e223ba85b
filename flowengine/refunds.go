package flowengine

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine/limit"
)

// refunds wait to be given back: every try was paid for before it was looked
// at, and the right ones are paid back when the answer is out, so that nobody
// waits for it, and those of a moment together. When too many wait some are
// dropped, which makes the limits stricter and never looser.
type refunds struct {
	queue   chan refund
	wake    chan struct{}
	one     sync.Mutex // they are given back in order
	dropped prometheus.Counter
}

// refund is a try that was right, or all failed ones about somebody who has
// proved themselves.
type refund struct {
	limit.Try
	forgives bool
}

const (
	maxRefunds   = 2_000
	refundsPause = 100 * time.Millisecond // to gather some
	refundsFinal = 5 * time.Second        // for those that are left at the end
)

func newRefunds(dropped prometheus.Counter) *refunds {
	return &refunds{queue: make(chan refund, maxRefunds), wake: make(chan struct{}, 1), dropped: dropped}
}

func (r *refunds) add(f refund) {
	select {
	case r.queue <- f:
	default:
		r.dropped.Inc()
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// waiting empties the queue.
func (r *refunds) waiting() (tries, forgiven []limit.Try) {
	for {
		select {
		case f := <-r.queue:
			if f.forgives {
				forgiven = append(forgiven, f.Try)
			} else {
				tries = append(tries, f.Try)
			}
		default:
			return tries, forgiven
		}
	}
}

// refund gives back what waits, until ctx ends, and then what is left.
func (e *Engine) refund(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-e.refunds.wake:
			select {
			case <-time.After(refundsPause):
			case <-ctx.Done():
			}
			e.Settle(ctx)
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundsFinal)
	defer cancel()
	e.Settle(last)
}

// Settle gives back, before it returns, the tries that have been right so far.
func (e *Engine) Settle(ctx context.Context) {
	e.refunds.one.Lock()
	defer e.refunds.one.Unlock()
	now := e.now()
	tries, forgiven := e.refunds.waiting()
	e.settled(ctx, len(tries), e.limiter.Refund(ctx, now, tries...))
	for _, t := range forgiven {
		e.settled(ctx, 1, e.limiter.Forgive(ctx, t.TenantID, now, t.Buckets[0]))
	}
}

// settled notes that some couldn't be given back.
func (e *Engine) settled(ctx context.Context, tries int, err error) {
	if err != nil {
		e.refunds.dropped.Add(float64(tries))
		e.log.WarnContext(ctx, "right tries stay counted", "tries", tries, "err", err)
	}
}
