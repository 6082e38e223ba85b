package flowapi_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// The API reference is the contract: each of its examples in the sections below
// is run as it is printed (FLOW_API.md section 6). A section is a tenant of its
// own, with the user that the section logs in.
var seedSections = []struct {
	section  string
	user     []string // login ids; none for a tenant without users
	password string
	before   []string // requests that lead to the first example
	examples int      // so that none is forgotten
	then     []string // the action that each request of the section is answered with
}{
	{"1.2", []string{"phone:+44123344556"}, "12345678", nil, 2, []string{"identify", "finished"}},
	{"1.4", []string{"email:user@example.com"}, "12345678", []string{`{"type":"login"}`}, 2, []string{"authenticate"}},
	{"1.5", []string{"email:user@example.com"}, "12Hjdusd@o*qfhs$", []string{`{"type":"login"}`}, 1, []string{"finished"}},
	{"1.6", []string{"email:user@example.com"}, "12345678", []string{
		`{"type":"login","input":{"identification":"email","login_id":"user@example.com"}}`,
	}, 1, nil},
	{"1.6.1", []string{"email:user@example.com"}, "12345678", []string{
		`{"type":"login","batch_input":[{"identification":"email","login_id":"user@example.com"},{"authentication":"primary_password","password":"wrong"}]}`,
	}, 1, nil},
	{"2.1", nil, "", nil, 3, []string{"identify", "create_authenticator"}},
	{"2.2", nil, "", []string{
		`{"type":"signup","input":{"identification":"email","login_id":"user@example.com"}}`,
	}, 2, []string{"finished"}},
	{"2.3", []string{"email:user@example.com"}, "12345678", nil, 3, []string{"identify", "authenticate"}},
	{"2.4", []string{"email:user@example.com"}, "12345678", []string{
		`{"type":"login","input":{"identification":"email","login_id":"user@example.com"}}`,
	}, 2, []string{"finished"}},
}

func seedTenant(c *tenant.Config) {
	c.Identifications.Enabled = []string{"email", "phone", "oauth"}
	c.OAuthProviders = []tenant.OAuthProvider{
		{Alias: "google", Type: "google", ClientID: "client"},
		{Alias: "wechat_mobile", Type: "wechat", ClientID: "client", AppType: "mobile"},
	}
}

func TestSeedExamplesWorkAsPrinted(t *testing.T) {
	sections := seedExamples(t)
	onBoth(t, func(h *house) {
		for i, s := range seedSections {
			h.Sub(s.section, func(t *testing.T) {
				examples := sections[s.section]
				if len(examples) != s.examples {
					t.Fatalf("the reference has %d examples here, the table %d: %v", len(examples), s.examples, examples)
				}
				x := h.Tenant(fmt.Sprintf("seed%d", i), seedTenant)
				if s.user != nil {
					h.User(x, s.password, s.user...)
				}
				var last answer
				for _, body := range s.before {
					last = seedRequest(h, t, x, parseJSON(t, body), "")
				}
				then := s.then
				for _, example := range examples {
					if example["result"] != nil || example["error"] != nil {
						printed(t, "", example, last.body)
						continue
					}
					last = seedRequest(h, t, x, example, last.token())
					if len(then) == 0 {
						t.Fatalf("a request more than the table knows: %v", example)
					}
					last.asks(then[0])
					then = then[1:]
				}
				if len(then) > 0 {
					t.Errorf("no request was left for %v", then)
				}
			})
		}
	})
}

// seedRequest sends a printed request. Its token is an example, so the token at
// hand takes its place.
func seedRequest(h *house, t *testing.T, x *tenant.Tenant, body obj, token string) answer {
	t.Helper()
	path := "/authentication_flows"
	if body["type"] == nil {
		path += "/states/input"
		body["state_token"] = token
	}
	return h.do(request{host: x.Hosts[0], path: path, body: body})
}

