package authgear

import (
	"fmt"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant/document"
)

// rates says which limits of the format a limit here comes from: the strictest
// that is given counts. Where general may stand it does when no other is given.
var rates = []struct {
	to      string
	general string // per_ip or per_user_per_ip of authentication.rate_limits.general
	from    []string
}{
	{"signup_per_ip", "", []string{"/authentication/rate_limits/signup/per_ip"}},
	{"identify_per_ip", "", []string{"/authentication/rate_limits/account_enumeration/per_ip"}},
	{"password_per_ip", "per_ip", []string{"/authentication/rate_limits/password/per_ip"}},
	{"password_per_user_per_ip", "per_user_per_ip", []string{"/authentication/rate_limits/password/per_user_per_ip"}},
	{"totp_per_ip", "per_ip", []string{"/authentication/rate_limits/totp/per_ip"}},
	{"totp_per_user_per_ip", "per_user_per_ip", []string{"/authentication/rate_limits/totp/per_user_per_ip"}},
	{"otp_per_ip", "per_ip", []string{
		"/authentication/rate_limits/oob_otp/email/validate_per_ip", "/authentication/rate_limits/oob_otp/sms/validate_per_ip",
		"/verification/rate_limits/email/validate_per_ip", "/verification/rate_limits/sms/validate_per_ip",
		"/forgot_password/rate_limits/email/validate_per_ip", "/forgot_password/rate_limits/sms/validate_per_ip"}},
	{"otp_per_user_per_ip", "per_user_per_ip", []string{
		"/authentication/rate_limits/oob_otp/email/validate_per_user_per_ip", "/authentication/rate_limits/oob_otp/sms/validate_per_user_per_ip"}},
	{"recovery_code_per_ip", "per_ip", []string{"/authentication/rate_limits/recovery_code/per_ip"}},
	{"recovery_code_per_user_per_ip", "per_user_per_ip", []string{"/authentication/rate_limits/recovery_code/per_user_per_ip"}},
	{"passkey_per_ip", "per_ip", []string{"/authentication/rate_limits/passkey/per_ip"}},
	{"signup_anonymous_per_ip", "", []string{"/authentication/rate_limits/signup_anonymous/per_ip"}},
	{"send_email_per_tenant", "", []string{"/messaging/rate_limits/email"}},
	{"send_email_per_target", "", []string{"/messaging/rate_limits/email_per_target"}},
	{"send_email_per_ip", "", []string{
		"/messaging/rate_limits/email_per_ip", "/authentication/rate_limits/oob_otp/email/trigger_per_ip",
		"/verification/rate_limits/email/trigger_per_ip", "/forgot_password/rate_limits/email/trigger_per_ip"}},
	{"send_sms_per_tenant", "", []string{"/messaging/rate_limits/sms"}},
	{"send_sms_per_target", "", []string{"/messaging/rate_limits/sms_per_target"}},
	{"send_sms_per_ip", "", []string{
		"/messaging/rate_limits/sms_per_ip", "/authentication/rate_limits/oob_otp/sms/trigger_per_ip",
		"/verification/rate_limits/sms/trigger_per_ip", "/forgot_password/rate_limits/sms/trigger_per_ip"}},
}

// rate is a limit that is given.
type rate struct {
	place
	burst, period int // in seconds; a burst of 0 is no limit
}

// stricter says whether a lets less through than b.
func stricter(a, b rate) int {
	switch {
	case a.burst == 0 && b.burst == 0:
		return 0
	case a.burst == 0:
		return 1
	case b.burst == 0:
		return -1
	}
	return a.burst*b.period - b.burst*a.period
}

