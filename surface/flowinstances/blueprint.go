package flowinstances

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// A flow leaves and comes in as a blueprint: a YAML document of entries, each of
// a model. Ours have one model, the flow, whose attributes hold its steps as the
// tenant's configuration does: stages by themselves couldn't say what they are.

const (
	flowModel    = "authentik_flows.flow"
	maxBlueprint = 256 << 10 // bytes
	maxEntries   = 100
)

// export answers with a flow as a file.
func (a *api) export(q *surface.Request, w http.ResponseWriter) error {
	c, err := a.admit(q, admin.ReadConfig)
	if err != nil {
		return err
	}
	i, err := c.instance(chi.URLParam(q.Request, "slug"))
	if err != nil {
		return err
	}
	text, err := json.Marshal(c.blueprint(i))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Content-Disposition", `attachment; filename="`+i.slug+`.yaml"`)
	_, _ = w.Write(document.YAMLOf(text)) // a client that has gone away has nothing to hear
	return nil
}

// blueprint is such a document with one entry, in the order in which people read
// it.
type blueprint struct {
	Version  int `json:"version"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Entries [1]struct {
		Model       string `json:"model"`
		Identifiers struct {
			Slug string `json:"slug"`
		} `json:"identifiers"`
		Attrs struct {
			Name              any           `json:"name"`
			Title             any           `json:"title"`
			Designation       any           `json:"designation"`
			Authentication    any           `json:"authentication"`
			PolicyEngineMode  any           `json:"policy_engine_mode"`
			Background        any           `json:"background"`
			Layout            any           `json:"layout"`
			CompatibilityMode any           `json:"compatibility_mode"`
			DeniedAction      any           `json:"denied_action"`
			Steps             []tenant.Step `json:"steps"`
		} `json:"attrs"`
	} `json:"entries"`
}

func (c *catalog) blueprint(i *instance) blueprint {
	var b blueprint
	b.Version, b.Metadata.Name = 1, i.slug
	e, shown := &b.Entries[0], c.show(i)
	e.Model, e.Identifiers.Slug = flowModel, i.slug
	a := &e.Attrs
	a.Name, a.Title, a.Designation, a.Authentication = shown["name"], shown["title"], shown["designation"], shown["authentication"]
	a.PolicyEngineMode, a.Background, a.Layout = shown["policy_engine_mode"], shown["background"], shown["layout"]
	a.CompatibilityMode, a.DeniedAction, a.Steps = shown["compatibility_mode"], shown["denied_action"], i.steps
	return b
}

// load takes a blueprint in, whole or not at all.
func (a *api) load(c *call) (any, error) {
	text, err := upload(c)
	if err != nil {
		return nil, err
	}
	r := &report{at: time.Now().UTC()}
	plan := c.plan(r, text)
	if !r.failed {
		err := a.apply(c, r, plan)
		switch e := tenant.AsError(err); {
		case err == nil:
		case e.Kind == tenant.Invalid || errors.Is(e, tenant.ErrLastWayIn):
			for field, messages := range fieldErrors(e) {
				r.log("error", "%s: %s", field, strings.Join(messages, " "))
			}
		default:
			return nil, err
		}
	}
	return object{"logs": r.logs, "success": !r.failed}, nil
}

// upload is the file of a form (RFC 7578).
func upload(c *call) ([]byte, error) {
	c.Body = http.MaxBytesReader(nil, c.Body, maxBlueprint)
	parts, err := c.MultipartReader()
	if err != nil {
		return nil, tenant.ErrMediaType.Says("send multipart/form-data with the field file")
	}
	for {
		part, err := parts.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil, tenant.Invalidf("/file", "required", "It is required.")
		case err != nil:
			return nil, unread(err)
		case part.FormName() != "file":
			continue
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, unread(err)
		}
		return text, nil
	}
}

// unread refuses a form that can't be read to its end.
func unread(err error) error {
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return tenant.ErrTooLarge
	}
	return tenant.Invalidf("/file", "syntax", "the form could not be read").Because(err)
}

// report is what a client is told of an import.
type report struct {
	at     time.Time
	logs   []object
	failed bool
}

func (r *report) log(level, format string, args ...any) {
	r.failed = r.failed || level == "error"
	r.logs = append(r.logs, object{
		"timestamp": r.at.Format(time.RFC3339Nano), "log_level": level, "logger": "usher.flows", "event": fmt.Sprintf(format, args...), "attributes": object{},
	})
}

// planned is a flow that an import makes or changes.
type planned struct {
	ref   tenant.FlowRef
	slug  string
	steps []tenant.Step // nil when they are those that it has
	look  tenant.FlowPresentation
}

// plan reads a blueprint. What Usher can't express is told, one by one.
func (c *catalog) plan(r *report, text []byte) []planned {
	tree, problems := document.Parse(text)
	for _, p := range problems {
		r.log("error", "%s", p)
	}
	if r.failed {
		return nil
	}
	plain, err := json.Marshal(tree)
	var b struct {
		Entries []json.RawMessage `json:"entries"`
	}
	if err == nil {
		err = json.Unmarshal(plain, &b)
	}
	if err != nil || len(b.Entries) == 0 || len(b.Entries) > maxEntries {
		r.log("error", "this is no blueprint with 1 to %d entries", maxEntries)
		return nil
	}
	var out []planned
	for n, raw := range b.Entries {
		if p, ok := c.planOne(r, n, raw); ok {
			out = append(out, p)
		}
	}
	return out
}

func (c *catalog) planOne(r *report, n int, raw json.RawMessage) (p planned, ok bool) {
	var e struct {
		Model       string                     `json:"model"`
		Identifiers map[string]string          `json:"identifiers"`
		Attrs       map[string]json.RawMessage `json:"attrs"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		r.log("error", "entry %d isn't an entry with model, identifiers and attrs", n+1)
		return p, false
	}
	slug := e.Identifiers["slug"]
	if e.Model != flowModel {
		r.log("error", "entry %d: there is no %s here: what stages do stands in the attribute steps of a flow", n+1, e.Model)
		return p, false
	}
	var bad problems
	steps, given := e.Attrs["steps"]
	delete(e.Attrs, "steps")
	i := c.find(slug)
	if i == nil {
		ref, ok := c.refOf(&bad, slug, text(e.Attrs["designation"]))
		if i = (&instance{ref: ref, slug: slug, pk: c.key("flow", ref.String())}); ok && !given {
			bad.add("steps", "required", "A new flow has steps.")
		}
	}
	p = planned{ref: i.ref, slug: i.slug}
	if given {
		d := json.NewDecoder(bytes.NewReader(steps))
		d.DisallowUnknownFields()
		if err := d.Decode(&p.steps); err != nil || len(p.steps) == 0 {
			bad.add("steps", "invalid", "These are no steps of a flow. %s", said(err))
		}
	}
	if given && sameSteps(p.steps, i.steps) {
		p.steps = nil
	}
	p.look = c.edited(&bad, i, e.Attrs, c.draw(i, c.presentation(i)))
	if i.ref == logout {
		bad.add("slug", "builtin", "How signing out works can't be changed.")
	}
	for _, problem := range bad {
		r.log("error", "entry %d, %s: %s", n+1, strings.TrimPrefix(problem.Pointer, "/"), problem.Message)
	}
	return p, len(bad) == 0
}

// said is what a decoder found, without its name.
func said(err error) string {
	if err == nil {
		return "There are none."
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// sameSteps says whether two lists of steps are written alike.
func sameSteps(a, b []tenant.Step) bool {
	x, _ := json.Marshal(a) // plain values
	y, _ := json.Marshal(b)
	return slices.Equal(x, y)
}

// apply makes one version of all that was planned.
func (a *api) apply(c *call, r *report, plan []planned) error {
	done, err := a.admin.Amend(c.Context(), c.actor, c.tenant.Slug, "flows imported", func(cfg *tenant.Config) error {
		for _, p := range plan {
			list := cfg.Flows.List(p.ref.Type)
			switch at := defined(&cfg.Flows, p.ref); {
			case p.steps == nil:
			case at < 0:
				*list = append(*list, tenant.Flow{Name: p.ref.Name, Steps: p.steps})
			default:
				(*list)[at].Steps = p.steps
			}
			cfg.Flows.Present(p.look)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range plan {
		r.log("info", "flow %s imported", p.slug)
	}
	if done.Published == nil {
		r.log("info", "nothing has changed")
	}
	return nil
}
