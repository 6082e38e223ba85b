package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The header that signs a call of ours, and how long a receiver should honour
// it. It reads t=<unix seconds>,v1=<hex>: the HMAC-SHA256 (RFC 2104), with the
// signing key, of the digits of t, a full stop and the body as sent. Where keys
// have ids, kid=<id> stands before each v1; while a key is being replaced there
// are two of both.
const (
	SignatureHeader = "Usher-Signature"
	ReplayWindow    = 5 * time.Minute
)

// ErrSignature says that a call wasn't signed with the key, or not lately.
var ErrSignature = errors.New("the signature does not hold")

// Key is a signing key and what it is called; "" for a key without a name.
type Key struct {
	ID     string
	Secret []byte
}

// Sign signs a body with one key.
func Sign(h http.Header, key, body []byte, at time.Time) { SignWith(h, body, at, Key{Secret: key}) }

// SignWith signs a body with each of the keys, so that a receiver who has any of
// them is served.
func SignWith(h http.Header, body []byte, at time.Time, keys ...Key) {
	t := strconv.FormatInt(at.Unix(), 10)
	parts := []string{"t=" + t}
	for _, k := range keys {
		if k.ID != "" {
			parts = append(parts, "kid="+k.ID)
		}
		parts = append(parts, "v1="+hex.EncodeToString(mac(k.Secret, t, body)))
	}
	h.Set(SignatureHeader, strings.Join(parts, ","))
}

// Verify is what a receiver does: it checks the signature and that it is not
// older than the replay window. Within the window a receiver that must not act
// twice remembers the ids that calls carry.
func Verify(h http.Header, key, body []byte, now time.Time) error {
	var t string
	var signatures []string
	for part := range strings.SplitSeq(h.Get(SignatureHeader), ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			t = value
		case "v1":
			signatures = append(signatures, value)
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return ErrSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > ReplayWindow || age < -ReplayWindow {
		return ErrSignature
	}
	want := mac(key, t, body)
	for _, s := range signatures {
		if given, err := hex.DecodeString(s); err == nil && hmac.Equal(given, want) {
			return nil
		}
	}
	return ErrSignature
}

func mac(key []byte, t string, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(t + "."))
	m.Write(body)
	return m.Sum(nil)
}
