package flow

import "github.com/usher-id/usher/tenant"

// derive adds the default flows that follow from the settings (FLOW_API.md
// section 3), where the tenant doesn't define its own.
func (k *checker) derive() {
	cfg := k.program.config
	var ways []tenant.Branch
	for i, a := range cfg.Authenticators.Primary {
		if m, known := methods[a]; !known || !m.For(stepAuthenticate) {
			k.problem(pointer("/authenticators/primary", i), "UnknownAuthenticator", "there is no authenticator %q", a)
		}
		ways = append(ways, tenant.Branch{Authentication: a})
	}
	var signup, login []tenant.Branch
	for i, id := range cfg.Identifications.Enabled {
		m, known := methods[id]
		if !known || !m.For(stepIdentify) {
			k.problem(pointer("/identifications/enabled", i), "UnknownIdentification", "there is no identification %q", id)
			continue
		}
		var make, prove []tenant.Step
		if !m.Proves(stepIdentify) {
			make = []tenant.Step{{Type: stepCreateAuthenticator, OneOf: ways}}
			prove = []tenant.Step{{Type: stepAuthenticate, OneOf: ways}}
			if len(ways) == 0 {
				k.problem("/authenticators/primary", "NoPrimaryAuthenticator", "users who identify by %s need a primary authenticator", id)
			}
		}
		signup = append(signup, tenant.Branch{Identification: id, Steps: make})
		login = append(login, tenant.Branch{Identification: id, Steps: prove})
	}
	if len(login) == 0 && len(cfg.Flows.LoginFlows) == 0 {
		k.problem("/identifications/enabled", "NoWayIn", "with no identification and no login flow nobody can sign in")
	}
	k.deriveOne(tenant.Signup, signup)
	k.deriveOne(tenant.Login, login)

	var both []tenant.Branch // what both the default sign-up and the default login begin with
	for _, id := range cfg.Identifications.Enabled {
		if k.beginsWith(defaultOf(tenant.Signup), id) && k.beginsWith(defaultOf(tenant.Login), id) {
			both = append(both, tenant.Branch{Identification: id, SignupFlow: tenant.DefaultFlow, LoginFlow: tenant.DefaultFlow})
		}
	}
	k.deriveOne(tenant.SignupLogin, both)
}

func defaultOf(t tenant.FlowType) tenant.FlowRef {
	return tenant.FlowRef{Type: t, Name: tenant.DefaultFlow}
}

// deriveOne adds a default flow of one identify step, unless the tenant has its own.
func (k *checker) deriveOne(t tenant.FlowType, branches []tenant.Branch) {
	ref := defaultOf(t)
	if k.program.flows[ref] == nil && len(branches) > 0 {
		k.program.flows[ref] = &tenant.Flow{Name: ref.Name, Steps: []tenant.Step{{Type: stepIdentify, OneOf: branches}}}
	}
}
