package flow

import (
	"slices"

	"github.com/usher-id/usher/tenant"
)

// The step that the derived flows name, for the steps that are about its claim.
const identified = "identify"

// derive adds the default flows that follow from the settings (FLOW_API.md
// section 3), where the tenant doesn't define its own.
func (k *checker) derive() {
	cfg := k.program.config
	for i, a := range cfg.Authenticators.Primary {
		k.known(pointer("/authenticators/primary", i), a, stepAuthenticate)
	}
	for i, a := range cfg.Authenticators.Secondary {
		k.known(pointer("/authenticators/secondary", i), a, stepAuthenticate)
	}
	var d derived
	for i, id := range cfg.Identifications.Enabled {
		if k.known(pointer("/identifications/enabled", i), id, stepIdentify) {
			k.deriveFrom(id, &d)
		}
	}
	signup, login, recovery := d.signup, d.login, d.recovery
	strangers := func(b tenant.Branch) bool { return b.Identification != idSelectAccount }
	if !slices.ContainsFunc(login, strangers) && len(cfg.Flows.LoginFlows) == 0 {
		k.problem("/identifications/enabled", "NoWayIn", "with no identification and no login flow nobody can sign in")
	}
	var end []tenant.Step
	if cfg.PasskeysOn() {
		end = []tenant.Step{{Type: stepPromptCreatePasskey}}
	}
	k.deriveOne(tenant.Signup, signup, end...)
	k.deriveOne(tenant.Login, login, end...)
	if slices.Contains(cfg.Identifications.Enabled, idAnonymous) {
		k.deriveOne(tenant.Promote, slices.DeleteFunc(slices.Clone(signup), func(b tenant.Branch) bool { return b.Identification == idAnonymous }), end...)
	}

	k.deriveOne(tenant.SignupLogin, k.both())
	if cfg.Recovery.Enabled && branchFor(&tenant.Step{OneOf: branches(cfg.Authenticators.Primary)}, primaryPassword) >= 0 {
		k.deriveOne(tenant.AccountRecovery, recovery,
			tenant.Step{Type: stepSelectDestination}, tenant.Step{Type: stepVerifyRecoveryCode}, tenant.Step{Type: stepResetPassword})
	}
	k.deriveReauth()
	k.deriveOne(tenant.Verify, slices.DeleteFunc(slices.Clone(recovery), func(b tenant.Branch) bool { return b.Identification == idUsername }),
		tenant.Step{Type: stepVerify, TargetStep: identified})
	k.deriveSettings()
}

// both lists what the default sign-up and the default login begin with alike.
func (k *checker) both() []tenant.Branch {
	var both []tenant.Branch
	for _, id := range k.program.config.Identifications.Enabled {
		if k.beginsWith(defaultOf(tenant.Signup), id) && k.beginsWith(defaultOf(tenant.Login), id) {
			both = append(both, tenant.Branch{Identification: id, SignupFlow: tenant.DefaultFlow, LoginFlow: tenant.DefaultFlow})
		} else if id == idPasskey && k.beginsWith(defaultOf(tenant.Login), id) {
			both = append(both, tenant.Branch{Identification: id, LoginFlow: tenant.DefaultFlow})
		}
	}
	return both
}

// derived are the branches that the default flows begin with.
type derived struct{ signup, login, recovery []tenant.Branch }

