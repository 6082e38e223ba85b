package flow

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238's HMAC-SHA-1, which authenticator apps speak
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// totp is a code from an authenticator app (RFC 6238: SHA-1, 6 digits, 30 s).
type totp struct{}

const (
	totpStep = 30 * time.Second
	totpSkew = 1 // steps that a clock may be off
)

// totpKey is what the sealed secret of the authenticator holds.
type totpKey struct {
	Key  string `json:"key"`            // base32 without padding
	Used int64  `json:"used,omitempty"` // the last step that was accepted; none up to it is again
}

func (totp) For(step string) bool {
	return step == stepAuthenticate || step == stepCreateAuthenticator
}

func (totp) Proves(step string) bool { return step == stepAuthenticate }

func (totp) Options(c *Cursor, s *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	has, err := c.has(secondaryTOTP)
	if err != nil || has == (s.Type == stepCreateAuthenticator) {
		return nil, err
	}
	return []Option{{Show: map[string]any{"authentication": secondaryTOTP}}}, nil
}

func (m totp) Take(c *Cursor, s *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	if s.Type == stepCreateAuthenticator {
		return Verdict{Pending: totpKey{Key: newTOTPKey(c)}}, nil
	}
	code, err := in.text("code")
	if err != nil {
		return Verdict{}, err
	}
	if err := c.Allow(LimitTOTP, c.subject()); err != nil {
		return Verdict{}, err
	}
	wrong := tenant.ErrInvalidCredentials.With("AuthenticationType", secondaryTOTP)
	a, err := c.stored(secondaryTOTP)
	if err != nil {
		return Verdict{}, err
	}
	if a == nil {
		return Verdict{}, wrong
	}
	plain, err := c.Unseal(a.ID, a.Secret)
	if err != nil {
		return Verdict{}, err
	}
	var key totpKey
	if err := json.Unmarshal([]byte(plain), &key); err != nil {
		return Verdict{}, err
	}
	step, ok := key.match(code, c.Now())
	if !ok {
		return Verdict{}, wrong
	}
	c.Right(LimitTOTP, c.subject())
	key.Used = step
	sealed, err := key.seal(c, a.ID)
	if err != nil {
		return Verdict{}, err
	}
	fresh := *a
	fresh.Secret = sealed
	c.Do(Update{Authenticator: fresh, Was: a.Secret, Must: true})
	return Verdict{AMR: []string{"otp", "mfa"}}, nil
}

func (totp) Keys() []string { return []string{"code"} }

func (totp) Prompt(c *Cursor, _ *tenant.Step) (map[string]any, error) {
	key, err := pending[totpKey](c)
	if err != nil {
		return nil, err
	}
	secret, uri, err := describeTOTP(c, key.Key)
	return map[string]any{"type": "create_totp_data", "secret": secret, "otpauth_uri": uri}, err
}

// newTOTPKey makes a key of the length of the hash (RFC 4226 section 4, R6), in
// base32 without padding.
func newTOTPKey(c *Cursor) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(c.Random(20))
}

// describeTOTP is what an authenticator app needs to know of a key.
func describeTOTP(c *Cursor, key string) (secret, uri string, err error) {
	name, err := c.accountName()
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + name, RawQuery: url.Values{
		"secret": {key}, "issuer": {c.Issuer()}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"},
	}.Encode()}
	return key, u.String(), err
}

func (totp) Resume(c *Cursor, _ *tenant.Step, _ *tenant.Branch, in *Answer) (Verdict, error) {
	key, err := pending[totpKey](c)
	if err != nil {
		return Verdict{}, err
	}
	return setUpTOTP(c, key, in)
}

// setUpTOTP drafts an authenticator app that has shown that it has the key.
func setUpTOTP(c *Cursor, key totpKey, in *Answer) (Verdict, error) {
	code, err := in.text("code")
	if err != nil {
		return Verdict{}, err
	}
	if err := c.Allow(LimitCreate, c.subject()); err != nil {
		return Verdict{}, err
	}
	step, ok := key.match(code, c.Now())
	if !ok {
		return Verdict{}, tenant.ErrInvalidCredentials.With("AuthenticationType", secondaryTOTP)
	}
	key.Used = step
	id := c.NewID()
	sealed, err := key.seal(c, id)
	if err != nil {
		return Verdict{}, err
	}
	c.Draft.Authenticators = append(c.Draft.Authenticators, NewCredential{ID: id, Type: secondaryTOTP, Secret: sealed})
	return Verdict{AMR: []string{"otp", "mfa"}}, nil
}

func (k totpKey) seal(c *Cursor, id string) (string, error) {
	b, err := json.Marshal(k)
	if err != nil {
		return "", err
	}
	return c.Seal(id, string(b))
}

// match finds the step that a code belongs to, within the skew and after the
// last one used.
func (k totpKey) match(code string, now time.Time) (step int64, ok bool) {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimRight(k.Key, "=")))
	if err != nil {
		return 0, false
	}
	at := now.Unix() / int64(totpStep/time.Second)
	for s := at - totpSkew; s <= at+totpSkew; s++ {
		if subtle.ConstantTimeCompare([]byte(hotp(secret, s)), []byte(code)) == 1 && s > k.Used {
			step, ok = s, true
		}
	}
	return step, ok
}

// hotp is RFC 4226 section 5.3.
func hotp(secret []byte, counter int64) string {
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, counter)
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1_000_000)
}
