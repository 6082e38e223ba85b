package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// The providers, as messages and metrics name them.
const (
	platformProvider = "platform"
	smtpProvider     = "smtp"
	webhookProvider  = "webhook"
	twilioProvider   = "twilio"
	inboxProvider    = "inbox"
	NoProvider       = "none"
)

// ProvidersOf lists the providers that a channel may have.
func ProvidersOf(channel string) []string {
	if channel == tenant.EmailChannel {
		return []string{platformProvider, smtpProvider, inboxProvider, NoProvider}
	}
	return []string{webhookProvider, twilioProvider, inboxProvider, NoProvider}
}

// gateway is where a tenant's messages of one channel go.
type gateway struct {
	provider string
	key      string // of what is shared with others, for the slots
	hand     func(ctx context.Context, out *outgoing) error
	local    bool // nothing is called, so the answer is always the same
}

// outgoing is a message on its way.
type outgoing struct {
	*Rendered
	*job
}

// failure is why a message wasn't taken.
type failure struct {
	text      string
	permanent bool          // trying again is no use
	general   bool          // it is about the gateway, not this message
	after     time.Duration // the gateway asks to wait so long
}

func (f *failure) Error() string { return f.text }

// gatewayFor finds where a tenant's messages go.
func (w *Worker) gatewayFor(t *tenant.Tenant, cfg *tenant.Config, channel string) gateway {
	if channel == tenant.EmailChannel {
		switch e := &cfg.Messaging.Email; {
		case e.Provider == smtpProvider:
			return gateway{provider: smtpProvider, key: fmt.Sprintf("smtp %s:%d %s", e.SMTP.Host, e.SMTP.Port, e.SMTP.Username), hand: w.sendTenantMail}
		case w.o.Platform != nil:
			return gateway{provider: platformProvider, key: platformProvider, hand: w.sendPlatformMail}
		}
	} else {
		switch p := cfg.Messaging.Phone(channel); p.Provider {
		case webhookProvider:
			return gateway{provider: webhookProvider, key: "webhook " + p.Webhook.URL, hand: w.callWebhook}
		case twilioProvider:
			return gateway{provider: twilioProvider, key: "twilio " + p.Twilio.BaseURL + " " + p.Twilio.AccountSID, hand: w.callTwilio}
		}
	}
	g := gateway{provider: NoProvider, local: true, hand: func(context.Context, *outgoing) error {
		return &failure{text: "no gateway is set up for " + channel, permanent: true, general: true}
	}}
	if w.o.Dev {
		g.provider, g.hand = inboxProvider, func(context.Context, *outgoing) error { return nil }
	}
	g.key = g.provider + " " + t.ID
	return g
}

// secret opens a credential of the tenant's gateway.
func (w *Worker) secret(ctx context.Context, t *tenant.Tenant, name string) ([]byte, error) {
	sealed, err := w.o.Store.OpenSecret(ctx, t.ID, name)
	if errors.Is(err, tenant.ErrNotFound) {
		return nil, &failure{text: "the secret " + name + " is not set", permanent: true, general: true}
	}
	if err != nil {
		return nil, err
	}
	return w.o.Master.Open(t, tenant.SecretTable, name, sealed)
}

// maxAnswer is as much of a gateway's answer as is read, in bytes.
const maxAnswer = 64 << 10

// post calls a gateway. It answers with the status and the body; a call that
// didn't come about is a failure.
func (w *Worker) post(r *http.Request) (*http.Response, []byte, error) {
	r.Header.Set("User-Agent", "Usher")
	resp, err := w.http.Do(r) //nolint:bodyclose // Read closes it
	if err != nil {
		return nil, nil, &failure{text: outbound.Plainly(err).Error(), permanent: outbound.Permanent(err), general: true}
	}
	body, err := outbound.Read(resp.Body, maxAnswer)
	if err != nil && !errors.Is(err, outbound.ErrTooLarge) {
		return nil, nil, &failure{text: "its answer broke off: " + outbound.Plainly(err).Error()}
	}
	return resp, body, nil
}

// refused is what a gateway's answer that isn't a good one comes to.
func refused(resp *http.Response, words string) *failure {
	f := &failure{text: "it answered " + resp.Status}
	if words != "" {
		f.text += ": " + words
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode >= 500:
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
			f.after = min(time.Duration(seconds)*time.Second, 5*time.Minute)
		}
	default:
		f.permanent = true
	}
	return f
}

// scrub takes out of an error what it must not hold: what gateways answer ends
// in the log and is shown to admins.
func scrub(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	words := err.Error()
	for _, s := range secrets {
		if s != "" {
			words = strings.ReplaceAll(words, s, "***")
		}
	}
	var f *failure
	if errors.As(err, &f) {
		c := *f
		c.text = words
		return &c
	}
	return errors.New(words)
}

// Trial is what came of a test message.
type Trial struct {
	Provider string
	Error    string // empty when the gateway took it
}

// testMessages bounds test messages, which anybody may be the target of.
var testMessages = tenant.Rate{Burst: 20, PeriodSeconds: 3600}

// Test sends a message with a code that doesn't work, at once, by a
// configuration that need not be in force. ErrRateLimited.
func (w *Worker) Test(ctx context.Context, t *tenant.Tenant, cfg *tenant.Config, s Sample) (*Trial, error) {
	if _, err := w.o.Limiter.Take(ctx, t.ID, w.o.Now(), limit.Bucket{Key: "test_message", Rate: testMessages}); err != nil {
		return nil, err
	}
	r, err := w.Preview(t, cfg, s)
	if err != nil {
		return nil, err
	}
	m := w.sample(cfg, s)
	m.TenantID, m.Language = t.ID, r.Language
	g := w.gatewayFor(t, cfg, s.Channel)
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	trial := &Trial{Provider: g.provider}
	if err := g.hand(ctx, &outgoing{r, &job{m: m, tenant: t, config: cfg, gateway: g}}); err != nil {
		trial.Error = clip(err.Error())
	}
	return trial, nil
}

// Known says whether a purpose and a channel are ones that there are words for.
func Known(purpose tenant.CodePurpose, channel string) bool {
	return slices.Contains(Purposes, purpose) && slices.Contains(tenant.Channels, channel)
}
