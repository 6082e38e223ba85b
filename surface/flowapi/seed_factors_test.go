package flowapi_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// reading is one section of the reference being followed.
type reading struct {
	h        *house
	t        *testing.T
	x        *tenant.Tenant
	examples []obj
	read     []bool
	last     answer
}

// example takes one, in the order of the page.
func (r *reading) example(i int) obj {
	r.t.Helper()
	if i >= len(r.examples) {
		r.t.Fatalf("the reference has no example %d here", i)
	}
	r.read[i] = true
	return r.examples[i]
}

// in moves to another tenant.
func (r *reading) in(change ...func(*tenant.Config)) *reading {
	r.x = r.h.Tenant(strings.ToLower(secret.NewToken("t")[:20]), append([]func(*tenant.Config){seedFactors}, change...)...)
	return r
}

func (r *reading) begin(flowType string, inputs ...obj) *reading {
	r.t.Helper()
	r.last = r.h.begin(r.x, flowType, obj{"batch_input": inputs})
	return r
}

// sends sends an example: an input by itself, or the body of a request. What it
// prints in angle brackets is filled in.
func (r *reading) sends(i int, fill ...string) *reading {
	r.t.Helper()
	e := r.example(i)
	if in, ok := e["input"].(obj); ok {
		e = in
	}
	e = maps.Clone(e)
	for key, value := range e {
		if s, _ := value.(string); strings.HasPrefix(s, "<") && len(fill) > 0 {
			e[key] = fill[0]
		}
	}
	return r.posts(e)
}

func (r *reading) posts(in obj) *reading {
	r.t.Helper()
	r.last = r.h.post(r.x, r.last.token(), in)
	return r
}

// shows holds the last answer against a printed one. but are the parts of it
// that the page has wrong (FLOW_API.md section 6), by path.
func (r *reading) shows(i int, but ...func(obj)) *reading {
	r.t.Helper()
	e := parseJSON(r.t, string(must1(json.Marshal(r.example(i)))))
	for _, b := range but {
		b(e)
	}
	printed(r.t, "", e, r.last.body)
	return r
}

// offers looks for a printed option among those of the last answer.
func (r *reading) offers(i int) *reading {
	r.t.Helper()
	want := r.example(i)
	options, _ := r.last.at("result", "action", "data", "options").([]any)
	if !slices.ContainsFunc(options, func(o any) bool { return matches(want, o) }) {
		r.t.Errorf("printed %v, and not among %v", want, options)
	}
	return r
}

func (r *reading) asks(action string) *reading {
	r.t.Helper()
	r.last.asks(action)
	return r
}

// code is the code that was sent.
func (r *reading) code() string { return r.h.code(r.x) }

// later waits until another message may be sent.
func (r *reading) later() *reading {
	r.h.Wait(61 * time.Second)
	return r
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// seedFactors is what the pages about methods assume: everything can be had.
func seedFactors(c *tenant.Config) {
	c.Identifications.Enabled = []string{"email", "phone", "username"}
	c.Authenticators.Primary = []string{"primary_password", "primary_oob_otp_email", "primary_oob_otp_sms"}
	c.Authenticators.RecoveryCodes.Enabled = false
	c.OTP.Phone.Channels = []string{"sms", "whatsapp"}
	c.PasswordPolicy = tenant.PasswordPolicy{MinimumLength: 8}
}

// required makes a second factor part of every sign-up.
func required(method string) func(*tenant.Config) {
	return func(c *tenant.Config) {
		c.Authenticators.Secondary, c.Authenticators.SecondaryMode = []string{method}, tenant.SecondaryRequired
		c.Authenticators.Primary = []string{"primary_password"}
	}
}

// has gives a user further authenticators; a TOTP key comes in base32.
func (r *reading) has(u *tenant.UserRecord, kind, kept string) {
	r.t.Helper()
	a := tenant.Authenticator{TenantID: u.TenantID, ID: secret.NewID(), UserID: u.ID, Type: kind, Secret: kept, CreatedAt: r.h.Now(), UpdatedAt: r.h.Now()}
	switch kind {
	case "secondary_totp":
		a.Secret = r.h.seal(r.x, a.ID, `{"key":"`+kept+`"}`)
	case "secondary_password":
		a.Secret = u.Authenticators[0].Secret
	}
	r.h.Change(r.x, func(tx tenant.Tx) error { return tx.PutAuthenticator(&a) })
}

// seal hides what an authenticator keeps, as the engine does.
func (h *house) seal(x *tenant.Tenant, id, plain string) string {
	h.T.Helper()
	b, err := h.Master.Seal(x, "authenticator", id, []byte(plain))
	must(h.T, err)
	return base64.RawURLEncoding.EncodeToString(b)
}

// totpCode is RFC 6238's code of a key.
func totpCode(key string, at time.Time) string {
	k := must1(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key))
	mac := hmac.New(sha1.New, k)
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/30)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[len(sum)-1]&0xf:])&0x7fffffff%1_000_000)
}

