package flow

import "github.com/usher-id/usher/tenant"

// usernameless identifies by a passkey that says whose it is, and proves it at
// once.
type usernameless struct{ oneShot }

func (usernameless) For(step string) bool { return step == stepIdentify }

func (usernameless) Proves(string) bool { return true }

func (usernameless) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	options, err := c.requestOptions(nil)
	return []Option{{Show: map[string]any{"identification": idPasskey, "request_options": options}}}, err
}

func (usernameless) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	return c.assert(in, "", func(claim tenant.Claim) (*tenant.Account, error) { return c.AccountByClaim(claim) })
}
