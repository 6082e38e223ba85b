package authgear

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// moves are the settings that stand for themselves in both formats. The schema
// of our own document says whether the value can stand there.
var moves = []struct {
	from, to string
	by       func(any) (any, error)
}{
	{"/authentication/secondary_authentication_mode", "/authenticators/secondary_mode", same},
	{"/authentication/device_token/disabled", "/authenticators/device_token/enabled", not},
	{"/authentication/device_token/expire_in_days", "/authenticators/device_token/lifetime_days", same},
	{"/authentication/recovery_code/disabled", "/authenticators/recovery_codes/enabled", not},
	{"/authentication/recovery_code/count", "/authenticators/recovery_codes/count", same},
	{"/authentication/public_signup_disabled", "/accounts/public_signup", not},

	{"/identity/login_id/types/email/case_sensitive", "/login_ids/email/case_sensitive", same},
	{"/identity/login_id/types/email/block_plus_sign", "/login_ids/email/block_plus_sign", same},
	{"/identity/login_id/types/email/ignore_dot_sign", "/login_ids/email/ignore_dot_sign", same},
	{"/identity/login_id/types/email/block_free_email_provider_domains", "/login_ids/email/block_free_email_providers", same},
	{"/identity/login_id/types/email/block_disposable_email_domains", "/login_ids/email/block_disposable", same},
	{"/identity/login_id/types/username/case_sensitive", "/login_ids/username/case_sensitive", same},
	{"/identity/login_id/types/username/ascii_only", "/login_ids/username/ascii_only", same},
	{"/identity/login_id/types/username/block_reserved_usernames", "/login_ids/username/block_reserved", same},
	{"/ui/phone_input/allowlist", "/login_ids/phone/countries", same},
	{"/ui/phone_input/validation/libphonenumber/validation_method", "/login_ids/phone/valid_only", word(map[string]any{"isPossibleNumber": false, "isValidNumber": true})},

	{"/authenticator/oob_otp/email/email_otp_mode", "/otp/email/form", word(map[string]any{"code": "code", "login_link": "link"})},
	{"/authenticator/oob_otp/sms/phone_otp_mode", "/otp/phone/channels", word(map[string]any{
		"sms": []any{"sms"}, "whatsapp": []any{"whatsapp"}, "whatsapp_sms": []any{"whatsapp", "sms"}})},

	{"/authenticator/password/force_change", "/password_policy/force_change", same},
	{"/authenticator/password/policy/min_length", "/password_policy/minimum_length", same},
	{"/authenticator/password/policy/uppercase_required", "/password_policy/uppercase_required", same},
	{"/authenticator/password/policy/lowercase_required", "/password_policy/lowercase_required", same},
	{"/authenticator/password/policy/alphabet_required", "/password_policy/alphabet_required", same},
	{"/authenticator/password/policy/digit_required", "/password_policy/digit_required", same},
	{"/authenticator/password/policy/symbol_required", "/password_policy/symbol_required", same},
	{"/authenticator/password/policy/minimum_guessable_level", "/password_policy/minimum_zxcvbn_score", score},
	{"/authenticator/password/policy/excluded_keywords", "/password_policy/excluded_keywords", same},
	{"/authenticator/password/policy/history_size", "/password_policy/history/size", same},
	{"/authenticator/password/policy/history_days", "/password_policy/history/days", same},

	{"/bot_protection/requirements/signup_or_login/mode", "/bot_protection/requirements/signup_or_login/mode", same},
	{"/bot_protection/requirements/account_recovery/mode", "/bot_protection/requirements/account_recovery/mode", same},
	{"/bot_protection/requirements/password/mode", "/bot_protection/requirements/password/mode", same},
	{"/bot_protection/requirements/oob_otp_email/mode", "/bot_protection/requirements/oob_otp_email/mode", same},
	{"/bot_protection/requirements/oob_otp_sms/mode", "/bot_protection/requirements/oob_otp_sms/mode", same},

	{"/forgot_password/enabled", "/recovery/enabled", same},
	{"/ui/forgot_password/email", "/recovery/email", same},
	{"/ui/forgot_password/phone", "/recovery/phone", same},
	{"/session/lifetime_seconds", "/sessions/lifetime_seconds", same},
	{"/account_linking/oauth", "/account_linking/oauth", same},
	{"/account_linking/login_id", "/account_linking/login_id", same},
	{"/localization/fallback_language", "/messaging/language", same},
}

