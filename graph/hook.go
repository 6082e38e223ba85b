package graph

import (
	"encoding/json"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
)

// HookDelivery is a delivery to a hook as the schema has it.
type HookDelivery struct {
	*tenant.HookDelivery
	Request    json.RawMessage
	DurationMs int
	StatusCode *int
}

func newHookDelivery(d *tenant.HookDelivery) *HookDelivery {
	if d.Status != tenant.HookQueued {
		d.NextAt = time.Time{}
	}
	return &HookDelivery{HookDelivery: d, Request: d.Body, DurationMs: int(d.Took.Milliseconds()), StatusCode: positive(d.StatusCode)}
}

// positive is nil for 0.
func positive(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// HookKey is a signing key from the outside.
type HookKey struct {
	*admin.KnownHookKey
	LastFour *string
}
