package flow

import "github.com/usher-id/usher/tenant"

// anonymous makes a user without an identity or a credential: all they have is
// the session. A promote flow makes a full user of them.
type anonymous struct{ oneShot }

func (anonymous) For(step string) bool { return step == stepIdentify }

// Proves: there is nothing to prove.
func (anonymous) Proves(string) bool { return false }

func (anonymous) Options(*Cursor, *tenant.Step, *tenant.Branch) ([]Option, error) {
	return []Option{{Show: map[string]any{"identification": idAnonymous}}}, nil
}

func (anonymous) Take(*Cursor, *tenant.Step, *tenant.Branch, Option, *Answer) (Verdict, error) {
	return Verdict{}, nil
}