// asIs are the values that say what holds here anyway; anything else at the
// place can't be had. A * stands for any entry of a list.
var asIs = map[string]any{
	"/account_deletion/scheduled_by_end_user_enabled":            false,
	"/authentication/recovery_code/list_enabled":                 false,
	"/identity/biometric/list_enabled":                           false,
	"/identity/login_id/keys/*/create_disabled":                  false,
	"/identity/login_id/keys/*/delete_disabled":                  false,
	"/identity/login_id/keys/*/modify_disabled":                  false,
	"/identity/login_id/keys/*/update_disabled":                  false,
	"/identity/login_id/types/email/domain_allowlist_enabled":    false,
	"/identity/login_id/types/email/domain_blocklist_enabled":    false,
	"/identity/login_id/types/username/exclude_keywords_enabled": false,
	"/identity/oauth/providers/*/create_disabled":                false,
	"/identity/oauth/providers/*/delete_disabled":                false,
	"/identity/oauth/providers/*/is_sandbox_account":             false,
	"/identity/on_conflict/promotion":                            "error",
	"/session/cookie_non_persistent":                             false,
	"/session/use_session_cookie":                                false,
	"/ui/phone_input/validation/implementation":                  "libphonenumber",
	"/user_profile/standard_attributes/population/strategy":      "none",
	"/verification/criteria":                                     "any",
}

// asIs uses what says nothing new.
func (t *translation) asIs(root place) {
	for pattern, value := range asIs {
		for _, p := range root.all(pattern) {
			if p.given && p.value == value {
				p.use()
			}
		}
	}
	for pattern := range parts {
		root.all(pattern) // so that what is around them is known
	}
}

