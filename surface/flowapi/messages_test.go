package flowapi_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/tenant"
)

// message reads the newest message of a tenant whose code works, or else the
// newest; nil when there is none.
func (h *house) message(x *tenant.Tenant) *deliver.Rendered {
	h.T.Helper()
	list, err := h.Store.Messages(context.Background(), x.ID, tenant.MessageFilter{}, tenant.Page{Limit: 5})
	must(h.T, err)
	if len(list) == 0 {
		return nil
	}
	for _, m := range list { // two of one millisecond are in no order
		code, err := h.Store.Code(context.Background(), x.ID, m.CodeID)
		must(h.T, err)
		if code.EndedAt.IsZero() && m.CreatedAt.Equal(list[0].CreatedAt) {
			list[0] = m
			break
		}
	}
	cfg, err := h.Engine.Config(context.Background(), x)
	must(h.T, err)
	r, err := h.Inbox.Read(x, cfg, list[0])
	must(h.T, err)
	return r
}

// code is the newest code that was sent.
func (h *house) code(x *tenant.Tenant) string {
	h.T.Helper()
	m := h.message(x)
	if m == nil || m.Code == "" {
		h.T.Fatal("no code was sent")
	}
	return m.Code
}

// link is the secret in the newest link that was sent.
func (h *house) link(x *tenant.Tenant) string {
	h.T.Helper()
	m := h.message(x)
	if m == nil {
		h.T.Fatal("no link was sent")
	}
	u, err := url.Parse(m.Link)
	must(h.T, err)
	if u.Host != x.Hosts[0] || u.Path != deliver.LinkPath || len(u.Query().Get("code")) != tenant.LinkChars {
		h.T.Fatalf("a link to %s", m.Link)
	}
	return u.Query().Get("code")
}

// byLink configures a tenant whose users log in and recover by links.
func byLink(c *tenant.Config) {
	c.OTP.Email.Form = tenant.LinkForm
	c.Authenticators.Primary = []string{"primary_oob_otp_email", "primary_password"}
	c.Recovery.Email = []tenant.Destination{{Channel: "email", OTPForm: tenant.LinkForm}}
}

// linked begins a login that waits for a link.
func (h *house) linked(x *tenant.Tenant, email string) answer {
	h.T.Helper()
	h.Wait(61 * time.Second) // since the message before
	return h.begin(x, "login", obj{"input": obj{"identification": "email", "login_id": email, "authentication": "primary_oob_otp_email"}}).
		asks("authenticate")
}

// bring runs what happens by itself, until the test ends.
func (h *house) bring(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Engine.Run(ctx) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
}
