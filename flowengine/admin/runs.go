package admin

import (
	"context"

	"github.com/usher-id/usher/tenant"
)

// CancelRun gives up a run of a tenant that hasn't ended: its states are dead at
// once. ErrNotFound, ErrFlowFinished for one that has ended.
func (s *Service) CancelRun(ctx context.Context, a Actor, slug, id string) (*tenant.Run, error) {
	var r *tenant.Run
	t, err := s.change(ctx, a, slug, "flow_run.cancel", func(c *change) (err error) {
		if r, err = c.CancelRun(c.t.ID, id, s.now()); err != nil {
			return err
		}
		c.runID, c.userID = r.ID, r.UserID
		c.detail = detail{"flow_type": r.Flow.Type, "flow_name": r.Flow.Name, "surface": r.Surface}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.OnCancel != nil {
		s.OnCancel(t, r, s.now().Sub(r.CreatedAt))
	}
	// A client that waits for news asks again, and hears that the run is over.
	if err := s.Store.TellRun(ctx, t.ID, r.ID); err != nil && s.Log != nil {
		s.Log.Warn("the client that waits wasn't told", "tenant", t.Slug, "flow_id_hash", tenant.RunHash(r.ID), "error", err)
	}
	return r, nil
}

// Timeline says what happened in a run of a tenant. ErrNotFound.
func (s *Service) Timeline(ctx context.Context, t *tenant.Tenant, runID string) (*Explanation, error) {
	r, err := s.Store.Run(ctx, t.ID, runID)
	if err != nil {
		return nil, err
	}
	return s.explain(ctx, t.ID, tenant.SupportCode(runID), r)
}
