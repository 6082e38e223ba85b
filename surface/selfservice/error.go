package selfservice

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// answer is how a refusal is answered: by an error with an id, and, where it is
// about what was put into a form, by the form with a message.
type answer struct {
	status  int
	id      string // "" for errors that have none
	message int    // 0 where no form could help
}

// answers says it of every reason of the catalogue.
var answers = map[tenant.Reason]answer{
	tenant.ErrValidation.Reason:       {400, "", invalid},
	tenant.ErrMediaType.Reason:        {415, "", 0},
	tenant.ErrMethodNotAllowed.Reason: {405, "", 0},
	tenant.ErrTooLarge.Reason:         {413, "", 0},
	tenant.ErrNoRoute.Reason:          {404, "", 0},
	tenant.ErrHTTPSRequired.Reason:    {403, "", 0},

	tenant.ErrTenantNotFound.Reason:  {404, "", 0},
	tenant.ErrTenantSuspended.Reason: {403, "", 0},

	tenant.ErrFlowNotFound.Reason:       {404, "", 0},
	tenant.ErrNoSuchFlow.Reason:         {400, "self_service_flow_disabled", 0},
	tenant.ErrFlowNotAllowed.Reason:     {401, "session_inactive", 0},
	tenant.ErrNoPublicSignup.Reason:     {400, "self_service_flow_disabled", 0},
	tenant.ErrFlowFinished.Reason:       {410, "self_service_flow_replaced", 0},
	tenant.ErrFlowConflict.Reason:       {409, "", 0},
	tenant.ErrDifferentUser.Reason:      {403, "security_identity_mismatch", 0},
	tenant.ErrSessionNotFresh.Reason:    {403, "session_refresh_required", 0},
	tenant.ErrInvalidCredentials.Reason: {400, "", wrongCredentials},
	tenant.ErrOTPExpired.Reason:         {400, "", wrongCredentials},
	tenant.ErrUserNotFound.Reason:       {400, "", noSuchAccount},
	tenant.ErrDuplicatedIdentity.Reason: {400, "", duplicate},
	tenant.ErrPasswordPolicy.Reason:     {400, "", badPassword},
	tenant.ErrNoAuthenticator.Reason:    {400, "", noSuchAccount},

	tenant.ErrDisabledUser.Reason:      {400, "", disabledAccount},
	tenant.ErrDeactivatedUser.Reason:   {400, "", disabledAccount},
	tenant.ErrScheduledDeletion.Reason: {400, "", disabledAccount},
	tenant.ErrAnonymizedUser.Reason:    {400, "", disabledAccount},

	tenant.ErrRateLimited.Reason:    {400, "", invalid},
	tenant.ErrAccountLockout.Reason: {400, "", invalid},

	tenant.ErrProviderNotFound.Reason:           {404, "", 0},
	tenant.ErrProviderMissingCredentials.Reason: {400, "", invalid},
	tenant.ErrOAuth.Reason:                      {400, "", invalid},
	tenant.ErrBotProtectionRequired.Reason:      {400, "", captcha},
	tenant.ErrBotProtectionFailed.Reason:        {400, "", captcha},
	tenant.ErrBotProtectionUnavailable.Reason:   {503, "", 0},
	tenant.ErrHookDisallowed.Reason:             {400, "", invalid},
	tenant.ErrHookUnavailable.Reason:            {503, "", 0},

	tenant.ErrUnauthenticated.Reason: {401, "session_inactive", 0},
	tenant.ErrForbidden.Reason:       {403, "", 0},
	tenant.ErrOrigin.Reason:          {403, "security_csrf_violation", 0},
	tenant.ErrNotFound.Reason:        {404, "", 0},
	tenant.ErrAlreadyExists.Reason:   {409, "", 0},
	tenant.ErrVersionConflict.Reason: {409, "", 0},
	tenant.ErrLastWayIn.Reason:       {409, "", 0},
	tenant.ErrConfigInvalid.Reason:   {400, "", 0},
	tenant.ErrQueryTooComplex.Reason: {413, "", 0},

	tenant.ErrUnavailable.Reason: {503, "", 0},
	tenant.ErrInternal.Reason:    {500, "", 0},
}

// sentences are what errors say by their status; the reason says the rest.
var sentences = map[int]string{
	400: "The request was malformed or contained invalid parameters",
	401: "The request could not be authorized",
	403: "The requested action was forbidden",
	404: "The resource could not be found",
	405: "The resource does not know this method",
	409: "The request conflicts with another one",
	410: "The resource is no longer there",
	413: "The request is too large",
	415: "The media type is not supported",
	422: "The browser has to go on elsewhere",
	429: "There were too many requests",
	500: "An internal server error occurred",
	501: "The server does not support this",
	503: "The service is not available right now",
}

