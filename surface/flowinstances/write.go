package flowinstances

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// Whatever is written here becomes the next version of the tenant's
// configuration, and what a version can't hold is refused with the reason.

// problems are what is wrong with the fields of a request.
type problems []tenant.Problem

func (ps *problems) add(field, reason, format string, args ...any) {
	*ps = append(*ps, tenant.Problem{Pointer: "/" + field, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (ps problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return tenant.Problems(ps)
}

// required are the fields that a whole flow names.
var required = []string{"name", "slug", "title", "designation"}

// create makes a flow with the steps of the default one of its type.
func (a *api) create(c *call) (any, error) {
	body, err := read(c)
	if err != nil {
		return nil, err
	}
	var bad problems
	missing(&bad, body)
	ref, ok := c.refOf(&bad, text(body["slug"]), text(body["designation"]))
	if !ok {
		return nil, bad.err()
	}
	fresh := &instance{ref: ref, slug: text(body["slug"]), pk: c.key("flow", ref.String())}
	from := c.flow(tenant.FlowRef{Type: ref.Type, Name: tenant.DefaultFlow})
	if from == nil {
		bad.add("designation", "no_default", "The tenant has no default flow of type %s, whose steps a new one begins with.", ref.Type)
		return nil, bad.err()
	}
	look := c.edited(&bad, fresh, body, c.draw(fresh, tenant.FlowPresentation{}))
	if err := bad.err(); err != nil {
		return nil, err
	}
	out, err := a.amend(c, ref, fmt.Sprintf("flow %s made", fresh.slug), func(cfg *tenant.Config) error {
		if defined(&cfg.Flows, ref) >= 0 {
			return errTaken
		}
		list := cfg.Flows.List(ref.Type)
		*list = append(*list, tenant.Flow{Name: ref.Name, Steps: from.steps})
		cfg.Flows.Present(look)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return surface.Answer{Status: http.StatusCreated, Body: out}, nil
}

var errTaken = tenant.Problems([]tenant.Problem{{Pointer: "/slug", Reason: "unique", Message: "There is such a flow already."}})

// update changes how a flow is shown.
func (a *api) update(c *call, i *instance) (any, error) {
	body, err := read(c)
	if err != nil {
		return nil, err
	}
	var bad problems
	if c.Method == http.MethodPut {
		missing(&bad, body)
	}
	look := c.edited(&bad, i, body, c.show(i))
	if i.ref == logout && look != c.presentation(i) {
		bad.add(nonField, "builtin", "How signing out is shown can't be changed.")
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.amend(c, i.ref, fmt.Sprintf("flow %s presented", i.slug), func(cfg *tenant.Config) error {
		cfg.Flows.Present(look)
		return nil
	})
}

// destroy removes a flow that the tenant defines.
func (a *api) destroy(c *call, i *instance) (any, error) {
	if !i.own {
		return nil, tenant.Invalidf("", "derived", "This flow follows from the tenant's settings. It goes when they no longer ask for it.")
	}
	_, err := a.amend(c, i.ref, fmt.Sprintf("flow %s removed", i.slug), func(cfg *tenant.Config) error {
		at := defined(&cfg.Flows, i.ref)
		if at < 0 {
			return tenant.ErrNotFound
		}
		list := cfg.Flows.List(i.ref.Type)
		*list = slices.Delete(*list, at, at+1)
		cfg.Flows.Present(tenant.FlowPresentation{Flow: i.ref.String()})
		return nil
	})
	return nil, err
}

// amend puts a changed configuration in force, and shows a flow as it is then;
// nil when it has gone.
func (a *api) amend(c *call, ref tenant.FlowRef, why string, edit func(*tenant.Config) error) (any, error) {
	done, err := a.admin.Amend(c.Context(), c.actor, c.tenant.Slug, why, edit)
	if err != nil {
		return nil, inFields(err)
	}
	program, bad := flow.Compile(done.Config)
	if len(bad) > 0 {
		return nil, tenant.Problems(bad) // it was published, so there are none
	}
	after := newCatalog(done.Tenant, program).bound()
	if i := after.flow(ref); i != nil {
		return after.show(i), nil
	}
	return nil, nil
}

// inFields lets problems with a presentation be about the fields that it is
// written by.
func inFields(err error) error {
	e := tenant.AsError(err)
	list, _ := e.Info["problems"].([]tenant.Problem)
	list = slices.Clone(list)
	for i := range list {
		if at, ok := strings.CutPrefix(list[i].Pointer, "/flows/presentation/"); ok {
			_, field, _ := strings.Cut(at, "/")
			list[i].Pointer = "/" + strings.TrimPrefix(field, "display_")
		}
	}
	if len(list) == 0 {
		return err
	}
	return e.With("problems", list)
}

// defined is where the tenant's own flow stands; -1 when it is none.
func defined(flows *tenant.Flows, ref tenant.FlowRef) int {
	return slices.IndexFunc(flows.Of(ref.Type), func(f tenant.Flow) bool { return f.Name == ref.Name })
}

type body = map[string]json.RawMessage

func read(c *call) (body, error) {
	b := body{}
	err := c.Decode(&b)
	return b, err
}

// text is a value that should be a string; "" when it isn't.
func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // which of them have to be is checked elsewhere
	return s
}

func missing(bad *problems, b body) {
	for _, field := range required {
		if _, ok := b[field]; !ok {
			bad.add(field, "required", "It is required.")
		}
	}
}

var nameForm = regexp.MustCompile(`^[-a-zA-Z0-9_]+$`)

// refOf is the flow that a slug and a designation ask for.
func (c *catalog) refOf(bad *problems, slug, designation string) (ref tenant.FlowRef, ok bool) {
	kind, name, _ := strings.Cut(slug, "-")
	ref = tenant.FlowRef{Type: tenant.FlowType(kind), Name: name}
	switch {
	case slug == "" || designation == "": // told already, or not a string
		if len(*bad) == 0 {
			bad.add("slug", "invalid", "slug and designation are strings.")
		}
	case !slugForm.MatchString(slug):
		bad.add("slug", "invalid", "A slug has up to %d letters, digits, hyphens and underscores.", maxSlug)
	case !slices.Contains(designations, designation):
		bad.add("designation", "invalid_choice", "%q is not one of %s.", designation, strings.Join(designations, ", "))
	case !slices.Contains(tenant.FlowTypes, ref.Type) || !nameForm.MatchString(name):
		bad.add("slug", "unlike", "A slug here is the type of the flow and its name, such as %s.", likeness(designation, slug))
	case types[ref.Type].designation != designation:
		bad.add("designation", "unlike", "Flows of type %s are for %s.", ref.Type, types[ref.Type].designation)
	case c.flow(ref) != nil && c.flow(ref).own:
		bad.add("slug", "unique", "There is such a flow already.")
	case c.flow(ref) != nil:
		bad.add("slug", "derived", "This flow follows from the tenant's settings already: update it, or take another name.")
	default:
		return ref, len(*bad) == 0
	}
	return ref, false
}

// likeness is a slug that would do.
func likeness(designation, slug string) string {
	for _, t := range tenant.FlowTypes {
		if types[t].designation == designation {
			return string(t) + "-" + slug
		}
	}
	return "login-" + slug
}

// setters are the fields that can be written, each with what it does.
var setters = map[string]func(p *tenant.FlowPresentation, value string){
	"name":          func(p *tenant.FlowPresentation, v string) { p.DisplayName = v },
	"title":         func(p *tenant.FlowPresentation, v string) { p.Title = v },
	"background":    func(p *tenant.FlowPresentation, v string) { p.Background = v },
	"layout":        func(p *tenant.FlowPresentation, v string) { p.Layout = tenant.FlowLayout(v) },
	"denied_action": func(p *tenant.FlowPresentation, v string) { p.DeniedAction = tenant.DeniedAction(v) },
}

// choices are the values that some of them take.
var choices = map[string][]string{"layout": layouts, "denied_action": deniedActions}

// fixed says why a field can't be written.
var fixed = map[string]string{
	"slug":               "A flow keeps its type and its name: apps start it by them.",
	"designation":        "What a flow is for follows from its type.",
	"policy_engine_mode": "Nothing here is decided by policies.",
	"authentication":     "Who may run a flow follows from its type.",
}

// edited is how a flow is shown after a request. shown is the flow as it is: a
// field that repeats what it says changes nothing, whatever field it is.
func (c *catalog) edited(bad *problems, i *instance, b body, shown object) tenant.FlowPresentation {
	look := c.presentation(i)
	usual := c.draw(i, tenant.FlowPresentation{})
	for _, key := range slices.Sorted(maps.Keys(b)) {
		raw := b[key]
		set, known := setters[key]
		now, there := shown[key]
		var value *string
		switch {
		case there && same(raw, now):
		case key == "compatibility_mode":
			if json.Unmarshal(raw, &look.CompatibilityMode) != nil || string(raw) == "null" {
				bad.add(key, "invalid", "It is true or false.")
			}
		case !known && fixed[key] != "":
			bad.add(key, "read_only", "%s", fixed[key])
		case !known:
			bad.add(key, "read_only", "This can't be written here.")
		case json.Unmarshal(raw, &value) != nil || value == nil:
			bad.add(key, "invalid", "A text belongs here.")
		case *value == "" && (key == "name" || key == "title"):
			bad.add(key, "blank", "It can't be empty.")
		case choices[key] != nil && !slices.Contains(choices[key], *value):
			bad.add(key, "invalid_choice", "%q is not one of %s.", *value, strings.Join(choices[key], ", "))
		case same(raw, usual[key]): // what it says by itself isn't kept
			set(&look, "")
		default:
			set(&look, *value)
		}
	}
	return look
}

// same says whether a value of a request is one of ours.
func same(raw json.RawMessage, ours any) bool {
	text, _ := json.Marshal(ours) // plain values
	var a, b any
	return json.Unmarshal(raw, &a) == nil && json.Unmarshal(text, &b) == nil && reflect.DeepEqual(a, b)
}