// parts are the keys of the format that have no counterpart, and why. The
// longest that fits counts; it stands for all below it.
var parts = map[string]string{
	"/account_anonymization":                                     "accounts are not anonymized by a schedule here",
	"/account_deletion":                                          "users can't schedule the deletion of their account here",
	"/authentication/lockout":                                    "there is no such lockout here",
	"/authentication/rate_limits":                                "there is no limit of this kind here",
	"/authentication/rate_limits/device_token":                   "device tokens are 160 bits of chance here, and can't be guessed at any rate",
	"/authentication/recovery_code/list_enabled":                 "recovery codes are shown once, when they are made",
	"/authentication/secondary_authentication_grace_period":      "there is no such grace period here",
	"/authentication_flow/rate_limits":                           "flows are limited by what is tried in them: see limits",
	"/authenticator/oob_otp/email/maximum":                       "how many second factors a user may have is not limited here",
	"/authenticator/oob_otp/sms/maximum":                         "how many second factors a user may have is not limited here",
	"/authenticator/password/ratelimit":                          "the format has given it up for authentication.rate_limits.password",
	"/authenticator/totp/maximum":                                "a user has one authenticator app here",
	"/forgot_password/rate_limits":                               "there is no limit of this kind here",
	"/hook":                                                      "calls have another form here, and are signed: set them up in hooks",
	"/http":                                                      "hosts and cookies are the tenant's, and not part of its configuration",
	"/id":                                                        "the tenant's name was given when it was made",
	"/identity/biometric":                                        "there is no biometric login here; passkeys do what it did",
	"/identity/login_id/keys/*/create_disabled":                  "which login ids users may add by themselves is not set here",
	"/identity/login_id/keys/*/delete_disabled":                  "which login ids users may remove by themselves is not set here",
	"/identity/login_id/keys/*/max_length":                       "addresses and numbers have the length that their standards allow",
	"/identity/login_id/keys/*/modify_disabled":                  "which login ids users may change by themselves is not set here",
	"/identity/login_id/keys/*/update_disabled":                  "which login ids users may change by themselves is not set here",
	"/identity/login_id/types/email/domain_allowlist_enabled":    "the list itself is not in the authgear.yaml: set login_ids.email.domain_allowlist",
	"/identity/login_id/types/email/domain_blocklist_enabled":    "the list itself is not in the authgear.yaml: set login_ids.email.domain_blocklist",
	"/identity/login_id/types/username/exclude_keywords_enabled": "the list itself is not in the authgear.yaml: set login_ids.username.excluded_keywords",
	"/identity/oauth/providers":                                  "where providers may send users back to is not listed in this format, and can't be set here yet",
	"/identity/oauth/providers/*":                                "there is no such setting of providers here",
	"/identity/on_conflict":                                      "an anonymous user who turns out to be somebody else is refused here",
	"/localization/supported_languages":                          "messages are in every language that Usher or a template has",
	"/messaging":                                                 "how messages are sent is set in messaging, together with its secrets",
	"/oauth":                                                     "clients are not part of the configuration here yet",
	"/saml":                                                      "there is no SAML here",
	"/session/cookie_non_persistent":                             "a session's cookie lives as long as the session here",
	"/session/use_session_cookie":                                "a session's cookie lives as long as the session here",
	"/ui":                                                        "this is about the pages of that product",
	"/user_profile/custom_attributes":                            "a tenant's own attributes begin with /x_ here, and hold any value",
	"/user_profile/standard_attributes/population":               "which attributes a provider fills in is not set here",
	"/ui/authentication_flow":                                    "flows are not grouped here: an app may begin any",
	"/user_profile":                                              "who may see and change which attribute is not set here",
	"/verification/criteria":                                     "a user who has any verified login id counts as verified here",
	"/verification/rate_limits":                                  "there is no limit of this kind here",
	"/web3":                                                      "there is no web3 here",
}

// unsupported is why a key has no counterpart; "" when that isn't known.
func unsupported(pointer string) string {
	for at := pointer; at != ""; at = at[:strings.LastIndexByte(at, '/')] {
		if words := cmp.Or(parts[at], parts[anyEntry(at)]); words != "" {
			return words
		}
	}
	return ""
}

// anyEntry puts a * for every index of a pointer.
func anyEntry(pointer string) string {
	names := strings.Split(pointer, "/")
	for i, name := range names {
		if _, err := strconv.Atoi(name); err == nil {
			names[i] = "*"
		}
	}
	return strings.Join(names, "/")
}

func (t *translation) settings(root place) {
	for _, m := range moves {
		p := root.at(m.from)
		if !p.given {
			continue
		}
		value, err := m.by(p.value)
		if err != nil {
			p.note("WrongForm", "%v", err)
			continue
		}
		t.put(m.to, p, value)
	}
}

func same(v any) (any, error) { return v, nil }

func not(v any) (any, error) {
	b, ok := v.(bool)
	if !ok {
		return nil, errors.New("must be true or false")
	}
	return !b, nil
}

// word translates one of some words.
func word(words map[string]any) func(any) (any, error) {
	return func(v any) (any, error) {
		s, _ := v.(string)
		meaning, ok := words[s]
		if !ok {
			return nil, errors.New("the format has no such value")
		}
		return meaning, nil
	}
}

// score is the zxcvbn score (0 to 4) of a guessable level (1 to 5; 0 for none).
func score(v any) (any, error) {
	n, ok := whole(v)
	if !ok {
		return nil, errors.New("must be a whole number")
	}
	return number(min(max(n-1, 0), 4)), nil
}

func whole(v any) (int, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(n.String())
	return i, err == nil
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// seconds reads a duration such as 1h30m.
func seconds(v any) (int, bool) {
	s, _ := v.(string)
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, false
	}
	return int(math.Ceil(d.Seconds())), true
}
