package selfservice

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"

	"github.com/usher-id/usher/tenant"
)

// logoutOut is what a page needs to log its user out.
type logoutOut struct {
	LogoutToken string `json:"logout_token"`
	LogoutURL   string `json:"logout_url"`
}

// logoutToken proves that whoever has it has read it with the session: a link
// elsewhere can't log anybody out. It says nothing of the session's token.
func logoutToken(session string) string {
	sum := sha256.Sum256([]byte("logout " + session))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// beginLogout gives the browser's page the URL that logs out.
func (a *api) beginLogout(c *call) (any, error) {
	token, cookie := c.session()
	if !cookie {
		token = ""
	}
	if _, _, err := c.engine.CheckSession(c.Context(), c.Tenant, token); err != nil {
		return nil, err
	}
	returnTo, err := c.returnTo()
	if err != nil {
		return nil, err
	}
	out := logoutOut{LogoutToken: logoutToken(token)}
	q := url.Values{"token": {out.LogoutToken}}
	if returnTo != "" {
		q.Set("return_to", returnTo)
	}
	out.LogoutURL = c.root + "/self-service/logout?" + q.Encode()
	return out, nil
}

// logout ends the browser's session.
func (a *api) logout(c *call) (any, error) {
	returnTo, err := c.returnTo()
	if err != nil {
		return nil, err
	}
	token, cookie := c.session()
	if cookie {
		if subtle.ConstantTimeCompare([]byte(c.param("token")), []byte(logoutToken(token))) != 1 {
			return nil, errCSRF("The token is not the one of this browser's session.")
		}
		if err := c.engine.SignOut(c.Context(), c.Tenant, c.client(), token); err != nil && !errors.Is(err, tenant.ErrUnauthenticated) {
			return nil, err
		}
		c.forgetSession()
		c.renewCSRF()
	}
	if c.page {
		return see(c.after(returnTo)), nil
	}
	return nil, nil
}

// logoutAPI ends the session of an app, which sends its token.
func (a *api) logoutAPI(c *call) (any, error) {
	var in struct {
		SessionToken string `json:"session_token"`
	}
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	err := c.engine.SignOut(c.Context(), c.Tenant, c.client(), in.SessionToken)
	if errors.Is(err, tenant.ErrUnauthenticated) {
		return nil, &problem{status: http.StatusForbidden, reason: "The session token is malformed or unknown.", cause: tenant.ErrForbidden}
	}
	return nil, err
}
