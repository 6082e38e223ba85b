package tenant

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of refusal an [Error] is. The set is closed; every
// surface maps all of it.
type Kind string

// The kinds.
const (
	Invalid       Kind = "invalid"        // the request can't be understood or breaks a rule
	Unauthorized  Kind = "unauthorized"   // who is asking isn't proved
	Forbidden     Kind = "forbidden"      // it is proved, and the answer is still no
	NotFound      Kind = "not_found"      // no such thing, or it is another tenant's
	AlreadyExists Kind = "already_exists" // the name is taken
	Conflict      Kind = "conflict"       // somebody else was faster
	TooLarge      Kind = "too_large"      // over a published limit
	TooMany       Kind = "too_many"       // too often
	Unavailable   Kind = "unavailable"    // try again in a moment
	Internal      Kind = "internal"       // our fault; never shown
)

// Reason is a stable word that clients switch on.
type Reason string

// Error is a refusal that the client may see. Everything else that is an error
// is internal: it is logged with the request id and answered as [Internal].
type Error struct {
	Kind    Kind
	Reason  Reason
	Message string         // for people; may change
	Info    map[string]any // extra facts for the client; nil when there are none
	cause   error          // for the log only
}

func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Reason, e.Message, e.cause)
	}
	return fmt.Sprintf("%s: %s", e.Reason, e.Message)
}

// Unwrap gives the cause, which is for logs and never for clients.
func (e *Error) Unwrap() error { return e.cause }

// Is makes two refusals equal when their reasons are, so that errors.Is(err,
// ErrNotFound) holds whatever the message says.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// Because keeps the cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Says replaces the words for people.
func (e *Error) Says(format string, args ...any) *Error {
	c := *e
	c.Message = fmt.Sprintf(format, args...)
	return &c
}

// With adds a fact for the client.
func (e *Error) With(key string, value any) *Error {
	c := *e
	c.Info = make(map[string]any, len(e.Info)+1)
	for k, v := range e.Info {
		c.Info[k] = v
	}
	c.Info[key] = value
	return &c
}

// RetryAfter is how long the client should wait, when the refusal says so in
// its fact "retry_after_seconds"; zero otherwise.
func (e *Error) RetryAfter() time.Duration {
	s, _ := e.Info["retry_after_seconds"].(int)
	return time.Duration(s) * time.Second
}

// AsError finds the refusal in err. Anything else becomes [ErrInternal] with
// err as its cause, so that no caller can show it by accident.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return ErrInternal.Because(err)
}

func refusal(kind Kind, reason Reason, message string) *Error {
	e := &Error{Kind: kind, Reason: reason, Message: message}
	catalogue = append(catalogue, e)
	return e
}

var catalogue []*Error

// Catalogue lists every refusal there is, in the order of this file. Each
// surface's golden table is checked against it.
func Catalogue() []*Error { return append([]*Error(nil), catalogue...) }

