package surface

import (
	"net/http"

	"github.com/usher-id/usher/tenant"
)

// Status is the HTTP status of a refusal: its kind's, but for the two that HTTP
// itself has a number for.
func Status(e *tenant.Error) int {
	switch e.Reason {
	case tenant.ErrMediaType.Reason:
		return http.StatusUnsupportedMediaType
	case tenant.ErrMethodNotAllowed.Reason:
		return http.StatusMethodNotAllowed
	}
	switch e.Kind {
	case tenant.Invalid:
		return http.StatusBadRequest
	case tenant.Unauthorized:
		return http.StatusUnauthorized
	case tenant.Forbidden:
		return http.StatusForbidden
	case tenant.NotFound:
		return http.StatusNotFound
	case tenant.AlreadyExists, tenant.Conflict:
		return http.StatusConflict
	case tenant.TooLarge:
		return http.StatusRequestEntityTooLarge
	case tenant.TooMany:
		return http.StatusTooManyRequests
	case tenant.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