var (
	seedJohn  = obj{"identification": "email", "login_id": "johnsmith@example.com"}
	seedPhone = obj{"identification": "phone", "login_id": "+85298765432"}
)

// seedReadings follow the sections about actions and methods. Each takes every
// example of its section.
var seedReadings = map[string]func(*reading){
	"2.5": func(r *reading) { // action.type: verify
		fixed := func(c *tenant.Config) {
			c.Verification = tenant.Verification{Email: tenant.VerifyClaim{Required: true}, Phone: tenant.VerifyClaim{Required: true}}
			c.TestMode = tenant.TestMode{Enabled: true, FixedCodes: []tenant.FixedCode{{Pattern: `^\+852`, Code: "000000"}}}
			c.OTP.Email.Form = tenant.LinkForm
		}
		r.in(fixed).begin("signup", seedPhone).shows(0).sends(1).shows(2, func(e obj) {
			e["result"].(obj)["action"].(obj)["data"].(obj)["channel"] = "sms" // what was chosen
		})
		r.later().sends(3).asks("verify").sends(4).asks("create_authenticator")
		r.begin("signup", seedJohn).shows(5)
		if p := r.h.page("POST", r.x.Hosts[0], r.h.link(r.x), nil); p.status != 200 {
			r.t.Fatalf("the link's page: %d %s", p.status, p.raw)
		}
		r.last = r.h.do(request{host: r.x.Hosts[0], path: "/authentication_flows/states", body: obj{"state_token": r.last.token()}})
		if r.last.at("result", "action", "data", "can_check") != true {
			r.t.Errorf("the retrieved state: %s", r.last.raw)
		}
		r.sends(6).asks("create_authenticator")
	},
	"2.6": func(r *reading) { // action.type: change_password
		r.in(func(c *tenant.Config) {
			c.PasswordPolicy = tenant.PasswordPolicy{MinimumLength: 8, AlphabetRequired: true, DigitRequired: true, ForceChange: true}
		})
		r.h.User(r.x, "12345678", "email:johnsmith@example.com")
		r.begin("login", seedJohn, authenticate("12345678")).shows(0)
		newPassword(r)
	},
	"2.7": func(r *reading) { // action.type: reset_password
		r.in(func(c *tenant.Config) {
			c.PasswordPolicy = tenant.PasswordPolicy{MinimumLength: 8, DigitRequired: true}
		})
		r.h.User(r.x, "12345678", "email:johnsmith@example.com")
		r.begin("account_recovery", seedJohn, obj{"index": 0}).posts(obj{"account_recovery_code": r.code()})
		r.shows(0, func(e obj) { e["result"].(obj)["type"] = "account_recovery" })
		newPassword(r)
	},
	"2.8": func(r *reading) { // Finish Response
		r.in()
		r.h.User(r.x, "12345678", "email:johnsmith@example.com")
		r.begin("login", seedJohn, authenticate("12345678")).shows(0, func(e obj) {
			delete(e["result"].(obj)["action"].(obj)["data"].(obj), "finish_redirect_uri") // of a run for an authorization request
		})
	},
	"3.1": identification("email:user@example.com"),
	"3.2": identification("phone:+852980005432"),
	"3.3": identification("username:johndoe"),
	"4.1": func(r *reading) { // primary_password
		r.in().begin("signup", seedJohn).offers(0).sends(3).asks("finished")
		r.begin("login", seedJohn).sends(2).asks("finished")
		r.in(func(c *tenant.Config) {
			c.PasswordPolicy = tenant.PasswordPolicy{
				MinimumLength: 8, UppercaseRequired: true, LowercaseRequired: true, AlphabetRequired: true, DigitRequired: true,
				SymbolRequired: true, MinimumZxcvbnScore: 4,
			}
		}).begin("signup", seedJohn)
		printed(r.t, "", r.example(1), r.last.at("result", "action", "data", "options", 0, "password_policy"))
	},
	"4.2": func(r *reading) { // primary_oob_otp_email
		r.in()
		r.h.User(r.x, "12345678", "email:johnsmith@example.com")
		r.begin("login", seedJohn).offers(0).sends(2).asks("authenticate").sends(3, r.code()).asks("finished")
		r.in().begin("signup", seedJohn).offers(1).sends(4).asks("create_authenticator").posts(obj{"code": r.code()}).asks("finished")
	},
	"4.3": func(r *reading) { // primary_oob_otp_sms
		r.in(func(c *tenant.Config) { // an index of 2 has two others before it
			c.Flows.LoginFlows = []tenant.Flow{{Name: "default", Steps: []tenant.Step{
				{Type: "identify", OneOf: []tenant.Branch{{Identification: "phone"}}},
				{Type: "authenticate", OneOf: []tenant.Branch{
					{Authentication: "primary_password"}, {Authentication: "primary_oob_otp_email"}, {Authentication: "primary_oob_otp_sms"},
				}},
			}}}
		})
		u := r.h.User(r.x, "12345678", "phone:+85298765432")
		r.has(u, "primary_oob_otp_email", "johnsmith@example.com")
		r.has(u, "primary_oob_otp_sms", "+85298765432")
		r.begin("login", seedPhone).offers(0).sends(2).asks("authenticate").posts(obj{"code": r.code()}).asks("finished")
		r.in().begin("signup", seedPhone).offers(1).sends(3).asks("create_authenticator").posts(obj{"code": r.code()}).asks("finished")
	},
	"4.4": func(r *reading) { // secondary_password
		r.in(required("secondary_password")).begin("signup", seedJohn, create("12345678")).offers(0).sends(2).asks("finished")
		r.begin("login", seedJohn, authenticate("12345678")).sends(1).asks("finished")
	},
	"4.5": func(r *reading) { // secondary_oob_otp_email
		r.in(required("secondary_oob_otp_email")).begin("signup", seedJohn, create("12345678")).offers(0).sends(1).asks("create_authenticator")
		r.posts(obj{"code": r.code()}).asks("finished")
	},
	"4.6": func(r *reading) { // secondary_oob_otp_sms
		r.in(required("secondary_oob_otp_sms")).begin("signup", seedJohn, create("12345678")).offers(0).sends(1).asks("create_authenticator")
		r.posts(obj{"code": r.code()}).asks("finished")
	},
	"4.7": func(r *reading) { // secondary_totp
		r.in(required("secondary_totp")).begin("signup", seedJohn, create("12345678")).offers(0).sends(2).shows(3)
		key := r.last.str("result", "action", "data", "secret")
		r.sends(4, totpCode(key, r.h.Now())).asks("finished")
		r.later().begin("login", seedJohn, authenticate("12345678")).sends(1, totpCode(key, r.h.Now())).asks("finished")
	},
	"5.1": func(r *reading) { // Retrieve a state again
		r.in().begin("login", seedJohn)
		body := maps.Clone(r.example(0))
		body["state_token"] = r.last.token()
		if again := r.h.do(request{host: r.x.Hosts[0], path: "/authentication_flows/states", body: body}); again.raw != r.last.raw {
			r.t.Errorf("retrieved again: %s, was %s", again.raw, r.last.raw)
		}
	},
}

