package flowapi

import (
	"net/http"

	"github.com/usher-id/usher/surface"
)

// SessionToken is the token in the session cookie of a request, for another door
// of the same host; "" without one. Plain HTTP counts in development only.
func SessionToken(r *http.Request, dev bool) string {
	for _, secure := range []bool{true, false} {
		if c, err := r.Cookie(surface.CookieName(surface.SessionCookie, secure)); err == nil && (secure || dev) {
			return c.Value
		}
	}
	return ""
}