// The refusals. FLOW_API.md section 5 and ADMIN_API.md name them.
var (
	// The shape of a request.
	ErrValidation       = refusal(Invalid, "ValidationFailed", "the input does not fit")
	ErrMediaType        = refusal(Invalid, "UnsupportedMediaType", "send application/json")
	ErrMethodNotAllowed = refusal(Invalid, "MethodNotAllowed", "this resource does not know that method")
	ErrTooLarge         = refusal(TooLarge, "RequestTooLarge", "the request is over the size limit")
	ErrNoRoute          = refusal(NotFound, "RouteNotFound", "there is nothing here")
	ErrHTTPSRequired    = refusal(Forbidden, "HTTPSRequired", "use https")

	// The tenant.
	ErrTenantNotFound  = refusal(NotFound, "TenantNotFound", "no tenant answers to this host")
	ErrTenantSuspended = refusal(Forbidden, "TenantSuspended", "this tenant is suspended")

	// A flow.
	ErrFlowNotFound       = refusal(NotFound, "AuthenticationFlowNotFound", "no such flow, or it has expired")
	ErrNoSuchFlow         = refusal(NotFound, "AuthenticationFlowFlowNotFound", "the tenant defines no flow of this type and name")
	ErrFlowNotAllowed     = refusal(Forbidden, "AuthenticationFlowNotAllowed", "this flow is not allowed here")
	ErrNoPublicSignup     = refusal(Forbidden, "AuthenticationFlowNoPublicSignup", "sign-up is not open to the public")
	ErrFlowFinished       = refusal(Invalid, "AuthenticationFlowFinished", "the flow has finished")
	ErrFlowConflict       = refusal(Conflict, "AuthenticationFlowConflict", "another request finished this flow first")
	ErrDifferentUser      = refusal(Invalid, "AuthenticationFlowDifferentUserID", "the flow is about another user")
	ErrSessionNotFresh    = refusal(Forbidden, "SessionNotFresh", "prove who you are once more, in a reauth flow, to change this")
	ErrInvalidCredentials = refusal(Unauthorized, "InvalidCredentials", "invalid credentials")
	ErrOTPExpired         = refusal(Unauthorized, "OTPExpired", "the code has expired")
	ErrUserNotFound       = refusal(NotFound, "UserNotFound", "user not found")
	ErrDuplicatedIdentity = refusal(AlreadyExists, "DuplicatedIdentity", "identity already exists")
	ErrPasswordPolicy     = refusal(Invalid, "PasswordPolicyViolated", "password policy violated")
	ErrNoAuthenticator    = refusal(Forbidden, "NoAuthenticator", "the user has no authenticator for this step")

	// The user's account.
	ErrDisabledUser      = refusal(Forbidden, "DisabledUser", "the user is disabled")
	ErrDeactivatedUser   = refusal(Forbidden, "DeactivatedUser", "the user has deactivated the account")
	ErrScheduledDeletion = refusal(Forbidden, "ScheduledDeletionByAdmin", "the user is scheduled for deletion")
	ErrAnonymizedUser    = refusal(Forbidden, "AnonymizedUser", "the user has been anonymized")

	// Too often.
	ErrRateLimited    = refusal(TooMany, "RateLimited", "too many requests")
	ErrAccountLockout = refusal(TooMany, "AccountLockout", "too many failed attempts")

	// Providers and checks by others.
	ErrProviderNotFound           = refusal(NotFound, "OAuthProviderNotFound", "no such provider")
	ErrProviderMissingCredentials = refusal(Invalid, "OAuthProviderMissingCredentials", "the provider's credentials are not set up")
	ErrOAuth                      = refusal(Invalid, "OAuthError", "the provider did not sign the user in")
	ErrBotProtectionRequired      = refusal(Forbidden, "BotProtectionRequired", "a bot protection response is required")
	ErrBotProtectionFailed        = refusal(Forbidden, "BotProtectionVerificationFailed", "the bot protection response was refused")
	ErrBotProtectionUnavailable   = refusal(Unavailable, "BotProtectionVerificationServiceUnavailable", "bot protection can't be checked right now")
	ErrHookDisallowed             = refusal(Forbidden, "HookDisallowed", "a hook refused this")
	ErrHookUnavailable            = refusal(Unavailable, "HookUnavailable", "a hook that has to be asked can't be asked right now")

	// The admin API and sessions.
	ErrUnauthenticated = refusal(Unauthorized, "Unauthenticated", "sign in, or send an API key")
	ErrForbidden       = refusal(Forbidden, "Forbidden", "you may not do this")
	ErrOrigin          = refusal(Forbidden, "OriginNotAllowed", "the Origin of the request is not this host")
	ErrNotFound        = refusal(NotFound, "NotFound", "no such thing")
	ErrAlreadyExists   = refusal(AlreadyExists, "AlreadyExists", "it exists already")
	ErrVersionConflict = refusal(Conflict, "VersionConflict", "somebody else changed it first")
	ErrLastWayIn       = refusal(Conflict, "LastWayIn", "this would leave nobody a way in")
	ErrConfigInvalid   = refusal(Invalid, "ConfigInvalid", "the configuration has problems")
	ErrQueryTooComplex = refusal(TooLarge, "QueryTooComplex", "the query is over the limits of this API")

	// Ours.
	ErrUnavailable = refusal(Unavailable, "ServiceUnavailable", "try again in a moment")
	ErrInternal    = refusal(Internal, "InternalError", "something went wrong on our side")
)

// Cause is one thing that is wrong with an input: where it stands (a JSON
// pointer, RFC 6901), which rule it breaks, and what the rule asks.
type Cause struct {
	Location string         `json:"location"`
	Kind     string         `json:"kind"`
	Details  map[string]any `json:"details,omitempty"`
}

// Invalidf is [ErrValidation] about one place.
func Invalidf(location, kind, format string, args ...any) *Error {
	return ErrValidation.Says(format, args...).WithCauses(Cause{Location: location, Kind: kind})
}

// WithCauses says what exactly is wrong, in the fact "causes".
func (e *Error) WithCauses(causes ...Cause) *Error { return e.With("causes", causes) }

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Pointer string `json:"pointer"` // RFC 6901, into the document
	Reason  string `json:"reason"`  // stable
	Message string `json:"message"` // for people
}

func (p Problem) String() string { return p.Pointer + ": " + p.Message }

// Problems is [ErrConfigInvalid] with everything that is wrong.
func Problems(ps []Problem) *Error { return ErrConfigInvalid.With("problems", ps) }
