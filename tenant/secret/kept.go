package secret

import (
	"context"

	"github.com/usher-id/usher/tenant"
)

// Kept opens a secret of a tenant's configuration by its name;
// tenant.ErrNotFound when there is none.
func (m *Master) Kept(ctx context.Context, from tenant.ConfigReader, t *tenant.Tenant, name string) ([]byte, error) {
	sealed, err := from.OpenSecret(ctx, t.ID, name)
	if err != nil {
		return nil, err
	}
	return m.Open(t, tenant.SecretTable, name, sealed)
}
