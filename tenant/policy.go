package tenant

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPasswordBytes bounds what is hashed and measured; longer input is refused.
const MaxPasswordBytes = 512

// PasswordPolicy is what a new password must meet. The keys are those of the
// seed's section 4.1 and of the password_policy that actions carry.
type PasswordPolicy struct {
	MinimumLength      int             `json:"minimum_length" jsonschema:"minimum=1,maximum=128" jsonschema_description:"In characters."`
	UppercaseRequired  bool            `json:"uppercase_required"`
	LowercaseRequired  bool            `json:"lowercase_required"`
	AlphabetRequired   bool            `json:"alphabet_required"`
	DigitRequired      bool            `json:"digit_required"`
	SymbolRequired     bool            `json:"symbol_required"`
	MinimumZxcvbnScore int             `json:"minimum_zxcvbn_score" jsonschema:"minimum=0,maximum=4"`
	ExcludedKeywords   []string        `json:"excluded_keywords,omitempty" jsonschema:"maxItems=100"`
	ForceChange        bool            `json:"force_change" jsonschema_description:"Ask for a new password at login when the one used breaks the policy."`
	ExpiryDays         int             `json:"expiry_days" jsonschema:"minimum=0,maximum=3650" jsonschema_description:"Ask for a new password at login after so many days; 0 for never."`
	History            PasswordHistory `json:"history" jsonschema_description:"Which earlier passwords can't be used again."`
	BreachedCheck      bool            `json:"breached_check" jsonschema_description:"Refuse the passwords that are tried first, by the list that comes with Usher."`
}

// OldPassword is the type of the authenticators that remember earlier
// passwords; they prove nothing.
const OldPassword = "old_password"

// PasswordHistory says which earlier passwords a new one must differ from: the
// last Size, and those of the last Days.
type PasswordHistory struct {
	Size int `json:"size" jsonschema:"minimum=0,maximum=24"`
	Days int `json:"days" jsonschema:"minimum=0,maximum=3650"`
}

// Enabled says whether there is any such rule.
func (h *PasswordHistory) Enabled() bool { return h.Size > 0 || h.Days > 0 }

// Public is the policy as actions show it: a rule that doesn't apply is absent,
// history is always there.
func (p *PasswordPolicy) Public() map[string]any {
	history := map[string]any{"enabled": p.History.Enabled()}
	if p.History.Size > 0 {
		history["size"] = p.History.Size
	}
	if p.History.Days > 0 {
		history["days"] = p.History.Days
	}
	m := map[string]any{"minimum_length": p.MinimumLength, "history": history}
	for key, on := range map[string]bool{
		"uppercase_required": p.UppercaseRequired, "lowercase_required": p.LowercaseRequired, "alphabet_required": p.AlphabetRequired,
		"digit_required": p.DigitRequired, "symbol_required": p.SymbolRequired, "breached_check": p.BreachedCheck,
	} {
		if on {
			m[key] = true
		}
	}
	if p.MinimumZxcvbnScore > 0 {
		m["minimum_zxcvbn_score"] = p.MinimumZxcvbnScore
	}
	if len(p.ExcludedKeywords) > 0 {
		m["excluded_keywords"] = p.ExcludedKeywords
	}
	return m
}

// PasswordStrength is what can be known of a password with the help of lists
// and models; the World of a flow provides it.
type PasswordStrength struct {
	ZxcvbnScore int  // 0 to 4
	Breached    bool // among the passwords that are tried first
}

// Violations lists every rule that a password breaks, each as a cause at the
// given place; none when it may be used. strength is asked for only by the
// rules that need it, and at most once.
func (p *PasswordPolicy) Violations(location, password string, strength func() PasswordStrength) []Cause {
	var out []Cause
	fail := func(kind string, details map[string]any) {
		out = append(out, Cause{Location: location, Kind: kind, Details: details})
	}
	length := utf8.RuneCountInString(password)
	if length < p.MinimumLength {
		fail("minimum_length", map[string]any{"required": p.MinimumLength, "actual": length})
	}
	if len(password) > MaxPasswordBytes {
		fail("maximum_length", map[string]any{"maximum_bytes": MaxPasswordBytes})
		return out // not worth measuring further
	}
	var upper, lower, alpha, digit, symbol bool
	for _, r := range password {
		upper = upper || unicode.IsUpper(r)
		lower = lower || unicode.IsLower(r)
		alpha = alpha || unicode.IsLetter(r)
		digit = digit || unicode.IsDigit(r)
		symbol = symbol || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	for _, rule := range []struct {
		kind     string
		required bool
		met      bool
	}{
		{"uppercase_required", p.UppercaseRequired, upper},
		{"lowercase_required", p.LowercaseRequired, lower},
		{"alphabet_required", p.AlphabetRequired, alpha},
		{"digit_required", p.DigitRequired, digit},
		{"symbol_required", p.SymbolRequired, symbol},
	} {
		if rule.required && !rule.met {
			fail(rule.kind, nil)
		}
	}
	folded := strings.ToLower(password)
	for _, word := range p.ExcludedKeywords {
		if word != "" && strings.Contains(folded, strings.ToLower(word)) {
			fail("excluded_keywords", nil)
			break
		}
	}
	if p.MinimumZxcvbnScore == 0 && !p.BreachedCheck {
		return out
	}
	s := strength()
	if s.ZxcvbnScore < p.MinimumZxcvbnScore {
		fail("minimum_zxcvbn_score", map[string]any{"required": p.MinimumZxcvbnScore, "actual": s.ZxcvbnScore})
	}
	if p.BreachedCheck && s.Breached {
		fail("breached_check", nil)
	}
	return out
}
