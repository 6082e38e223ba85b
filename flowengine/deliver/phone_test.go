package deliver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
)

// receiver is a tenant's own service: it takes what is signed with its key, once
// for each id.
type receiver struct {
	*httptest.Server
	key  string
	now  func() time.Time
	mu   sync.Mutex
	seen []deliver.HookMessage
	// before may answer instead; nil, or false, to go on.
	before func(w http.ResponseWriter, r *http.Request, m deliver.HookMessage) bool
}

func newReceiver(p *post, key string) *receiver {
	r := &receiver{key: key, now: p.now}
	r.Server = httptest.NewServer(r)
	p.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	if err := outbound.Verify(req.Header, []byte(r.key), body, r.now()); err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "not signed", http.StatusUnauthorized)
		return
	}
	var m deliver.HookMessage
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.before != nil && r.before(w, req, m) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, m)
	w.WriteHeader(http.StatusAccepted)
}

func (r *receiver) take() []deliver.HookMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.seen
	r.seen = nil
	return out
}

func byWebhook(r *receiver) func(*tenant.Messaging) {
	return func(m *tenant.Messaging) {
		m.SMS = tenant.PhoneSender{Provider: "webhook", Webhook: tenant.MessageHook{URL: r.URL + "/sms?token=of-the-url"}}
		m.WhatsApp = tenant.PhoneSender{Provider: "webhook", Webhook: tenant.MessageHook{URL: r.URL + "/whatsapp"}}
	}
}

const (
	hookSecret = "sms.webhook.signing_key"
	jane       = "+85298765432"
)

func TestWebhook(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	acme, wrong := p.tenant("acme", byWebhook(r)), p.tenant("wrong", byWebhook(r))
	p.secret(acme, hookSecret, r.key)
	p.secret(wrong, hookSecret, "another-signing-key")
	p.secret(acme, "whatsapp.webhook.signing_key", r.key)
	p.worker()

	m, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "112233"})
	if got := p.await(m, tenant.MessageSent); got.Provider != "webhook" || got.Payload != nil {
		t.Errorf("settled as %+v", got)
	}
	want := deliver.HookMessage{
		ID: m.ID, Tenant: "acme", Channel: "sms", Purpose: "authentication", To: jane, Language: "en", Code: "112233", Attempt: 1,
		Body: "112233 is your The acme app sign-in code. It works for 5 minutes, and once.", ExpiresAt: m.ExpiresAt,
	}
	if got := r.take(); len(got) != 1 || got[0] != want {
		t.Errorf("received %+v", got)
	}

	const token = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	m, _ = p.send(acme, parcel{channel: "whatsapp", to: jane, plain: token, form: tenant.LinkForm})
	p.await(m, tenant.MessageSent)
	if got := r.take(); len(got) != 1 || got[0].Link != "https://acme.example/link?code="+token+"&purpose=authentication" || got[0].Code != "" {
		t.Errorf("received %+v", got)
	}

	m, _ = p.send(wrong, parcel{channel: "sms", to: jane, plain: "445566"})
	if got := p.await(m, tenant.MessageFailed); got.Attempts != 1 || !strings.Contains(got.Error, "401") {
		t.Errorf("settled as %+v", got)
	}
	if got := r.take(); len(got) != 0 {
		t.Errorf("received %+v", got)
	}
	p.secrets = append(p.secrets, "of-the-url")
}

// TestWebhookRecovers: a gateway that fails for a while gets the same message
// with the same code until it takes it.
func TestWebhookRecovers(t *testing.T) {
	p := newPost(t)
	r := newReceiver(p, "the-signing-key")
	var mu sync.Mutex
	var tried []deliver.HookMessage
	r.before = func(w http.ResponseWriter, req *http.Request, m deliver.HookMessage) bool {
		mu.Lock()
		defer mu.Unlock()
		tried = append(tried, m)
		switch len(tried) {
		case 1:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "your code "+m.Code+" must wait", http.StatusTooManyRequests)
		case 2: // breaks off
			c, _, _ := w.(http.Hijacker).Hijack()
			_ = c.Close()
		default:
			return false
		}
		return true
	}
	acme := p.tenant("acme", byWebhook(r))
	p.secret(acme, hookSecret, r.key)
	p.worker()
	m, _ := p.send(acme, parcel{channel: "sms", to: jane, plain: "112233"})
	p.until("it was refused", func() bool { return p.message(m).Error != "" })
	if got := p.message(m); got.Status == tenant.MessageQueued && got.Attempts == 1 && got.NextAt.Before(m.CreatedAt.Add(time.Second)) {
		t.Errorf("the gateway's wish to wait is not heard: next at %s, made at %s", got.NextAt, m.CreatedAt)
	}
	p.ahead.Add(int64(2 * time.Second))
	got := p.await(m, tenant.MessageSent)
	if got.Attempts != 3 {
		t.Errorf("%d attempts", got.Attempts)
	}
	for i, try := range tried {
		if try.ID != m.ID || try.Code != "112233" || try.Attempt != i+1 {
			t.Errorf("try %d: %+v", i+1, try)
		}
	}
	var outcomes []string
	p.until("all tries are counted", func() bool {
		p.locked(func() {
			outcomes = nil
			for _, s := range p.tries {
				outcomes = append(outcomes, fmt.Sprintf("%s %s %s %s", s.Channel, s.Provider, s.Purpose, s.Outcome))
			}
		})
		return len(outcomes) == 3
	})
	if got := strings.Join(outcomes, ", "); got != "sms webhook authentication retried, sms webhook authentication retried, sms webhook authentication sent" {
		t.Error(got)
	}
}

