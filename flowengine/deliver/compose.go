package deliver

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// messageTable is what payloads are sealed as.
const messageTable = "message"

// payload is what a message brings, sealed while it waits.
type payload struct {
	Form   tenant.CodeForm `json:"form"`
	Secret string          `json:"secret"` // the code, or the token of a link
}

// Compose makes the message that brings a code. plain is the code or the token
// of the link; accept is what the client says of languages (RFC 9110 section
// 12.5.4); decoy makes one to nobody, which takes its course as others do.
// Code.Delivery says whether it is to be sent or suppressed.
func Compose(master *secret.Master, t *tenant.Tenant, cfg *tenant.Config, code *tenant.Code, plain, accept, id string, decoy bool) (*tenant.Message, error) {
	m := &tenant.Message{
		TenantID: t.ID, ID: id, CodeID: code.ID, RunID: code.RunID, Channel: code.Channel, To: code.Target.Value, Purpose: code.Purpose,
		Language: languageFor(&cfg.Messaging, code.Purpose, code.Channel, accept), Status: code.Delivery,
		NextAt: code.CreatedAt, CreatedAt: code.CreatedAt, ExpiresAt: code.ExpiresAt,
	}
	text, err := json.Marshal(payload{code.Form, plain}) //nolint:gosec // to be sealed
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	if m.Payload, err = master.Seal(t, messageTable, id, text); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	if decoy {
		m.Provider, m.To = tenant.DecoyProvider, ""
	}
	return m, nil
}

// LinkPath is where links lead, on the tenant's primary host.
const LinkPath = "/link"

// link makes the URL that a token is followed by: the tenant's own page, or ours.
func (w *Worker) link(t *tenant.Tenant, cfg *tenant.Config, purpose tenant.CodePurpose, token string) string {
	q := url.Values{"code": {token}, "purpose": {string(purpose)}}
	if own, err := url.Parse(cfg.Messaging.LinkURL); err == nil && cfg.Messaging.LinkURL != "" {
		have := own.Query()
		for name, values := range q {
			have[name] = values
		}
		own.RawQuery = have.Encode()
		return own.String()
	}
	return w.o.PublicURL(t.PrimaryHost(), LinkPath) + "?" + q.Encode()
}

// render opens the payload of a message and writes it out.
func (w *Worker) render(t *tenant.Tenant, cfg *tenant.Config, m *tenant.Message) (*Rendered, error) {
	text, err := w.o.Master.Open(t, messageTable, m.ID, m.Payload)
	if err != nil {
		return nil, err
	}
	var p payload
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	words, err := messageFor(&cfg.Messaging, m.Purpose, m.Channel, m.Language)
	if err != nil {
		return nil, err
	}
	return words.render(w.vars(t, cfg, m, p))
}

func (w *Worker) vars(t *tenant.Tenant, cfg *tenant.Config, m *tenant.Message, p payload) vars {
	v := vars{AppName: oneLine(t.Name), Recipient: m.To, Minutes: int((m.ExpiresAt.Sub(m.CreatedAt) + time.Minute - 1) / time.Minute)}
	if p.Form == tenant.LinkForm {
		v.Link = w.link(t, cfg, m.Purpose, p.Secret)
	} else {
		v.Code = p.Secret
	}
	return v
}

// Read writes out a message of the outbox for an admin. nil when it may not be
// read: only what nobody was sent (in test mode) may, and in development
// everything.
func (w *Worker) Read(t *tenant.Tenant, cfg *tenant.Config, m *tenant.Message) (*Rendered, error) {
	if !w.o.Dev && m.Status != tenant.MessageSuppressed || len(m.Payload) == 0 {
		return nil, nil
	}
	return w.render(t, cfg, m)
}

// Sample is a message to be tried out.
type Sample struct {
	Purpose  tenant.CodePurpose
	Channel  string
	Form     tenant.CodeForm
	Language string // as in Accept-Language; "" for the tenant's
	To       string
}

// The samples of what messages bring.
const (
	sampleCode = "000000"
	sampleLink = "00000000000000000000000000000000"
)

// Preview writes out a message with a code that doesn't work.
func (w *Worker) Preview(t *tenant.Tenant, cfg *tenant.Config, s Sample) (*Rendered, error) {
	words, err := messageFor(&cfg.Messaging, s.Purpose, s.Channel, s.Language)
	if err != nil {
		return nil, err
	}
	p := payload{s.Form, sampleCode}
	if s.Form == tenant.LinkForm {
		p.Secret = sampleLink
	}
	return words.render(w.vars(t, cfg, w.sample(cfg, s), p))
}

// sample is the message that a sample stands for.
func (w *Worker) sample(cfg *tenant.Config, s Sample) *tenant.Message {
	now := w.o.Now()
	return &tenant.Message{
		ID: secret.NewID(), Channel: s.Channel, To: s.To, Purpose: s.Purpose, Status: tenant.MessageQueued, Attempts: 1,
		CreatedAt: now, ExpiresAt: now.Add(cfg.OTP.Lifetime(s.Form)),
	}
}
