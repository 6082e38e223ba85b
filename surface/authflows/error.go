package authflows

import (
	"net/http"

	"github.com/usher-id/usher/tenant"
)

// errorOut is the body of a refusal.
type errorOut struct {
	Status  string `json:"status"`
	Code    code   `json:"code"`
	Message string `json:"message"`
}

// code is a stable word that clients switch on. The set is closed.
type code string

// The codes (the seed document's Error).
const (
	badRequest        code = "bad_request"         // the request as a whole can't be understood
	invalidValue      code = "invalid_value"       // one value in it doesn't fit
	requiredValue     code = "required_value"      // one is missing
	unexpectedRefType code = "unexpected_ref_type" // an id names something of another kind
	notAuthenticated  code = "not_authenticated"   // there is no API key
	badAuthtoken      code = "bad_authtoken"       //nolint:gosec // there is one, and it doesn't hold here
	notPermitted      code = "not_permitted"       // it holds, and may not do this
	notFound          code = "not_found"           // there is no such thing, or it is another tenant's
	invalidAction     code = "invalid_action"      // things stand so that this can't be done
	notImplemented    code = "not_implemented"     // the resource has no such method
	unknown           code = "unknown"             // it isn't known what became of it: something we need is away; try again
	unexpected        code = "unexpected"          // a fault of ours
)

var httpStatus = map[code]int{
	badRequest: http.StatusBadRequest, invalidValue: http.StatusBadRequest, requiredValue: http.StatusBadRequest,
	unexpectedRefType: http.StatusBadRequest, notAuthenticated: http.StatusUnauthorized, badAuthtoken: http.StatusUnauthorized,
	notPermitted: http.StatusForbidden, notFound: http.StatusNotFound, invalidAction: http.StatusConflict,
	notImplemented: http.StatusNotImplemented, unknown: http.StatusInternalServerError, unexpected: http.StatusInternalServerError,
}

func refuse(e *tenant.Error, _ string, _ any) (int, any) {
	c := codeOf(e)
	return httpStatus[c], errorOut{"error", c, e.Message}
}

// codeOf is the code of a refusal: its kind's, but for those that this dialect
// tells apart.
func codeOf(e *tenant.Error) code {
	switch e.Reason {
	case tenant.ErrValidation.Reason:
		return codeOfValue(e)
	case tenant.ErrUnauthenticated.Reason:
		return notAuthenticated
	case tenant.ErrMethodNotAllowed.Reason:
		return notImplemented
	case tenant.ErrFlowFinished.Reason:
		return invalidAction
	}
	switch e.Kind {
	case tenant.Invalid, tenant.TooLarge:
		return badRequest
	case tenant.Unauthorized:
		return badAuthtoken
	case tenant.Forbidden, tenant.TooMany:
		return notPermitted
	case tenant.NotFound:
		return notFound
	case tenant.AlreadyExists, tenant.Conflict:
		return invalidAction
	case tenant.Unavailable:
		return unknown
	default:
		return unexpected
	}
}

// codeOfValue looks at what exactly is wrong. What is about no one place is
// about the request.
func codeOfValue(e *tenant.Error) code {
	causes, _ := e.Info["causes"].([]tenant.Cause)
	switch {
	case len(causes) == 0 || causes[0].Location == "":
		return badRequest
	case causes[0].Kind == "required":
		return requiredValue
	case causes[0].Kind == refType:
		return unexpectedRefType
	}
	return invalidValue
}
