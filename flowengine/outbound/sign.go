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
// signing key, of the digits of t, a full stop and the body as sent.
const (
	SignatureHeader = "Usher-Signature"
	ReplayWindow    = 5 * time.Minute
)

// ErrSignature says that a call wasn't signed with the key, or not lately.
var ErrSignature = errors.New("the signature does not hold")

// Sign signs a body.
func Sign(h http.Header, key, body []byte, at time.Time) {
	t := strconv.FormatInt(at.Unix(), 10)
	h.Set(SignatureHeader, "t="+t+",v1="+hex.EncodeToString(mac(key, t, body)))
}

// Verify is what a receiver does: it checks the signature and that it is not
// older than the replay window. Within the window a receiver that must not act
// twice remembers the ids that calls carry.
func Verify(h http.Header, key, body []byte, now time.Time) error {
	var t, signature string
	for part := range strings.SplitSeq(h.Get(SignatureHeader), ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			t = value
		case "v1":
			signature = value
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return ErrSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > ReplayWindow || age < -ReplayWindow {
		return ErrSignature
	}
	given, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(given, mac(key, t, body)) {
		return ErrSignature
	}
	return nil
}

func mac(key []byte, t string, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(t + "."))
	m.Write(body)
	return m.Sum(nil)
}
