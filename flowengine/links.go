package flowengine

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Link is what a link that works stands for, to be shown to whoever opened it.
type Link struct {
	Purpose tenant.CodePurpose
	Target  tenant.Claim // whom it was sent to
	Asked   tenant.Seen  // when and from where the run was begun
}

// Link says what a link stands for. Looking changes nothing: mail scanners look.
// tenant.ErrOTPExpired when it is unknown, ended or expired.
func (e *Engine) Link(ctx context.Context, t *tenant.Tenant, c Client, link string) (*Link, error) {
	code, err := e.liveLink(ctx, t, c, link)
	if err != nil {
		return nil, err
	}
	run, err := e.store.Run(ctx, t.ID, code.RunID)
	if err != nil {
		return nil, err
	}
	return &Link{Purpose: code.Purpose, Target: code.Target, Asked: run.FirstSeen}, nil
}

// ApproveLink notes that a link was followed and approved, and tells the client
// that waits for it. tenant.ErrOTPExpired when it is unknown, ended or expired,
// or when it is there to be used by who opened it and not to be approved.
func (e *Engine) ApproveLink(ctx context.Context, t *tenant.Tenant, c Client, link string) error {
	code, err := e.liveLink(ctx, t, c, link)
	if err == nil && code.Purpose == tenant.PurposeRecover {
		err = tenant.ErrOTPExpired
	}
	if err != nil {
		return err
	}
	now := e.now()
	if err := e.store.ApproveCode(ctx, t.ID, code.ID, now); err != nil {
		return err
	}
	detail, err := json.Marshal(map[string]any{"purpose": code.Purpose, "channel": code.Channel})
	if err != nil {
		return err
	}
	err = e.store.RecordSignIn(ctx, &tenant.AuditEvent{
		TenantID: t.ID, ID: secret.NewID(), At: now, Category: tenant.AuditSignIn, Action: "link.approve", Outcome: "success",
		ActorKind: tenant.ActorNobody, IP: c.IP.String(), RequestID: c.RequestID, RunID: code.RunID, Detail: detail,
	})
	if err != nil {
		return err
	}
	e.unsealed.Store(true)
	return e.store.TellRun(ctx, t.ID, code.RunID)
}

// liveLink finds the code of a link that works.
func (e *Engine) liveLink(ctx context.Context, t *tenant.Tenant, c Client, link string) (*tenant.Code, error) {
	if err := admit(t); err != nil {
		return nil, err
	}
	if len(link) != tenant.LinkChars {
		return nil, tenant.ErrOTPExpired
	}
	code, err := e.store.CodeByLink(ctx, t.ID, secret.TokenHash(link), e.now())
	if errors.Is(err, tenant.ErrNotFound) {
		err = tenant.ErrOTPExpired
	}
	if err == nil {
		c.about(code.RunID)
	}
	return code, err
}
