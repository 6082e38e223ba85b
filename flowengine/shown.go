package flowengine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// shownFor is how long an error waits for the page that shows it.
const shownFor = 10 * time.Minute

// Now is the present, as the engine goes by it.
func (e *Engine) Now() time.Time { return e.now() }

// PublicURL is a URL on the tenant's primary host, made from settings alone.
func (e *Engine) PublicURL(t *tenant.Tenant, path string) string {
	return e.publicURL(HTTP, t.PrimaryHost(), path)
}

// KeepError keeps what a door says went wrong, as JSON, for a page that asks by
// the id. It must hold nothing that isn't for whoever has that.
func (e *Engine) KeepError(ctx context.Context, t *tenant.Tenant, document any) (id string, err error) {
	raw, err := json.Marshal(document)
	if err != nil {
		return "", err
	}
	now := e.now()
	kept := tenant.ShownError{TenantID: t.ID, ID: secret.NewID(), Document: raw, CreatedAt: now, ExpiresAt: now.Add(shownFor)}
	return kept.ID, e.store.KeepError(ctx, &kept)
}

// ShownError is what went wrong; tenant.ErrNotFound when it is unknown or over.
func (e *Engine) ShownError(ctx context.Context, t *tenant.Tenant, id string) (*tenant.ShownError, error) {
	if err := admit(t); err != nil {
		return nil, err
	}
	return e.store.ShownError(ctx, t.ID, id, e.now())
}
