package selfservice

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// tells says by which messages, and with which status, the form shows a refusal;
// none when a form can't help.
func (f *held) tells(err error) ([]placed, int) {
	var s *shown
	var p *problem
	switch {
	case errors.As(err, &s):
		return s.messages, http.StatusBadRequest
	case errors.As(err, &p):
		return nil, 0
	}
	e := tenant.AsError(err)
	a := answers[e.Reason]
	if a.message == 0 || f.at == nil {
		return nil, 0
	}
	status := a.status
	if f.tries && (f.kind == recovery || f.kind == verification) && (errors.Is(e, tenant.ErrInvalidCredentials) || errors.Is(e, tenant.ErrOTPExpired)) {
		status = http.StatusOK // as the original has it
	}
	return f.place(e, a.message), status
}

// place says which messages a refusal is, and where they belong.
func (f *held) place(e *tenant.Error, message int) []placed {
	causes, _ := e.Info["causes"].([]tenant.Cause)
	switch {
	case errors.Is(e, tenant.ErrInvalidCredentials), errors.Is(e, tenant.ErrOTPExpired):
		return []placed{f.wrongCredential(e)}
	case errors.Is(e, tenant.ErrPasswordPolicy):
		return passwordMessages(e, causes)
	case errors.Is(e, tenant.ErrValidation) && len(causes) > 0:
		out := make([]placed, len(causes))
		for i, c := range causes {
			out[i] = f.invalid(e, c)
		}
		return out
	case e.Kind == tenant.TooMany:
		reason := "Too many attempts."
		if wait := e.RetryAfter(); wait > 0 {
			reason += " Try again in " + wait.Round(time.Second).String() + "."
		}
		return []placed{{"", say(invalid, "reason", reason)}}
	case message == invalid:
		return []placed{{"", say(invalid, "reason", e.Message)}}
	}
	return []placed{{"", say(message)}}
}

// wrongCredential says which credential was wrong.
func (f *held) wrongCredential(e *tenant.Error) placed {
	method, _ := e.Info["AuthenticationType"].(string)
	switch {
	case method == "secondary_totp":
		return placed{"totp_code", say(wrongTOTP)}
	case method == "recovery_code":
		return placed{"lookup_secret", say(wrongLookup)}
	case f.tries:
		return placed{"", say(f.wrong)}
	}
	return placed{"", say(wrongCredentials)}
}

// invalid says what is wrong with one field.
func (f *held) invalid(e *tenant.Error, c tenant.Cause) placed {
	node := f.nodeOf(c)
	format, _ := c.Details["format"].(string)
	switch {
	case c.Location == "/authentication" && f.kind == login:
		return placed{"", say(wrongCredentials)} // of a user who hasn't got this one, too
	case c.Location == "/authentication":
		return placed{"", say(f.noMethod)}
	case c.Kind == "required" && node != "":
		return placed{node, say(required, "property", node)}
	case format == "email":
		return placed{node, say(badEmail, "value", f.note.Values[node])}
	case format == "phone":
		return placed{node, say(badPhone, "value", f.note.Values[node])}
	}
	return placed{node, say(invalid, "reason", e.Message)}
}

// nodeOf is the field that a place in the engine's inputs came from.
func (f *held) nodeOf(c tenant.Cause) string {
	if pointer, ok := c.Details["pointer"].(string); ok {
		return "traits." + strings.TrimPrefix(pointer, "/")
	}
	switch c.Location {
	case "/login_id":
		switch f.kind {
		case login:
			return "identifier"
		case registration:
			for id := range traitInputs {
				if f.note.Values["traits."+id] != "" {
					return "traits." + id
				}
			}
		}
		return "email"
	case "/password", "/new_password":
		return "password"
	case "/code", "/account_recovery_code":
		return "code"
	case "/target":
		return "address"
	}
	return ""
}

// passwordMessages say what a new password lacks.
func passwordMessages(e *tenant.Error, causes []tenant.Cause) []placed {
	sentences := surface.PasswordWords(e)
	if len(causes) == 0 {
		return []placed{{"password", say(badPassword, "reason", "it breaks the rules")}}
	}
	out := make([]placed, len(causes))
	for i, c := range causes {
		t := say(badPassword, "reason", clause(sentences[i]))
		switch c.Kind {
		case "minimum_length":
			t = say(shortPassword, "min_length", c.Details["required"], "actual_length", c.Details["actual"])
		case "breached_check":
			t = say(breachedPassword)
		case "history":
			t = say(samePassword)
		}
		out[i] = placed{"password", t}
	}
	return out
}

// clause makes a part of a sentence of a whole one.
func clause(sentence string) string {
	r, n := utf8.DecodeRuneInString(sentence)
	return strings.ToLower(string(r)) + strings.TrimSuffix(sentence[n:], ".")
}
