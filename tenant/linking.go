package tenant

import (
	"cmp"
	"fmt"
	"slices"
)

// AccountLinking says what happens when somebody signs up as who is somebody's
// already. Where no rule says otherwise the sign-up is refused.
type AccountLinking struct {
	OAuth   []OAuthLinking   `json:"oauth" jsonschema:"maxItems=50" jsonschema_description:"Rules for users who come from a provider."`
	LoginID []LoginIDLinking `json:"login_id" jsonschema:"maxItems=10" jsonschema_description:"Rules for users who sign up by a login id."`
}

// OAuthLinking is the rule for one provider: what its claim says is looked for
// among the login ids of users.
type OAuthLinking struct {
	Name        string        `json:"name,omitempty" jsonschema:"maxLength=64" jsonschema_description:"What flows call the rule; the alias unless given."`
	Alias       string        `json:"alias" jsonschema:"required,maxLength=40" jsonschema_description:"The provider, of oauth_providers."`
	OAuthClaim  LinkingClaim  `json:"oauth_claim" jsonschema:"required" jsonschema_description:"The claim of the provider that is looked for."`
	UserProfile LinkingClaim  `json:"user_profile" jsonschema:"required" jsonschema_description:"Where it is looked for."`
	Action      LinkingAction `json:"action" jsonschema:"required,enum=error,enum=login_and_link" jsonschema_description:"error: the sign-up is refused; login_and_link: who proves to be that user is logged in, and what they signed up with becomes theirs."`
}

// LoginIDLinking is the rule for one kind of login id.
type LoginIDLinking struct {
	Name        string        `json:"name,omitempty" jsonschema:"maxLength=64" jsonschema_description:"What flows call the rule; the key unless given."`
	Key         string        `json:"key" jsonschema:"required,enum=email,enum=phone,enum=username" jsonschema_description:"The kind of login id."`
	UserProfile LinkingClaim  `json:"user_profile" jsonschema:"required" jsonschema_description:"Where it is looked for: /email, /phone_number or /preferred_username, whichever is of that kind."`
	Action      LinkingAction `json:"action" jsonschema:"required,enum=error,enum=login_and_link" jsonschema_description:"As of a provider's rule."`
}

// LinkingClaim is a claim by its pointer.
type LinkingClaim struct {
	Pointer string `json:"pointer" jsonschema:"required,enum=/email,enum=/phone_number,enum=/preferred_username"`
}

// Kind is the kind of the identities that the claim is about.
func (l LinkingClaim) Kind() string { return linkingKinds[l.Pointer] }

var linkingKinds = map[string]string{"/email": "email", "/phone_number": "phone", "/preferred_username": "username"}

// LinkingAction is what a conflict leads to.
type LinkingAction string

// The actions.
const (
	LinkingError LinkingAction = "error"
	LoginAndLink LinkingAction = "login_and_link"
)

// BranchLinking says it for one branch of a flow, rule by rule.
type BranchLinking struct {
	OAuth   []LinkingOverride `json:"oauth,omitempty" jsonschema:"maxItems=50"`
	LoginID []LinkingOverride `json:"login_id,omitempty" jsonschema:"maxItems=10"`
}

// LinkingOverride changes a rule for a branch.
type LinkingOverride struct {
	Name      string        `json:"name" jsonschema:"required,maxLength=64" jsonschema_description:"Of the rule."`
	Action    LinkingAction `json:"action,omitempty" jsonschema:"enum=error,enum=login_and_link" jsonschema_description:"Instead of the rule's."`
	LoginFlow string        `json:"login_flow,omitempty" jsonschema:"maxLength=64" jsonschema_description:"In which the user proves who they are; default unless given."`
}

// RuleName is what flows call the rule.
func (l *LoginIDLinking) RuleName() string { return cmp.Or(l.Name, l.Key) }

// RuleName is what flows call the rule.
func (l *OAuthLinking) RuleName() string { return cmp.Or(l.Name, l.Alias) }

// OfLoginID is the rule for a kind of login id; where there is none, one that
// refuses.
func (l *AccountLinking) OfLoginID(kind string) LoginIDLinking {
	for i := range l.LoginID {
		if l.LoginID[i].Key == kind {
			return l.LoginID[i]
		}
	}
	return LoginIDLinking{Key: kind, Action: LinkingError}
}

// OfProvider is the rule for a provider; where there is none, one that refuses
// who brings the e-mail address of somebody else.
func (l *AccountLinking) OfProvider(alias string) OAuthLinking {
	for i := range l.OAuth {
		if l.OAuth[i].Alias == alias {
			return l.OAuth[i]
		}
	}
	return OAuthLinking{Alias: alias, OAuthClaim: LinkingClaim{"/email"}, UserProfile: LinkingClaim{"/email"}, Action: LinkingError}
}

// LoginIDRule is how a branch takes a conflict of a login id.
func (b *Branch) LoginIDRule(rules *AccountLinking, kind string) LinkingOverride {
	rule := rules.OfLoginID(kind)
	var own []LinkingOverride
	if b.AccountLinking != nil {
		own = b.AccountLinking.LoginID
	}
	return override(own, rule.RuleName(), rule.Action)
}

func override(own []LinkingOverride, name string, action LinkingAction) LinkingOverride {
	out := LinkingOverride{Name: name, Action: action, LoginFlow: DefaultFlow}
	if i := slices.IndexFunc(own, func(o LinkingOverride) bool { return o.Name == name }); i >= 0 {
		out.Action, out.LoginFlow = cmp.Or(own[i].Action, action), cmp.Or(own[i].LoginFlow, DefaultFlow)
	}
	return out
}

func checkLinking(cfg *Config, add func(pointer, reason, format string, args ...any)) {
	names, keys := map[string]bool{}, map[string]bool{}
	rule := func(at, name, key, of string) {
		if names[name] {
			add(at, "Duplicate", "another rule is called %q", name)
		}
		if keys[key] {
			add(at+"/"+of, "Duplicate", "another rule is for %q", key)
		}
		names[name], keys[key] = true, true
	}
	for i := range cfg.AccountLinking.LoginID {
		l, at := &cfg.AccountLinking.LoginID[i], fmt.Sprintf("/account_linking/login_id/%d", i)
		rule(at, l.RuleName(), l.Key, "key")
		if l.UserProfile.Kind() != l.Key {
			add(at+"/user_profile/pointer", "NeverMatches", "%s and %s are never the same", l.Key, l.UserProfile.Kind())
		}
	}
	clear(names)
	clear(keys)
	for i := range cfg.AccountLinking.OAuth {
		l, at := &cfg.AccountLinking.OAuth[i], fmt.Sprintf("/account_linking/oauth/%d", i)
		rule(at, l.RuleName(), l.Alias, "alias")
		if !slices.ContainsFunc(cfg.OAuthProviders, func(p OAuthProvider) bool { return p.Alias == l.Alias }) {
			add(at+"/alias", "UnknownProvider", "there is no provider %q in oauth_providers", l.Alias)
		}
		if l.OAuthClaim.Kind() != l.UserProfile.Kind() {
			add(at+"/user_profile/pointer", "NeverMatches", "%s and %s are never the same", l.OAuthClaim.Kind(), l.UserProfile.Kind())
		}
	}
}
