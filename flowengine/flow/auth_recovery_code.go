package flow

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// recoveryCode is one of the codes a user was told to keep. It works once. The
// user has one authenticator for all of them: a sealed list of their hashes.
type recoveryCode struct{ oneShot }

// recoveryCodeChars is the length of a code: 50 bits of chance.
const recoveryCodeChars = 10

func (recoveryCode) For(step string) bool    { return step == stepAuthenticate }
func (recoveryCode) Proves(step string) bool { return step == stepAuthenticate }

func (recoveryCode) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	a, err := c.stored(recoveryCodeName)
	if err != nil || a == nil || !c.Config().Authenticators.RecoveryCodes.Enabled {
		return nil, err
	}
	return []Option{{Show: map[string]any{"authentication": recoveryCodeName}}}, nil
}

func (recoveryCode) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	given, err := in.text("recovery_code")
	if err != nil {
		return Verdict{}, err
	}
	if err := c.Allow(LimitRecoveryCode, c.subject()); err != nil {
		return Verdict{}, err
	}
	wrong := tenant.ErrInvalidCredentials.With("AuthenticationType", recoveryCodeName)
	a, err := c.stored(recoveryCodeName)
	if err != nil {
		return Verdict{}, err
	}
	if a == nil {
		return Verdict{}, wrong
	}
	plain, err := c.Unseal(a.ID, a.Secret)
	if err != nil {
		return Verdict{}, err
	}
	var hashes []string
	if err := json.Unmarshal([]byte(plain), &hashes); err != nil {
		return Verdict{}, err
	}
	at, want := -1, hashRecoveryCode(given)
	for i, h := range hashes {
		if subtle.ConstantTimeCompare([]byte(h), []byte(want)) == 1 {
			at = i
		}
	}
	if at < 0 {
		return Verdict{}, wrong
	}
	c.Right(LimitRecoveryCode, c.subject())
	fresh := *a
	if fresh.Secret, err = sealRecoveryCodes(c, a.ID, slices.Delete(hashes, at, at+1)); err != nil {
		return Verdict{}, err
	}
	c.Do(Update{Authenticator: fresh, Was: a.Secret, Must: true})
	return Verdict{AMR: []string{"mfa"}}, nil
}

// hashRecoveryCode reads a code as people write it: in any case, with spaces
// and hyphens.
func hashRecoveryCode(code string) string {
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
	sum := sha256.Sum256([]byte(code))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func sealRecoveryCodes(c *Cursor, id string, hashes []string) (string, error) {
	b, err := json.Marshal(hashes)
	if err != nil {
		return "", err
	}
	return c.Seal(id, string(b))
}

// viewRecoveryCode shows a user who set up a second factor the codes that
// replace it when it is lost.
type viewRecoveryCode struct{}

func (viewRecoveryCode) In(t tenant.FlowType) bool {
	return t != tenant.AccountRecovery && t != tenant.SignupLogin && t != tenant.Verify
}

func (viewRecoveryCode) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	if c.Pending == nil {
		wanted, err := wantsRecoveryCodes(c)
		if err != nil || !wanted || !c.Config().Authenticators.RecoveryCodes.Enabled {
			return nil, err
		}
		if c.Pending, err = marshal(newRecoveryCodes(c)); err != nil {
			return nil, err
		}
	}
	data, err := showRecoveryCodes(c)
	return &Action{Type: s.Type, Data: data}, err
}

// newRecoveryCodes makes as many as the tenant gives.
func newRecoveryCodes(c *Cursor) []string {
	codes := make([]string, c.Config().Authenticators.RecoveryCodes.Count)
	for i := range codes {
		codes[i] = c.newText(16)[:recoveryCodeChars]
	}
	return codes
}

// showRecoveryCodes describes a conversation about codes that were made.
func showRecoveryCodes(c *Cursor) (map[string]any, error) {
	codes, err := pending[[]string](c)
	return map[string]any{"type": "view_recovery_code_data", "recovery_codes": codes}, err
}

// wantsRecoveryCodes says whether the user is to get codes: with their first
// second factor, and in a reauth flow new ones for as long as they have one.
func wantsRecoveryCodes(c *Cursor) (bool, error) {
	if c.Ref.Type == tenant.Reauth {
		second, err := c.secondFactors()
		return len(second) > 0, err
	}
	has, err := c.has(recoveryCodeName)
	made := slices.ContainsFunc(c.Draft.Authenticators, func(n NewCredential) bool { return secondary(n.Type) })
	return made && !has, err
}

func (viewRecoveryCode) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("confirm_recovery_code")
}

func (viewRecoveryCode) Take(c *Cursor, _ *tenant.Step, in *Answer) error {
	if err := confirmRecoveryCodes(c, in); err != nil {
		return err
	}
	c.pass()
	return nil
}

// confirmRecoveryCodes drafts the codes that the user says they have kept.
func confirmRecoveryCodes(c *Cursor, in *Answer) error {
	yes, err := in.flag("confirm_recovery_code")
	if err == nil && !yes {
		err = tenant.Invalidf("/confirm_recovery_code", "required", "confirm_recovery_code is true once the user has kept the codes")
	}
	if err != nil {
		return err
	}
	codes, err := pending[[]string](c)
	if err != nil {
		return err
	}
	hashes := make([]string, len(codes))
	for i, code := range codes {
		hashes[i] = hashRecoveryCode(code)
	}
	fresh := NewCredential{ID: c.NewID(), Type: recoveryCodeName}
	if old, err := c.stored(recoveryCodeName); err != nil {
		return err
	} else if old != nil { // in its place, so that the old codes die
		fresh.ID, fresh.Was = old.ID, old.Secret
	}
	if fresh.Secret, err = sealRecoveryCodes(c, fresh.ID, hashes); err != nil {
		return err
	}
	c.Draft.Authenticators = append(c.Draft.Authenticators, fresh)
	return nil
}
