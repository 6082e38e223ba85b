package flow

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/usher-id/usher/tenant"
)

// Program is every flow of one configuration, checked. It is immutable and
// shared by all runs, and by all tenants with the same document.
type Program struct {
	config *tenant.Config
	flows  map[tenant.FlowRef]*tenant.Flow

	sessions []tenant.FlowRef // those that look at the session of the device
}

// Config is what the program was compiled from; it must not be changed.
func (p *Program) Config() *tenant.Config { return p.config }

// Flows names every flow there is, derived ones included, by type and then in
// the tenant's order with the derived ones first.
func (p *Program) Flows() []tenant.FlowRef {
	var refs []tenant.FlowRef
	for _, t := range tenant.FlowTypes {
		own := p.config.Flows.Of(t)
		for _, name := range []string{tenant.DefaultFlow, RecoveryCodesFlow} { // what is derived
			if ref := (tenant.FlowRef{Type: t, Name: name}); p.flows[ref] != nil && !defined(own, name) {
				refs = append(refs, ref)
			}
		}
		for i := range own {
			refs = append(refs, tenant.FlowRef{Type: t, Name: own[i].Name})
		}
	}
	return refs
}

// Flow is the definition of one flow; nil when there is none. It must not be
// changed.
func (p *Program) Flow(ref tenant.FlowRef) *tenant.Flow { return p.flows[ref] }

// AboutSession says whether a flow is about who is signed in, or asks about it.
func (p *Program) AboutSession(ref tenant.FlowRef) bool {
	return ref.Type.NeedsSession() || slices.Contains(p.sessions, ref)
}

// Compile checks a configuration's flows whole and derives the default ones. A
// Program that compiles can't meet an unknown step, method or target at run
// time, and none of its runs opens a session for somebody who proved nothing.
// With problems there is no Program.
func Compile(cfg *tenant.Config) (*Program, []tenant.Problem) {
	p, problems := compile(cfg)
	if p != nil {
		p.share(usual())
	}
	return p, problems
}

// usual is the program of the default configuration. Nearly every tenant's
// derived flows are the same as some of its, and aren't kept twice.
var usual = sync.OnceValue(func() *Program {
	p, _ := compile(tenant.DefaultConfig())
	return p
})

// share takes the flows that are the same as another program's from there.
func (p *Program) share(from *Program) {
	for ref, f := range from.flows {
		if own := p.flows[ref]; own != nil && !defined(p.config.Flows.Of(ref.Type), ref.Name) && reflect.DeepEqual(own, f) {
			p.flows[ref] = f
		}
	}
}

func compile(cfg *tenant.Config) (*Program, []tenant.Problem) {
	p := &Program{config: cfg, flows: map[tenant.FlowRef]*tenant.Flow{}}
	k := &checker{program: p}
	where := map[*tenant.Flow]string{}
	var order []tenant.FlowRef
	for _, t := range tenant.FlowTypes {
		own := cfg.Flows.Of(t)
		for i := range own {
			f, ref := &own[i], tenant.FlowRef{Type: t, Name: own[i].Name}
			at := fmt.Sprintf("/flows/%s_flows/%d", t, i)
			if p.flows[ref] != nil {
				k.problem(at+"/name", "DuplicateName", "there is another %s flow %q", t, f.Name)
				continue
			}
			p.flows[ref], where[f] = f, at
			order = append(order, ref)
		}
	}
	k.loginIDs(&cfg.LoginIDs)
	k.derive()
	k.linkingRules()
	for _, ref := range order {
		f := p.flows[ref]
		k.check(ref, f, where[f])
	}
	if len(k.problems) > 0 {
		return nil, k.problems
	}
	for ref, f := range p.flows {
		if asksSession(f.Steps) {
			p.sessions = append(p.sessions, ref)
		}
	}
	return p, nil
}

func asksSession(steps []tenant.Step) bool {
	return slices.ContainsFunc(steps, func(s tenant.Step) bool {
		return s.Type == stepTerminateOtherSessions || slices.ContainsFunc(s.OneOf, func(b tenant.Branch) bool {
			return b.Identification == idSelectAccount || asksSession(b.Steps)
		})
	})
}

func defined(flows []tenant.Flow, name string) bool {
	for i := range flows {
		if flows[i].Name == name {
			return true
		}
	}
	return false
}
