package flow

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// sent is a conversation about a code that is on its way.
type sent struct {
	ID      string             `json:"id"`
	Purpose tenant.CodePurpose `json:"purpose"`
	Form    tenant.CodeForm    `json:"form"`
	Channel string             `json:"channel"`
	To      tenant.Claim       `json:"to"`
	Decoy   bool               `json:"decoy,omitempty"` // to nobody, and never right
}

// send makes a code and asks for it to be delivered. Whoever doesn't exist gets
// the same answers and no message.
func (c *Cursor) send(p sent) (sent, error) {
	limit := LimitSendSMS
	if p.Channel == "email" {
		limit = LimitSendEmail
	}
	if err := c.Allow(limit, UniqueKey(&c.Config().LoginIDs, p.To)); err != nil {
		return p, err
	}
	p.ID = c.NewID()
	secret, delivery := c.newSecret(p), tenant.MessageQueued
	if c.Config().TestMode.Suppresses(p.Channel, p.To.Value) {
		delivery = tenant.MessageSuppressed
	}
	now, otp := c.Now(), &c.Config().OTP
	lifetime := otp.Lifetime(p.Form)
	if c.Ref.Type == tenant.Verify {
		lifetime = time.Duration(c.Config().Verification.CodeLifetimeSeconds) * time.Second
	}
	c.Do(Send{Secret: secret, Decoy: c.Decoy || p.Decoy, Code: tenant.Code{
		ID: p.ID, Purpose: p.Purpose, Form: p.Form, Channel: p.Channel, Target: p.To, Delivery: delivery,
		MaxAttempts: otp.MaxAttempts, CreatedAt: now, ExpiresAt: now.Add(lifetime),
	}})
	return p, nil
}

// codeKeys are what a conversation about a code reads.
var codeKeys = []string{"code", "resend", "check"}

// tryCode reacts to an answer about a code: done, or a new one was sent.
func (c *Cursor) tryCode(p sent, in *Answer, key string) (done bool, next sent, err error) {
	if again, err := in.flag("resend"); err != nil || again {
		if err == nil {
			next, err = c.send(p)
		}
		return false, next, err
	}
	wrong := tenant.ErrInvalidCredentials.With("AuthenticationType", c.method)
	if check, err := in.flag("check"); err != nil || check {
		if err != nil {
			return false, p, err
		}
		code, err := c.Code(p.ID)
		if err == nil && (code == nil || code.ApprovedAt.IsZero()) {
			err = wrong
		}
		if err == nil {
			c.Do(Use{p.ID})
		}
		return err == nil, p, err
	}
	given, err := in.text(key)
	if err != nil {
		return false, p, err
	}
	if err := c.Allow(LimitOTP, c.subject()); err != nil {
		return false, p, err
	}
	right, err := c.World.TryCode(p.ID, strings.ToUpper(strings.TrimSpace(given)), c.Decoy || p.Decoy)
	if err != nil {
		return false, p, err
	}
	if !right {
		return false, p, wrong
	}
	c.Right(LimitOTP, c.subject())
	c.Do(Use{p.ID})
	return true, p, nil
}

// describe is the data of an action that waits for a code.
func (c *Cursor) describe(p sent, typ, masked string) (map[string]any, error) {
	code, err := c.code(p.ID)
	if err != nil {
		return nil, err
	}
	// Rounded up: who comes at that second isn't too early.
	resend := code.CreatedAt.Add(time.Duration(c.Config().OTP.ResendCooldownSeconds)*time.Second + time.Second - time.Nanosecond)
	data := map[string]any{
		"type": typ, "channel": p.Channel, "otp_form": p.Form, masked: c.mask(p.To),
		"code_length": tenant.CodeDigits, "can_check": false, "failed_attempt_rate_limit_exceeded": code.Exhausted(),
		"can_resend_at": resend.UTC().Format(time.RFC3339),
	}
	if code.Delivery != "" {
		data["delivery_status"] = deliveryStatus(code.Delivery)
	}
	if p.Form == tenant.LinkForm {
		data["code_length"] = tenant.LinkChars
		data["can_check"] = !code.ApprovedAt.IsZero()
		data["websocket_url"] = c.SocketURL()
	}
	return data, nil
}

// deliveryStatus is what a client is told: a message whose time ran out before
// anybody took it has failed.
func deliveryStatus(s tenant.MessageStatus) tenant.MessageStatus {
	if s == tenant.MessageExpired {
		return tenant.MessageFailed
	}
	return s
}

// code reads what was sent, in this move or before.
func (c *Cursor) code(id string) (*tenant.Code, error) {
	for _, e := range c.effects {
		if s, ok := e.(Send); ok && s.Code.ID == id {
			return &s.Code, nil
		}
	}
	code, err := c.Code(id)
	if err == nil && code == nil {
		err = tenant.ErrOTPExpired
	}
	return code, err
}

// channel reads which way the client wants the code; with one way there is
// nothing to say.
func channel(in *Answer, channels []string) (string, error) {
	ch, err := in.optional("channel")
	if err != nil {
		return "", err
	}
	if ch == "" && len(channels) > 0 {
		ch = channels[0]
	}
	if !slices.Contains(channels, ch) {
		return "", tenant.Invalidf("/channel", "enum", "channel is one of %s", strings.Join(channels, ", "))
	}
	return ch, nil
}

// newSecret makes what is sent. Test mode fixes codes and leaves links alone.
func (c *Cursor) newSecret(p sent) string {
	if p.Form == tenant.LinkForm {
		return c.newText(tenant.LinkChars)
	}
	if code, fixed := c.Config().TestMode.CodeFor(p.To.Value); fixed {
		return code
	}
	return c.newCode()
}

// newCode makes six digits. The remainder of 64 bits by a million is as good as even.
func (c *Cursor) newCode() string {
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(c.Random(8))%1_000_000)
}

// newText makes Crockford base32 in upper case; chars is a multiple of 8.
func (c *Cursor) newText(chars int) string {
	return strings.ToUpper(tenant.Base32(c.Random(chars / 8 * 5)))
}

// mask hides most of an address. What it shows is the same for all forms of one
// address, so that it doesn't tell the form which a user gave from the one that
// somebody tries.
func (c *Cursor) mask(to tenant.Claim) string {
	return Mask(tenant.Claim{Kind: to.Kind, Value: UniqueKey(&c.Config().LoginIDs, to)})
}

// Mask hides most of an address (FLOW_API.md): an e-mail shows the first four
// characters of its local part, half of it when shorter, and the domain; a
// phone shows all but its last four digits; usernames are not masked.
func Mask(claim tenant.Claim) string {
	switch claim.Kind {
	case idEmail:
		at := strings.LastIndexByte(claim.Value, '@')
		if at < 0 {
			return "****"
		}
		local := []rune(claim.Value[:at])
		keep := 4
		if len(local) <= 4 {
			keep = len(local) / 2
		}
		return string(local[:keep]) + "****" + claim.Value[at:]
	case idPhone:
		return claim.Value[:max(0, len(claim.Value)-4)] + "****"
	}
	return claim.Value
}
