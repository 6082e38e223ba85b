package flowapi_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// project is an Authgear project: its configuration and its users.
const project = `
id: shop
authentication:
  identities: [login_id]
  primary_authenticators: [password]
  secondary_authenticators: [totp, password, oob_otp_email, oob_otp_sms]
  secondary_authentication_mode: if_exists
identity: {login_id: {keys: [{type: email}, {type: phone}, {type: username}]}}
authenticator: {oob_otp: {sms: {phone_otp_mode: sms}}}
test_mode:
  oob_otp:
    enabled: true
    rules: [{regex: '@second\.example$', fixed_code: "111111"}, {regex: '^\+1415', fixed_code: "222222"}]
`

const projectUsers = `{"identifier": "email", "records": [
  {"email": "plain@shop.example", "email_verified": true, "password": {"type": "bcrypt", "password_hash": "$bcrypt-sha512$$2a$10$qQybX3kAJNT2YqYRVmbfjO5EhgWm6vV4cWmXo2ZATAuBmCyJM2fKu"}},
  {"email": "totp@shop.example", "preferred_username": "tess", "password": {"type": "bcrypt", "password_hash": %[1]q}, "mfa": {"totp": {"secret": "JBSW Y3DP EHPK 3PXP"}}},
  {"email": "mail@shop.example", "password": {"type": "bcrypt", "password_hash": %[1]q}, "mfa": {"email": "Me@second.example"}},
  {"email": "phone@shop.example", "phone_number": "+14155550100", "password": {"type": "bcrypt", "password_hash": %[1]q}, "mfa": {"phone_number": "+14155550123"}},
  {"email": "twice@shop.example", "password": {"type": "bcrypt", "password_hash": %[1]q}, "mfa": {"password": {"type": "bcrypt", "password_hash": %[2]q}}}
]}`

// Users of an Authgear project log in the minute that it was brought, with what
// they had there; and again at another tenant that they were exported to.
func TestAuthgearProject(t *testing.T) {
	onBoth(t, func(h *house) {
		admins := h.admins()
		ctx, cli := h.T.Context(), admin.Actor{Kind: tenant.ActorCLI, ID: "test"}
		shop, moved := h.Tenant("shop"), h.Tenant("moved")
		for _, x := range []*tenant.Tenant{shop, moved} {
			done, err := admins.Apply(ctx, cli, x.Slug, admin.Application{Format: admin.FormatAuthgear, Document: []byte(project)})
			must(h.T, err)
			if len(done.Untranslated) != 1 || done.Untranslated[0].Pointer != "/id" {
				h.T.Errorf("untranslated %v", done.Untranslated)
			}
		}
		h.importUsers(shop, admin.FormatAuthgear, strings.NewReader(fmt.Sprintf(projectUsers, h.bcrypt("old secret"), h.bcrypt("second secret"))))
		var exported bytes.Buffer
		_, err := admins.ExportUsers(ctx, cli, shop.Slug, &exported, true)
		must(h.T, err)
		h.importUsers(moved, admin.FormatUsher, &exported)
		h.Eventually(func() bool { // the directory hears of the new version
			return h.begin(shop, "login", nil).at("result", "action", "data", "options", 2) != nil &&
				h.begin(moved, "login", nil).at("result", "action", "data", "options", 2) != nil
		})
		for _, x := range []*tenant.Tenant{shop, moved} {
			h.Sub(x.Slug, func(*testing.T) { h.projectUsersLogIn(x) })
		}
	})
}

func (h *house) projectUsersLogIn(x *tenant.Tenant) {
	h.login(x, "plain@shop.example", "password", nil).asks("finished")
	h.login(x, "plain@shop.example", "Password", nil).refuses(401, "InvalidCredentials")
	h.login(x, "nobody@shop.example", "password", nil).refuses(404, "UserNotFound")

	// An authenticator app, whose code works once.
	second := h.login(x, "totp@shop.example", "old secret", nil).asks("authenticate")
	app := func(code string) obj { return obj{"authentication": "secondary_totp", "code": code} }
	code := h.totp("JBSWY3DPEHPK3PXP")
	h.post(x, second.token(), app("000000")).refuses(401, "InvalidCredentials")
	h.post(x, second.token(), app(code)).asks("finished")
	again := h.login(x, "totp@shop.example", "old secret", nil).asks("authenticate")
	h.post(x, again.token(), app(code)).refuses(401, "InvalidCredentials")
	h.Wait(time.Minute)
	h.post(x, again.token(), app(h.totp("JBSWY3DPEHPK3PXP"))).asks("finished")
	h.begin(x, "login", obj{"batch_input": []obj{{"identification": "username", "login_id": "Tess"}, authenticate("old secret")}}).asks("authenticate")

	// Codes to the addresses of a second factor, which aren't login ids.
	for _, c := range []struct{ email, method, masked, code string }{
		{"mail@shop.example", "secondary_oob_otp_email", "m****@second.example", "111111"},
		{"phone@shop.example", "secondary_oob_otp_sms", "+1415555****", "222222"},
	} {
		second := h.login(x, c.email, "old secret", nil).asks("authenticate")
		if masked := second.str("result", "action", "data", "options", 0, "masked_display_name"); masked != c.masked {
			h.T.Errorf("%s: offered %s", c.email, second.raw)
		}
		sent := h.post(x, second.token(), obj{"authentication": c.method, "index": 0}).asks("authenticate")
		h.post(x, sent.token(), obj{"code": "999999"}).refuses(401, "InvalidCredentials")
		h.post(x, sent.token(), obj{"code": c.code}).asks("finished")
	}

	second = h.login(x, "twice@shop.example", "old secret", nil).asks("authenticate")
	h.post(x, second.token(), obj{"authentication": "secondary_password", "password": "old secret"}).refuses(401, "InvalidCredentials")
	h.post(x, second.token(), obj{"authentication": "secondary_password", "password": "second secret"}).asks("finished")
}

// admins is the admins' side of the house.
func (h *house) admins() *admin.Service {
	hasher := secret.NewHasher(secret.HasherOptions{})
	h.T.Cleanup(hasher.Close)
	return &admin.Service{Store: h.Store, Master: h.Master, Hasher: hasher, Now: h.Now, Limiter: limit.SQL(h.Store)}
}

func (h *house) importUsers(x *tenant.Tenant, format admin.Format, users io.Reader) {
	h.T.Helper()
	done, err := h.admins().ImportUsers(h.T.Context(), admin.Actor{Kind: tenant.ActorCLI, ID: "test"}, x.Slug, users, admin.Import{Format: format})
	must(h.T, err)
	if done.Summary.Inserted != done.Summary.Total || done.Summary.Total == 0 {
		h.T.Fatalf("imported %+v", done)
	}
}

func (h *house) bcrypt(password string) string {
	h.T.Helper()
	hasher := secret.NewHasher(secret.HasherOptions{})
	defer hasher.Close()
	hash, err := hasher.Hash(h.T.Context(), tenant.PasswordHashing{Algorithm: "bcrypt", BcryptCost: 10}, password)
	must(h.T, err)
	return hash
}

// totp is what an authenticator app shows now (RFC 6238).
func (h *house) totp(key string) string {
	h.T.Helper()
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key)
	must(h.T, err)
	mac := hmac.New(sha1.New, raw)
	must(h.T, binary.Write(mac, binary.BigEndian, h.Now().Unix()/30))
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}
