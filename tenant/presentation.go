package tenant

import (
	"fmt"
	"slices"
	"strings"
)

// FlowPresentation is how pages show one flow, a derived one too. What the flow
// does is the same with and without it.
type FlowPresentation struct {
	Flow              string       `json:"flow" jsonschema:"required,maxLength=96,pattern=^[a-z_]+/[A-Za-z0-9_.-]+$" jsonschema_description:"The flow's type and name, such as login/default. It waits for a flow that there isn't yet."`
	DisplayName       string       `json:"display_name,omitempty" jsonschema:"maxLength=200" jsonschema_description:"What admins call the flow."`
	Title             string       `json:"title,omitempty" jsonschema:"maxLength=200" jsonschema_description:"What users read above it."`
	Background        string       `json:"background,omitempty" jsonschema:"maxLength=500,pattern=^(/|https?://)[A-Za-z0-9._~:/?#@!$&*+;=%-]+$" jsonschema_description:"An image: a path on the tenant's host, or a URL."`
	Layout            FlowLayout   `json:"layout,omitempty" jsonschema:"enum=stacked,enum=content_left,enum=content_right,enum=sidebar_left,enum=sidebar_right" jsonschema_description:"Where the form stands; stacked unless given."`
	CompatibilityMode bool         `json:"compatibility_mode,omitempty" jsonschema_description:"Draw plain forms, for password managers on phones."`
	DeniedAction      DeniedAction `json:"denied_action,omitempty" jsonschema:"enum=message_continue,enum=message,enum=continue" jsonschema_description:"What a page does when the flow turns the user away: message says so, continue goes on to where the user was headed, message_continue says so only when that is nowhere; message_continue unless given."`
}

// FlowLayout is where the form of a page stands.
type FlowLayout string

// Stacked is the usual layout.
const Stacked FlowLayout = "stacked"

// DeniedAction is what a page does when a flow turns the user away.
type DeniedAction string

// The actions.
const (
	MessageContinue DeniedAction = "message_continue"
	DeniedMessage   DeniedAction = "message"
	DeniedContinue  DeniedAction = "continue"
)

// String is the form in which a presentation names a flow.
func (r FlowRef) String() string { return string(r.Type) + "/" + r.Name }

// Present has a flow shown in this way; in the usual way when it says nothing.
func (f *Flows) Present(p FlowPresentation) {
	kept := make([]FlowPresentation, 0, len(f.Presentation)+1)
	said := p != FlowPresentation{Flow: p.Flow}
	for _, old := range f.Presentation {
		if old.Flow != p.Flow {
			kept = append(kept, old)
		} else if said {
			kept, said = append(kept, p), false
		}
	}
	if said {
		kept = append(kept, p)
	}
	f.Presentation = kept
}

func checkPresentation(f *Flows, add func(pointer, reason, format string, args ...any)) {
	first := map[string]int{}
	for i, p := range f.Presentation {
		at := fmt.Sprintf("/flows/presentation/%d", i)
		if j, again := first[p.Flow]; again {
			add(at+"/flow", "Duplicate", "entry %d is about %s already", j+1, p.Flow)
		} else {
			first[p.Flow] = i
		}
		if kind, _, _ := strings.Cut(p.Flow, "/"); !slices.Contains(FlowTypes, FlowType(kind)) {
			add(at+"/flow", "UnknownFlowType", "there is no flow type %q", kind)
		}
	}
}
