package flow

import (
	"cmp"
	"slices"

	"github.com/usher-id/usher/tenant"
)

// Linking is a sign-up that came upon somebody's claim, while it waits for
// whether they want to log in as that user.
type Linking struct {
	LoginFlow string         `json:"login_flow"`
	To        []tenant.Claim `json:"to"` // by which the user can log in, as it is kept
}

// flow is where they log in.
func (l *Linking) flow() tenant.FlowRef {
	return tenant.FlowRef{Type: tenant.Login, Name: l.LoginFlow}
}

// conflict is what happens when the claim of a sign-up is somebody's: a refusal,
// or the offer to log in as them.
func (c *Cursor) conflict(rule tenant.LinkingOverride, owner tenant.Claim) error {
	if rule.Action != tenant.LoginAndLink {
		return tenant.ErrDuplicatedIdentity
	}
	c.Linking = &Linking{LoginFlow: rule.LoginFlow, To: []tenant.Claim{owner}}
	return nil
}

// offerLinking describes the ways to log in as who has the claim.
func (c *Cursor) offerLinking(s *tenant.Step) *Action {
	ways := make([]map[string]any, len(c.Linking.To))
	for i, to := range c.Linking.To {
		ways[i] = map[string]any{"identification": to.Kind, "action": tenant.LoginAndLink, "masked_display_name": c.mask(to)}
		if c.program.guardsEntry(c.Linking.flow(), to.Kind) {
			ways[i]["bot_protection"] = c.program.widget()
		}
	}
	return &Action{Type: s.Type, Data: map[string]any{"type": "account_linking_identification_data", "options": ways}}
}

// link goes on in a login flow as who has the claim. They have to prove all that
// the flow asks for: nothing of the sign-up counts. What it collected for a new
// user is given up, but for the claims that were shown to be theirs, which
// become the user's.
func (c *Cursor) link(in *Answer) error {
	index, ok, err := in.number("index")
	switch {
	case err != nil:
		return err
	case !ok:
		return tenant.ErrDuplicatedIdentity.Says("this is somebody's already: choose by index to log in as them, or go back")
	case index < 0 || index >= len(c.Linking.To):
		return tenant.Invalidf("/index", "range", "index is between 0 and %d", len(c.Linking.To)-1)
	}
	to := c.Linking.To[index]
	c.method = to.Kind
	login := c.Linking.flow()
	if c.program.guardsEntry(login, to.Kind) {
		if err := c.human(in); err != nil {
			return err
		}
	}
	owner, err := c.AccountByClaim(to)
	if err != nil {
		return err
	}
	var theirs Draft
	for _, i := range c.Draft.Identities {
		if slices.Contains(c.Proved, i.Claim) {
			theirs.Identities = append(theirs.Identities, i)
		}
	}
	c.User, c.Marks, c.AMR, c.Draft = "", nil, nil, theirs
	if err := c.restart(login); err != nil {
		return err
	}
	s := c.step()
	i := branchFor(s, to.Kind) // Compile has seen that it is there
	return c.identified(s, i, Verdict{Claim: to}, owner)
}

// linkingRules checks where users log in whom a rule asks to.
func (k *checker) linkingRules() {
	rules := &k.program.config.AccountLinking
	for i := range rules.LoginID {
		if l := &rules.LoginID[i]; l.Action == tenant.LoginAndLink {
			k.linksTo(pointer("/account_linking/login_id", i)+"/action", tenant.DefaultFlow, l.UserProfile.Kind())
		}
	}
	for i := range rules.OAuth {
		if l := &rules.OAuth[i]; l.Action == tenant.LoginAndLink {
			k.linksTo(pointer("/account_linking/oauth", i)+"/action", tenant.DefaultFlow, l.UserProfile.Kind())
		}
	}
}

// linking checks what a branch says of the rules.
func (k *checker) linking(t tenant.FlowType, s *tenant.Step, b *tenant.Branch, at string) {
	own := b.AccountLinking
	if own == nil {
		return
	}
	at += "/account_linking"
	if t != tenant.Signup && t != tenant.Promote || s.Type != stepIdentify {
		k.problem(at, "NotHere", "account_linking belongs to the identify step of a signup or promote flow")
		return
	}
	rules, kinds := &k.program.config.AccountLinking, map[string]string{}
	if rule := rules.OfLoginID(b.Identification); b.Identification != idOAuth {
		kinds[rule.RuleName()] = b.Identification
	}
	k.overrides(at+"/login_id", own.LoginID, kinds)
	clear(kinds)
	for _, p := range k.program.config.OAuthProviders {
		if rule := rules.OfProvider(p.Alias); b.Identification == idOAuth {
			kinds[rule.RuleName()] = rule.UserProfile.Kind()
		}
	}
	k.overrides(at+"/oauth", own.OAuth, kinds)
}

// overrides checks changes of the rules whose kinds are given by name.
func (k *checker) overrides(at string, own []tenant.LinkingOverride, kinds map[string]string) {
	seen := map[string]bool{}
	for i, o := range own {
		here, kind := pointer(at, i), kinds[o.Name]
		switch {
		case kind == "":
			k.problem(here+"/name", "UnknownRule", "there is no rule %q for this branch", o.Name)
		case seen[o.Name]:
			k.problem(here+"/name", "DuplicateName", "the rule %q is changed before already", o.Name)
		case o.LoginFlow != "" || o.Action == tenant.LoginAndLink:
			k.linksTo(here+"/login_flow", cmp.Or(o.LoginFlow, tenant.DefaultFlow), kind)
		}
		seen[o.Name] = true
	}
}

// linksTo checks that a login flow can go on with a login id of a kind.
func (k *checker) linksTo(at, flow, kind string) {
	ref := tenant.FlowRef{Type: tenant.Login, Name: flow}
	if k.program.flows[ref] == nil {
		k.problem(at, "UnknownFlow", "there is no login flow %q", flow)
	} else if !k.beginsWith(ref, kind) {
		k.problem(at, "CannotContinue", "the login flow %q does not begin by identifying with %s", flow, kind)
	}
}
