package selfservice

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/usher-id/usher/tenant/secret"
)

// A browser holds a secret in a cookie that pages can't read. A form carries the
// same secret, each time under another one-time pad, so that what a compressed
// answer repeats tells nothing (BREACH). A flow knows the secret by its hash: it
// belongs to the browser that began it.

const (
	csrfBytes = 32
	csrfAge   = 365 * 24 * time.Hour
)

// csrfCookie is what the cookie is called on a public URL.
func csrfCookie(base string) string {
	sum := sha256.Sum256([]byte(base))
	return "csrf_token_" + hex.EncodeToString(sum[:])
}

// csrf is the secret of the browser; nil when it has none.
func (c *call) csrf() []byte {
	if c.fresh != nil {
		return c.fresh
	}
	k, err := c.Cookie(csrfCookie(c.base))
	if err != nil {
		return nil
	}
	s, err := base64.StdEncoding.DecodeString(k.Value)
	if err != nil || len(s) != csrfBytes {
		return nil
	}
	return s
}

// ensureCSRF gives the browser a secret if it has none.
func (c *call) ensureCSRF() {
	if c.csrf() == nil {
		c.renewCSRF()
	}
}

// renewCSRF gives the browser another secret: who it is has changed, and flows
// begun before are no longer its.
func (c *call) renewCSRF() {
	c.fresh = secret.Random(csrfBytes)
	c.cookie(csrfCookie(c.base), base64.StdEncoding.EncodeToString(c.fresh), csrfAge)
}

// csrfHash is what a flow knows of a secret.
func csrfHash(secret []byte) string {
	sum := sha256.Sum256(secret)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// csrfToken hides a secret under a new pad.
func csrfToken(s []byte) string {
	pad := secret.Random(csrfBytes)
	masked := make([]byte, csrfBytes)
	subtle.XORBytes(masked, pad, s)
	return base64.StdEncoding.EncodeToString(append(pad, masked...))
}

// owns says whether the flow is this browser's.
func (c *call) owns(n *note) bool {
	s := c.csrf()
	return s != nil && subtle.ConstantTimeCompare([]byte(csrfHash(s)), []byte(n.CSRF)) == 1
}

// sends says whether a form carries the browser's secret, in its field or in the
// header X-CSRF-Token.
func (c *call) sends(in form) bool {
	token := in.text("csrf_token")
	if token == "" {
		token = c.Header.Get("X-CSRF-Token")
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	s := c.csrf()
	if err != nil || len(raw) != 2*csrfBytes || s == nil {
		return false
	}
	given := make([]byte, csrfBytes)
	subtle.XORBytes(given, raw[:csrfBytes], raw[csrfBytes:])
	return subtle.ConstantTimeCompare(given, s) == 1
}
