package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// HookMessage is the body of a call of a tenant's webhook. ID is the same for
// every try at a message: a receiver that has sent it already just says so. The
// header Usher-Signature signs the call (see outbound.Verify). An answer of 2xx
// means that the message was taken; 408, 429 and 5xx ask to try again, after the
// seconds in Retry-After; any other gives it up.
type HookMessage struct {
	ID        string             `json:"id"`
	Tenant    string             `json:"tenant"` // slug
	Channel   string             `json:"channel"`
	Purpose   tenant.CodePurpose `json:"purpose"`
	To        string             `json:"to"` // E.164
	Language  string             `json:"language"`
	Body      string             `json:"body"`
	Code      string             `json:"code,omitempty"`
	Link      string             `json:"link,omitempty"`
	Attempt   int                `json:"attempt"`
	ExpiresAt time.Time          `json:"expires_at"`
}

func (w *Worker) callWebhook(ctx context.Context, out *outgoing) error {
	key, err := w.secret(ctx, out.tenant, tenant.PhoneSecretName(out.m.Channel, webhookProvider))
	if err != nil {
		return err
	}
	body, err := json.Marshal(HookMessage{
		ID: out.m.ID, Tenant: out.tenant.Slug, Channel: out.m.Channel, Purpose: out.m.Purpose, To: out.m.To, Language: out.Language,
		Body: strings.TrimSpace(out.Text), Code: out.Code, Link: out.Link, Attempt: out.m.Attempts, ExpiresAt: out.m.ExpiresAt.UTC(),
	})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, out.config.Messaging.Phone(out.m.Channel).Webhook.URL, bytes.NewReader(body))
	if err != nil {
		return &failure{text: "the URL can't be called", permanent: true, general: true}
	}
	r.Header.Set("Content-Type", "application/json")
	outbound.Sign(r.Header, key, body, w.o.Now())
	resp, _, err := w.post(r)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return refused(resp, "") // its words are its own, and could be anything
	}
	return nil
}

const (
	twilioURL       = "https://api.twilio.com"
	twilioMaxBody   = 1600 // characters
	twilioMaxQueued = 14400
)

// callTwilio makes a Message resource of Twilio's API 2010-04-01.
func (w *Worker) callTwilio(ctx context.Context, out *outgoing) error {
	account := &out.config.Messaging.Phone(out.m.Channel).Twilio
	token, err := w.secret(ctx, out.tenant, tenant.PhoneSecretName(out.m.Channel, twilioProvider))
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(account.BaseURL, "/")
	if base == "" {
		base = twilioURL
	}
	form := w.twilioForm(out, account)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost,
		base+"/2010-04-01/Accounts/"+url.PathEscape(account.AccountSID)+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		return &failure{text: "the URL can't be called", permanent: true, general: true}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	user := account.APIKeySID
	if user == "" {
		user = account.AccountSID
	}
	r.SetBasicAuth(user, string(token))
	resp, body, err := w.post(r)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusCreated {
		return nil
	}
	var said struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	words := ""
	if json.Unmarshal(body, &said) == nil && said.Code != 0 {
		words = fmt.Sprintf("Twilio's error %d: %s", said.Code, said.Message)
	}
	f := refused(resp, words)
	f.general = resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || !f.permanent
	return scrub(f, out.Code, out.Link, string(token))
}

func (w *Worker) twilioForm(out *outgoing, account *tenant.TwilioAccount) url.Values {
	address := func(number string) string {
		if out.m.Channel == tenant.WhatsAppChannel && !strings.HasPrefix(number, "whatsapp:") {
			return "whatsapp:" + number
		}
		return number
	}
	form := url.Values{"To": {address(out.m.To)}}
	if account.MessagingServiceSID != "" {
		form.Set("MessagingServiceSid", account.MessagingServiceSID)
	} else {
		form.Set("From", address(account.From))
	}
	if account.ContentSID != "" {
		variables, _ := json.Marshal(map[string]string{"1": out.Code + out.Link})
		form.Set("ContentSid", account.ContentSID)
		form.Set("ContentVariables", string(variables))
	} else {
		text := []rune(strings.TrimSpace(out.Text))
		form.Set("Body", string(text[:min(len(text), twilioMaxBody)]))
	}
	// A code that no longer works need not arrive.
	if left := int(out.m.ExpiresAt.Sub(w.o.Now()) / time.Second); left > 0 && out.m.Channel == tenant.SMSChannel {
		form.Set("ValidityPeriod", strconv.Itoa(min(left, twilioMaxQueued)))
	}
	return form
}
