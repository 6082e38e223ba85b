package flow

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/usher-id/usher/tenant"
)

// TestCompileProblems holds testdata/compile.txt: each file is a configuration
// in its JSON lines and then what is wrong with it.
func TestCompileProblems(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/compile.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ar.Files {
		t.Run(f.Name, func(t *testing.T) {
			i := strings.Index(string(f.Data), "\n/")
			cfg := tenant.DefaultConfig()
			decode(t, string(f.Data[:i]), cfg)
			p, problems := Compile(cfg)
			if p != nil {
				t.Error("it compiled")
			}
			var got strings.Builder
			for _, p := range problems {
				fmt.Fprintf(&got, "%s %s\n", p.Pointer, p.Reason)
			}
			if want := string(f.Data[i+1:]); got.String() != want {
				t.Errorf("got\n%swant\n%s%v", got.String(), want, problems)
			}
		})
	}
}

func TestCompileBounds(t *testing.T) {
	deep := tenant.Step{Type: stepIdentify, OneOf: []tenant.Branch{{Identification: idEmail}}}
	for range 50 {
		deep = tenant.Step{Type: stepIdentify, OneOf: []tenant.Branch{{Identification: idEmail, Steps: []tenant.Step{deep}}}}
	}
	wide := make([]tenant.Step, 100_000)
	for i := range wide {
		wide[i] = tenant.Step{Type: stepIdentify, OneOf: []tenant.Branch{{Identification: idEmail}}}
	}
	cfg := tenant.DefaultConfig()
	cfg.Flows.LoginFlows = []tenant.Flow{{Name: "deep", Steps: []tenant.Step{deep}}, {Name: "wide", Steps: wide}}
	_, problems := Compile(cfg)
	if len(problems) != 2 || problems[0].Reason != "FlowTooDeep" || problems[1].Reason != "FlowTooLarge" {
		t.Error(problems)
	}
}

func TestFlowsAreNamed(t *testing.T) {
	cfg := tenant.DefaultConfig()
	p, problems := Compile(cfg)
	if problems != nil {
		t.Fatal(problems)
	}
	if got := fmt.Sprint(p.Flows()); got != "[signup/default login/default signup_login/default reauth/default reauth/recovery_codes account_recovery/default verification/default settings/default]" {
		t.Error(got)
	}
}

// TestPure keeps the promise of doc.go: the package decides and never does.
func TestPure(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		switch dep {
		case "net", "net/http", "database/sql", "crypto/rand", "math/rand", "math/rand/v2", "log", "log/slog", "os/exec":
			t.Errorf("imports %s", dep)
		}
	}
}