// TestHangingGateway: while one tenant's gateway hangs with more messages than
// it gets slots, others' arrive; and once it comes back, so do all of its own.
func TestHangingGateway(t *testing.T) {
	p := newPost(t)
	hanging, well := newReceiver(p, "k1-secret"), newReceiver(p, "k2-secret")
	release := make(chan struct{})
	var mu sync.Mutex
	held, most := 0, 0
	hanging.before = func(_ http.ResponseWriter, r *http.Request, _ deliver.HookMessage) bool {
		mu.Lock()
		held++
		most = max(most, held)
		mu.Unlock()
		select {
		case <-release:
		case <-r.Context().Done():
		}
		mu.Lock()
		held--
		mu.Unlock()
		return false
	}
	slow, quick := p.tenant("slow", byWebhook(hanging)), p.tenant("quick", byWebhook(well))
	p.secret(slow, hookSecret, hanging.key)
	p.secret(quick, hookSecret, well.key)
	var stuck []*tenant.Message
	for i := range 40 {
		m, _ := p.send(slow, parcel{channel: "sms", to: jane, plain: strconv.Itoa(300100 + i)})
		stuck = append(stuck, m)
	}
	w, _ := p.worker()
	p.until("the gateway hangs", func() bool { mu.Lock(); defer mu.Unlock(); return held == 8 })
	for i := range 20 {
		m, _ := p.send(quick, parcel{channel: "sms", to: jane, plain: strconv.Itoa(400200 + i)})
		w.Wake()
		p.await(m, tenant.MessageSent)
	}
	for _, m := range stuck {
		if got := p.message(m); got.Status != tenant.MessageQueued {
			t.Errorf("%s while the gateway hangs", got.Status)
		}
	}
	close(release)
	for _, m := range stuck {
		if got := p.await(m, tenant.MessageSent); got.Attempts != 1 {
			t.Errorf("%d attempts, though it was tried once", got.Attempts)
		}
	}
	if most != 8 {
		t.Errorf("%d calls at once", most)
	}
	if got := hanging.take(); len(got) != 40 {
		t.Errorf("%d received", len(got))
	}
}

// twilio is a stand-in for Twilio's API 2010-04-01, built from its reference: it
// takes what a Message resource may be made of and nothing else.
type twilio struct {
	*httptest.Server
	mu    sync.Mutex
	forms []map[string]string
}

const (
	twilioAccount = "AC0123456789abcdef0123456789abcdef"
	twilioKey     = "SK0123456789abcdef0123456789abcdef"
	twilioToken   = "a-twilio-auth-token"
	twilioService = "MG0123456789abcdef0123456789abcdef"
	twilioContent = "HX0123456789abcdef0123456789abcdef"
)

var address = regexp.MustCompile(`^(whatsapp:)?\+[1-9][0-9]{6,14}$`)

