package selfservice

import (
	"encoding/json"
	"strings"

	"github.com/usher-id/usher/flowengine/flow"
)

// node is one thing on a page.
type node struct {
	Type       string         `json:"type"`
	Group      string         `json:"group"`
	Attributes map[string]any `json:"attributes"`
	Messages   []*text        `json:"messages"`
	Meta       meta           `json:"meta"`
}

type meta struct {
	Label *text `json:"label,omitempty"`
}

// The methods, which are also the groups of their nodes.
const (
	methodPassword = "password"
	methodCode     = "code"
	methodTOTP     = "totp"
	methodLookup   = "lookup_secret"
	methodProfile  = "profile"

	groupDefault = "default"
)

// attrs are attributes of a node beside those that all have.
type attrs map[string]any

func input(group, name, typ string, label *text, more attrs) node {
	a := map[string]any{"name": name, "type": typ, "disabled": false, "node_type": "input"}
	for k, v := range more {
		a[k] = v
	}
	return node{Type: "input", Group: group, Attributes: a, Messages: []*text{}, Meta: meta{label}}
}

// submit is a button that chooses a method.
func submit(group, method string, label *text) node {
	return input(group, "method", "submit", label, attrs{"value": method})
}

func hidden(group, name, value string) node {
	return input(group, name, "hidden", nil, attrs{"value": value, "required": true})
}

func words(group, id string, says, label *text) node {
	return node{Type: "text", Group: group, Attributes: map[string]any{"id": id, "text": says, "node_type": "text"}, Messages: []*text{}, Meta: meta{label}}
}

// page draws a flow: what the engine asks for, in nodes.
type page struct {
	*call
	flow *held

	state          string
	action, method string
	nodes          []node
	messages       []*text
}

func (p *page) add(ns ...node) { p.nodes = append(p.nodes, ns...) }

// shape is one sort of thing that the engine asks: how a page asks it, and how a
// form answers. A reader takes what it reads out of the form.
type shape struct {
	draw func(p *page, data map[string]any)
	read func(p *page, data map[string]any, in form) ([]flow.Input, error)
}

// shapes are all that this dialect has words for, by the type of the action's data.
var shapes = map[string]shape{
	"identification_data":               {(*page).identify, (*page).readIdentity},
	"authentication_data":               {(*page).factors, (*page).readFactor},
	"create_authenticator_data":         {(*page).factors, (*page).readNewFactor},
	"verify_oob_otp_data":               {(*page).code, (*page).readCode},
	"account_recovery_verify_code_data": {(*page).code, (*page).readCode},
	"create_totp_data":                  {(*page).newTOTP, (*page).readTOTP},
	"view_recovery_code_data":           {(*page).recoveryCodes, (*page).readSeen},
	"fill_user_profile_data":            {(*page).profile, (*page).readProfile},
	"new_password_data":                 {(*page).newPassword, (*page).readNewPassword},
	"reset_password_data":               {(*page).newPassword, (*page).readNewPassword},
	"change_setting_data":               {(*page).settings, (*page).readSetting},
	"terminate_other_sessions_data":     {(*page).endOthers, (*page).readEndOthers},
}

func (p *page) draw() error {
	f := p.flow
	p.state, p.method = chooseMethod, "POST"
	p.action = p.root + "/self-service/" + f.name + "?flow=" + f.id
	p.nodes = []node{}
	if f.note.Type == typeBrowser {
		p.add(hidden(groupDefault, "csrf_token", csrfToken(p.csrf())))
	}
	if f.kind == settings {
		p.state = showForm
	}
	asked, known := shapes[f.asks()]
	switch {
	case f.finished():
		p.finished()
	case f.kind == recovery && f.resets():
		p.passed()
	case known:
		asked.draw(p, f.at.Action.Data)
	default:
		return errNoWay
	}
	p.place()
	return nil
}

// place puts what the last answer was told, and what was typed, where it belongs.
func (p *page) place() {
	var told []*text
	at := map[string]int{}
	for i := range p.nodes {
		name, _ := p.nodes[i].Attributes["name"].(string)
		if _, twice := at[name]; !twice {
			at[name] = i
		}
		if v, ok := p.flow.note.Values[name]; ok && p.nodes[i].Attributes["type"] != "submit" && p.nodes[i].Attributes["value"] == nil {
			p.nodes[i].Attributes["value"] = v
		}
	}
	for _, m := range p.flow.note.Messages {
		if i, ok := at[m.Node]; ok && m.Node != "" {
			p.nodes[i].Messages = append(p.nodes[i].Messages, m.Text)
		} else {
			told = append(told, m.Text)
		}
	}
	if len(told) > 0 {
		p.messages = told
	}
}

