package flow

import "github.com/usher-id/usher/tenant"

// checkAccountStatus refuses a user who may not enter, before the steps after
// it have a side effect. Every flow looks again at its end.
type checkAccountStatus struct{}

func (checkAccountStatus) In(t tenant.FlowType) bool {
	return t == tenant.Login || t == tenant.Reauth || t == tenant.Settings
}

func (checkAccountStatus) Offer(c *Cursor, _ *tenant.Step) (*Action, error) { return nil, c.mayEnter() }

func (checkAccountStatus) Understands(*Cursor, *tenant.Step, *Answer) bool { return false }

func (checkAccountStatus) Take(*Cursor, *tenant.Step, *Answer) error { return tenant.ErrInternal }
