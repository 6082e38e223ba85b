package setup

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// Path is where the page is.
const Path = "/setup"

// MaxBody bounds the form, in bytes.
const MaxBody = 8 << 10

// Complete sets the password of the user whom the token of a link was made for,
// and uses the token up. Its refusals are shown: [tenant.ErrPasswordPolicy] with
// causes leaves the token as it was, [tenant.ErrInvalidCredentials] says that it is worth
// nothing (any more).
type Complete func(r *http.Request, token, password string) error

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var (
	page = template.Must(template.New("page").Parse(pageHTML))

	// The policy admits this page's own style sheet and nothing else.
	csp = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(styleHash()))
)

func styleHash() []byte {
	h := sha256.Sum256([]byte(pageCSS))
	return h[:]
}

// view is what the page shows: the form while Token is set, else only the words.
type view struct {
	CSS      template.CSS
	Title    string
	Token    string
	Message  string
	Problems []string
}

// Handler serves the page. The token travels in the form itself, so nobody who
// doesn't have it can make a browser send anything of worth.
func Handler(complete Complete, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("token")
		if token == "" {
			draw(w, http.StatusNotFound, view{Title: "Nothing here", Message: "This page needs the link that you were sent."})
			return
		}
		draw(w, http.StatusOK, form(token)) // looking at a link never uses it up: mail scanners do that
	})
	mux.HandleFunc("POST "+Path, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		if err := r.ParseForm(); err != nil {
			draw(w, http.StatusBadRequest, view{Title: "That did not work", Message: "The form could not be read."})
			return
		}
		token, password := r.PostForm.Get("token"), r.PostForm.Get("password")
		again := form(token)
		switch {
		case password == "":
			again.Problems = []string{"Type a password."}
		case password != r.PostForm.Get("again"):
			again.Problems = []string{"The two passwords differ."}
		default:
			answer(w, r, complete(r, token, password), again, log)
			return
		}
		draw(w, http.StatusBadRequest, again)
	})
	return mux
}

func form(token string) view { return view{Title: "Choose a password", Token: token} }

// answer draws how it ended.
func answer(w http.ResponseWriter, r *http.Request, err error, again view, log *slog.Logger) {
	refused := tenant.AsError(err)
	switch {
	case err == nil:
		draw(w, http.StatusOK, view{Title: "Done", Message: "Your password is set. You can sign in with it now."})
	case errors.Is(err, tenant.ErrPasswordPolicy):
		again.Problems = surface.PasswordWords(refused)
		draw(w, http.StatusBadRequest, again)
	case refused.Kind == tenant.Unavailable || refused.Kind == tenant.TooMany:
		if s := int(refused.RetryAfter().Seconds()); s > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(s))
		}
		again.Problems = []string{"The server is busy. Try again in a moment."}
		draw(w, http.StatusServiceUnavailable, again)
	case refused.Kind == tenant.Internal:
		log.ErrorContext(context.WithoutCancel(r.Context()), "setup failed", "error", err)
		draw(w, http.StatusInternalServerError, view{Title: "That did not work", Message: "Something went wrong on our side."})
	default:
		draw(w, http.StatusNotFound, view{Title: "That did not work", Message: "This link has been used or has expired. Ask for a new one."})
	}
}

func draw(w http.ResponseWriter, code int, v view) {
	v.CSS = template.CSS(pageCSS) //nolint:gosec // our own file
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		http.Error(w, "the page can't be drawn", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", csp)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = b.WriteTo(w) // a reader who has gone needs no answer
}
