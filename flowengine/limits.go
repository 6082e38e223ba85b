package flowengine

import (
	"errors"
	"net/netip"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Allow takes a try from every bucket that the kind of try fills, all in one go.
func (w *world) Allow(kind flow.Limit, subject string) error {
	locks, err := w.engine.limiter.Take(w.ctx, w.tenant.ID, w.now, w.buckets(kind, subject)...)
	switch {
	case err == nil && locks:
		w.locking = append(w.locking, tried{kind, subject})
	case errors.Is(err, tenant.ErrRateLimited):
		w.engine.metrics.limited.WithLabelValues(string(kind)).Inc()
	}
	return err
}

// tried is what a try was about.
type tried struct {
	kind    flow.Limit
	subject string
}

// Right gives a try back, after the answer, unless it is one that locks out:
// until that is taken back, the user can't go on.
func (w *world) Right(kind flow.Limit, subject string) {
	try := limit.Try{TenantID: w.tenant.ID, Buckets: w.buckets(kind, subject)}
	for i, t := range w.locking {
		if t != (tried{kind, subject}) {
			continue
		}
		w.locking = append(w.locking[:i], w.locking[i+1:]...)
		if err := w.engine.limiter.Refund(w.ctx, w.now, try); err != nil {
			w.engine.log.WarnContext(w.ctx, "a right try stays counted", "tenant", w.tenant.Slug, "err", err)
		}
		return
	}
	w.engine.refunds.add(refund{Try: try})
}

// forgive forgets the failed tries of whoever has just finished a run, made
// from where they are.
func (w *world) forgive(user string) {
	if w.config.Lockout.MaxAttempts > 0 {
		w.engine.refunds.add(refund{Try: limit.Try{TenantID: w.tenant.ID, Buckets: []limit.Bucket{w.lockout(user)}}, forgives: true})
	}
}

func (w *world) lockout(subject string) limit.Bucket {
	return limit.Bucket{Key: limit.LockoutKey(subject), By: networkOf(w.client.IP), Lockout: &w.config.Lockout}
}

// buckets are what a kind of try fills.
func (w *world) buckets(kind flow.Limit, subject string) []limit.Bucket {
	limits, rules, network := &w.config.Limits, &w.config.Lockout, networkOf(w.client.IP)
	perIP := func(name string, rate tenant.Rate) []limit.Bucket {
		return []limit.Bucket{{Key: name + "_per_ip:" + network, Rate: rate}}
	}
	credential := func(name string, ip, user tenant.Rate, locks bool) []limit.Bucket {
		// Hashed, because a stranger is counted by the address they gave.
		all := append(perIP(name, ip), limit.Bucket{Key: name + "_per_user_per_ip:" + secret.TokenHash(subject+" "+network), Rate: user})
		if locks && rules.MaxAttempts > 0 {
			all = append(all, w.lockout(subject))
		}
		return all
	}
	switch kind {
	case flow.LimitSignup:
		return perIP("signup", limits.SignupPerIP)
	case flow.LimitAnonymous:
		return perIP("signup_anonymous", limits.SignupAnonymousPerIP)
	case flow.LimitIdentify:
		return perIP("identify", limits.IdentifyPerIP)
	case flow.LimitPasskey:
		return perIP("passkey", limits.PasskeyPerIP)
	case flow.LimitBotProtection:
		return perIP("bot_protection", limits.BotProtectionPerIP)
	case flow.LimitPassword:
		return credential("password", limits.PasswordPerIP, limits.PasswordPerUserPerIP, rules.Password)
	case flow.LimitCreate:
		return credential("password", limits.PasswordPerIP, limits.PasswordPerUserPerIP, false)
	case flow.LimitTOTP:
		return credential("totp", limits.TOTPPerIP, limits.TOTPPerUserPerIP, rules.TOTP)
	case flow.LimitOTP:
		return credential("otp", limits.OTPPerIP, limits.OTPPerUserPerIP, rules.OTP)
	case flow.LimitRecoveryCode:
		return credential("recovery_code", limits.RecoveryCodePerIP, limits.RecoveryCodePerUserPerIP, rules.RecoveryCode)
	case flow.LimitSendEmail, flow.LimitSendSMS:
		return w.sendBuckets(kind, subject)
	}
	return nil
}

// networkOf is what tries are counted by: an IPv4 address, or the /64 that one
// IPv6 subscriber has at the least (RFC 6177).
func networkOf(ip netip.Addr) string {
	if ip.Is6() && !ip.Is4In6() {
		p, err := ip.Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return ip.Unmap().String()
}
