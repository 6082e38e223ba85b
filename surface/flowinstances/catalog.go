package flowinstances

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// catalog is what a tenant has, as this API names it.
type catalog struct {
	tenant    *tenant.Tenant
	program   *flow.Program
	space     uuid.UUID                          // of the keys: the tenant's id
	looks     map[string]tenant.FlowPresentation // by the flow
	instances []*instance

	// Once bound.
	stages []*stage
	byKey  map[string]*stage
	names  map[string]int // how many stages have a name
}

// instance is one flow.
type instance struct {
	ref      tenant.FlowRef
	pk, slug string
	steps    []tenant.Step
	own      bool // defined by the tenant, not derived from its settings
	bindings []*binding
}

// binding is a place of a flow where a stage stands.
type binding struct {
	pk    string
	of    *instance
	stage *stage
	order int
}

// stage is what a step does. Steps that do the same are one stage, wherever they
// stand.
type stage struct {
	pk, name string
	kind     *kind
	step     *tenant.Step // without what follows its branches; a zero one for what ends a flow
	flows    []*instance
}

// logout is the flow that ends a session. It isn't defined by anybody: there is
// nothing in it to decide.
var logout = tenant.FlowRef{Type: "logout", Name: tenant.DefaultFlow}

// aliases are the slugs under which front ends know the usual flows.
var aliases = map[string]tenant.FlowRef{
	"default-authentication-flow": {Type: tenant.Login, Name: tenant.DefaultFlow},
	"default-enrollment-flow":     {Type: tenant.Signup, Name: tenant.DefaultFlow},
	"default-recovery-flow":       {Type: tenant.AccountRecovery, Name: tenant.DefaultFlow},
	"default-invalidation-flow":   logout,
}

// maxSlug is how long a slug may be, in characters.
const maxSlug = 50

var slugForm = regexp.MustCompile(fmt.Sprintf(`^[-a-zA-Z0-9_]{1,%d}$`, maxSlug))

// newCatalog lists a tenant's flows.
func newCatalog(t *tenant.Tenant, p *flow.Program) *catalog {
	c := &catalog{tenant: t, program: p, space: uuid.MustParse(t.ID), looks: map[string]tenant.FlowPresentation{}}
	flows := &p.Config().Flows
	for _, look := range flows.Presentation {
		c.looks[look.Flow] = look
	}
	for _, ref := range p.Flows() {
		c.add(ref, p.Flow(ref).Steps, defined(flows, ref) >= 0)
	}
	c.add(logout, nil, false)
	return c
}

// bound finds the stages of all flows, for who wants to see them.
func (c *catalog) bound() *catalog {
	c.byKey, c.names = map[string]*stage{}, map[string]int{}
	for _, i := range c.instances {
		if i.ref == logout {
			c.bind(i, "/end", userLogoutStage, &tenant.Step{})
			continue
		}
		c.walk(i, i.steps, "")
		c.end(i)
	}
	return c
}

// key is the UUID (RFC 9562 section 5.5) of something of the tenant's: the same
// at every look, and another one at every tenant.
func (c *catalog) key(what ...string) string {
	return uuid.NewSHA1(c.space, []byte(strings.Join(what, "\x00"))).String()
}

func (c *catalog) add(ref tenant.FlowRef, steps []tenant.Step, own bool) {
	i := &instance{ref: ref, pk: c.key("flow", ref.String()), steps: steps, own: own}
	if i.slug = string(ref.Type) + "-" + ref.Name; !slugForm.MatchString(i.slug) { // the name has a dot, or is long
		i.slug = string(ref.Type) + "-" + i.pk[:8]
	}
	c.instances = append(c.instances, i)
}

// walk binds the steps in the order in which they stand: what follows a branch
// comes before the next step.
func (c *catalog) walk(i *instance, steps []tenant.Step, at string) {
	for n := range steps {
		s, here := &steps[n], fmt.Sprintf("%s/%d", at, n)
		c.bind(i, here, kindOf(i.ref.Type, s), s)
		for m := range s.OneOf {
			c.walk(i, s.OneOf[m].Steps, fmt.Sprintf("%s/%d", here, m))
		}
	}
}

// end binds what happens at the end of every run of the flow.
func (c *catalog) end(i *instance) {
	switch i.ref.Type {
	case tenant.Signup, tenant.Promote, tenant.AccountRecovery, tenant.Verify, tenant.Settings:
		c.bind(i, "/write", userWriteStage, &tenant.Step{Type: string(i.ref.Type)})
	}
	if i.ref.Type.SignsIn() {
		c.bind(i, "/login", userLoginStage, &tenant.Step{})
	}
}

func (c *catalog) bind(i *instance, at string, k *kind, s *tenant.Step) {
	st := c.stage(k, s)
	if n := len(st.flows); n == 0 || st.flows[n-1] != i { // flows are bound one after the other
		st.flows = append(st.flows, i)
	}
	i.bindings = append(i.bindings, &binding{
		pk: c.key("binding", i.ref.String(), at), of: i, stage: st, order: 10 * (len(i.bindings) + 1),
	})
}

// stage finds or makes the stage that does what the step does.
func (c *catalog) stage(k *kind, s *tenant.Step) *stage {
	alone := *s
	alone.OneOf = slices.Clone(s.OneOf)
	for i := range alone.OneOf {
		alone.OneOf[i].Steps = nil
	}
	content, _ := json.Marshal(alone) // plain values
	pk := c.key("stage", k.path, string(content))
	st := c.byKey[pk]
	if st == nil {
		st = &stage{pk: pk, kind: k, step: &alone, name: k.name(&alone)}
		if c.names[st.name]++; c.names[st.name] > 1 {
			st.name = fmt.Sprintf("%s (%d)", st.name, c.names[st.name])
		}
		c.byKey[pk], c.stages = st, append(c.stages, st)
	}
	return st
}

// instance finds a flow by its slug or an alias. errMalformed, ErrNotFound.
func (c *catalog) instance(slug string) (*instance, error) {
	if !slugForm.MatchString(slug) {
		return nil, errMalformed
	}
	i := c.find(slug)
	if i == nil {
		return nil, tenant.ErrNotFound.Says("there is no flow %q", slug)
	}
	return i, nil
}

func (c *catalog) find(slug string) *instance {
	for _, i := range c.instances {
		if ref, ok := aliases[slug]; i.slug == slug || ok && i.ref == ref {
			return i
		}
	}
	return nil
}

// flow finds the flow of a type and name; nil when there is none.
func (c *catalog) flow(ref tenant.FlowRef) *instance {
	for _, i := range c.instances {
		if i.ref == ref {
			return i
		}
	}
	return nil
}
