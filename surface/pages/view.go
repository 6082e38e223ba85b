package pages

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var (
	page = template.Must(template.New("page").Parse(pageHTML))

	// The policy admits the page's own style sheet and its own form, nothing else.
	csp = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", styleHash())
)

func styleHash() string {
	h := sha256.Sum256([]byte(pageCSS))
	return base64.StdEncoding.EncodeToString(h[:])
}

// view is what the page shows: a form while Code is set, else only words.
type view struct {
	CSS      template.CSS
	Say      *words
	Title    string
	Words    []string
	Facts    []fact
	Problems []string
	Code     string
	Password bool // the form takes a new password
	Button   string
}

type fact struct{ Name, Value string }

// asking is the page that asks before anything happens. It names what the user
// can check: a link that somebody else asked for is how accounts are stolen.
func asking(say *words, t *tenant.Tenant, link *flowengine.Link, code string) view {
	page := say.Verification
	switch link.Purpose {
	case tenant.PurposeRecover:
		page = say.Recovery
	case tenant.PurposeAuthenticate:
		page = say.Authentication
	}
	page = page.about(t)
	v := page.view()
	v.Button, v.Code, v.Password = page.Button, code, link.Purpose == tenant.PurposeRecover
	v.Facts = []fact{
		{say.For, flow.Mask(link.Target)},
		{say.Asked, link.Asked.At.UTC().Format(say.Time)},
		{say.From, link.Asked.IP},
	}
	if link.Asked.UserAgent != "" {
		v.Facts = append(v.Facts, fact{say.By, link.Asked.UserAgent})
	}
	return v
}

// refuse draws why not; again is the form to be filled in once more, if there is
// one. What is our fault is left to the door, which logs it.
func refuse(w http.ResponseWriter, q *surface.Request, say *words, err error, again *view) error {
	e := tenant.AsError(err)
	retry := func(problems ...string) view {
		if again == nil {
			return view{Title: say.Failed, Words: problems}
		}
		again.Problems = problems
		return *again
	}
	switch {
	case errors.Is(e, tenant.ErrPasswordPolicy):
		return draw(w, q, say, http.StatusBadRequest, retry(surface.PasswordWordsIn(say.Language, e)...))
	case errors.Is(e, tenant.ErrOTPExpired):
		return draw(w, q, say, http.StatusGone, say.Over.view())
	case errors.Is(err, errEmpty):
		return draw(w, q, say, http.StatusBadRequest, retry(say.Empty))
	case errors.Is(err, errDiffer):
		return draw(w, q, say, http.StatusBadRequest, retry(say.Differ))
	case errors.Is(err, errMore):
		v := say.More.view()
		v.Words = append(v.Words, q.PostForm.Get("code"))
		return draw(w, q, say, http.StatusConflict, v)
	case e.Kind == tenant.Unavailable || e.Kind == tenant.TooMany:
		if s := int(e.RetryAfter().Seconds()); s > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(s))
		}
		return draw(w, q, say, surface.Status(e), retry(say.Busy))
	case e.Kind == tenant.Invalid:
		return draw(w, q, say, http.StatusBadRequest, retry(say.Unreadable))
	case e.Kind == tenant.NotFound:
		return draw(w, q, say, http.StatusNotFound, say.Nothing.view())
	case e.Kind == tenant.Internal:
		return err
	}
	return draw(w, q, say, surface.Status(e), view{Title: say.Failed, Words: []string{say.Refused}})
}

func draw(w http.ResponseWriter, q *surface.Request, say *words, status int, v view) error {
	v.CSS, v.Say = template.CSS(pageCSS), say //nolint:gosec // our own file
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return err
	}
	h := w.Header() // the door has set no-store, no-referrer and nosniff
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", csp)
	w.WriteHeader(status)
	if q.Method != http.MethodHead {
		_, _ = b.WriteTo(w) // a reader who has gone needs no answer
	}
	return nil
}
