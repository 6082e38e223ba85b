package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// The tenants whose users prove themselves in other ways than by a password
// alone.
const (
	codeSlug = "code" // by a code that is sent, the same for all of them and to nobody
	appSlug  = "app"  // by a password and an authenticator app
)

const (
	sentCode = "135790"
	appKey   = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP" // of every app
)

func codeConfig() *tenant.Config {
	cfg := unlimited()
	cfg.Authenticators.Primary = []string{"primary_oob_otp_email"}
	cfg.OTP.ResendCooldownSeconds = 1
	cfg.TestMode = tenant.TestMode{
		Enabled:    true,
		FixedCodes: []tenant.FixedCode{{Pattern: ".", Code: sentCode}},
		Suppressed: []tenant.Suppression{{Pattern: ".", Channels: []string{"email"}}},
	}
	return cfg
}

func appConfig() *tenant.Config {
	cfg := unlimited()
	cfg.Authenticators.Secondary = []string{"secondary_totp"}
	return cfg
}

// appSite makes a tenant whose users have an authenticator app.
func (s *seeder) appSite(ctx context.Context, users int) (*site, error) {
	out, err := s.site(ctx, appSlug, appConfig(), 0)
	if err != nil {
		return nil, err
	}
	t, err := s.store.TenantBySlug(ctx, appSlug)
	if err != nil {
		return nil, err
	}
	out.users = users
	out.more = func(user string, i int) (tenant.Authenticator, error) {
		id := out.rowID("app", i)
		sealed, err := s.admin.Master.SealText(t, tenant.AuthenticatorTable, id, flow.TOTPSecret(appKey))
		return tenant.Authenticator{
			TenantID: t.ID, ID: id, UserID: user, Type: "secondary_totp", Secret: sealed, CreatedAt: seedTime, UpdatedAt: seedTime,
		}, err
	}
	return out, s.people(ctx, out, s.hashes["argon2id"])
}

// factors measures logins by a code and with an authenticator app beside those
// by password, and what they ask of the database.
func (s *suite) factors(ctx context.Context) error {
	argon, code, app := s.small.sites[argonSlug], s.small.sites[codeSlug], s.small.sites[appSlug]
	// One user after the other: a code is sent once a second, and an app's works once.
	inTurn := func(t *site) func() string {
		var turn atomic.Int64
		return func() string { return t.login(int(turn.Add(1)) % t.users) }
	}
	ofCode, ofApp := inTurn(code), inTurn(app)
	return s.small.with(ctx, func(n *node) error {
		byCode := func(ctx context.Context) error { return n.door.loginByCode(ctx, code, ofCode()) }
		withApp := func(ctx context.Context) error { return n.door.loginWithApp(ctx, app, ofApp()) }
		r := interleave(ctx, s.rounds, s.hashSlice,
			s.yard.echo(clients),
			load("login by password", n.meter, clients, func(ctx context.Context) error { return n.door.login(ctx, argon) }),
			load("login with an app", n.meter, clients, withApp),
			load("login by code", n.meter, clients, byCode),
		)
		s.costs(r, "login by password", "login with an app", "login by code")
		s.ratio(r, "login with an app / by password", atMost(1.1, 0), []string{"login with an app"}, []string{"login by password"})
		s.ratio(r, "login by code / E", shown, []string{"login by code"}, []string{"E"})
		for name, op := range map[string]func(context.Context) error{"login with an app": withApp, "login by code, both requests": byCode} {
			count, err := n.statementsOf(ctx, func() error { return op(ctx) })
			s.show("statements of a "+name, "", shown, one(count), err)
		}
		return nil
	})
}

// loginByCode has a code sent and enters it.
func (d *door) loginByCode(ctx context.Context, s *site, login string) error {
	r, err := d.flow(ctx, s, flowsPath, `{"type":"login","name":"default","session":"token","batch_input":[`+
		identification(login)+`,{"authentication":"primary_oob_otp_email"}]}`, "authenticate")
	if err != nil {
		return err
	}
	return finished(d.flow(ctx, s, inputPath, fmt.Sprintf(`{"state_token":%q,"input":{"code":%q}}`, r.Result.StateToken, sentCode), "finished"))
}

// loginWithApp signs in with a password and the code that an app shows.
func (d *door) loginWithApp(ctx context.Context, s *site, login string) error {
	code := appCode(time.Now())
	return finished(d.flow(ctx, s, flowsPath, `{"type":"login","name":"default","session":"token","batch_input":[`+
		identification(login)+`,`+authentication(password)+`,{"authentication":"secondary_totp","code":"`+code+`"}]}`, "finished"))
}

// appCode is what an app shows (RFC 6238, 30 seconds, six digits).
func appCode(at time.Time) string {
	key, _ := base32.StdEncoding.DecodeString(appKey) // ours
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/30) // a hash takes everything
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}
