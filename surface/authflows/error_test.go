package authflows

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// answers is how each reason is answered.
var answers = map[tenant.Reason]code{
	"ValidationFailed":     badRequest, // and the three codes for one value, below
	"UnsupportedMediaType": badRequest,
	"MethodNotAllowed":     notImplemented,
	"RequestTooLarge":      badRequest,
	"RouteNotFound":        notFound,
	"HTTPSRequired":        notPermitted,

	"TenantNotFound":  notFound,
	"TenantSuspended": notPermitted,

	"AuthenticationFlowNotFound":        notFound,
	"AuthenticationFlowFlowNotFound":    notFound,
	"AuthenticationFlowNotAllowed":      notPermitted,
	"AuthenticationFlowNoPublicSignup":  notPermitted,
	"AuthenticationFlowFinished":        invalidAction,
	"AuthenticationFlowConflict":        invalidAction,
	"AuthenticationFlowDifferentUserID": badRequest,
	"InvalidCredentials":                badAuthtoken,
	"OTPExpired":                        badAuthtoken,
	"UserNotFound":                      notFound,
	"DuplicatedIdentity":                invalidAction,
	"PasswordPolicyViolated":            badRequest,
	"NoAuthenticator":                   notPermitted,

	"DisabledUser":             notPermitted,
	"DeactivatedUser":          notPermitted,
	"ScheduledDeletionByAdmin": notPermitted,
	"AnonymizedUser":           notPermitted,

	"RateLimited":    notPermitted,
	"AccountLockout": notPermitted,

	"OAuthProviderNotFound":                       notFound,
	"OAuthProviderMissingCredentials":             badRequest,
	"OAuthError":                                  badRequest,
	"BotProtectionRequired":                       notPermitted,
	"BotProtectionVerificationFailed":             notPermitted,
	"BotProtectionVerificationServiceUnavailable": unknown,
	"HookDisallowed":                              notPermitted,
	"HookUnavailable":                             unknown,

	"Unauthenticated":  notAuthenticated,
	"Forbidden":        notPermitted,
	"SessionNotFresh":  notPermitted,
	"OriginNotAllowed": notPermitted,
	"NotFound":         notFound,
	"AlreadyExists":    invalidAction,
	"VersionConflict":  invalidAction,
	"LastWayIn":        invalidAction,
	"ConfigInvalid":    badRequest,
	"QueryTooComplex":  badRequest,

	"ServiceUnavailable": unknown,
	"InternalError":      unexpected,
}

func TestEveryReasonHasACode(t *testing.T) {
	for _, e := range tenant.Catalogue() {
		want, ok := answers[e.Reason]
		if !ok {
			t.Errorf("%s: not in the table", e.Reason)
			continue
		}
		check(t, e, want)
	}
	if n := len(tenant.Catalogue()); n != len(answers) {
		t.Errorf("the table has %d reasons, the catalogue %d", len(answers), n)
	}
}

func TestWhatIsWrongWithAValue(t *testing.T) {
	for want, e := range map[code]*tenant.Error{
		badRequest:        tenant.Invalidf("", "syntax", "what?"),
		invalidValue:      tenant.Invalidf("/limit", "range", "limit is 1 to 100"),
		requiredValue:     tenant.Invalidf("/authflow_id", "required", "authflow_id is required"),
		unexpectedRefType: tenant.AsError(otherKind("authflow_id", "authflow")),
	} {
		check(t, e, want)
	}
}

// check sees that a refusal has a code and that code's status, and three keys.
func check(t *testing.T, e *tenant.Error, want code) {
	t.Helper()
	status, body := refuse(e, "the-request", nil)
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if status != httpStatus[want] || len(got) != 3 || got["status"] != "error" || got["code"] != string(want) || got["message"] != e.Message {
		t.Errorf("%s: %d %s, want %s", e.Reason, status, raw, want)
	}
}

// The seed document lists twelve codes, and each has one status.
func TestTwelveCodes(t *testing.T) {
	for code, status := range map[code]int{
		"bad_request": 400, "bad_authtoken": 401, "not_authenticated": 401, "not_permitted": 403, "not_implemented": 501, "unknown": 500,
		"not_found": 404, "unexpected_ref_type": 400, "unexpected": 500, "invalid_action": 409, "invalid_value": 400, "required_value": 400,
	} {
		if httpStatus[code] != status {
			t.Errorf("%s: %d, want %d %s", code, httpStatus[code], status, http.StatusText(status))
		}
	}
	if len(httpStatus) != 12 {
		t.Errorf("%d codes", len(httpStatus))
	}
}
