package flow

import "github.com/usher-id/usher/tenant"

// selectAccount goes on as who is signed in on this host already. It proves what
// the session proved when it was opened.
type selectAccount struct{ oneShot }

func (selectAccount) For(step string) bool { return step == stepIdentify }

// Proves: the session does.
func (selectAccount) Proves(string) bool { return true }

func (selectAccount) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	session := c.Session()
	if session == nil {
		return nil, nil
	}
	identities, err := c.Identities(session.UserID)
	if err != nil {
		return nil, err
	}
	name := "" // of an anonymous user
	if len(identities) > 0 {
		if name = c.mask(identities[0].Claim); identities[0].Kind == idLDAP {
			name = identities[0].Shown
		}
	}
	return []Option{{Show: map[string]any{"identification": idSelectAccount, "masked_display_name": name}}}, nil
}

func (selectAccount) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, _ *Answer) (Verdict, error) {
	session := c.Session()
	if session == nil { // it was an option a moment ago
		return Verdict{}, errSessionOver
	}
	c.Selected = session.ID
	return Verdict{User: session.UserID, AMR: session.AMR}, nil
}

var errSessionOver = tenant.ErrFlowNotAllowed.Says("the session that was selected is over: sign in")

// stillSignedIn refuses to finish by a session that has ended meanwhile.
func (c *Cursor) stillSignedIn() error {
	if c.Selected == "" {
		return nil
	}
	if session := c.Session(); session == nil || session.ID != c.Selected {
		return errSessionOver
	}
	return nil
}