// problem is a refusal in the words of this dialect.
type problem struct {
	status   int
	id       string
	reason   string
	details  map[string]any
	redirect string // where a browser goes on
	flow     string // the flow that is used instead
	cause    *tenant.Error
}

func (p *problem) Error() string { return p.cause.Error() }
func (p *problem) Unwrap() error { return p.cause }

// The refusals that only this dialect knows.

func errAlreadySignedIn(goOn string) error {
	return &problem{status: 400, id: "session_already_available", reason: "A session is there already. Ask for refresh=true to prove who you are once more.",
		redirect: goOn, cause: tenant.ErrFlowNotAllowed}
}

func errCSRF(why string) error {
	return &problem{status: 403, id: "security_csrf_violation", reason: "The request was rejected to protect against cross-site request forgery.",
		details: map[string]any{
			"docs":          "https://www.ory.sh/kratos/docs/debug/csrf",
			"hint":          "Send the cookies of the browser that began the flow, and the csrf_token of its form.",
			"reject_reason": why,
		}, cause: tenant.ErrOrigin}
}

func errReturnTo(why string) error {
	return &problem{status: 400, id: "self_service_flow_return_to_forbidden", reason: "return_to " + why, cause: tenant.ErrValidation}
}

func errGoOn(to string) error {
	return &problem{status: 422, id: "browser_location_change_required", reason: "Go on at the URL given.", redirect: to, cause: tenant.ErrFlowNotAllowed}
}

// problemOf puts any refusal into the words of this dialect.
func problemOf(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	e := tenant.AsError(err)
	a, ok := answers[e.Reason]
	if !ok {
		a = answers[tenant.ErrInternal.Reason]
	}
	if a.message != 0 && (e.Kind == tenant.TooMany || e.Kind == tenant.NotFound) {
		a.status = surface.Status(e) // where no form says it
	}
	p = &problem{status: a.status, id: a.id, reason: e.Message, cause: e}
	if code, ok := e.Info["support_code"]; ok {
		p.details = map[string]any{"support_code": code}
	}
	return p
}

// errorOut is the body of a refusal: errorGeneric in the seed document.
type errorOut struct {
	Error errorContent `json:"error"`

	RedirectBrowserTo string `json:"redirect_browser_to,omitempty"`
	UseFlowID         string `json:"use_flow_id,omitempty"`
}

type errorContent struct {
	ID      string         `json:"id,omitempty"`
	Code    int            `json:"code"`
	Status  string         `json:"status"`
	Request string         `json:"request,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Details map[string]any `json:"details,omitempty"`
	Message string         `json:"message"`
}

func (p *problem) body(requestID string) *errorOut {
	return &errorOut{
		Error: errorContent{
			ID: p.id, Code: p.status, Status: http.StatusText(p.status), Request: requestID, Reason: p.reason, Details: p.details, Message: sentences[p.status],
		},
		RedirectBrowserTo: p.redirect, UseFlowID: p.flow,
	}
}

// refuse says no: with what the handler has made of it, or before there was one.
func refuse(e *tenant.Error, requestID string, beside any) (int, any) {
	if a, ok := beside.(surface.Answer); ok {
		return a.Status, a
	}
	p := problemOf(e)
	return p.status, p.body(requestID)
}

// refused is the answer to a refusal. A browser that shows pages is sent on: to
// where it helps, or to the tenant's page for errors, which reads there what went
// wrong.
func (c *call) refused(err error) surface.Answer {
	p := problemOf(err)
	if p.id != "" {
		c.Say("Ory-Error-Id", p.id)
	}
	body := p.body(c.ID)
	if !c.page {
		return surface.Answer{Status: p.status, Body: body}
	}
	if p.redirect != "" {
		return see(p.redirect)
	}
	if page := c.cfg.SelfService.ErrorURL; page != "" {
		if id, keepErr := c.engine.KeepError(c.Context(), c.Tenant, body.Error); keepErr == nil {
			return see(withQuery(page, "id", id))
		}
	}
	return surface.Answer{Status: p.status, Body: body}
}

// see sends a browser on (RFC 9110 section 15.4.4).
func see(url string) surface.Answer {
	return surface.Answer{Status: http.StatusSeeOther, Location: url}
}

// errorShown is the answer to the page that shows an error.
type errorShown struct {
	ID        string          `json:"id"`
	Error     json.RawMessage `json:"error"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
}

func (a *api) readError(c *call) (any, error) {
	e, err := c.engine.ShownError(c.Context(), c.Tenant, c.param("id"))
	if err != nil {
		return nil, err
	}
	return errorShown{e.ID, e.Document, e.CreatedAt, e.CreatedAt}, nil
}
