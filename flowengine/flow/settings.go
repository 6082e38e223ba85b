package flow

import (
	"slices"
	"time"

	"github.com/usher-id/usher/tenant"
)

// What a change_setting step can change. Each of them is a method of that step:
// its option says what there is and what is needed to change it.

func (setPassword) For(step string) bool      { return step == stepChangeSetting }
func (setProfile) For(step string) bool       { return step == stepChangeSetting }
func (setTOTP) For(step string) bool          { return step == stepChangeSetting }
func (setRecoveryCodes) For(step string) bool { return step == stepChangeSetting }
func (setPasskeys) For(step string) bool      { return step == stepChangeSetting }

// setting is what they share: nothing is proved by changing it.
type setting struct{}

func (setting) Proves(string) bool { return false }

// offer is the option of a setting that concerns a type of authenticator. Who
// couldn't say who they are, at a login, has no use for one.
func (setting) offer(c *Cursor, name, typ string) (show map[string]any, err error) {
	if account, err := c.accountName(); err != nil || account == "" {
		return nil, err
	}
	has, err := c.has(typ)
	return map[string]any{"setting": name, "configured": has}, err
}

// setPassword replaces the password, or makes the first one.
type setPassword struct {
	oneShot
	setting
}

func (m setPassword) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	show, err := m.offer(c, settingPassword, primaryPassword)
	if err != nil || show == nil {
		return nil, err
	}
	show["password_policy"] = c.Config().PasswordPolicy.Public()
	return []Option{{Show: show}}, nil
}

func (setPassword) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	return Verdict{}, c.newPassword(in)
}

// setProfile changes attributes.
type setProfile struct {
	oneShot
	setting
}

func (setProfile) Options(c *Cursor, s *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	attributes, err := c.attributes(s.UserProfile)
	if err != nil || len(s.UserProfile) == 0 {
		return nil, err
	}
	return []Option{{Show: map[string]any{"setting": settingProfile, "attributes": attributes}}}, nil
}

func (setProfile) Take(c *Cursor, s *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	return Verdict{}, c.fillProfile(s.UserProfile, in)
}

// setTOTP sets up an authenticator app, or removes it.
type setTOTP struct {
	oneShot
	setting
}

func (m setTOTP) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	show, err := m.offer(c, settingTOTP, secondaryTOTP)
	if err != nil || show == nil {
		return nil, err
	}
	if show["configured"] == false {
		if c.TOTP == "" {
			c.TOTP = newTOTPKey(c)
		}
		if show["secret"], show["otpauth_uri"], err = describeTOTP(c, c.TOTP); err != nil {
			return nil, err
		}
	}
	return []Option{{Show: show}}, nil
}

func (setTOTP) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, o Option, in *Answer) (Verdict, error) {
	if err := c.mayChange(); err != nil {
		return Verdict{}, err
	}
	if o.Show["configured"] == true {
		return Verdict{}, c.remove(secondaryTOTP, in)
	}
	return setUpTOTP(c, totpKey{Key: c.TOTP}, in)
}

// setRecoveryCodes makes new recovery codes, or removes those there are. It is
// for whoever has a second factor that can get lost.
type setRecoveryCodes struct{ setting }

func (m setRecoveryCodes) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	if !c.Config().Authenticators.RecoveryCodes.Enabled {
		return nil, nil
	}
	if second, err := c.secondFactors(); err != nil || len(second) == 0 {
		return nil, err
	}
	show, err := m.offer(c, settingRecoveryCodes, recoveryCodeName)
	if err != nil || show == nil {
		return nil, err
	}
	return []Option{{Show: show}}, nil
}

func (setRecoveryCodes) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, o Option, in *Answer) (Verdict, error) {
	if err := c.mayChange(); err != nil {
		return Verdict{}, err
	}
	if o.Show["configured"] == true && in.has("remove") {
		return Verdict{}, c.remove(recoveryCodeName, in)
	}
	return Verdict{Pending: newRecoveryCodes(c)}, nil
}

func (setRecoveryCodes) Keys() []string { return []string{"confirm_recovery_code"} }

