package hook

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Envelope is what every call carries.
type Envelope struct {
	ID      string               `json:"id"` // of the event: UUIDv7, so that sorting by it is sorting by time
	Type    tenant.HookEventType `json:"type"`
	At      time.Time            `json:"at"`
	Seq     int                  `json:"seq"`    // its place among what happened in the same transaction
	Tenant  string               `json:"tenant"` // slug
	Test    bool                 `json:"test,omitempty"`
	Payload map[string]any       `json:"payload"` // facts by name; holds no secret and no hash
	Context Context              `json:"context"`
}

// Context is the request that something happened by.
type Context struct {
	RequestID string `json:"request_id"`
	Client    Client `json:"client"`
	IP        string `json:"ip"`
	Language  string `json:"language"` // Accept-Language, as it came
}

// Client is what sent the request.
type Client struct {
	Surface   string `json:"surface"` // the door it came through; admin for the admin API and the command line
	UserAgent string `json:"user_agent"`
}

// Event is something that has happened, or is about to.
type Event struct {
	Type  tenant.HookEventType
	Facts map[string]any
}

// Tell makes the deliveries of what has happened; none where nobody wants to
// know. They belong into the transaction that makes it happen.
func Tell(t *tenant.Tenant, cfg *tenant.Config, c Context, now time.Time, events ...Event) ([]tenant.HookDelivery, error) {
	var out []tenant.HookDelivery
	for seq, e := range events {
		endpoints := cfg.Hooks.For(e.Type)
		if len(endpoints) == 0 {
			continue
		}
		id := secret.NewID()
		body, err := seal(t, c, now, id, seq, e)
		if err != nil {
			return nil, err
		}
		for _, to := range endpoints {
			out = append(out, newDelivery(t.ID, id, e.Type, to.Name, body, now))
		}
	}
	return out, nil
}

// Again makes a delivery of the same event to the same endpoint.
func Again(d *tenant.HookDelivery, now time.Time) tenant.HookDelivery {
	return newDelivery(d.TenantID, d.EventID, d.Type, d.Endpoint, d.Body, now)
}

// lifetime is how long a delivery is tried.
const lifetime = 24 * time.Hour

func newDelivery(tenantID, event string, typ tenant.HookEventType, endpoint string, body []byte, now time.Time) tenant.HookDelivery {
	return tenant.HookDelivery{
		TenantID: tenantID, ID: secret.NewID(), EventID: event, Type: typ, Endpoint: endpoint, Body: body,
		Status: tenant.HookQueued, NextAt: now, ExpiresAt: now.Add(lifetime), CreatedAt: now,
	}
}

// seal writes an envelope.
func seal(t *tenant.Tenant, c Context, now time.Time, id string, seq int, e Event) ([]byte, error) {
	body, err := json.Marshal(Envelope{ID: id, Type: e.Type, At: now.UTC().Truncate(time.Millisecond), Seq: seq, Tenant: t.Slug, Payload: e.Facts, Context: c})
	if err != nil {
		return nil, fmt.Errorf("hook %s: %w", e.Type, err)
	}
	return body, nil
}
