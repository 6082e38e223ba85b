package botcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Options is what a checker works with. All of it is needed but Timeout.
type Options struct {
	Secrets tenant.ConfigReader
	Master  *secret.Master
	Guard   outbound.Guard
	Metrics *Metrics
	Log     *slog.Logger
	Timeout time.Duration // of a check; 0 for 5 seconds
}

// Checker checks the responses of all tenants' widgets.
type Checker struct {
	o      Options
	client *http.Client
	gate   *outbound.Gate // by tenant
}

const (
	timeout   = 5 * time.Second
	atOnce    = 64       // checks of one tenant
	maxAnswer = 64 << 10 // bytes
	retryIn   = 5        // seconds, for who is turned away because of the provider
)

// New makes a checker.
func New(o Options) *Checker {
	if o.Timeout == 0 {
		o.Timeout = timeout
	}
	return &Checker{o: o, client: o.Guard.NewClient(), gate: outbound.NewGate(atOnce)}
}

// endpoints are where responses are checked, unless the tenant says otherwise.
var endpoints = map[string]string{
	"cloudflare":  "https://challenges.cloudflare.com/turnstile/v0/siteverify",
	"recaptchav2": "https://www.google.com/recaptcha/api/siteverify",
	"hcaptcha":    "https://api.hcaptcha.com/siteverify",
}

// Check asks the provider about a response that came from an address.
// tenant.ErrBotProtectionFailed when it is refused,
// tenant.ErrBotProtectionUnavailable when it can't be checked. It isn't tried
// again, for a response may be spent by the first try. Nobody may hold a
// transaction meanwhile.
func (c *Checker) Check(ctx context.Context, t *tenant.Tenant, b *tenant.BotProtection, from netip.Addr, response string) error {
	outcome, err := c.check(ctx, t, b, from, response)
	c.o.Metrics.challenges.WithLabelValues(b.Provider.Type, outcome).Inc()
	switch outcome {
	case passed:
		return nil
	case refused:
		return tenant.ErrBotProtectionFailed.Because(err)
	}
	c.o.Log.WarnContext(ctx, "bot protection can't be checked", "tenant", t.Slug, "provider", b.Provider.Type, "err", err)
	return tenant.ErrBotProtectionUnavailable.With("retry_after_seconds", retryIn).Because(err)
}

func (c *Checker) check(ctx context.Context, t *tenant.Tenant, b *tenant.BotProtection, from netip.Addr, response string) (outcome string, err error) {
	if !c.gate.Enter(t.ID) {
		return failed, errors.New("too many wait for the provider")
	}
	defer c.gate.Leave(t.ID)
	key, err := c.o.Master.Kept(ctx, c.o.Secrets, t, tenant.BotSecretName)
	if err != nil {
		return failed, fmt.Errorf("the secret %s: %w", tenant.BotSecretName, err)
	}
	form := url.Values{"secret": {string(key)}, "response": {response}}
	if from.IsValid() {
		form.Set("remoteip", from.Unmap().WithZone("").String())
	}
	if b.Provider.Type == "hcaptcha" {
		form.Set("sitekey", b.Provider.SiteKey) // else a response to any site key of the account would do
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	v, err := c.ask(ctx, b, form)
	var n net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout():
		return timedOut, err
	case err != nil:
		return failed, err
	}
	return v.judge(b)
}

// verdict is what siteverify answers.
type verdict struct {
	Success    *bool    `json:"success"`
	Hostname   string   `json:"hostname"`
	ErrorCodes []string `json:"error-codes"`
}

// ask posts the form. What isn't JSON that says yes or no is no answer.
func (c *Checker) ask(ctx context.Context, b *tenant.BotProtection, form url.Values) (v verdict, err error) {
	at := b.VerifyURL
	if at == "" {
		at = endpoints[b.Provider.Type]
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return v, errors.New("its URL can't be called")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "Usher")
	resp, err := c.client.Do(r) //nolint:bodyclose // Read closes it
	if err != nil {
		return v, outbound.Plainly(err)
	}
	body, err := outbound.Read(resp.Body, maxAnswer)
	if err != nil {
		return v, outbound.Plainly(err)
	}
	// A refusal may come with a 400.
	if resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusBadRequest {
		return v, fmt.Errorf("it answered with status %d", resp.StatusCode)
	}
	if json.Unmarshal(body, &v) != nil || v.Success == nil {
		return v, errors.New(`its answer is no JSON object with a boolean "success"`)
	}
	return v, nil
}

// ours are the error codes that say that we asked wrongly, or that the provider
// couldn't tell: they are nothing that the user could do better.
var ours = []string{
	"missing-input-secret", "invalid-input-secret", "sitekey-secret-mismatch", "not-using-dummy-passcode", "bad-request", "internal-error",
}

// judge says what an answer means.
func (v *verdict) judge(b *tenant.BotProtection) (outcome string, err error) {
	switch {
	case !*v.Success && slices.ContainsFunc(v.ErrorCodes, func(code string) bool { return slices.Contains(ours, code) }):
		return failed, fmt.Errorf("it says %v: do the secret key and the site key belong together?", v.codes())
	case !*v.Success:
		return refused, fmt.Errorf("it says %v", v.codes())
	case len(b.Hostnames) > 0 && !slices.Contains(b.Hostnames, strings.ToLower(v.Hostname)):
		return refused, errors.New("the widget was shown on another host")
	}
	return passed, nil
}

// codes are the error codes for the log, which gets no other text of the answer:
// who is called has the secret key.
func (v *verdict) codes() []string {
	return slices.DeleteFunc(slices.Clone(v.ErrorCodes), func(code string) bool {
		return len(code) > 40 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz-") != ""
	})
}
