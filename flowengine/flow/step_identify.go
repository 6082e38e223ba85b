package flow

import "github.com/usher-id/usher/tenant"

// identify asks who the user is. What a claim means depends on the flow:
//
//	flow          claimed by somebody     claimed by nobody
//	signup        refuse: taken           becomes an identity of the new user
//	login         that is the user        go on as if, or refuse (reveal_unknown_users)
//	signup_login  go on in login_flow     go on in signup_flow
type identify struct{}

func (identify) In(t tenant.FlowType) bool {
	return t == tenant.Signup || t == tenant.Login || t == tenant.SignupLogin
}

func (identify) Offer(c *Cursor, s *tenant.Step) (*Action, error) {
	all, _, err := options(c, s)
	if err != nil {
		return nil, err
	}
	if all == nil {
		all = []Option{} // a tenant with oauth alone and no provider yet
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "identification_data", "options": all}}, nil
}

func (identify) Understands(_ *Cursor, _ *tenant.Step, in *Answer) bool {
	return in.has("identification")
}

func (identify) Take(c *Cursor, s *tenant.Step, in *Answer) error {
	i, v, err := choose(c, s, in, "identification")
	if err != nil {
		return err
	}
	limit := LimitIdentify
	if c.Ref.Type != tenant.Login {
		limit = LimitSignup // it can't hide that a login id is taken, so it is slow to say so
	}
	if err := c.Allow(limit, ""); err != nil {
		return err
	}
	owner, err := c.AccountByClaim(v.Claim)
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
		i = branchOf(s, b.Identification) // Compile has seen that it is there
	}
	if err := c.claim(v, owner); err != nil {
		return err
	}
	c.mark(s, v.Claim)
	c.enter(i)
	return nil
}

// claim makes the claim mean what it means in this flow.
func (c *Cursor) claim(v Verdict, owner *tenant.Account) error {
	c.Claim = v.Claim
	switch {
	case c.Ref.Type == tenant.Signup:
		if owner != nil {
			return tenant.ErrDuplicatedIdentity
		}
		if !c.Draft.NewUser {
			c.Draft.NewUser, c.User = true, c.NewID()
		}
		c.Draft.Identities = append(c.Draft.Identities, NewIdentity{Claim: v.Claim, Shown: v.Shown})
	case owner == nil && c.Config().Accounts.RevealUnknownUsers:
		return tenant.ErrUserNotFound
	case owner == nil:
		c.Decoy = true
	case c.User != "" && c.User != owner.ID:
		return tenant.ErrDifferentUser
	default:
		c.User = owner.ID
	}
	return nil
}

func branchOf(s *tenant.Step, identification string) int {
	for i := range s.OneOf {
		if s.OneOf[i].Identification == identification {
			return i
		}
	}
	return -1
}