// identify draws who it is and, on the same page, how they may prove it.
func (p *page) identify(data map[string]any) {
	ids := p.identifications(data)
	switch p.flow.kind {
	case login:
		p.add(input(groupDefault, "identifier", "text", say(labelIdentifier), attrs{"required": true, "autocomplete": "username"}))
	case registration:
		for _, id := range ids {
			p.add(trait(groupDefault, id, len(ids) == 1))
		}
	default:
		label, typ := say(labelEmail), "email"
		if len(ids) > 1 || len(ids) == 1 && ids[0] != "email" {
			label, typ = say(labelEmailOrPhone), "text"
		}
		p.add(input(methodCode, "email", typ, label, attrs{"required": true}), submit(methodCode, methodCode, say(labelContinue)))
		return
	}
	ways := p.waysAfter(ids)
	creates := p.flow.kind == registration
	if ways[methodPassword] {
		p.add(password(creates), submit(methodPassword, methodPassword, say(p.flow.choose)))
	}
	if ways[methodCode] {
		p.add(submit(methodCode, methodCode, say(p.flow.sendCode)))
	}
	if len(ways) == 0 {
		p.add(submit(methodProfile, methodProfile, say(labelNext)))
	}
}

func password(creates bool) node {
	complete := "current-password"
	if creates {
		complete = "new-password"
	}
	return input(methodPassword, "password", "password", say(inputPassword), attrs{"required": true, "autocomplete": complete})
}

// traitInputs are what browsers are told about the login ids.
var traitInputs = map[string]struct{ title, typ, complete string }{
	"email":    {"E-Mail", "email", "email"},
	"phone":    {"Phone number", "tel", "tel"},
	"username": {"Username", "text", "username"},
}

// trait asks for something of the user's.
func trait(group, name string, required bool) node {
	known, more := traitInputs[name], attrs{}
	typ, title := "text", titleOf(name)
	if known.typ != "" {
		typ, title = known.typ, known.title
		more["autocomplete"] = known.complete
	}
	if required {
		more["required"] = true
	}
	return input(group, "traits."+name, typ, say(labelTrait, "title", title, "name", "traits."+name), more)
}

