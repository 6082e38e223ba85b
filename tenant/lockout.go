package tenant

import (
	"math"
	"time"
)

// Lockout says when a user is locked out after failed tries, and for how long.
// A lockout is about the account: beside the limits, which are about a flood.
// Whoever doesn't exist is locked out in the same way.
type Lockout struct {
	MaxAttempts    int         `json:"max_attempts" jsonschema:"minimum=0,maximum=1000" jsonschema_description:"So many failed tries lock the user out; 0 for never."`
	HistorySeconds int         `json:"history_seconds" jsonschema:"minimum=60,maximum=2592000" jsonschema_description:"Failed tries are forgotten this long after the last one, or after the lockout it led to."`
	MinimumSeconds int         `json:"minimum_seconds" jsonschema:"minimum=1,maximum=2592000" jsonschema_description:"How long the first lockout lasts."`
	MaximumSeconds int         `json:"maximum_seconds" jsonschema:"minimum=1,maximum=2592000" jsonschema_description:"How long a lockout lasts at most."`
	BackoffFactor  float64     `json:"backoff_factor" jsonschema:"minimum=1,maximum=100" jsonschema_description:"How many times longer each failed try after that makes it: min(minimum * factor^(failed - max_attempts), maximum)."`
	Type           LockoutType `json:"type" jsonschema:"enum=per_user,enum=per_user_per_ip" jsonschema_description:"Whether the user is locked out, or the user at one address."`
	Password       bool        `json:"password" jsonschema_description:"Whether wrong passwords count."`
	TOTP           bool        `json:"totp" jsonschema_description:"Whether wrong codes of authenticator apps count."`
	OTP            bool        `json:"otp" jsonschema_description:"Whether wrong one-time codes count."`
	RecoveryCode   bool        `json:"recovery_code" jsonschema_description:"Whether wrong recovery codes count."`
}

// LockoutType says who is locked out.
type LockoutType string

// The types. With per_user anybody who knows a login id can lock its user out;
// with per_user_per_ip only at their own address.
const (
	LockoutPerUser      LockoutType = "per_user"
	LockoutPerUserPerIP LockoutType = "per_user_per_ip"
)

// DefaultLockout is off: the limits of a new tenant slow guessing down without
// giving strangers a way to keep users out.
func DefaultLockout() Lockout {
	return Lockout{
		HistorySeconds: 24 * 3600, MinimumSeconds: 60, MaximumSeconds: 3600, BackoffFactor: 2, Type: LockoutPerUserPerIP,
		Password: true, TOTP: true, OTP: true, RecoveryCode: true,
	}
}

// For is how long the user is locked out after so many failed tries: zero below
// MaxAttempts, and then min(minimum * factor^(failed - max_attempts), maximum),
// to the microsecond.
func (l *Lockout) For(failed int) time.Duration {
	if l.MaxAttempts < 1 || failed < l.MaxAttempts {
		return 0
	}
	seconds := float64(l.MinimumSeconds) * math.Pow(l.BackoffFactor, float64(failed-l.MaxAttempts))
	return time.Duration(math.Floor(min(seconds, float64(l.MaximumSeconds))*1e6+0.5)) * time.Microsecond
}