func (t *translation) limits(root place) {
	general, stood := map[string][]rate{}, map[string]bool{}
	for _, name := range []string{"per_ip", "per_user_per_ip"} {
		general[name] = t.rates(root.at("/authentication/rate_limits/general/" + name))
	}
	for _, r := range rates {
		var given []rate
		for _, from := range r.from {
			given = append(given, t.rates(root.at(from))...)
		}
		missing := len(r.from) - len(given)
		if len(given) == 0 && document.Has("/limits/"+r.to) {
			given = general[r.general]
			stood[r.general] = true
		}
		if len(given) == 0 {
			continue
		}
		taken := slices.MinFunc(given, stricter)
		if missing > 0 && len(r.from) > 1 && taken.burst == 0 {
			// No limit for some; the others have theirs.
			for _, g := range given {
				t.note(g.pointer, Merged, "there is one limit here for several, some of which are not switched off: it stays")
			}
			continue
		}
		for _, g := range given {
			// Of limits on messages all hold, so one that is off loses nothing.
			if (g.burst != taken.burst || g.period != taken.period) && !(g.burst == 0 && strings.HasPrefix(r.to, "send_")) {
				t.note(g.pointer, Merged, "there is one limit here for several: that of %s is taken", taken.pointer)
			}
		}
		t.out.put("/limits/"+r.to, graft(map[string]any{"burst": number(taken.burst), "period_seconds": number(taken.period)}, ""))
		n := t.out.find("/limits/" + r.to)
		n.from, n.fields["burst"].from, n.fields["period_seconds"].from = taken.pointer, taken.pointer, taken.pointer
	}
	for name, given := range general {
		if len(given) > 0 && !stood[name] {
			given[0].note(NoEffect, "each limit that it could stand in for is set by itself")
		}
	}
}

// rates reads {enabled, period, burst}: none when it says nothing.
func (t *translation) rates(p place) []rate {
	on, period, burst := p.key("enabled"), p.key("period"), p.key("burst")
	off := func(words string) []rate {
		for _, unused := range []place{period, burst} {
			if unused.given {
				unused.note(NoEffect, "%s", words)
			}
		}
		return nil
	}
	switch on.value {
	case false:
		on.use()
		off("the limit is off")
		return []rate{{p, 0, 60}}
	case true:
		on.use()
	default:
		return off("a limit has to be enabled to count")
	}
	r := rate{p, 1, 0}
	var ok bool
	if r.period, ok = seconds(period.value); !ok {
		on.note(NoEffect, "a limit needs a period, such as 1m")
		return off("a limit needs a period, such as 1m")
	}
	period.use()
	if n, ok := whole(burst.value); ok && n > 0 {
		r.burst = n
		burst.use()
	} else if burst.given {
		burst.note(document.OutOfRange, "must be a whole number from 1; 1 is taken")
	}
	return []rate{r}
}

// merge is several settings that are one here: that of them which pick prefers
// is taken.
func (t *translation) merge(to string, read func(any) (int, bool), pick func(a, b int) bool, from ...place) {
	var given []place
	var values []int
	for _, p := range from {
		if !p.given {
			continue
		}
		n, ok := read(p.value)
		if !ok {
			p.note("WrongForm", "this can't stand here")
			continue
		}
		p.use()
		given, values = append(given, p), append(values, n)
	}
	if len(given) == 0 {
		return
	}
	best := 0
	for i := range values {
		if pick(values[i], values[best]) {
			best = i
		}
	}
	for i := range values {
		if values[i] != values[best] {
			t.note(given[i].pointer, Merged, "there is one such setting here for several: that of %s is taken", given[best].pointer)
		}
	}
	t.put(to, given[best], number(values[best]))
}

