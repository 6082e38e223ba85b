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
	"time"

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
	Title    string
	Words    []string
	Facts    []fact
	Problems []string
	Code     string
	Password bool // the form takes a new password
	Button   string
}

type fact struct{ Name, Value string }

// What a page says when there is nothing more to do.
var (
	approved  = view{Title: "Done", Words: []string{"It is approved. Go back to where you began; you can close this page."}}
	recovered = view{Title: "Done", Words: []string{"Your password is set. You can sign in with it now."}}
	nothing   = view{Title: "Nothing here", Words: []string{"This page needs the whole link that you were sent."}}
	over      = view{Title: "This link no longer works", Words: []string{"It has been used, replaced by a newer one, or has expired. Ask for a new one where you began."}}
)

// asking is the page that asks before anything happens. It names what the user
// can check: a link that somebody else asked for is how accounts are stolen.
func asking(t *tenant.Tenant, link *flowengine.Link, code string) view {
	v := view{Code: code, Facts: []fact{
		{"For", flow.Mask(link.Target)},
		{"Asked for at", link.Asked.At.UTC().Format(time.RFC1123)},
		{"From", link.Asked.IP},
	}}
	if link.Asked.UserAgent != "" {
		v.Facts = append(v.Facts, fact{"By", link.Asked.UserAgent})
	}
	switch link.Purpose {
	case tenant.PurposeRecover:
		v.Title, v.Button, v.Password = "Choose a new password", "Set password", true
		v.Words = []string{"For your account at " + t.Name + "."}
	case tenant.PurposeAuthenticate:
		v.Title, v.Button = "Sign in to "+t.Name+"?", "Yes, sign in"
		v.Words = []string{"Somebody asked to sign in to your account. Approve it only if it was you, just now."}
	default:
		v.Title, v.Button = "Is this address yours?", "Yes, it is mine"
		v.Words = []string{"Somebody at " + t.Name + " says that this address is theirs. Approve it only if it was you, just now."}
	}
	return v
}

// refuse draws why not; again is the form to be filled in once more, if there is
// one. What is our fault is left to the door, which logs it.
func refuse(w http.ResponseWriter, q *surface.Request, err error, again *view) error {
	e := tenant.AsError(err)
	retry := func(problems ...string) view {
		if again == nil {
			return view{Title: "That did not work", Words: problems}
		}
		again.Problems = problems
		return *again
	}
	switch {
	case errors.Is(e, tenant.ErrPasswordPolicy):
		return draw(w, q, http.StatusBadRequest, retry(surface.PasswordWords(e)...))
	case errors.Is(e, tenant.ErrOTPExpired):
		return draw(w, q, http.StatusGone, over)
	case err == errMore: //nolint:errorlint // the very value
		return draw(w, q, http.StatusConflict, view{Title: "One more step", Words: []string{
			"This account asks for more than a new password. Enter this code where you began:", q.PostForm.Get("code"),
		}})
	case e.Kind == tenant.Unavailable || e.Kind == tenant.TooMany:
		if s := int(e.RetryAfter().Seconds()); s > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(s))
		}
		return draw(w, q, surface.Status(e), retry("The server is busy. Try again in a moment."))
	case e.Kind == tenant.Invalid:
		return draw(w, q, http.StatusBadRequest, retry(e.Message))
	case e.Kind == tenant.NotFound:
		return draw(w, q, http.StatusNotFound, nothing)
	case e.Kind == tenant.Internal:
		return err
	}
	return draw(w, q, surface.Status(e), view{Title: "That did not work", Words: []string{e.Message}})
}

func draw(w http.ResponseWriter, q *surface.Request, status int, v view) error {
	v.CSS = template.CSS(pageCSS) //nolint:gosec // our own file
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
