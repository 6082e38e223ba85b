package admin

import (
	"context"
	"errors"

	"github.com/usher-id/usher/tenant"
)

// AuditReport is what became of checking a tenant's audit log.
type AuditReport struct {
	Rows int64   // the good ones, from the beginning
	Head string  // hash of the last of them
	Bad  *BadRow // nil when all are good
}

// BadRow is the first row that doesn't fit the chain.
type BadRow struct {
	Seq int64
	ID  string // "" when it is missing
	Why string
}

// VerifyAudit walks a tenant's audit chain from its beginning to its head.
func (s *Service) VerifyAudit(ctx context.Context, slug string) (*AuditReport, error) {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	rows, err := tenant.VerifyAudit(ctx, s.Store, t.ID)
	report := &AuditReport{Rows: rows}
	if broken, bad := errors.AsType[*tenant.BrokenChain](err); bad {
		report.Bad = &BadRow{Seq: broken.Seq, Why: broken.Why}
	} else if err != nil {
		return nil, err
	} else if rows == 0 {
		report.Bad = &BadRow{Seq: 1, Why: "it is missing: a log begins with the making of its tenant"}
	}
	// The hash to keep elsewhere, and the name of the row to look at.
	found, err := s.Store.AuditChain(ctx, t.ID, rows, 2)
	for _, e := range found {
		if e.Seq == rows {
			report.Head = e.Hash
		} else if report.Bad != nil && e.Seq == report.Bad.Seq {
			report.Bad.ID = e.ID
		}
	}
	return report, err
}
