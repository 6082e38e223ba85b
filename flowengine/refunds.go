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
// waits for it. When too many wait some are dropped, which makes the limits
// stricter and never looser.
type refunds struct {
	queue   chan refund
	wake    chan struct{}
	one     sync.Mutex // they are given back in order
	dropped prometheus.Counter
}

// refund is a try that was right, or all failed ones about somebody who has
// proved themselves.
type refund struct {
	tenantID string
	at       time.Time
	buckets  []limit.Bucket
	forgives bool
}

const (
	maxRefunds   = 2_000
	refundsFinal = 5 * time.Second // for those that are left at the end
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

// refund gives back what waits, until ctx ends, and then what is left.
func (e *Engine) refund(ctx context.Context) {
	for {
		select {
		case <-e.refunds.wake:
			e.Settle(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundsFinal)
			defer cancel()
			e.Settle(last)
			return
		}
	}
}

// Settle gives back, before it returns, the tries that have been right so far.
func (e *Engine) Settle(ctx context.Context) {
	e.refunds.one.Lock()
	defer e.refunds.one.Unlock()
	for ctx.Err() == nil {
		select {
		case f := <-e.refunds.queue:
			e.settle(ctx, f)
		default:
			return
		}
	}
}

func (e *Engine) settle(ctx context.Context, f refund) {
	var err error
	if f.forgives {
		err = e.limiter.Forgive(ctx, f.tenantID, f.at, f.buckets[0])
	} else {
		err = e.limiter.Refund(ctx, f.tenantID, f.at, f.buckets...)
	}
	if err != nil {
		e.refunds.dropped.Inc()
		e.log.WarnContext(ctx, "a right try stays counted", "tenant_id", f.tenantID, "err", err)
	}
}
