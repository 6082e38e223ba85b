package flow

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/usher-id/usher/tenant"
)

// Bounds of a flow; over them is a mistake or an attack.
const (
	maxNodes = 500 // steps and branches of one flow
	maxDepth = 10  // branches within branches
)

// checker collects what is wrong with a configuration's flows.
type checker struct {
	program  *Program
	problems []tenant.Problem
	nodes    int
}

func (k *checker) problem(at, reason, format string, args ...any) {
	k.problems = append(k.problems, tenant.Problem{Pointer: at, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func pointer(at string, i int) string { return fmt.Sprintf("%s/%d", at, i) }

// facts are what holds on every way to a place of a flow.
type facts struct {
	identified bool // the user has said who they are
	proved     bool // and proved it
	credential bool // a credential was made
	anonymous  bool // on some way: the user has no identity, and gets none in this flow
}

func (a facts) and(b facts) facts {
	return facts{a.identified && b.identified, a.proved && b.proved, a.credential && b.credential, a.anonymous || b.anonymous}
}

// check proves one flow of the tenant.
func (k *checker) check(ref tenant.FlowRef, f *tenant.Flow, at string) {
	k.nodes = 0
	before := len(k.problems)
	begin := facts{ // whoever is signed in; in a settings flow a fresh session is the proof
		identified: ref.Type == tenant.Reauth || ref.Type == tenant.Settings, proved: ref.Type == tenant.Settings,
	}
	end := k.steps(ref.Type, f.Steps, at+"/steps", map[string]bool{}, begin, 0)
	if k.nodes > maxNodes {
		k.problem(at, "FlowTooLarge", "a flow has at most %d steps and branches", maxNodes)
	}
	if len(k.problems) > before {
		return // what follows would repeat it
	}
	switch ref.Type {
	case tenant.Login, tenant.Reauth, tenant.Verify:
		if !end.proved {
			k.problem(at, "ProvesNothing", "there is a way to the end of this flow on which nobody proves anything")
		}
	case tenant.AccountRecovery:
		if !end.credential {
			k.problem(at, "ResetsNothing", "there is a way to the end of this flow on which no password is reset")
		}
	case tenant.Signup, tenant.Promote:
		if !end.identified {
			k.problem(at, "IdentifiesNobody", "there is a way to the end of this flow on which the new user has no identity")
		} else if !end.credential && !end.proved {
			k.problem(at, "MakesNoCredential", "there is a way to the end of this flow on which the new user gets no credential")
		}
	case tenant.SignupLogin:
		if len(f.Steps) == 0 {
			k.problem(at+"/steps", "NoSteps", "a signup_login flow needs an identify step")
		} else if len(f.Steps) > 1 {
			k.problem(at+"/steps/1", "Unreachable", "a signup_login flow goes on in another flow after its first step")
		}
	}
}

// steps checks a list of steps and says what holds on every way to its end.
// named are the steps that target_step may name.
func (k *checker) steps(t tenant.FlowType, steps []tenant.Step, at string, named map[string]bool, in facts, depth int) facts {
	if depth > maxDepth {
		k.problem(at, "FlowTooDeep", "branches nest at most %d deep", maxDepth)
		return in
	}
	for i := range steps {
		if k.nodes++; k.nodes > maxNodes {
			return in
		}
		s, here := &steps[i], pointer(at, i)
		if st, ok := stepTypes[s.Type]; !ok || !st.In(t) {
			k.problem(here+"/type", "UnknownStepType", "there is no step type %q in a %s flow", s.Type, t)
			continue
		}
		k.step(t, s, here, named, in)
		if branching(s.Type) {
			in = k.branches(t, s, here, named, in, depth)
		} else {
			after := i > 0 && steps[i-1].Type == stepSelectDestination
			in = k.plain(t, s, here, in, after)
		}
		if s.Name != "" {
			named[s.Name] = true
		}
	}
	return in
}

// step checks what a step says of itself.
func (k *checker) step(t tenant.FlowType, s *tenant.Step, here string, named map[string]bool, in facts) {
	if named[s.Name] && s.Name != "" {
		k.problem(here+"/name", "DuplicateName", "there is another step %q before this one", s.Name)
	}
	if s.TargetStep != "" && !named[s.TargetStep] {
		k.problem(here+"/target_step", "UnknownTarget", "target_step %q does not come before this step", s.TargetStep)
	}
	if s.Optional && s.Type != stepAuthenticate {
		k.problem(here+"/optional", "NotOptional", "only an authenticate step can be optional")
	}
	if s.Type != stepIdentify && !in.identified {
		k.problem(here, "NobodyIdentified", "there is a way to this step on which nobody has identified")
	}
	makes := (s.Type == stepCreateAuthenticator || s.Type == stepPromptCreatePasskey) && t == tenant.Login || shows(s.Type) && t == tenant.Reauth || s.EnrollmentAllowed
	if makes && !in.proved {
		k.problem(here, "MadeBeforeProof", "a credential is made before the user has proved who they are")
	}
	if branching(s.Type) != (len(s.OneOf) > 0) {
		if branching(s.Type) {
			k.problem(here+"/one_of", "NoBranches", "a step of type %s needs one_of", s.Type)
		} else {
			k.problem(here+"/one_of", "NotHere", "a step of type %s has no one_of", s.Type)
		}
	}
}

// shows says whether steps of a type show recovery codes.
func shows(stepType string) bool {
	return stepType == stepViewRecoveryCode || stepType == "recovery_code"
}

// branching says whether steps of a type offer branches.
func branching(stepType string) bool {
	return stepType == stepIdentify || stepType == stepAuthenticate || stepType == stepCreateAuthenticator || stepType == stepChangeSetting
}

// plain checks a step without branches and says what holds after it. sent says
// that a select_destination step stands right before it.
func (k *checker) plain(t tenant.FlowType, s *tenant.Step, here string, in facts, sent bool) facts {
	switch s.Type {
	case stepVerify:
		if s.TargetStep == "" {
			k.problem(here+"/target_step", "Required", "a verify step says in target_step whose claim it is about")
		}
		in.proved = in.proved || t == tenant.Verify
	case stepVerifyRecoveryCode:
		if !sent {
			k.problem(here, "NothingSent", "verify_account_recovery_code comes right after select_destination")
		}
		in.proved = true
	case stepResetPassword:
		if !in.proved {
			k.problem(here, "MadeBeforeProof", "a password is reset before the user has proved who they are")
		}
		in.credential = true
	case stepChangePassword, stepCheckAccountStatus, stepTerminateOtherSessions:
		if !in.proved {
			k.problem(here, "BeforeProof", "a step of type %s comes after the proof", s.Type)
		}
	}
	return in
}

// branches checks the branches of a step and says what holds after any of them.
func (k *checker) branches(t tenant.FlowType, s *tenant.Step, here string, named map[string]bool, in facts, depth int) facts {
	var out facts
	seen := map[string]bool{}
	for j := range s.OneOf {
		k.nodes++
		b, at := &s.OneOf[j], pointer(here+"/one_of", j)
		after := in
		m, ok := methods[b.Method()]
		switch {
		case b.Method() != cmp.Or(b.Identification, b.Authentication, b.Setting):
			k.problem(at, "TwoMethods", "a branch has an identification, an authentication or a setting, one of them")
		case !ok || !m.For(s.Type) || (s.Type == stepIdentify) != (b.Identification != "") || (s.Type == stepChangeSetting) != (b.Setting != ""):
			k.problem(at, "UnknownMethod", "there is no %s %q in a step of type %s", methodKey(s), b.Method(), s.Type)
		case confined[b.Method()] != nil && !slices.Contains(confined[b.Method()], t):
			k.problem(at, "NotHere", "%s %q does not belong in a %s flow", methodKey(s), b.Method(), t)
		case t == tenant.Verify && b.Method() != idEmail && b.Method() != idPhone:
			k.problem(at, "NotHere", "only an e-mail address or a phone number can be verified")
		case b.Setting == settingProfile && len(s.UserProfile) == 0:
			k.problem(at, "NoAttributes", "the setting profile needs user_profile beside one_of, which says what may be changed")
		case s.Type == stepIdentify && (b.Method() == idAnonymous && in.identified || in.anonymous):
			k.problem(at, "NotHere", "an anonymous user has no identity: only promotion gives them one")
		case seen[b.Method()]:
			k.problem(at, "DuplicateBranch", "another branch of this step takes %q already", b.Method())
		default:
			after.identified = after.identified || s.Type == stepIdentify
			after.proved = after.proved || m.Proves(s.Type)
			after.credential = after.credential || s.Type == stepCreateAuthenticator || b.Method() == idAnonymous // who has none
			after.anonymous = after.anonymous || b.Method() == idAnonymous
		}
		seen[b.Method()] = true
		if b.TargetStep != "" && !named[b.TargetStep] {
			k.problem(at+"/target_step", "UnknownTarget", "target_step %q does not come before this step", b.TargetStep)
		}
		k.onward(t, s, b, at)
		k.linking(t, s, b, at)
		k.guard(b, at)
		inner := maps.Clone(named) // a name set before this step, or by it, is seen inside the branch
		if s.Name != "" {
			inner[s.Name] = true
		}
		after = k.steps(t, b.Steps, at+"/steps", inner, after, depth+1)
		if j == 0 {
			out = after
		} else {
			out = out.and(after)
		}
	}
	if len(s.OneOf) == 0 || s.Optional {
		return in
	}
	return out
}

func methodKey(s *tenant.Step) string {
	switch s.Type {
	case stepIdentify:
		return "identification"
	case stepChangeSetting:
		return "setting"
	}
	return "authentication"
}

// onward checks where a signup_login branch goes on.
func (k *checker) onward(t tenant.FlowType, s *tenant.Step, b *tenant.Branch, at string) {
	refs := []struct {
		key string
		ref tenant.FlowRef
	}{
		{"signup_flow", tenant.FlowRef{Type: tenant.Signup, Name: b.SignupFlow}},
		{"login_flow", tenant.FlowRef{Type: tenant.Login, Name: b.LoginFlow}},
	}
	for _, r := range refs {
		if t != tenant.SignupLogin || s.Type != stepIdentify {
			if r.ref.Name != "" {
				k.problem(at+"/"+r.key, "NotHere", "%s belongs to the identify step of a signup_login flow", r.key)
			}
			continue
		}
		switch {
		case r.ref.Type == tenant.Signup && b.Identification == idPasskey:
			if r.ref.Name != "" {
				k.problem(at+"/"+r.key, "NotHere", "whoever has a passkey has signed up")
			}
		case r.ref.Name == "":
			k.problem(at+"/"+r.key, "Required", "%s is required in a signup_login flow", r.key)
		case k.program.flows[r.ref] == nil:
			k.problem(at+"/"+r.key, "UnknownFlow", "there is no %s flow %q", r.ref.Type, r.ref.Name)
		case !k.beginsWith(r.ref, b.Identification):
			k.problem(at+"/"+r.key, "CannotContinue", "the %s flow %q does not begin by identifying with %s", r.ref.Type, r.ref.Name, b.Identification)
		}
	}
	if t == tenant.SignupLogin && len(b.Steps) > 0 {
		k.problem(at+"/steps", "Unreachable", "a signup_login flow goes on in another flow after this branch")
	}
}

// beginsWith says whether a flow's first step can identify in this way, which
// is what a signup_login run needs to go on in it.
func (k *checker) beginsWith(ref tenant.FlowRef, identification string) bool {
	f := k.program.flows[ref]
	return f != nil && len(f.Steps) > 0 && f.Steps[0].Type == stepIdentify && branchFor(&f.Steps[0], identification) >= 0
}
