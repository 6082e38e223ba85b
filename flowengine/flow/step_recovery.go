package flow

import (
	"github.com/nyaruka/phonenumbers"

	"github.com/usher-id/usher/tenant"
)

// The three steps after identify in an account_recovery flow. A stranger walks
// through the same answers; only, nobody is written to.
type (
	selectDestination  struct{}
	verifyRecoveryCode struct{}
	resetPassword      struct{}
)

func (selectDestination) In(t tenant.FlowType) bool  { return t == tenant.AccountRecovery }
func (verifyRecoveryCode) In(t tenant.FlowType) bool { return t == tenant.AccountRecovery }
func (resetPassword) In(t tenant.FlowType) bool      { return t == tenant.AccountRecovery }

// destination is where a recovery code can go.
type destination struct {
	to tenant.Claim
	tenant.Destination
}

func (d destination) show(c *Cursor) map[string]any {
	return map[string]any{"masked_display_name": c.mask(d.to), "channel": d.Channel, "otp_form": d.OTPForm}
}

func (selectDestination) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	all, err := destinations(c, s)
	if err != nil {
		return nil, err
	}
	shown := make([]map[string]any, len(all))
	for i, d := range all {
		shown[i] = d.show(c)
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "account_recovery_select_destination_data", "options": shown}}, nil
}

func (selectDestination) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("index")
}

func (selectDestination) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	index, ok, err := in.number("index")
	if err == nil && !ok {
		err = tenant.Invalidf("/index", "required", "index is required")
	}
	if err != nil {
		return err
	}
	all, err := destinations(c, s)
	if err != nil {
		return err
	}
	if index < 0 || index >= len(all) {
		return tenant.Invalidf("/index", "range", "index is between 0 and %d", len(all)-1)
	}
	d := all[index]
	p, err := c.send(sent{Purpose: tenant.PurposeRecover, Form: d.OTPForm, Channel: d.Channel, To: d.to})
	if err != nil {
		return err
	}
	c.pass()
	c.Pending, err = marshal(p) // for the next step
	return err
}

// destinations are the ways a code can reach the user: the address they said,
// or all of theirs where the step says so or they said a username. A stranger is
// shown what a user might be shown, and so is a user who can't be reached; the
// same is looked up for all of them, so that it takes as long.
func destinations(c *Cursor, s *tenant.Step) ([]destination, error) {
	var addresses []tenant.Claim
	username := c.Claim.Kind == idUsername
	if username || s.EnumerateDestinations {
		of := c.User
		if c.Decoy {
			of = ""
		}
		identities, err := c.Identities(of)
		if err != nil {
			return nil, err
		}
		for _, i := range identities {
			addresses = append(addresses, i.Claim)
		}
	}
	if !username && (c.Decoy || !s.EnumerateDestinations) {
		addresses = []tenant.Claim{c.Claim}
	}
	out := reachable(c, s, addresses)
	if len(out) == 0 && username {
		c.Decoy = true
		kind := idEmail
		if len(allowedChannels(c, s, idEmail)) == 0 {
			kind = idPhone
		}
		out = reachable(c, s, []tenant.Claim{c.decoyAddress(kind)})
	}
	if len(out) == 0 {
		return nil, tenant.ErrNoAuthenticator // for anybody
	}
	return out, nil
}

func reachable(c *Cursor, s *tenant.Step, addresses []tenant.Claim) []destination {
	var out []destination
	for _, to := range addresses {
		for _, d := range allowedChannels(c, s, to.Kind) {
			out = append(out, destination{to, d})
		}
	}
	return out
}

func allowedChannels(c *Cursor, s *tenant.Step, kind string) []tenant.Destination {
	var of []tenant.Destination
	switch kind {
	case idEmail:
		of = c.Config().Recovery.Email
	case idPhone:
		of = c.Config().Recovery.Phone
	}
	if len(s.AllowedChannels) == 0 {
		return of
	}
	var out []tenant.Destination
	for _, d := range s.AllowedChannels {
		if (d.Channel == "email") == (kind == idEmail) && (kind == idEmail || kind == idPhone) {
			out = append(out, d)
		}
	}
	return out
}

// decoyAddress makes up where a stranger with another kind of login id could be
// reached: the same for the same one, and nothing that a client could foretell.
func (c *Cursor) decoyAddress(kind string) tenant.Claim {
	chance := c.Plausible("address:" + UniqueKey(&c.Config().LoginIDs, c.Claim))
	if kind == idEmail {
		local, domain := decoyNames[int(chance[0])%len(decoyNames)], decoyDomains[int(chance[1])%len(decoyDomains)]
		return tenant.Claim{Kind: idEmail, Value: local + "@" + domain}
	}
	region := "US"
	if allowed := c.Config().LoginIDs.Phone.Countries; len(allowed) > 0 {
		region = allowed[int(chance[2])%len(allowed)]
	}
	number := []byte(phonenumbers.Format(phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE), phonenumbers.E164))
	for i := max(1, len(number)-6); i < len(number); i++ { // the last four aren't shown
		number[i] = '0' + chance[i]%10
	}
	return tenant.Claim{Kind: idPhone, Value: string(number)}
}

// Most of this is hidden behind asterisks.
var (
	decoyNames = []string{
		"anna.m", "alex", "andrea", "ben.k", "carlos", "chris", "claire", "daniel", "david.s", "diana", "elena", "emily", "erik", "felix", "fiona", "george",
		"hannah", "henry", "ines", "ivan", "jack", "james.w", "jana", "jessica", "john", "julia", "karin", "kevin", "laura", "leo.b", "lin", "lucas",
		"maria", "mark", "martin", "mei", "michael", "mike", "mohamed", "nina", "oliver", "omar", "paul", "peter", "rachel", "robert", "sam", "sarah.l",
		"simon", "sofia", "stefan", "susan", "thomas", "tim", "tom", "vera", "victor", "wei", "yuki", "zoe",
	}
	decoyDomains = []string{"gmail.com", "gmail.com", "gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com"}
)

func (verifyRecoveryCode) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	p, err := pending[sent](c)
	if err != nil {
		return nil, err
	}
	data, err := c.describe(p, "account_recovery_verify_code_data", "masked_display_name")
	return &Action{Type: s.Type, Data: data}, err
}

func (verifyRecoveryCode) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("account_recovery_code", "resend")
}

func (verifyRecoveryCode) Take(c *Cursor, _ *tenant.Step, in *Answer) error {
	p, err := pending[sent](c)
	if err != nil {
		return err
	}
	done, next, err := c.tryCode(p, in, "account_recovery_code")
	if err != nil {
		return err
	}
	if !done {
		c.Pending, err = marshal(next)
		return err
	}
	c.prove(p.To)
	c.pass()
	return nil
}

func (resetPassword) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	return &Action{Type: s.Type, Data: map[string]any{
		"type": "reset_password_data", "password_policy": c.Config().PasswordPolicy.Public()}}, nil
}

func (resetPassword) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("new_password")
}

func (resetPassword) Take(c *Cursor, _ *tenant.Step, in *Answer) error {
	if err := c.newPassword(in); err != nil {
		return err
	}
	c.pass()
	return nil
}
