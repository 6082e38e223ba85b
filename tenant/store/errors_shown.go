package store

import (
	"context"
	"time"

	"github.com/usher-id/usher/tenant"
)

var (
	insertShownError = &statement{group: errorWrite, text: `INSERT INTO shown_error (tenant_id, id, document, created_at, expires_at) VALUES (?, ?, ?, ?, ?)`}
	selectShownError = &statement{group: errorRead, text: `SELECT document, created_at, expires_at FROM shown_error WHERE tenant_id = ? AND id = ? AND expires_at > ?`}
)

// KeepError implements [tenant.ErrorStore].
func (s *Store) KeepError(ctx context.Context, e *tenant.ShownError) error {
	_, err := s.alone(ctx, false, insertShownError, e.TenantID, e.ID, string(e.Document), ms(e.CreatedAt), ms(e.ExpiresAt))
	return err
}

// ShownError implements [tenant.ErrorStore].
func (s *Store) ShownError(ctx context.Context, tenantID, id string, now time.Time) (*tenant.ShownError, error) {
	if !askable(id) {
		return nil, tenant.ErrNotFound
	}
	var e *tenant.ShownError
	err := s.each(ctx, selectShownError, func(scan scan) error {
		var document string
		var created, expires int64
		if err := scan(&document, &created, &expires); err != nil {
			return err
		}
		e = &tenant.ShownError{TenantID: tenantID, ID: id, Document: []byte(document), CreatedAt: at(created), ExpiresAt: at(expires)}
		return nil
	}, tenantID, id, ms(now))
	if err == nil && e == nil {
		err = tenant.ErrNotFound
	}
	return e, err
}
