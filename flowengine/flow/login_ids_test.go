package flow

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// TestLoginIDs plays rows under rules (over the default ones):
//
//	kind raw              is no login id
//	kind raw -> value     is kept as this, and may become one
//	kind raw => key       the same, and is unique by something else
//	kind raw ! rule       may not become one
func TestLoginIDs(t *testing.T) {
	for rules, rows := range map[string]string{
		`{}`: `
email User@Example.COM -> user@example.com
email a+b.c_d@x -> a+b.c_d@x
email jürgen@BÜCHER.example -> jürgen@xn--bcher-kva.example
email a..b@example.com
email .a@example.com
email a@
email @b
email a b@example.com
email a@b@example.com
email a@b..c
email a@.de
email a@b.de.
email a@b.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.de
email a@exa mple.com
email a@example.com.
email a<ZWSP>b@example.com
email "quoted"@example.com
email a@gmail.com -> a@gmail.com
email a@mailinator.com -> a@mailinator.com
phone +44123344556 -> +44123344556
phone +852980005432 -> +852980005432
phone +85298000032 -> +85298000032
phone 85298000032
phone +852-98000032
phone +0123456789
phone +1
phone +12345678901234567
username JohnDoe -> johndoe
username a.b-c_d9 -> a.b-c_d9
username paul1 -> paul1
username -a ! format
username a. ! format
username аdmin ! format
username jürgen ! format
username root ! reserved
username ROOT ! reserved
username aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ! length
username a b
username a$b
username a@b
oauth x
`,
		`{"email":{"case_sensitive":true},"username":{"case_sensitive":true}}`: `
email User@Example.COM -> User@example.com
username JohnDoe -> JohnDoe
username Root ! reserved
`,
		`{"email":{"ignore_dot_sign":true,"block_plus_sign":true}}`: `
email John.Doe@Mail.Example.com => johndoe@mail.example.com
email johndoe@example.com -> johndoe@example.com
email john+spam@example.com ! plus_sign
`,
		`{"email":{"domain_allowlist":["example.com","*.corp.example","bücher.example","gmail.com"],"domain_blocklist":["bad.corp.example"],"block_free_email_providers":true}}`: `
email a@example.com -> a@example.com
email a@sub.example.com ! domain
email a@corp.example ! domain
email a@x.corp.example -> a@x.corp.example
email a@bad.corp.example ! domain
email a@BÜCHER.example -> a@xn--bcher-kva.example
email a@gmail.com -> a@gmail.com
email a@gmx.de ! domain
`,
		`{"email":{"block_free_email_providers":true,"block_disposable":true,"domain_blocklist":["*.evil.example","evil.example"]}}`: `
email a@ibm.com -> a@ibm.com
email a@Gmail.com ! domain
email a@mailinator.com ! domain
email a@evil.example ! domain
email a@x.y.evil.example ! domain
email a@notevil.example -> a@notevil.example
`,
		`{"phone":{"countries":["HK","DE"]}}`: `
phone +85298765432 -> +85298765432
phone +4915112345678 -> +4915112345678
phone +14155550123 ! country
phone +85200000000 -> +85200000000
`,
		`{"phone":{"countries":["CA"],"valid_only":true}}`: `
phone +14165550123 -> +14165550123
phone +14155550123 ! country
phone +85200000000 ! valid
`,
		`{"username":{"ascii_only":false,"min_length":3,"max_length":8,"reserved":["Chef"],"excluded_keywords":["shit"]}}`: `
username jürgen -> jürgen
username Москва => ʍocĸʙa
username 李小龍 -> 李小龍
username مستخدم -> مستخدم
username ab ! length
username abcdefghi ! length
username jü ! length
username rооt ! reserved
username ѕуѕtеm ! reserved
username chef ! reserved
username СHЕF ! reserved
username noshit1 ! excluded_keywords
username nоѕhit1 ! excluded_keywords
username ½½½
username a<ZWSP>bc
username ﬁsh
username a😀b
username .abc ! format
username ́abc
`,
	} {
		r := tenant.DefaultLoginIDs()
		if err := json.Unmarshal([]byte(rules), &r); err != nil {
			t.Fatal(err)
		}
		for row := range strings.SplitSeq(strings.TrimSpace(rows), "\n") {
			checkLoginID(t, &r, row)
		}
	}
}

func checkLoginID(t *testing.T, rules *tenant.LoginIDs, row string) {
	t.Helper()
	kind, rest, _ := strings.Cut(strings.ReplaceAll(row, "<ZWSP>", "\u200b"), " ") // a space of no width
	raw, rule, _ := strings.Cut(rest, " ! ")
	raw, key, other := strings.Cut(raw, " => ")
	raw, value, may := strings.Cut(raw, " -> ")
	c, err := NormalizeClaim(rules, kind, raw)
	if !may && !other && rule == "" {
		if tenant.AsError(err).Reason != tenant.ErrValidation.Reason {
			t.Errorf("%s: %q, %v", row, c.Value, err)
		}
		return
	}
	if err != nil || may && (c.Value != value || UniqueKey(rules, c) != value) || other && (UniqueKey(rules, c) != key || key == c.Value) {
		t.Errorf("%s: %q by %q, %v", row, c.Value, UniqueKey(rules, c), err)
		return
	}
	if again, err := NormalizeClaim(rules, kind, c.Value); err != nil || again != c {
		t.Errorf("%s: what is kept isn't kept as itself: %v %v", row, again, err)
	}
	err = CheckNewClaim(rules, c)
	if got := tenant.AsError(err); rule == "" && err != nil || rule != "" && (err == nil || got.Info["causes"].([]tenant.Cause)[0].Kind != rule) {
		t.Errorf("%s: %v %v", row, err, got.Info)
	}
}