func newTwilio(t *testing.T) *twilio {
	s := &twilio{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *twilio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status, code int, words string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"code": code, "message": words, "more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code), "status": status,
		})
	}
	user, token, _ := r.BasicAuth()
	switch {
	case r.URL.Path != "/2010-04-01/Accounts/"+twilioAccount+"/Messages.json" || r.Method != http.MethodPost:
		fail(http.StatusNotFound, 20404, "The requested resource was not found")
		return
	case user != twilioAccount && user != twilioKey || token != twilioToken:
		fail(http.StatusUnauthorized, 20003, "Authenticate: "+token)
		return
	case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.ParseForm() != nil:
		fail(http.StatusBadRequest, 21000, "not a form")
		return
	}
	form := map[string]string{}
	for name, values := range r.PostForm {
		switch name {
		case "To", "From", "MessagingServiceSid", "Body", "ContentSid", "ContentVariables", "ValidityPeriod":
			form[name] = values[0]
		default:
			fail(http.StatusBadRequest, 20001, "Unknown parameter "+name)
			return
		}
	}
	validity, err := strconv.Atoi(form["ValidityPeriod"])
	switch {
	case !address.MatchString(form["To"]):
		fail(http.StatusBadRequest, 21211, "Invalid 'To' Phone Number: "+form["Body"])
	case form["From"] == "" && form["MessagingServiceSid"] == "":
		fail(http.StatusBadRequest, 21603, "A 'From' phone number is required.")
	case form["From"] != "" && strings.HasPrefix(form["To"], "whatsapp:") != strings.HasPrefix(form["From"], "whatsapp:"):
		fail(http.StatusBadRequest, 21910, "'To' and 'From' must be of one channel")
	case form["Body"] == "" && form["ContentSid"] == "":
		fail(http.StatusBadRequest, 21602, "Message body is required.")
	case form["ContentVariables"] != "" && !json.Valid([]byte(form["ContentVariables"])):
		fail(http.StatusBadRequest, 21656, "The ContentVariables parameter is invalid.")
	case form["ValidityPeriod"] != "" && (err != nil || validity < 1 || validity > 36000):
		fail(http.StatusBadRequest, 30036, "Validity period out of range")
	default:
		s.mu.Lock()
		s.forms = append(s.forms, form)
		s.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"SM0123456789abcdef0123456789abcdef","status":"queued","error_code":null}`)
	}
}

func TestTwilio(t *testing.T) {
	p, s := newPost(t), newTwilio(t)
	acme := p.tenant("acme", func(m *tenant.Messaging) {
		m.SMS = tenant.PhoneSender{Provider: "twilio", Twilio: tenant.TwilioAccount{AccountSID: twilioAccount, From: "+15005550006", BaseURL: s.URL + "/"}}
		m.WhatsApp = tenant.PhoneSender{Provider: "twilio", Twilio: tenant.TwilioAccount{
			AccountSID: twilioAccount, APIKeySID: twilioKey, MessagingServiceSID: twilioService, ContentSID: twilioContent, BaseURL: s.URL,
		}}
	})
	p.secret(acme, "sms.twilio.auth_token", twilioToken)
	p.secret(acme, "whatsapp.twilio.auth_token", twilioToken)
	p.worker()
	for channel, want := range map[string]map[string]string{
		"sms": {
			"To": jane, "From": "+15005550006", "Body": "778899 is your The acme app sign-in code. It works for 5 minutes, and once.",
			"ValidityPeriod": "about 300",
		},
		"whatsapp": {"To": "whatsapp:" + jane, "MessagingServiceSid": twilioService, "ContentSid": twilioContent, "ContentVariables": `{"1":"778899"}`},
	} {
		m, _ := p.send(acme, parcel{channel: channel, to: jane, plain: "778899"})
		if got := p.await(m, tenant.MessageSent); got.Provider != "twilio" {
			t.Errorf("sent by %s", got.Provider)
		}
		got := s.forms[len(s.forms)-1]
		if v, _ := strconv.Atoi(got["ValidityPeriod"]); v > 280 && v <= 300 {
			got["ValidityPeriod"] = "about 300"
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", channel, got, want)
		}
	}
	m, _ := p.send(acme, parcel{channel: "sms", to: "+0", plain: "778800"})
	if got := p.await(m, tenant.MessageFailed); !strings.Contains(got.Error, "21211") || got.Attempts != 1 {
		t.Errorf("settled as %+v", got)
	}
	p.secret(acme, "sms.twilio.auth_token", "another-twilio-token")
	m, _ = p.send(acme, parcel{channel: "sms", to: jane, plain: "778801"})
	if got := p.await(m, tenant.MessageFailed); !strings.Contains(got.Error, "20003") {
		t.Errorf("settled as %+v", got)
	}
}

// TestGuardedGateway: no setting of a tenant reaches the machine itself, or
// sends codes in the clear.
func TestGuardedGateway(t *testing.T) {
	p := newPost(t)
	p.o.Guard = outbound.Guard{}
	r := newReceiver(p, "the-signing-key")
	for name, c := range map[string]struct{ url, says string }{
		"private": {strings.Replace(r.URL, "http:", "https:", 1), "not on the Internet"},
		"plain":   {"http://hooks.example.com/", "not https"},
	} {
		tt := p.tenant(name, func(m *tenant.Messaging) {
			m.SMS = tenant.PhoneSender{Provider: "webhook", Webhook: tenant.MessageHook{URL: c.url}}
		})
		p.secret(tt, hookSecret, r.key)
		w, stop := p.worker()
		m, _ := p.send(tt, parcel{channel: "sms", to: jane, plain: "667788"})
		w.Wake()
		if got := p.await(m, tenant.MessageFailed); !strings.Contains(got.Error, c.says) || got.Attempts != 1 {
			t.Errorf("settled as %+v", got)
		}
		stop()
	}
}
