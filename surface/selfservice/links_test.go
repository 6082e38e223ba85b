package selfservice_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// Whoever begins a recovery for somebody else gains nothing by their following
// the link: that goes on elsewhere, and the flow stays where it was.
func TestALinkFollowedElsewhereMovesNoFlow(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme", func(c *tenant.Config) {
			c.Recovery.Email = []tenant.Destination{{Channel: "email", OTPForm: tenant.LinkForm}}
		})
		h.user(x, "ann@example.com", "correct horse")
		evil := h.app(x)
		f := evil.submit(evil.begin("recovery", ""), obj{"method": "code", "email": "ann@example.com"}).is(200).stands("sent_email", 1060003)
		list, err := h.Store.Messages(context.Background(), x.ID, tenant.MessageFilter{To: "ann@example.com"}, tenant.Page{Limit: 1})
		must(t, err)
		cfg, err := h.Engine.Config(context.Background(), x)
		must(t, err)
		message, err := h.Inbox.Read(x, cfg, list[0])
		must(t, err)
		u, err := url.Parse(message.Link)
		must(t, err)
		link := u.Query().Get("code")
		ann := h.app(x)
		a := ann.post("/api/v1/authentication_flows/states/input", obj{"input": obj{"account_recovery_code": link}}).is(200)
		if a.str("result", "action", "type") != "reset_password" {
			t.Fatal(a.raw)
		}
		evil.get("/self-service/recovery/flows?id="+f.str("id")).is(200).stands("sent_email", 1060003)
		evil.submit(f, obj{"method": "password", "password": "stolen horse"}).is(400)
		ann.post("/api/v1/authentication_flows/states/input", obj{
			"state_token": a.str("result", "state_token"), "input": obj{"new_password": "other horse 1"},
		}).is(200)
		ann.submit(ann.begin("login", ""), obj{"method": "password", "identifier": "ann@example.com", "password": "other horse 1"}).is(200)
	})
}
