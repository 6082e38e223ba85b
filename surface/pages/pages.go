package pages

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// Name is the door's name in logs, metrics and records of runs.
const Name = "pages"

// Path is where links lead.
const Path = deliver.LinkPath

// maxForm bounds a form, in bytes.
const maxForm = 8 << 10

type pages struct{ engine *flowengine.Engine }

// New makes the door.
func New(engine *flowengine.Engine, o surface.Options) http.Handler {
	p := &pages{engine}
	d := surface.NewDoor(Name, plainly, o)
	r := chi.NewRouter()
	d.Mount(r)
	r.Get(Path, d.Own(p.show))
	r.Head(Path, d.Own(p.show))
	r.Post(Path, d.Own(p.act))
	return r
}

// plainly says no before it is known whose page it would be.
func plainly(e *tenant.Error, requestID string, _ any) (int, any) {
	return surface.Status(e), map[string]any{"error": map[string]any{"reason": e.Reason, "message": e.Message, "tracking_id": requestID}}
}

func client(q *surface.Request) flowengine.Client {
	return flowengine.Client{IP: q.IP, UserAgent: q.UserAgent(), RequestID: q.ID, Language: q.Header.Get("Accept-Language"), Surface: Name, About: q.About}
}

func (p *pages) show(q *surface.Request, w http.ResponseWriter) error {
	say := p.words(q)
	_, v, err := p.look(q, say, q.URL.Query().Get("code"))
	if err != nil {
		return refuse(w, q, say, err, nil)
	}
	return draw(w, q, say, http.StatusOK, v)
}

// look finds what a link is for and draws up the page that asks.
func (p *pages) look(q *surface.Request, say *words, code string) (*flowengine.Link, view, error) {
	if len(code) != tenant.LinkChars {
		return nil, view{}, tenant.ErrNotFound
	}
	link, err := p.engine.Link(q.Context(), q.Tenant, client(q), code)
	if err != nil {
		return nil, view{}, err
	}
	return link, asking(say, q.Tenant, link, code), nil
}

func (p *pages) act(q *surface.Request, w http.ResponseWriter) error {
	say := p.words(q)
	q.Body = http.MaxBytesReader(w, q.Body, maxForm)
	if err := q.ParseForm(); err != nil {
		return refuse(w, q, say, tenant.Invalidf("", "syntax", "the form could not be read"), nil)
	}
	code := q.PostForm.Get("code")
	link, again, err := p.look(q, say, code)
	if err != nil {
		return refuse(w, q, say, err, nil)
	}
	done := say.Approved
	if link.Purpose == tenant.PurposeRecover {
		done = say.Recovered
		err = p.reset(q, code)
	} else {
		err = p.engine.ApproveLink(q.Context(), q.Tenant, client(q), code)
	}
	if err != nil {
		return refuse(w, q, say, err, &again)
	}
	return draw(w, q, say, http.StatusOK, done.view())
}

// reset gives the user of a recovery link the password in the form, by the same
// two answers that an app would send.
func (p *pages) reset(q *surface.Request, code string) error {
	password := q.PostForm.Get("password")
	switch {
	case password == "":
		return errEmpty
	case password != q.PostForm.Get("again"):
		return errDiffer
	}
	// What can be known beforehand costs no try at the code.
	cfg, err := p.engine.Config(q.Context(), q.Tenant)
	if err != nil {
		return err
	}
	if err := flow.CheckPassword(&cfg.PasswordPolicy, "/new_password", password); err != nil {
		return err
	}
	a, err := p.engine.SubmitByLink(q.Context(), q.Tenant, client(q), code,
		input("account_recovery_code", code), input("new_password", password))
	switch {
	case errors.Is(err, tenant.ErrValidation): // the flow asks for more than a page can
		return errMore
	case err == nil && a.Action.Type != flow.Finished:
		return errMore
	}
	return err
}

func input(key, value string) flow.Input {
	in, _ := json.Marshal(map[string]string{key: value}) // strings
	return in
}

// What only a page can refuse.
var (
	errEmpty  = errors.New("no password")
	errDiffer = errors.New("two different passwords")
	errMore   = errors.New("more is needed than a password")
)
