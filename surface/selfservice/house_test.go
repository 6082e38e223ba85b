package selfservice_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-id/usher/surface/flowapi"
	"github.com/usher-id/usher/surface/selfservice"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
	"github.com/usher-id/usher/testenv/housetest"
)

// house is the door with everything behind it and the flow API beside it, over
// HTTP. Tenants answer to <slug>.localhost, and have pages below /ui/.
type house struct {
	*housetest.House
	server *httptest.Server
	port   string
	page   atomic.Pointer[http.HandlerFunc] // what the tenants' pages show
}

func build(t *testing.T, database string) *house {
	t.Helper()
	h := &house{House: housetest.Build(t, database, func(o *housetest.Options) { o.Doors.Dev = true })}
	h.Domain, h.Origin = "localhost", func(host string) string { return "http://" + host + ":" + h.port }
	h.shows(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a page") })
	mux := http.NewServeMux()
	mux.Handle("/", flowapi.New(h.Engine, h.Doors))
	door := selfservice.New(h.Engine, h.Doors)
	for _, path := range selfservice.Paths {
		mux.Handle(path, door)
	}
	mux.HandleFunc("/ui/", func(w http.ResponseWriter, r *http.Request) { (*h.page.Load()).ServeHTTP(w, r) })
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	var err error
	_, h.port, err = net.SplitHostPort(h.server.Listener.Addr().String())
	must(t, err)
	return h
}

func (h *house) shows(page http.HandlerFunc) { h.page.Store(&page) }

// onBoth runs a test in a house on each database.
func onBoth(t *testing.T, run func(t *testing.T, h *house)) {
	t.Helper()
	testenv.Databases(t, func(t *testing.T, url string) { run(t, build(t, url)) })
}

// tenant makes a tenant with pages of its own.
func (h *house) tenant(slug string, change ...func(*tenant.Config)) *tenant.Tenant {
	h.T.Helper()
	return h.Tenant(slug, func(cfg *tenant.Config) {
		cfg.OTP.ResendCooldownSeconds = 1
		at := h.Origin(slug+"."+h.Domain) + "/ui/"
		cfg.Web.ReturnURLs = []string{at + "welcome"}
		cfg.SelfService = tenant.SelfService{
			LoginURL: at + "login", RegistrationURL: at + "registration", RecoveryURL: at + "recovery", VerificationURL: at + "verification",
			SettingsURL: at + "settings", ErrorURL: at + "error", DefaultReturnURL: at + "home", VerifyAfterRegistration: true,
		}
		for _, c := range change {
			c(cfg)
		}
		if problems := tenant.CheckConfig(cfg); len(problems) > 0 {
			h.T.Fatal(problems)
		}
	})
}

// user imports a user with a password and an address, which isn't verified.
func (h *house) user(x *tenant.Tenant, email, password string, change ...func(*tenant.UserRecord)) *tenant.UserRecord {
	h.T.Helper()
	return h.UserAs(x, password, func(u *tenant.UserRecord) {
		u.Identities[0].VerifiedAt = time.Time{}
		for _, c := range change {
			c(u)
		}
	}, "email:"+email)
}

// verified says whether an address of a user is.
func (h *house) verified(u *tenant.UserRecord) bool {
	h.T.Helper()
	now, err := h.Store.User(context.Background(), u.TenantID, u.ID)
	must(h.T, err)
	return !now.Identities[0].VerifiedAt.IsZero()
}

// code is the newest code that was sent to an address; "" when there is none.
func (h *house) code(x *tenant.Tenant, to string) string {
	h.T.Helper()
	list, err := h.Store.Messages(context.Background(), x.ID, tenant.MessageFilter{To: to}, tenant.Page{Limit: 1})
	must(h.T, err)
	if len(list) == 0 {
		return ""
	}
	cfg, err := h.Engine.Config(context.Background(), x)
	must(h.T, err)
	r, err := h.Inbox.Read(x, cfg, list[0])
	must(h.T, err)
	return r.Code
}

func must(t *testing.T, err error) {
	t.Helper()
	housetest.Must(t, err)
}