// newPassword sends the printed new password, which has no digit where the
// printed policy asks for one, and then one that has.
func newPassword(r *reading) {
	r.t.Helper()
	before := r.last
	r.sends(1).last.refuses(400, "PasswordPolicyViolated").because("/new_password", "digit_required")
	r.last = before
	in := maps.Clone(r.example(1))
	in["new_password"] = in["new_password"].(string) + "1"
	r.posts(in).asks("finished")
}

// identification follows the pages of the login ids, which are alike.
func identification(loginID string) func(*reading) {
	return func(r *reading) {
		r.in()
		r.h.User(r.x, "12345678", loginID)
		r.begin("login").offers(0).sends(1).asks("authenticate").posts(authenticate("12345678")).asks("finished")
		r.in().begin("signup").offers(0).sends(1).asks("create_authenticator")
	}
}

func TestSeedExamplesOfActionsAndMethods(t *testing.T) {
	sections := seedExamples(t)
	onBoth(t, func(h *house) {
		for _, section := range slices.Sorted(maps.Keys(seedReadings)) {
			h.Sub(section, func(t *testing.T) {
				r := &reading{h: h, t: t, examples: sections[section], read: make([]bool, len(sections[section]))}
				seedReadings[section](r)
				for i, read := range r.read {
					if !read {
						t.Errorf("example %d was left out: %v", i, r.examples[i])
					}
				}
			})
		}
	})
}
