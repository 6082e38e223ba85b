package flowinstances

import (
	"cmp"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// details are what was wrong with an answer, by the field that it is about.
type details map[string][]detail

type detail struct {
	Text string `json:"string"`
	Code string `json:"code"`
}

func (d details) add(field, code, text string) { d[field] = append(d[field], detail{text, code}) }

// asked is what a step asks for, whatever its type.
type asked struct {
	Type            string          `json:"type"`
	Options         []option        `json:"options"`
	Channels        []string        `json:"channels"`
	OTPForm         tenant.CodeForm `json:"otp_form"`
	MaskedClaim     string          `json:"masked_claim_value"`
	MaskedName      string          `json:"masked_display_name"`
	CodeLength      int             `json:"code_length"`
	OTPAuthURI      string          `json:"otpauth_uri"`
	RecoveryCodes   []string        `json:"recovery_codes"`
	Attributes      []attribute     `json:"attributes"`
	CreationOptions json.RawMessage `json:"creation_options"`
	Step            string          `json:"-"`
	Authentication  string          `json:"-"` // chosen, in a conversation
}

type option struct {
	Identification  string          `json:"identification"`
	Authentication  string          `json:"authentication"`
	Channel         string          `json:"channel"`
	MaskedName      string          `json:"masked_display_name"`
	RequestOptions  json.RawMessage `json:"request_options"`
	CreationOptions json.RawMessage `json:"creation_options"`
	Bots            *widget         `json:"bot_protection"`
	Setting         string          `json:"setting"`
	Configured      bool            `json:"configured"`
	Attributes      []attribute     `json:"attributes"`
	OTPAuthURI      string          `json:"otpauth_uri"`
	Target          *struct {
		MaskedName string `json:"masked_display_name"`
	} `json:"target"`
}

// page is a stage of a run: what is drawn, and how what comes back is read.
type page struct {
	component string
	also      string            // another component whose answers it takes
	more      object            // keys beside those of every challenge
	fields    map[string]string // of the challenge, by the key of an input that they are sent as
	// read makes inputs of an answer; nil where there is nothing to answer.
	read func(given body, wrong details) []flow.Input
	// resend is what an answer of the email stage means here, which asks for
	// another message; nil where none was sent.
	resend []flow.Input
	// bots is the widget whose response goes with the answer; nil for none.
	bots *widget
	// auto is the answer when there is but one.
	auto []flow.Input
}

// answers reads an answer. It has to be one to this stage.
func (p *page) answers(given body) ([]flow.Input, details) {
	wrong := details{}
	component := text(given["component"])
	if component == emailComponent && p.resend != nil {
		return p.resend, nil
	}
	if component != p.component && component != p.also && component != "" {
		wrong.add("component", "invalid", "the stage that asks is "+p.component)
		return nil, wrong
	}
	out := p.read(given, wrong)
	if token := text(given[captchaKey]); p.bots != nil && token != "" && len(out) > 0 {
		out[0] = p.bots.with(out[0], token)
	}
	return out, wrong
}

// errors says what the engine refused in an answer, by field.
func (p *page) errors(e *tenant.Error) details {
	wrong := details{}
	causes, _ := e.Info["causes"].([]tenant.Cause)
	if len(causes) == 0 {
		wrong.add(p.field(defaultKey(e)), string(e.Reason), e.Message)
		return wrong
	}
	words := surface.PasswordWords(e)
	for n, c := range causes {
		said := e.Message
		if e.Reason == tenant.ErrPasswordPolicy.Reason {
			said = words[n]
		}
		wrong.add(p.field(c.Location), c.Kind, said)
	}
	return wrong
}

// field is the field that a key of an input was read from.
func (p *page) field(pointer string) string {
	if strings.HasPrefix(pointer, "/bot_protection") {
		return captchaKey
	}
	return cmp.Or(p.fields[pointer], p.fields[""], nonField)
}

// defaultKey is what a refusal that names no key is about.
func defaultKey(e *tenant.Error) string {
	switch e.Reason {
	case tenant.ErrDuplicatedIdentity.Reason, tenant.ErrUserNotFound.Reason:
		return "/login_id"
	case tenant.ErrBotProtectionRequired.Reason, tenant.ErrBotProtectionFailed.Reason:
		return "/bot_protection"
	}
	return ""
}

// show is the challenge of where the run stands.
func (x *executor) show(at *flowengine.Answer, wrong details) (any, error) {
	p := x.page(at)
	if p.component == redirectComponent {
		x.keep("")
		return x.redirect()
	}
	return x.challenge(p.component, p.more, wrong), nil
}

// challenge is what every stage shows.
func (x *executor) challenge(component string, more object, wrong details) object {
	look := x.catalog.presentation(x.flow)
	shown := x.catalog.draw(x.flow, look)
	o := object{
		"component": component,
		"flow_info": object{
			"title": shown["title"], "background": look.Background, "background_themed_urls": nil, "layout": shown["layout"],
			"cancel_url": executorPath(x.flow.slug) + "cancel/?" + url.Values{"next": {x.next(x.headed())}}.Encode(),
		},
		"response_errors": wrong,
	}
	if wrong == nil {
		o["response_errors"] = details{}
	}
	for key, value := range more {
		o[key] = value
	}
	return o
}

// redirect ends a run: the page goes to where the user was headed.
func (x *executor) redirect() (any, error) {
	return x.challenge(redirectComponent, object{"to": x.next(x.headed())}, nil), nil
}

// denied is what the client of a flow hears of a refusal that isn't about an
// answer. Whoever is turned away sees it, or goes on, as the flow's presentation
// says.
func (x *executor) denied(err error) (any, error) {
	e := tenant.AsError(err)
	switch inFlow(e) {
	case turnsAway:
		x.keep("")
		action := cmp.Or(x.catalog.presentation(x.flow).DeniedAction, tenant.MessageContinue)
		if action == tenant.DeniedContinue || action == tenant.MessageContinue && x.headed().Get("next") != "" {
			return x.redirect()
		}
		return x.challenge(deniedComponent, object{"pending_user": "", "pending_user_avatar": avatar, "error_message": e.Message}, nil), nil
	case fails:
		return x.failure("Something went wrong. Try again in a moment."), err
	}
	return nil, err
}

// failure is the page of an error that nobody can do anything about there.
func (x *executor) failure(words string) object {
	return x.challenge(errorComponent, object{"request_id": x.ID, "error": words, "traceback": ""}, nil)
}
