package flow

import (
	"crypto/subtle"
	"time"

	"github.com/usher-id/usher/tenant"
)

// deviceToken lets a device that was remembered pass a step of second factors.
// Nobody is asked for it: the step is passed on being reached.
type deviceToken struct{ oneShot }

func (deviceToken) For(step string) bool { return step == stepAuthenticate }

// Proves: it stands for a proof of some day before.
func (deviceToken) Proves(string) bool { return false }

func (deviceToken) Options(*Cursor, *tenant.Step, *tenant.Branch) ([]Option, error) { return nil, nil }

func (deviceToken) Take(*Cursor, *tenant.Step, *tenant.Branch, Option, *Answer) (Verdict, error) {
	return Verdict{}, tenant.ErrInternal // never an option
}

// remembers says whether the step may be passed by a device token at all.
func remembers(c *Cursor, s *tenant.Step) bool {
	return c.Config().Authenticators.DeviceToken.Enabled && branchFor(s, deviceTokenName) >= 0
}

// remembered says whether the device that asks has a live token of the user.
func (c *Cursor) remembered() (bool, error) {
	token := c.DeviceToken()
	if token == "" || c.User == "" || c.Decoy {
		return false, nil
	}
	account, err := c.Account(c.User)
	if err != nil || account == nil {
		return false, err
	}
	days := time.Duration(c.Config().Authenticators.DeviceToken.LifetimeDays) * 24 * time.Hour
	for _, a := range account.Authenticators {
		if a.Type == deviceTokenName && subtle.ConstantTimeCompare([]byte(a.Secret), []byte(token)) == 1 {
			return c.Now().Before(a.CreatedAt.Add(days)), nil
		}
	}
	return false, nil
}
