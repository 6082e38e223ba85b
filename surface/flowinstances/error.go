package flowinstances

import (
	"net/http"
	"strings"

	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// refuse is how this API says no: what is wrong with a request is listed by
// field, anything else is a detail. A stranger is forbidden, not unauthorized.
func refuse(e *tenant.Error, _ string, beside any) (int, any) {
	status := surface.Status(e)
	switch {
	case e.Kind == tenant.Unauthorized:
		status = http.StatusForbidden
	case e.Kind == tenant.AlreadyExists, e.Reason == tenant.ErrLastWayIn.Reason:
		status = http.StatusBadRequest
	}
	if beside != nil {
		return status, beside // a page that says it, to whoever runs a flow
	}
	if status != http.StatusBadRequest {
		return status, object{"detail": e.Message, "code": e.Reason}
	}
	out := object{"code": e.Reason}
	for field, messages := range fieldErrors(e) {
		out[field] = messages
	}
	return status, out
}

// nonField is where what is wrong with no single field is listed.
const nonField = "non_field_errors"

// fieldErrors lists what is wrong by the field that it is about.
func fieldErrors(e *tenant.Error) map[string][]string {
	out := map[string][]string{}
	add := func(pointer, message string) {
		field := strings.TrimPrefix(pointer, "/")
		if field == "" || strings.Contains(field, "/") { // somewhere in the configuration
			if field != "" {
				message = pointer + ": " + message
			}
			field = nonField
		}
		out[field] = append(out[field], message)
	}
	problems, _ := e.Info["problems"].([]tenant.Problem)
	for _, p := range problems {
		add(p.Pointer, p.Message)
	}
	causes, _ := e.Info["causes"].([]tenant.Cause)
	for _, c := range causes {
		add(c.Location, e.Message)
	}
	if len(out) == 0 {
		out[nonField] = []string{e.Message}
	}
	return out
}