func (setRecoveryCodes) Prompt(c *Cursor, _ *tenant.Step) (map[string]any, error) {
	return showRecoveryCodes(c)
}

func (setRecoveryCodes) Resume(c *Cursor, _ *tenant.Step, _ *tenant.Branch, in *Answer) (Verdict, error) {
	return Verdict{}, confirmRecoveryCodes(c, in)
}

// setPasskeys adds a passkey to those that the user has, or removes one.
type setPasskeys struct {
	oneShot
	setting
}

func (m setPasskeys) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	show, err := m.offer(c, settingPasskeys, primaryPasskey)
	if err != nil || show == nil {
		return nil, err
	}
	if show["passkeys"], err = c.describePasskeys(); err != nil {
		return nil, err
	}
	show["creation_options"], err = c.creationOptions()
	return []Option{{Show: show}}, err
}

func (setPasskeys) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	if err := c.mayChange(); err != nil {
		return Verdict{}, err
	}
	if in.has("remove") {
		return Verdict{}, c.removePasskey(in)
	}
	return c.createPasskey(in)
}

// describePasskeys tells users which passkeys they have, to know the one that
// they want to remove.
func (c *Cursor) describePasskeys() ([]map[string]any, error) {
	out := []map[string]any{}
	account, err := c.Account(c.User)
	if err != nil || account == nil {
		return out, err
	}
	for i := range account.Authenticators {
		p, err := account.Authenticators[i].Passkey()
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, map[string]any{
				"id": p.ID, "created_at": account.Authenticators[i].CreatedAt.UTC().Format(time.RFC3339), "aaguid": p.AAGUID, "transports": append([]string{}, p.Transports...), "backed_up": p.BackedUp,
			})
		}
	}
	return out, nil
}

// removePasskey drafts that the user loses a passkey, unless nothing would be
// left to sign in with.
func (c *Cursor) removePasskey(in *Answer) error {
	if err := removes(in, "remove is true to remove a passkey"); err != nil {
		return err
	}
	id, err := in.text("passkey_id")
	if err != nil {
		return err
	}
	account, err := c.Account(c.User)
	if err != nil {
		return err
	}
	mine, p, err := account.Passkey(id)
	if err != nil {
		return err
	}
	if mine == nil {
		return tenant.Invalidf("/passkey_id", "enum", "the user has no such passkey")
	}
	left, err := c.waysLeft(p.Claim(), mine.ID)
	if err == nil && !left {
		err = tenant.ErrFlowNotAllowed.Says("this is the last way to sign in: set up another one first")
	}
	if err == nil {
		c.Draft.RemovePasskeys = append(c.Draft.RemovePasskeys, id)
	}
	return err
}

// remove drafts that the user loses an authenticator, as the answer has to say.
// With their last second factor go the things that are there to pass it by.
func (c *Cursor) remove(typ string, in *Answer) error {
	if err := removes(in, "this is set up: remove is true to remove it"); err != nil {
		return err
	}
	c.Draft.Remove = append(c.Draft.Remove, typ)
	second, err := c.secondFactors()
	if err != nil || !secondary(typ) || slices.ContainsFunc(second, func(s string) bool { return s != typ }) {
		return err
	}
	if c.Config().Authenticators.SecondaryMode == tenant.SecondaryRequired {
		return tenant.ErrFlowNotAllowed.Says("a second factor is required here: set up another one first")
	}
	c.Draft.Remove = append(c.Draft.Remove, recoveryCodeName, deviceTokenName)
	return nil
}

// removes demands that an answer says so.
func removes(in *Answer, words string) error {
	yes, err := in.flag("remove")
	if err == nil && !yes {
		err = tenant.Invalidf("/remove", "required", "%s", words)
	}
	return err
}

// secondFactors are the types of second factors that the user has.
func (c *Cursor) secondFactors() ([]string, error) {
	account, err := c.Account(c.User)
	if err != nil || account == nil {
		return nil, err
	}
	var out []string
	for _, a := range account.Authenticators {
		if secondary(a.Type) {
			out = append(out, a.Type)
		}
	}
	return out, nil
}
