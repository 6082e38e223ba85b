package selfservice

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/usher-id/usher/flowengine/flow"
)

// methodOf says which of this dialect's methods an authenticator is; the others
// have none here.
var methodOf = map[string]string{
	"primary_password": methodPassword, "secondary_password": methodPassword,
	"primary_oob_otp_email": methodCode, "primary_oob_otp_sms": methodCode, "secondary_oob_otp_email": methodCode, "secondary_oob_otp_sms": methodCode,
	"secondary_totp": methodTOTP, "recovery_code": methodLookup,
}

// identifications are the login ids that the engine takes here, of those that
// can be typed.
func (p *page) identifications(data map[string]any) (ids []string) {
	for _, o := range optionsIn(data) {
		if id, _ := o.Show["identification"].(string); traitInputs[id].typ != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// authentications are the ways to prove it that the engine offers here and this
// dialect has a method for. For the second factor alone the others are left out.
func (p *page) authentications(data map[string]any) (names []string) {
	for _, o := range optionsIn(data) {
		name, _ := o.Show["authentication"].(string)
		if p.flow.note.AAL == aal2 && strings.HasPrefix(name, "primary_") {
			continue
		}
		if methodOf[name] != "" {
			names = append(names, name)
		}
	}
	return names
}

// following are the ways to prove it that can be taken together with a login id.
func (p *page) following(id string) (names []string) {
	for _, a := range p.flow.at.Ahead() {
		if a.Identification != id {
			continue
		}
		for _, way := range a.Ways {
			if name, _ := way["authentication"].(string); methodOf[name] != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// waysAfter are the methods that can be taken together with any of the login ids.
func (p *page) waysAfter(ids []string) map[string]bool {
	ways := map[string]bool{}
	for _, id := range ids {
		for _, name := range p.following(id) {
			ways[methodOf[name]] = true
		}
	}
	return ways
}

// typed says which login id was typed: an address by its form, else a name.
func typed(value string, ids []string) string {
	id := "username"
	switch {
	case strings.Contains(value, "@"):
		id = "email"
	case strings.HasPrefix(value, "+"):
		id = "phone"
	}
	if !slices.Contains(ids, id) && len(ids) > 0 {
		return ids[0]
	}
	return id
}

// with makes an input of the engine's keys and values.
func with(pairs ...any) flow.Input {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1] //nolint:forcetypeassert // ours
	}
	in, _ := json.Marshal(m) // strings, flags, and what came as JSON
	return in
}

// passing are the steps that are answered without asking anybody.
var passing = map[string]func(data map[string]any) flow.Input{
	"account_recovery_select_destination_data": func(map[string]any) flow.Input { return with("index", 0) },
	"create_passkey_data":                      func(map[string]any) flow.Input { return with("skip", true) },
	"select_oob_otp_channels_data": func(data map[string]any) flow.Input {
		if all, _ := data["channels"].([]string); len(all) > 0 {
			return with("channel", all[0])
		}
		return with()
	},
}

// linking is where a sign-up that came upon somebody's account is asked whether to
// log in as them (tenant.LoginAndLink). These clients sign in by a flow of its own.
const linking = "account_linking_identification_data"

// names says whether a form says who it is: then the flow begins anew, wherever
// it stands.
func (f *held) names(in form) bool {
	if in.text("code") != "" || in.text("resend") != "" {
		return false
	}
	switch f.kind {
	case login:
		return in.text("identifier") != "" && !f.note.Refresh && f.note.AAL != aal2
	case registration:
		other := f.asks() == "verify_oob_otp_data" && in.chosen() == methodPassword // than the way that was begun
		for id := range traitInputs {
			if name := "traits." + id; in.text(name) != "" && (other || in.text(name) != f.note.Values[name]) {
				return true
			}
		}
	case recovery, verification:
		to := in.text("email")
		return to != "" && to != f.note.Values["email"]
	}
	return false
}

func (p *page) readIdentity(data map[string]any, in form) ([]flow.Input, error) {
	ids := p.identifications(data)
	method := in.chosen()
	switch p.flow.kind {
	case login:
		return p.readLogin(ids, method, in)
	case registration:
		return p.readRegistration(ids, method, in)
	}
	if method != methodCode {
		return nil, p.noMethod()
	}
	to := in.take("email")
	if to == "" {
		return nil, missing("email")
	}
	who := with("identification", typed(to, ids), "login_id", to)
	if p.flow.kind == recovery {
		return []flow.Input{who, with("index", 0)}, nil
	}
	return []flow.Input{who}, nil
}

func (p *page) readLogin(ids []string, method string, in form) ([]flow.Input, error) {
	if method != methodPassword && method != methodCode {
		return nil, p.noMethod()
	}
	who := in.take("identifier")
	if who == "" {
		return nil, missing("identifier")
	}
	id := typed(who, ids)
	way := p.way(id, method)
	if way == "" {
		return nil, p.noMethod()
	}
	proof := with("authentication", way)
	if method == methodPassword {
		given := in.take("password")
		if given == "" {
			return nil, missing("password")
		}
		proof = with("authentication", way, "password", given)
	}
	return []flow.Input{with("identification", id, "login_id", who), proof}, nil
}

func (p *page) readRegistration(ids []string, method string, in form) ([]flow.Input, error) {
	if method == "" {
		return nil, p.noMethod()
	}
	var id, value string
	for _, one := range ids {
		v := in.take("traits." + one)
		switch {
		case v == "":
		case value != "":
			return nil, wrongAt("traits."+one, say(invalid, "reason", "Give one of these only."))
		default:
			id, value = one, v
		}
	}
	if value == "" && len(ids) > 0 {
		return nil, missing("traits." + ids[0])
	}
	inputs := []flow.Input{with("identification", id, "login_id", value)}
	way := p.way(id, method)
	switch {
	case way == "" && len(p.following(id)) > 0 && method != methodProfile:
		return nil, p.noMethod()
	case way == "": // what comes first is something else
		return inputs, nil
	case method == methodCode:
		return append(inputs, with("authentication", way)), nil
	}
	given := in.take("password")
	if given == "" {
		return nil, missing("password")
	}
	return append(inputs, with("authentication", way, "new_password", given)), nil
}

// way is the authenticator that a method stands for, right after a login id; ""
// when it stands for none.
func (p *page) way(id, method string) string { return withMethod(p.following(id), method) }

func withMethod(names []string, method string) string {
	for _, name := range names {
		if methodOf[name] == method {
			return name
		}
	}
	return ""
}

// fieldOf says which method fills a field in, for forms that name none.
var fieldOf = [][2]string{
	{"password", methodPassword},
	{"code", methodCode}, {"email", methodCode}, {"resend", methodCode},
	{"totp_code", methodTOTP}, {"totp_unlink", methodTOTP},
	{"lookup_secret", methodLookup}, {"lookup_secret_confirm", methodLookup}, {"lookup_secret_regenerate", methodLookup}, {"lookup_secret_disable", methodLookup},
}

// chosen is the method that a form names, or else the one whose field it fills
// in; "" for none.
func (in form) chosen() string {
	if m := in.text("method"); m != "" {
		return m
	}
	for _, by := range fieldOf {
		if in.text(by[0]) != "" || in.flag(by[0]) {
			return by[1]
		}
	}
	return ""
}

func (p *page) readFactor(data map[string]any, in form) ([]flow.Input, error) {
	method := in.chosen()
	name := withMethod(p.authentications(data), method)
	field := map[string][2]string{
		methodPassword: {"password", "password"}, methodTOTP: {"totp_code", "code"}, methodLookup: {"lookup_secret", "recovery_code"},
	}[method]
	switch {
	case name == "":
		return nil, p.noMethod()
	case method == methodCode:
		return []flow.Input{with("authentication", name)}, nil
	case in.text(field[0]) == "":
		return nil, missing(field[0])
	}
	return []flow.Input{with("authentication", name, field[1], in.take(field[0]))}, nil
}

func (p *page) readNewFactor(data map[string]any, in form) ([]flow.Input, error) {
	method := in.chosen()
	name := withMethod(p.authentications(data), method)
	switch {
	case name == "":
		return nil, p.noMethod()
	case method == methodPassword && in.text("password") == "":
		return nil, missing("password")
	case method == methodPassword:
		return []flow.Input{with("authentication", name, "new_password", in.take("password"))}, nil
	case in.text("address") != "":
		return []flow.Input{with("authentication", name, "target", in.take("address"))}, nil
	}
	return []flow.Input{with("authentication", name)}, nil
}

func (p *page) readCode(data map[string]any, in form) ([]flow.Input, error) {
	key := "code"
	if data["type"] == "account_recovery_verify_code_data" {
		key = "account_recovery_code"
	}
	switch code := in.take("code"); {
	case in.chosen() == "" && code == "":
		return nil, p.noMethod()
	case code != "":
		return []flow.Input{with(key, code)}, nil
	case in.take("email") != "", in.take("resend") != "":
		return []flow.Input{with("resend", true)}, nil
	case data["otp_form"] == "link":
		return []flow.Input{with("check", true)}, nil
	}
	return nil, missing("code")
}

func (p *page) readTOTP(_ map[string]any, in form) ([]flow.Input, error) {
	if in.text("totp_code") == "" {
		return nil, missing("totp_code")
	}
	return []flow.Input{with("code", in.take("totp_code"))}, nil
}

func (p *page) readSeen(_ map[string]any, in form) ([]flow.Input, error) {
	if !in.flag("lookup_secret_confirm") {
		return nil, missing("lookup_secret_confirm")
	}
	return []flow.Input{with("confirm_recovery_code", true)}, nil
}

func (p *page) readEndOthers(map[string]any, form) ([]flow.Input, error) {
	return []flow.Input{with("terminate_other_sessions", true)}, nil
}

func (p *page) readNewPassword(_ map[string]any, in form) ([]flow.Input, error) {
	switch {
	case in.chosen() != methodPassword:
		return nil, p.noMethod()
	case in.text("password") == "":
		return nil, missing("password")
	}
	return []flow.Input{with("new_password", in.take("password"))}, nil
}

func (p *page) readProfile(data map[string]any, in form) ([]flow.Input, error) {
	given, err := attributesOf(data, in)
	return []flow.Input{with("attributes", given)}, err
}

// given is an attribute as the engine takes it.
type given struct {
	Pointer string `json:"pointer"`
	Value   any    `json:"value"`
}

// attributesOf reads the attributes that are asked for; an empty field gives none.
func attributesOf(data map[string]any, in form) ([]given, error) {
	out := []given{}
	for _, a := range attributesIn(data) {
		v, ok := in["traits."+a.name()]
		if s, empty := v.(string); ok && (!empty || s != "") {
			out = append(out, given{a.Pointer, v})
			continue
		}
		if a.Required {
			return nil, missing("traits." + a.name())
		}
	}
	return out, nil
}