// merges reads what the format sets for each use of a code, and Usher for all.
func (t *translation) merges(root place) {
	var cooldowns, attempts []place
	for _, p := range []place{root.at("/authentication/rate_limits/oob_otp"), root.at("/verification/rate_limits"), root.at("/forgot_password/rate_limits")} {
		for _, channel := range []string{"email", "sms"} {
			cooldowns = append(cooldowns, p.key(channel).key("trigger_cooldown"))
			attempts = append(attempts, p.key(channel).key("max_failed_attempts_revoke_otp"))
		}
	}
	longest, shortest := func(a, b int) bool { return a > b }, func(a, b int) bool { return a < b }
	t.merge("/otp/resend_cooldown_seconds", seconds, longest, cooldowns...)
	t.merge("/otp/max_attempts", whole, shortest, attempts...)

	email, sms, forgot := root.at("/authenticator/oob_otp/email"), root.at("/authenticator/oob_otp/sms"), root.key("forgot_password")
	var codes, links []place
	for _, p := range []place{email, sms, forgot} {
		code, link := p.at("/valid_periods/code"), p.at("/valid_periods/link")
		old := p.key("code_valid_period") // of what was sent before there were both
		isLink := p.pointer == forgot.pointer || email.key("email_otp_mode").value == "login_link" && p.pointer == email.pointer
		switch {
		case !old.given:
		case isLink && !link.given:
			link = old
		case !isLink && !code.given:
			code = old
		default:
			old.note(NoEffect, "valid_periods counts instead")
		}
		codes, links = append(codes, code), append(links, link)
	}
	verify := root.at("/verification/code_valid_period")
	if n, ok := whole(root.at("/verification/code_expiry_seconds").value); ok && !verify.given {
		verify = root.at("/verification/code_expiry_seconds")
		verify.value = fmt.Sprintf("%ds", n)
	}
	if n, ok := whole(forgot.key("reset_code_expiry_seconds").value); ok && !links[2].given {
		links[2] = forgot.key("reset_code_expiry_seconds")
		links[2].value = fmt.Sprintf("%ds", n)
	}
	for _, old := range []place{root.at("/verification/code_expiry_seconds"), forgot.key("reset_code_expiry_seconds")} {
		if old.given && old.pointer != verify.pointer && old.pointer != links[2].pointer {
			old.note(NoEffect, "a newer key counts instead")
		}
	}
	t.merge("/otp/code_lifetime_seconds", seconds, shortest, append(codes, verify)...)
	t.merge("/otp/link_lifetime_seconds", seconds, shortest, links...)
}

// lockout reads when users are locked out. Nothing counts that isn't switched on.
func (t *translation) lockout(root place) {
	p := root.at("/authentication/lockout")
	attempts := p.key("max_attempts")
	if n, ok := whole(attempts.value); !ok || n == 0 {
		if ok {
			attempts.use()
		}
		for _, name := range []string{"history_duration", "minimum_duration", "maximum_duration", "backoff_factor", "lockout_type"} {
			if rest := p.key(name); rest.given {
				rest.note(NoEffect, "without max_attempts nobody is locked out")
			}
		}
		for _, name := range []string{"password", "totp", "oob_otp", "recovery_code"} {
			if on := p.key(name).key("enabled"); on.yes() {
				on.note(NoEffect, "without max_attempts nobody is locked out")
			}
		}
		return
	}
	t.put("/lockout/max_attempts", attempts, attempts.value)
	for name, to := range map[string]string{"history_duration": "history_seconds", "minimum_duration": "minimum_seconds", "maximum_duration": "maximum_seconds"} {
		d := p.key(name)
		n, ok := seconds(d.value)
		switch {
		case ok:
			t.put("/lockout/"+to, d, number(n))
		case d.given:
			d.note(document.WrongForm, "must be a duration, such as 10m")
		}
	}
	t.out.put("/lockout/backoff_factor", graft(number(1), ""))
	if factor := p.key("backoff_factor"); factor.given {
		t.put("/lockout/backoff_factor", factor, factor.value)
	}
	if kind := p.key("lockout_type"); kind.given {
		t.put("/lockout/type", kind, kind.value)
	}
	for name, to := range map[string]string{"password": "password", "totp": "totp", "oob_otp": "otp", "recovery_code": "recovery_code"} {
		on := p.key(name).key("enabled")
		if counts := on.yes(); on.given {
			t.out.put("/lockout/"+to, graft(counts, on.pointer))
		} else {
			t.out.put("/lockout/"+to, graft(false, ""))
		}
	}
}
