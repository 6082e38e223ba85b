package flow

import "github.com/usher-id/usher/tenant"

// identify asks who the user is. What a claim means depends on the flow:
//
//	flow          claimed by somebody     claimed by nobody
//	signup        refuse, or link         becomes an identity of the new user
//	login         that is the user        go on as if, or refuse (reveal_unknown_users)
//	signup_login  go on in login_flow     go on in signup_flow
//	promote       refuse, or link         becomes an identity of the anonymous user
//	recovery      that is the user        as in login, or as on_failure says
//	verification  that is the user        as in recovery
type identify struct{}

func (identify) In(t tenant.FlowType) bool { return t != tenant.Reauth && t != tenant.Settings }

func (identify) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	if c.Linking != nil {
		return c.offerLinking(s), nil
	}
	if c.Pending != nil {
		return prompt(c, s)
	}
	all, _, err := options(c, s)
	if err != nil {
		return nil, err
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "identification_data", "options": all}}, nil
}

func (identify) Understands(c *Cursor, s *tenant.Step, in *Answer) bool {
	if c.Linking != nil {
		return in.has("index")
	}
	return understands(c, s, in, "identification")
}

func (identify) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	if c.Linking != nil {
		return c.link(in)
	}
	i, v, done, err := take(c, s, in, "identification")
	if err != nil || !done {
		return err
	}
	limit := LimitIdentify
	if c.method == idAnonymous {
		limit = LimitAnonymous
	} else if c.Ref.Type == tenant.Signup || c.Ref.Type == tenant.SignupLogin || c.Ref.Type == tenant.Promote {
		limit = LimitSignup // it can't hide that a login id is taken, so it is slow to say so
	}
	if c.method != idPasskey { // which was paid for as a proof
		if err := c.Allow(limit, ""); err != nil {
			return err
		}
	}
	owner, err := c.owner(v)
	if err != nil {
		return err
	}
	if c.Ref.Type == tenant.SignupLogin {
		b := &s.OneOf[i]
		to := tenant.FlowRef{Type: tenant.Login, Name: b.LoginFlow}
		if owner == nil {
			to = tenant.FlowRef{Type: tenant.Signup, Name: b.SignupFlow}
		}
		c.mark(s, v.Claim)
		if err := c.restart(to); err != nil {
			return err
		}
		s = c.step()
		i = branchFor(s, b.Identification) // Compile has seen that it is there
	}
	return c.identified(s, i, v, owner)
}

// identified takes a branch with a claim, unless that is in conflict with
// somebody's: then the step asks on.
func (c *Cursor) identified(s *tenant.Step, i int, v Verdict, owner *tenant.Account) error {
	if err := c.claim(v, owner, &s.OneOf[i]); err != nil || c.Linking != nil {
		return err
	}
	if c.Draft.NewUser {
		c.fill(v.Profile)
	}
	if err := c.hook(tenant.HookPostIdentified); err != nil {
		return err
	}
	for _, m := range v.AMR {
		c.amr(m)
	}
	c.mark(s, c.Claim)
	c.enter(i)
	return nil
}

// owner finds who is meant; nil when it is nobody.
func (c *Cursor) owner(v Verdict) (*tenant.Account, error) {
	switch {
	case v.User != "":
		return c.Account(v.User)
	case v.Claim.Value == "": // anonymous
		return nil, nil
	}
	return c.AccountByClaim(v.Claim, v.Also...)
}

// claim makes the claim mean what it means in this flow.
func (c *Cursor) claim(v Verdict, owner *tenant.Account, b *tenant.Branch) error {
	c.Claim, c.Known = v.Claim, false
	switch {
	case c.Ref.Type == tenant.Signup || c.Ref.Type == tenant.Promote:
		if owner != nil {
			return c.conflict(b.LoginIDRule(&c.Config().AccountLinking, v.Claim.Kind), owner.Claim)
		}
		if v.Claim.Value == "" { // anonymous
			c.Draft.NewUser, c.User = true, c.NewID()
			return nil
		}
		if err := CheckNewClaim(&c.Config().LoginIDs, v.Claim); err != nil {
			return err
		}
		if c.User == "" {
			c.Draft.NewUser, c.User = true, c.NewID()
		}
		c.Draft.Identities = append(c.Draft.Identities, NewIdentity{v.Claim, UniqueKey(&c.Config().LoginIDs, v.Claim), v.Shown})
		if len(v.AMR) > 0 {
			c.prove(v.Claim)
		}
	case owner == nil && (b.OnFailure == "error" || b.OnFailure == "" && c.Config().Accounts.RevealUnknownUsers):
		return tenant.ErrUserNotFound
	case owner == nil:
		c.Decoy = true
	case c.User != "" && c.User != owner.ID:
		return tenant.ErrDifferentUser
	default:
		c.User = owner.ID
		if owner.Claim.Value != "" {
			c.Claim, c.Known = owner.Claim, !owner.ClaimVerified.IsZero() // as it is kept, and written to
		}
	}
	return nil
}

// branchFor finds the branch of a method; -1 when there is none.
func branchFor(s *tenant.Step, method string) int {
	for i := range s.OneOf {
		if s.OneOf[i].Method() == method {
			return i
		}
	}
	return -1
}