// deriveFrom adds what follows from one way to identify.
func (k *checker) deriveFrom(id string, d *derived) {
	cfg := k.program.config
	make, prove := secondFactors(cfg)
	known := append([]tenant.Step{{Type: stepCheckAccountStatus}}, prove...) // of who has proved themselves
	switch {
	case id == idAnonymous:
		d.signup = append(d.signup, tenant.Branch{Identification: id})
		return
	case id == idSelectAccount:
		d.login = append(d.login, tenant.Branch{Identification: id, Steps: known})
		return
	case id == idPasskey:
		d.login = append(d.login, tenant.Branch{Identification: id, Steps: afterPasskey(cfg, known)})
		return
	case methods[id].Proves(stepIdentify):
		prove = known
	default:
		ways := primaryFor(cfg, id)
		if len(ways) == 0 {
			k.problem("/authenticators/primary", "NoPrimaryAuthenticator", "users who identify by %s need a primary authenticator", id)
		}
		make = factors(cfg, stepCreateAuthenticator, ways, make)
		if id == idEmail && cfg.Verification.Email.Required || id == idPhone && cfg.Verification.Phone.Required {
			make = append([]tenant.Step{{Type: stepVerify, TargetStep: identified}}, make...)
		}
		prove = factors(cfg, stepAuthenticate, ways, known)
		d.recovery = append(d.recovery, tenant.Branch{Identification: id})
	}
	d.signup = append(d.signup, tenant.Branch{Identification: id, Steps: make})
	d.login = append(d.login, tenant.Branch{Identification: id, Steps: append(prove, tenant.Step{Type: stepChangePassword})})
}

// RecoveryCodesFlow is the derived reauth flow in which a user gets new recovery
// codes; the old ones die.
const RecoveryCodesFlow = "recovery_codes"

func (k *checker) deriveReauth() {
	a := &k.program.config.Authenticators
	prove := tenant.Step{Type: stepAuthenticate, OneOf: append(branches(a.Primary), branches(a.Secondary)...)}
	add := func(name string, steps ...tenant.Step) {
		if ref := (tenant.FlowRef{Type: tenant.Reauth, Name: name}); k.program.flows[ref] == nil && len(prove.OneOf) > 0 {
			k.program.flows[ref] = &tenant.Flow{Name: name, Steps: protect(k.program.config, ref.Type, steps, false)}
		}
	}
	add(tenant.DefaultFlow, prove)
	if a.RecoveryCodes.Enabled && len(a.Secondary) > 0 && a.SecondaryMode != tenant.SecondaryDisabled {
		add(RecoveryCodesFlow, prove, tenant.Step{Type: stepViewRecoveryCode})
	}
}

// profileFields are the attributes that the derived settings flow offers.
var profileFields = []tenant.ProfileField{
	{Pointer: "/name"}, {Pointer: "/given_name"}, {Pointer: "/family_name"}, {Pointer: "/nickname"}, {Pointer: "/picture"},
	{Pointer: "/locale"}, {Pointer: "/zoneinfo"},
}

// deriveSettings adds the flow in which users change what is theirs.
func (k *checker) deriveSettings() {
	cfg, ref := k.program.config, defaultOf(tenant.Settings)
	if k.program.flows[ref] != nil {
		return
	}
	second := cfg.Authenticators.SecondaryMode != tenant.SecondaryDisabled && len(cfg.Authenticators.Secondary) > 0
	change := tenant.Step{Type: stepChangeSetting, UserProfile: profileFields, OneOf: []tenant.Branch{{Setting: settingProfile}}}
	for _, may := range []struct {
		setting string
		on      bool
	}{
		{settingPassword, slices.Contains(cfg.Authenticators.Primary, primaryPassword)},
		{settingTOTP, second && slices.Contains(cfg.Authenticators.Secondary, secondaryTOTP)},
		{settingRecoveryCodes, second && cfg.Authenticators.RecoveryCodes.Enabled},
		{settingPasskeys, cfg.PasskeysOn()},
	} {
		if may.on {
			change.OneOf = append(change.OneOf, tenant.Branch{Setting: may.setting})
		}
	}
	k.program.flows[ref] = &tenant.Flow{Name: ref.Name, Steps: []tenant.Step{change}}
}

