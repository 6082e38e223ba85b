package flowinstances

import (
	"encoding/json"

	"github.com/usher-id/usher/flowengine/flow"
)

// captchaKey is where an answer brings what the widget gave. Any stage that asks
// for it takes it; the identification stage draws it.
const captchaKey = "captcha_token"

// widget asks whether the user is a program.
type widget struct {
	Provider struct {
		Type    string `json:"type"`
		SiteKey string `json:"site_key"`
	} `json:"provider"`
}

// scripts are what draws the widgets, as their providers document them.
var scripts = map[string]string{
	"cloudflare":  "https://challenges.cloudflare.com/turnstile/v0/api.js",
	"recaptchav2": "https://www.recaptcha.net/recaptcha/api.js",
	"hcaptcha":    "https://js.hcaptcha.com/1/api.js",
}

// stage is the captcha stage within another one.
func (w *widget) stage() any {
	if w == nil {
		return nil
	}
	return user("", object{
		"component": "ak-stage-captcha", "site_key": w.Provider.SiteKey, "js_url": scripts[w.Provider.Type], "interactive": true,
	})
}

// with adds a response to an input.
func (w *widget) with(in flow.Input, response string) flow.Input {
	o := object{}
	_ = json.Unmarshal(in, &o) // it is one of ours
	o["bot_protection"] = object{"type": w.Provider.Type, "response": response}
	return input(o)
}

// botsOf is the widget that any of the options asks for.
func botsOf(options []option) *widget {
	for _, o := range options {
		if o.Bots != nil {
			return o.Bots
		}
	}
	return nil
}
