package authgear

import (
	"cmp"
	"math"
	"net/url"
	"strings"
)

// identities says how users identify and prove themselves. The order of the
// format is kept; login_id stands for its keys.
func (t *translation) identities(root place) {
	listed := root.at("/authentication/identities").list()
	enabled := &node{list: true, from: listed.pointer}
	add := func(name, from string) {
		n := graft(name, from)
		enabled.add(n)
	}
	loginID := !listed.given
	var names []place
	if listed.given {
		names = listed.items()
	} else if root.at("/identity/oauth/providers").given {
		add("oauth", "/identity/oauth/providers")
	}
	for _, p := range names {
		switch p.value {
		case "login_id":
			loginID = true
			t.loginIDKinds(root, p.pointer, add)
		case "oauth":
			if len(root.at("/identity/oauth/providers").items()) == 0 {
				t.note(p.pointer, NoEffect, "the project has no OAuth provider")
			} else {
				add("oauth", p.pointer)
			}
		case "biometric":
			t.note(p.pointer, NotSupported, "%s", parts["/identity/biometric"])
		default:
			enabled.add(graft(p.value, p.pointer))
		}
	}
	if !listed.given {
		t.loginIDKinds(root, "", add)
	}
	if !loginID {
		for _, p := range root.at("/identity/login_id/keys").items() {
			p.note(NoEffect, "login_id is not among the identities of the project")
		}
	}
	t.out.put("/identifications/enabled", enabled)
	t.authenticators(root, "primary")
	t.authenticators(root, "secondary")
	grace := root.at("/authentication/secondary_authentication_grace_period")
	on, end := grace.key("enabled"), grace.key("end_at")
	switch {
	case on.yes() && end.given:
		t.put("/authenticators/secondary_grace_until", end, end.value)
	case on.yes():
		t.put("/authenticators/secondary_grace_until", on, "9999-12-31T23:59:59Z")
	case end.given:
		end.note(NoEffect, "the grace period is off")
	}
}

// loginIDKinds adds the kinds of login ids, in the order of the keys.
func (t *translation) loginIDKinds(root place, from string, add func(name, from string)) {
	keys := root.at("/identity/login_id/keys")
	if !keys.given {
		add("email", from)
		return
	}
	seen := map[string]bool{}
	for _, k := range keys.items() {
		kind := k.key("type").text()
		if name := k.key("key"); name.given && name.text() != kind {
			name.note(NotSupported, "login ids go by their type here")
		}
		if kind == "" {
			continue
		}
		if seen[kind] {
			k.key("type").note(NotSupported, "one login id of a type is enough here: a user may have several")
			continue
		}
		seen[kind] = true
		add(kind, k.key("type").pointer)
	}
}

func (t *translation) authenticators(root place, rank string) {
	listed := root.at("/authentication/" + rank + "_authenticators").list()
	if !listed.given {
		return
	}
	names := &node{list: true, from: listed.pointer}
	for _, p := range listed.items() {
		if s, ok := p.value.(string); ok {
			names.add(graft(rank+"_"+s, p.pointer))
		} else {
			t.note(p.pointer, "WrongType", "must be a text")
		}
	}
	t.out.put("/authenticators/"+rank, names)
}

// loginIDs reads what the keys say of login ids beside their type.
func (t *translation) loginIDs(root place) {
	for _, k := range root.at("/identity/login_id/keys").items() {
		length := k.key("max_length")
		n, ok := whole(length.value)
		switch kind, _ := k.key("type").value.(string); {
		case kind == "username" && length.given:
			t.put("/login_ids/username/max_length", length, length.value)
		case ok && (kind == "email" && n == 320 || kind == "phone" && n == 40):
			length.use() // the defaults of the format, longer than any
		}
	}
}

// redirectURIs lists where OAuth providers may send users back to. The format has
// no such list, so any is allowed.
const redirectURIs = "/oauth_redirect_uris"

// providers reads the OAuth providers. Their secrets come apart.
func (t *translation) providers(root place) {
	all := root.at("/identity/oauth/providers")
	if !all.given {
		return
	}
	list := &node{list: true, from: all.pointer}
	for _, p := range all.items() {
		if _, ok := p.value.(map[string]any); !ok {
			continue
		}
		one := p.object("client_id", "app_type", "tenant", "policy", "discovery_document_endpoint", "key_id", "team_id", "account_id", "wechat_redirect_uris", "prompt")
		typ, alias := p.key("type"), p.key("alias")
		if !alias.given {
			alias = typ
		}
		for name, from := range map[string]place{"type": typ, "alias": alias} {
			if from.given {
				from.use()
				one.put("/"+name, graft(from.value, from.pointer))
			}
		}
		list.add(one)
	}
	t.out.put("/oauth_providers", list)
	if len(list.items) > 0 {
		t.out.put(redirectURIs, graft([]any{"*"}, all.pointer))
	}
}

