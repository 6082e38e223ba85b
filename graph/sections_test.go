package graph_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// aBitOfEverything fills the lists of a configuration.
const aBitOfEverything = `
identifications: {enabled: [email, phone, ldap]}
ldap: {servers: [{name: office, url: "ldaps://office.shop.example", base_dn: "dc=office", search_filter_template: "(uid={{.Username}})", user_id_attribute_name: entryUUID}]}
bot_protection: {enabled: true, provider: {type: hcaptcha, site_key: key}, hostnames: [shop.example], requirements: {password: {mode: always}}}
authenticators: {primary: [primary_password, primary_oob_otp_sms]}
messaging:
  sms: {provider: webhook, webhook: {url: "https://hooks.shop.example/sms"}}
  templates: [{purpose: recovery, channel: email, language: fr, subject: "Bonjour", text: "{{.Code}}", html: "<p>{{.Code}}</p>"}]
test_mode: {enabled: true, fixed_codes: [{pattern: "^\\+1555", code: "111111"}], suppressed: [{pattern: "^\\+1555", channels: [sms]}]}
hooks: {endpoints: [{name: crm, url: "https://hooks.shop.example/crm", events: [user.created], enabled: true}]}
account_linking: {login_id: [{name: mail, key: email, user_profile: {pointer: /email}, action: login_and_link}]}
flows:
  signup_flows:
  - name: short
    steps:
    - type: identify
      one_of: [{identification: email, account_linking: {login_id: [{name: mail, action: error, login_flow: short}]}}]
    - {type: create_authenticator, one_of: [{authentication: primary_password}]}
  settings_flows:
  - name: short
    steps: [{type: change_setting, user_profile: [{pointer: /nickname}], one_of: [{setting: profile}]}]
  login_flows:
  - name: short
    steps:
    - name: who
      type: identify
      one_of:
      - identification: email
        bot_protection: {mode: always}
        steps: [{type: authenticate, target_step: who, one_of: [{authentication: primary_password}]}]
  account_recovery_flows:
  - name: short
    steps:
    - {type: identify, one_of: [{identification: email}]}
    - {type: select_destination, allowed_channels: [{channel: email, otp_form: code}]}
    - {type: verify_account_recovery_code}
    - {type: reset_password}
`

// sections reads every section, whole, and sends each back as it is: that
// changes nothing. The questions are made from the schema.
func (s *story) sections() {
	s.works(`mutation($d: String!) { applyConfig(input: {tenant: "shop", document: $d, force: "a test"}) { version { number }`+why+` }`, "d", aBitOfEverything)
	sc := schema()
	a := s.works(`{ tenant(slug: "shop") { config ` + selection(sc, sc.Types["Config"], nil) + ` } }`)
	for _, f := range sc.Types["Config"].Fields {
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		name := strings.ToUpper(f.Name[:1]) + f.Name[1:]
		input := map[string]any{"tenant": "shop"}
		section := a.at("tenant", "config", f.Name)
		if list, ok := section.([]any); ok {
			input[f.Name] = asInput(sc, sc.Types["Update"+name+"Input"].Fields.ForName(f.Name).Type, list, false)
		} else {
			for field, v := range section.(map[string]any) {
				input[field] = asInput(sc, sc.Types["Update"+name+"Input"].Fields.ForName(field).Type, v, false)
			}
		}
		b := s.works(fmt.Sprintf(`mutation($i: Update%sInput!) { update%[1]s(input: $i) { changes { pointer before after }%s }`, name, why), "i", input)
		if n := len(b.at("update"+name, "changes").([]any)); n != 0 {
			s.t.Errorf("%s, sent back as it was, has changed: %s", f.Name, b.raw)
		}
	}
}

// selection asks for all fields of a type; of one that holds itself, twice.
func selection(sc *ast.Schema, def *ast.Definition, path []string) string {
	if def.Kind != ast.Object {
		return ""
	}
	path = append(path, def.Name)
	var fields []string
	for _, f := range def.Fields {
		inner := sc.Types[f.Type.Name()]
		deep := 0
		for _, p := range path {
			if p == inner.Name {
				deep++
			}
		}
		if deep < 2 {
			fields = append(fields, f.Name+" "+selection(sc, inner, slices.Clip(path)))
		}
	}
	return "{ " + strings.Join(fields, " ") + " }"
}

// asInput makes what was read what can be sent: without what is only shown, and
// within lists without what has no value.
func asInput(sc *ast.Schema, typ *ast.Type, v any, listed bool) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = asInput(sc, typ.Elem, v[i], true)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			f := sc.Types[typ.Name()].Fields.ForName(name)
			list, isList := inner.([]any)
			if f == nil || listed && (inner == nil || inner == "" || isList && len(list) == 0) {
				continue
			}
			out[name] = asInput(sc, f.Type, inner, listed)
		}
		return out
	}
	return v
}

// messages: what was sent is listed, written out and tried.
func (s *story) messages() {
	user := s.newUser("acme", "mia@example.com")
	readable, hidden := s.newMessage("acme", user, "suppressed"), s.newMessage("acme", user, "queued")
	a := s.works(`{ tenant(slug: "acme") { messages(first: 5) { edges { cursor node { id } }
		nodes { id channel to purpose language subject body html code link status attempts provider error runId createdAt sentAt expiresAt } pageInfo { hasNextPage endCursor } }
		sent: messages(filter: {channel: EMAIL, status: SENT, to: "mia@example.com"}) { nodes { id } } } }`)
	for i, want := range []string{
		fmt.Sprintf("%s EMAIL mia@example.com VERIFICATION QUEUED <nil> <nil> <nil> <nil>", hidden),
		fmt.Sprintf("%s EMAIL mia@example.com VERIFICATION SUPPRESSED Your acme verification code true 135799 <nil>", readable),
	} {
		m := a.at("tenant", "messages", "nodes", i).(map[string]any)
		body := m["body"]
		if text, ok := body.(string); ok {
			body = strings.Contains(text, "135799")
		}
		got := fmt.Sprint(m["id"], " ", m["channel"], " ", m["to"], " ", m["purpose"], " ", m["status"], " ", m["subject"], " ", body, " ", m["code"], " ", m["link"])
		if got != want {
			s.t.Errorf("message: %s, want %s", got, want)
		}
	}
	if list := a.at("tenant", "sent", "nodes").([]any); len(list) != 0 {
		s.t.Errorf("sent: %s", a.raw)
	}
	a = s.works(`mutation { previewMessage(input: {tenant: "shop", channel: EMAIL, purpose: RECOVERY, language: "fr-CA"}) { message { language subject body html }` + why + ` }`)
	if got := fmt.Sprint(a.at("previewMessage", "message")); got != "map[body:000000 html:<p>000000</p> language:fr subject:Bonjour]" {
		s.t.Errorf("preview: %s", got)
	}
	a = s.works(`mutation { sendTestMessage(input: {tenant: "shop", channel: WHATSAPP, to: "+85298765432", form: LINK}) { sent provider error` + why + ` }`)
	if got := fmt.Sprint(a.at("sendTestMessage")); got != "map[error:no gateway is set up for whatsapp provider:none sent:false userErrors:[]]" {
		s.t.Errorf("test: %s", got)
	}
	a = s.refuses("ValidationFailed", `mutation { sendTestMessage(input: {tenant: "shop", channel: EMAIL, to: "nobody"}) { sent`+why+` }`)
	if a.at("sendTestMessage", "userErrors", 0, "pointer") != "/to" {
		s.t.Errorf("pointer: %s", a.raw)
	}
}
