package flowapi

import (
	"net/http"

	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// errorOut is the body of a refusal (the reference's section 1.6.1). Where a run
// stands unmoved, its result comes beside.
type errorOut struct {
	Error struct {
		Name       string         `json:"name"`
		Reason     tenant.Reason  `json:"reason"`
		Message    string         `json:"message"`
		Code       int            `json:"code"`
		Info       map[string]any `json:"info"`
		TrackingID string         `json:"tracking_id"`
	} `json:"error"`
	Result *Result `json:"result,omitempty"`
}

func refuse(e *tenant.Error, requestID string, beside any) (int, any) {
	var o errorOut
	o.Error.Code = surface.Status(e)
	o.Error.Name = nameOf(e.Kind, o.Error.Code)
	o.Error.Reason, o.Error.Message, o.Error.TrackingID = e.Reason, e.Message, requestID
	o.Error.Info = e.Info
	if o.Error.Info == nil {
		o.Error.Info = map[string]any{} // as the reference prints it
	}
	if out, ok := beside.(*Out); ok {
		o.Result = &out.Result
	}
	return o.Error.Code, o
}

// nameOf names a status the way this API does; two kinds share 409.
func nameOf(kind tenant.Kind, status int) string {
	switch status {
	case http.StatusBadRequest:
		return "Invalid"
	case http.StatusUnauthorized:
		return "Unauthorized"
	case http.StatusForbidden:
		return "Forbidden"
	case http.StatusNotFound:
		return "NotFound"
	case http.StatusMethodNotAllowed:
		return "MethodNotAllowed"
	case http.StatusConflict:
		if kind == tenant.AlreadyExists {
			return "AlreadyExists"
		}
		return "Conflict"
	case http.StatusRequestEntityTooLarge:
		return "RequestEntityTooLarge"
	case http.StatusUnsupportedMediaType:
		return "UnsupportedMediaType"
	case http.StatusTooManyRequests:
		return "TooManyRequest"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailable"
	default:
		return "InternalError"
	}
}