// printed holds an answer against a printed one: every key and fixed value
// that is printed is there, an instance value has the same shape, and a printed
// list is found in ours in the same order.
func printed(t *testing.T, at string, want, got any) {
	t.Helper()
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s: printed %v, got %v", at, want, got)
			return
		}
		for k, v := range w {
			if _, ok := g[k]; !ok {
				t.Errorf("%s/%s: printed, and missing", at, k)
				continue
			}
			printed(t, at+"/"+k, v, g[k])
		}
	case []any:
		g, _ := got.([]any)
		for i, v := range w {
			for len(g) > 0 && !matches(v, g[0]) {
				g = g[1:]
			}
			if len(g) == 0 {
				t.Errorf("%s/%d: printed %v, and missing or out of order", at, i, v)
				return
			}
			g = g[1:]
		}
	default:
		if form := instances[at[strings.LastIndexByte(at, '/')+1:]]; form != nil {
			if s, _ := got.(string); !form.MatchString(s) {
				t.Errorf("%s: %v is not of the printed form", at, got)
			}
		} else if !reflect.DeepEqual(want, got) {
			t.Errorf("%s: printed %v, got %v", at, want, got)
		}
	}
}

// instances are the keys whose values are another each time, and their form.
var instances = map[string]*regexp.Regexp{
	"state_token":        regexp.MustCompile(`^authflowstate_[0-9A-HJKMNP-TV-Z]{32}$`),
	"can_resend_at":      regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$`),
	"masked_claim_value": regexp.MustCompile(`^(john\*+@example\.com|\+8529876\*+)$`),
	"websocket_url":      regexp.MustCompile(`^wss://`),
	"secret":             regexp.MustCompile(`^[A-Z2-7]{32}$`),
	"otpauth_uri":        regexp.MustCompile(`^otpauth://totp/johnsmith@example\.com\?algorithm=SHA1&digits=6&issuer=[^&]+&period=30&secret=[A-Z2-7]{32}$`),
}

// matches says whether a member of a list is the printed one.
func matches(want, got any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(want, got)
	}
	g, ok := got.(map[string]any)
	for k, v := range w {
		ok = ok && matches(v, g[k])
	}
	return ok
}

var heading = regexp.MustCompile(`^(\d+(\.\d+)+) \S`)

// seedExamples reads every JSON example out of the reference, by section. A
// fragment such as "input": {...} becomes an object.
func seedExamples(t *testing.T) map[string][]obj {
	t.Helper()
	raw, err := os.ReadFile("testdata/authgear-authentication-flow-api.txt")
	must(t, err)
	examples := map[string][]obj{}
	section := ""
	lines := strings.Split(string(raw), "\n")
	for i := 0; i < len(lines); i++ {
		if m := heading.FindStringSubmatch(lines[i]); m != nil {
			section = m[1]
		}
		first := strings.TrimSpace(lines[i])
		fragment := strings.HasPrefix(first, `"`) && (strings.HasSuffix(first, "{") || strings.HasSuffix(first, ","))
		if first != "{" && !fragment || lines[i] != strings.TrimLeft(lines[i], " ") {
			continue
		}
		var text strings.Builder
		open := 0
		for ; i < len(lines); i++ {
			text.WriteString(lines[i] + "\n")
			open += strings.Count(lines[i], "{") - strings.Count(lines[i], "}")
			if open == 0 && !strings.HasSuffix(lines[i], ",") {
				break
			}
		}
		example := text.String()
		if fragment {
			example = "{" + example + "}"
		}
		examples[section] = append(examples[section], parseJSON(t, example))
	}
	return examples
}

func parseJSON(t *testing.T, s string) obj {
	t.Helper()
	var o obj
	if err := json.Unmarshal([]byte(s), &o); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return o
}

// Nothing of the reference's later sections is lost on the way to the test.
func TestSeedIsReadWhole(t *testing.T) {
	n := 0
	for _, examples := range seedExamples(t) {
		n += len(examples)
	}
	if n < 60 {
		t.Errorf("only %d examples were found", n)
	}
}