// known says whether a setting names a method that may stand in a step.
func (k *checker) known(at, method, step string) bool {
	m, ok := methods[method]
	if ok && m.For(step) {
		return true
	}
	if step == stepIdentify {
		k.problem(at, "UnknownIdentification", "there is no identification %q", method)
	} else {
		k.problem(at, "UnknownAuthenticator", "there is no authenticator %q", method)
	}
	return false
}

// primaryFor lists the first factors that fit an identification.
func primaryFor(cfg *tenant.Config, id string) []tenant.Branch {
	var out []tenant.Branch
	for _, a := range cfg.Authenticators.Primary {
		b := tenant.Branch{Authentication: a}
		if m, ok := methods[a].(oob); ok {
			if m.kind != id {
				continue
			}
			b.TargetStep = identified
		}
		out = append(out, b)
	}
	return out
}

// factors is a step of first factors with what comes after it.
func factors(cfg *tenant.Config, step string, ways []tenant.Branch, then []tenant.Step) []tenant.Step {
	first := tenant.Step{Type: step, OneOf: ways}
	at, short := branchFor(&first, primaryPasskey), afterPasskey(cfg, then)
	if at < 0 || len(short) == len(then) {
		return append([]tenant.Step{first}, then...)
	}
	first.OneOf = slices.Clone(ways)
	for i := range first.OneOf {
		first.OneOf[i].Steps = then
	}
	first.OneOf[at].Steps = short
	return []tenant.Step{first}
}

// afterPasskey is what is left of steps after a passkey: with user verification
// it is two factors in one, and no second one is asked for or set up.
func afterPasskey(cfg *tenant.Config, then []tenant.Step) []tenant.Step {
	if cfg.Passkeys.UserVerification != tenant.VerificationRequired {
		return then
	}
	return slices.DeleteFunc(slices.Clone(then), func(s tenant.Step) bool { return s.Type != stepCheckAccountStatus })
}

// secondFactors are the steps that set up and that ask for a second factor.
func secondFactors(cfg *tenant.Config) (make, prove []tenant.Step) {
	a := &cfg.Authenticators
	ways := branches(a.Secondary)
	if len(ways) == 0 || a.SecondaryMode == tenant.SecondaryDisabled {
		return nil, nil
	}
	ask := tenant.Step{Type: stepAuthenticate, Optional: true, OneOf: ways}
	if a.RecoveryCodes.Enabled {
		ask.OneOf = append(ask.OneOf, tenant.Branch{Authentication: recoveryCodeName})
	}
	if a.DeviceToken.Enabled {
		ask.OneOf = append(ask.OneOf, tenant.Branch{Authentication: deviceTokenName})
	}
	prove = []tenant.Step{ask}
	if a.SecondaryMode == tenant.SecondaryRequired {
		prove[0].Optional, prove[0].EnrollmentAllowed, prove[0].Grace = false, true, true
		make = []tenant.Step{{Type: stepCreateAuthenticator, OneOf: ways, Grace: true}, {Type: stepViewRecoveryCode}}
		prove = append(prove, tenant.Step{Type: stepViewRecoveryCode})
	}
	return make, prove
}

func branches(authentications []string) []tenant.Branch {
	var out []tenant.Branch
	for _, a := range authentications {
		out = append(out, tenant.Branch{Authentication: a})
	}
	return out
}

func defaultOf(t tenant.FlowType) tenant.FlowRef {
	return tenant.FlowRef{Type: t, Name: tenant.DefaultFlow}
}

// deriveOne adds a default flow that begins by identifying, unless the tenant
// has its own.
func (k *checker) deriveOne(t tenant.FlowType, by []tenant.Branch, then ...tenant.Step) {
	ref := defaultOf(t)
	if k.program.flows[ref] == nil && len(by) > 0 {
		first := tenant.Step{Name: identified, Type: stepIdentify, OneOf: by}
		steps := protect(k.program.config, t, append([]tenant.Step{first}, then...), false)
		k.program.flows[ref] = &tenant.Flow{Name: ref.Name, Steps: steps}
	}
}