// password reads how long passwords last.
func (t *translation) password(root place) {
	force := root.at("/authenticator/password/expiry/force_change")
	on, age := force.key("enabled"), force.key("duration_since_last_update")
	if !on.yes() {
		if age.given {
			age.note(NoEffect, "passwords don't expire in the project")
		}
		return
	}
	n, ok := seconds(age.value)
	if !ok {
		on.note(NoEffect, "without duration_since_last_update passwords don't expire")
		return
	}
	const day = 24 * 3600
	t.put("/password_policy/expiry_days", age, number(int(math.Ceil(float64(n)/day))))
	if n%day != 0 {
		t.note(age.pointer, Approximated, "passwords expire after whole days here, which are more")
	}
}

// verification reads which claims of a new user have to be verified.
func (t *translation) verification(root place) {
	for claim, to := range map[string]string{"email": "email", "phone_number": "phone"} {
		p := root.at("/verification/claims/" + claim)
		on, required := p.key("enabled"), p.key("required")
		on.yes()
		required.yes()
		if on.given || required.given {
			t.out.put("/verification/"+to+"/required", graft(on.value != false && required.value != false, p.pointer))
		}
	}
}

// sessions reads when idle sessions end. An idle timeout over the lifetime, and
// none, come to the same as one that equals it.
func (t *translation) sessions(root place) {
	p := root.key("session")
	on, idle, life := p.key("idle_timeout_enabled"), p.key("idle_timeout_seconds"), p.key("lifetime_seconds")
	or := func(p place, otherwise int) int {
		if n, ok := whole(p.value); ok {
			return n
		}
		return otherwise
	}
	lifetime := or(life, 31449600) // the defaults of the format
	timeout := or(idle, 2592000)
	if on.yes(); on.value == false {
		timeout = lifetime
		if idle.given {
			idle.note(NoEffect, "sessions have no idle timeout in the project")
		}
	}
	if _, ok := whole(idle.value); ok {
		idle.use()
	}
	for _, from := range []place{on, idle, life} {
		if from.given {
			t.out.put("/sessions/idle_timeout_seconds", graft(number(min(timeout, lifetime)), from.pointer))
			break
		}
	}
}

// languages reads the languages of messages.
func (t *translation) languages(root place) {
	p := root.key("localization")
	all := p.key("supported_languages")
	fallback, _ := p.key("fallback_language").value.(string)
	if list, _ := all.value.([]any); len(list) == 1 && list[0] == cmp.Or(fallback, "en") {
		all.use()
	}
}

// origins reads which pages may call the API. The format takes hosts too.
func (t *translation) origins(root place) {
	all := root.at("/http/allowed_origins").list()
	if !all.given {
		return
	}
	list := &node{list: true, from: all.pointer}
	for _, p := range all.items() {
		s, ok := p.value.(string)
		if ok && !strings.Contains(s, "://") {
			u, err := url.Parse("https://" + s)
			if err == nil && (u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.")) {
				u.Scheme = "http"
			}
			if err == nil {
				s = u.String()
			}
		}
		if ok {
			p.value = s
		}
		list.add(graft(p.value, p.pointer))
	}
	t.out.put("/web/allowed_origins", list)
}

// testMode reads fixed codes and whom nothing is sent to. Of a list the first
// rule that fits counts; here any that fits keeps a message back.
func (t *translation) testMode(root place) {
	codes, kept := &node{list: true}, &node{list: true}
	enabled := ""
	section := func(name string, take func(rule place)) {
		p := root.at("/test_mode/" + name)
		on := p.key("enabled").yes()
		for _, rule := range p.key("rules").items() {
			if !on {
				rule.note(NoEffect, "this part of test mode is off in the project")
				continue
			}
			enabled = p.key("enabled").pointer
			take(rule)
		}
	}
	section("oob_otp", func(rule place) {
		one := graft(map[string]any{}, rule.pointer)
		for name, from := range map[string]place{"pattern": rule.key("regex"), "code": rule.key("fixed_code")} {
			if from.given {
				from.use()
				one.put("/"+name, graft(from.value, from.pointer))
			}
		}
		codes.add(one)
	})
	for _, channel := range []string{"sms", "whatsapp", "email"} {
		section(channel, func(rule place) {
			if off := rule.key("suppressed"); off.given && !off.yes() {
				rule.note(NotSupported, "a rule that lets messages through can't be had here; they are sent unless another rule keeps them back")
				return
			}
			one := graft(map[string]any{"channels": []any{channel}}, rule.pointer)
			if regex := rule.key("regex"); regex.given {
				regex.use()
				one.put("/pattern", graft(regex.value, regex.pointer))
			}
			kept.add(one)
		})
	}
	if enabled != "" {
		t.out.put("/test_mode/enabled", graft(true, enabled))
		t.out.put("/test_mode/fixed_codes", codes)
		t.out.put("/test_mode/suppressed", kept)
	}
}