// titleOf is a name as people write it.
func titleOf(name string) string {
	name = strings.ReplaceAll(strings.TrimPrefix(name, "x_"), "_", " ")
	if name == "" {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// factors draws the ways to prove it, or to set up what proves it.
func (p *page) factors(data map[string]any) {
	creates := data["type"] == "create_authenticator_data"
	if p.flow.kind == login && len(p.flow.run.Factors) > 0 {
		p.messages = []*text{say(labelSecondFactor)}
	} else if p.flow.note.Refresh {
		p.messages = []*text{say(labelReauth)}
	} else if creates {
		p.messages = []*text{say(chooseCredential)}
	}
	drawn := map[string]bool{}
	for _, name := range p.authentications(data) {
		method := methodOf[name]
		if drawn[method] {
			continue
		}
		drawn[method] = true
		switch method {
		case methodPassword:
			p.add(password(creates), submit(methodPassword, methodPassword, say(p.flow.choose)))
		case methodCode:
			if creates && strings.HasPrefix(name, "secondary") {
				p.add(input(methodCode, "address", "text", say(labelEmailOrPhone), attrs{"required": true}))
			}
			p.add(submit(methodCode, methodCode, say(p.flow.sendCode)))
		case methodTOTP:
			if !creates {
				p.add(input(methodTOTP, "totp_code", "text", say(labelTOTPCode), attrs{"required": true, "autocomplete": "one-time-code"}))
			}
			p.add(submit(methodTOTP, methodTOTP, say(labelUseTOTP)))
		case methodLookup:
			p.add(input(methodLookup, "lookup_secret", "text", say(labelLookupCode), attrs{"required": true}), submit(methodLookup, methodLookup, say(labelUseLookup)))
		}
	}
}

// code draws where a code goes that was sent.
func (p *page) code(data map[string]any) {
	f := p.flow
	p.state = sentEmail
	id := f.sent
	if f.kind == verification && data["channel"] != "email" {
		id = sentVerificationTo
	}
	p.messages = []*text{say(id)}
	if f.kind == login {
		if v := f.note.Values["identifier"]; v != "" {
			p.add(hidden(groupDefault, "identifier", v))
		}
	}
	p.add(hidden(methodCode, "method", methodCode))
	more := attrs{"required": true, "autocomplete": "one-time-code"}
	if v := f.note.Values["code"]; v != "" {
		more["value"] = v
	}
	p.add(input(methodCode, "code", "text", say(f.code), more), submit(methodCode, methodCode, say(labelContinue)))
	if to := f.note.Values["email"]; to != "" && f.kind != login && f.kind != registration {
		p.add(input(methodCode, "email", "submit", say(labelResend), attrs{"value": to}))
	} else {
		p.add(input(methodCode, "resend", "submit", say(labelResend), attrs{"value": methodCode}))
	}
}

func (p *page) newPassword(map[string]any) {
	if p.flow.kind == settings && p.flow.note.Kind == recovery.name && len(p.flow.note.Messages) == 0 {
		p.messages = []*text{sayRecovered(p.flow.run.ExpiresAt, p.engine.Now())}
	}
	p.add(password(true), submit(methodPassword, methodPassword, say(labelSave)))
}

// newTOTP draws an authenticator app being set up.
func (p *page) newTOTP(data map[string]any) { p.totp(data, labelSave) }

func (p *page) totp(data map[string]any, button int) {
	if uri, ok := data["otpauth_uri"].(string); ok {
		if src, err := qrCode(uri); err == nil {
			p.add(node{Type: "img", Group: methodTOTP, Messages: []*text{}, Meta: meta{say(labelTOTPImage)}, Attributes: map[string]any{
				"id": "totp_qr", "src": src, "width": qrSize, "height": qrSize, "node_type": "img",
			}})
		}
	}
	secret, _ := data["secret"].(string)
	p.add(words(methodTOTP, "totp_secret_key", say(showTOTPSecret, "secret", secret), say(labelTOTPSecret)),
		input(methodTOTP, "totp_code", "text", say(labelTOTPCode), attrs{"required": true, "autocomplete": "one-time-code"}),
		submit(methodTOTP, methodTOTP, say(button)))
}

// recoveryCodes draws new ones, which are shown this once.
func (p *page) recoveryCodes(data map[string]any) {
	codes, _ := data["recovery_codes"].([]string)
	all := say(showLookupCodes, "secrets", codes)
	all.Text = strings.Join(codes, ", ")
	p.add(words(methodLookup, "lookup_secret_codes", all, say(labelShownCodes)),
		input(methodLookup, "lookup_secret_confirm", "submit", say(labelConfirmCodes), attrs{"value": "true"}))
}

func (p *page) profile(data map[string]any) {
	for _, a := range attributesIn(data) {
		p.add(a.node(groupDefault))
	}
	p.add(submit(methodProfile, methodProfile, say(labelNext)))
}

func (p *page) endOthers(map[string]any) {
	p.add(submit(methodProfile, methodProfile, say(labelContinue)))
}

// attribute is one that the engine asks for.
type attribute struct {
	Pointer  string          `json:"pointer"`
	Required bool            `json:"required"`
	Value    json.RawMessage `json:"value"`
}

// attributesIn reads what the engine asks for, whatever its type there.
func attributesIn(data map[string]any) (out []attribute) {
	raw, err := json.Marshal(data["attributes"])
	if err == nil {
		_ = json.Unmarshal(raw, &out) // none, then
	}
	return out
}

func (a *attribute) name() string { return strings.TrimPrefix(a.Pointer, "/") }

func (a *attribute) node(group string) node {
	n := trait(group, a.name(), a.Required)
	var v any
	if json.Unmarshal(a.Value, &v) == nil && v != nil {
		n.Attributes["value"] = v
	}
	return n
}

// optionsIn are the ways that the engine offers.
func optionsIn(data map[string]any) []flow.Option {
	o, _ := data["options"].([]flow.Option)
	return o
}
