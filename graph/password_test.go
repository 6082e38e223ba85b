package graph_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPasswordRules: an admin who gives a user a password is told of every rule
// that it breaks, in words, and they are the rules that testPassword names.
func TestPasswordRules(t *testing.T) {
	w := newWorld(t, sqliteURL(t))
	w.ask("acme/owner", `mutation { updatePasswordPolicy(input: {tenant: "acme", autoPublish: true, minimumLength: 12, uppercaseRequired: true,
		digitRequired: true, symbolRequired: true, excludedKeywords: ["acme"], minimumZxcvbnScore: 3, breachedCheck: true}) { version { number } } }`, nil)
	for password, want := range map[string]map[string]string{
		"qwerty": {
			"minimum_length":       "It needs at least 12 characters.",
			"uppercase_required":   "It needs an upper-case letter.",
			"digit_required":       "It needs a digit.",
			"symbol_required":      "It needs a character that is neither letter nor digit.",
			"minimum_zxcvbn_score": "It is too easy to guess.",
			"breached_check":       "It is one of the passwords that are tried first.",
		},
		"Unlikely-Acme-77-zebra": {"excluded_keywords": "It has a word in it that is not allowed."},
		"Unlikely-Horse-77":      {},
	} {
		a := w.ask("acme/owner", `mutation($p: String!) {
			createUser(input: {tenant: "acme", identities: [{kind: "email", value: "a@example.com"}], password: $p}) { userErrors { pointer reason message info } }
			testPassword(input: {tenant: "acme", password: $p}) { violations { rule } } }`, map[string]any{"p": password})
		told, rules := map[string]string{}, map[string]string{}
		for _, e := range list(a.at("createUser", "userErrors")) {
			if e["pointer"] != "/password" || e["reason"] != "PasswordPolicyViolated" {
				t.Errorf("%s: %v", password, e)
			}
			told[e["info"].(map[string]any)["kind"].(string)] = e["message"].(string)
		}
		for _, v := range list(a.at("testPassword", "violations")) {
			rule := v["rule"].(string)
			rules[rule] = want[rule]
		}
		if d := cmp.Diff(want, told); d != "" {
			t.Errorf("%s: -want +told\n%s\n%s", password, d, a.raw)
		}
		if d := cmp.Diff(want, rules); d != "" {
			t.Errorf("%s: -want +testPassword\n%s", password, d)
		}
	}
}

func list(v any) (out []map[string]any) {
	all, _ := v.([]any)
	for _, item := range all {
		out = append(out, item.(map[string]any))
	}
	return out
}
