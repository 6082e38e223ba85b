package tenant_test

import (
	"fmt"
	"testing"

	"github.com/usher-id/usher/tenant"
)

func TestPresent(t *testing.T) {
	var f tenant.Flows
	titles := func() string {
		out := ""
		for _, p := range f.Presentation {
			out += fmt.Sprintf("%s=%s ", p.Flow, p.Title)
		}
		return out
	}
	for _, step := range []struct {
		look tenant.FlowPresentation
		want string
	}{
		{tenant.FlowPresentation{Flow: "login/default"}, ""}, // it says nothing
		{tenant.FlowPresentation{Flow: "login/default", Title: "a"}, "login/default=a "},
		{tenant.FlowPresentation{Flow: "signup/default", Title: "b"}, "login/default=a signup/default=b "},
		{tenant.FlowPresentation{Flow: "login/default", Title: "c"}, "login/default=c signup/default=b "},
		{tenant.FlowPresentation{Flow: "login/default"}, "signup/default=b "},
	} {
		f.Present(step.look)
		if got := titles(); got != step.want {
			t.Errorf("after %+v: %q, want %q", step.look, got, step.want)
		}
	}
}
