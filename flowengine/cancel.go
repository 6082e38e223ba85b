package flowengine

import (
	"context"
	"encoding/json"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Cancel gives up the run that a state is of: no state of it can be answered any
// more. tenant.ErrFlowNotFound, tenant.ErrFlowFinished for one that has ended.
func (e *Engine) Cancel(ctx context.Context, t *tenant.Tenant, c Client, token string) error {
	m := move{tenant: t, client: &c, now: e.now()}
	if _, _, err := e.load(ctx, &m, stateHash(token)); err != nil {
		return err
	}
	detail, err := json.Marshal(detailOf(&m))
	if err != nil {
		return err
	}
	err = e.store.Change(ctx, func(tx tenant.Tx) error {
		if _, err := tx.CancelRun(t.ID, m.run.ID, m.now); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: t.ID, ID: secret.NewID(), At: m.now, Category: tenant.AuditSignIn, Action: "flow_run.cancel", Outcome: "success",
			ActorKind: tenant.ActorNobody, IP: c.IP.String(), RequestID: c.RequestID, RunID: m.run.ID, UserID: m.subject(), Detail: detail,
		})
	})
	if err != nil {
		return err
	}
	e.unsealed.Store(true)
	e.metrics.FlowCancelled(t, &m.run, m.now.Sub(m.run.CreatedAt))
	return nil
}
