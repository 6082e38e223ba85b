package admin

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// authgearUser is a record of Authgear's user import API. Absent and null
// differ: an update leaves what is absent and removes what is null.
type authgearUser struct {
	Email             optional[string]  `json:"email"`
	EmailVerified     *bool             `json:"email_verified"`
	PhoneNumber       optional[string]  `json:"phone_number"`
	PhoneVerified     *bool             `json:"phone_number_verified"`
	PreferredUsername optional[string]  `json:"preferred_username"`
	Disabled          *bool             `json:"disabled"`
	Password          *authgearPassword `json:"password"`
	MFA               struct {
		Email       optional[string]  `json:"email"`
		PhoneNumber optional[string]  `json:"phone_number"`
		Password    *authgearPassword `json:"password"`
		TOTP        *struct {
			Secret string `json:"secret"`
		} `json:"totp"`
	} `json:"mfa"`
	Name             optional[string]         `json:"name"`
	GivenName        optional[string]         `json:"given_name"`
	FamilyName       optional[string]         `json:"family_name"`
	MiddleName       optional[string]         `json:"middle_name"`
	Nickname         optional[string]         `json:"nickname"`
	Profile          optional[string]         `json:"profile"`
	Picture          optional[string]         `json:"picture"`
	Website          optional[string]         `json:"website"`
	Gender           optional[string]         `json:"gender"`
	Birthdate        optional[string]         `json:"birthdate"`
	Zoneinfo         optional[string]         `json:"zoneinfo"`
	Locale           optional[string]         `json:"locale"`
	Address          optional[map[string]any] `json:"address"`
	CustomAttributes json.RawMessage          `json:"custom_attributes"`
	Roles            []string                 `json:"roles"`
	Groups           []string                 `json:"groups"`
}

type authgearPassword struct {
	Type        string `json:"type"`
	Hash        string `json:"password_hash"`
	ExpireAfter string `json:"expire_after"`
}

// optional tells a value that is absent from one that is null.
type optional[T any] struct {
	set   bool // it stands there, null or not
	value *T   // nil when null or absent
}

// UnmarshalJSON notes that the value stands there.
func (o *optional[T]) UnmarshalJSON(text []byte) error {
	o.set = true
	return json.Unmarshal(text, &o.value)
}

// claimKinds says which kind of identity an identifier is.
var claimKinds = map[string]string{"email": "email", "phone_number": "phone", "preferred_username": "username"}

func (i *importer) authgearRecord(r *incoming, h header, text json.RawMessage) {
	var u authgearUser
	if !strict(r, text, &u) {
		return
	}
	r.merge, r.disabled = true, u.Disabled
	r.kinds, r.types = []string{}, []string{}
	i.authgearLoginIDs(r, h, &u)
	if u.Password != nil {
		r.authgearPassword(primaryPassword, u.Password, "/password")
	}
	if u.MFA.Password != nil {
		r.authgearPassword(secondaryPassword, u.MFA.Password, "/mfa/password")
	}
	if u.MFA.TOTP != nil {
		r.addTOTP(u.MFA.TOTP.Secret, "/mfa/totp/secret", time.Time{})
		r.onUpdate("/mfa/totp")
	}
	for _, target := range []struct {
		typ, at string
		value   optional[string]
	}{{secondaryEmail, "/mfa/email", u.MFA.Email}, {secondarySMS, "/mfa/phone_number", u.MFA.PhoneNumber}} {
		if target.value.set {
			r.types = append(r.types, target.typ)
		}
		if target.value.value != nil {
			i.addTarget(r, target.typ, *target.value.value, target.at, time.Time{})
		}
	}
	r.authgearAttributes(&u)
	for at, names := range map[string][]string{"/groups": u.Groups, "/roles": u.Roles} {
		if len(names) > 0 {
			r.warn(at, "NotKept", "%s are not kept: Usher has none", at[1:])
		}
	}
	slices.SortStableFunc(r.warnings, func(a, b tenant.Problem) int { return strings.Compare(a.Pointer, b.Pointer) })
}

// authgearLoginIDs reads the login ids. The identifier finds the user, so an
// update never changes it.
func (i *importer) authgearLoginIDs(r *incoming, h header, u *authgearUser) {
	for _, id := range []struct {
		key      string
		value    optional[string]
		verified *bool
	}{{"email", u.Email, u.EmailVerified}, {"phone_number", u.PhoneNumber, u.PhoneVerified}, {"preferred_username", u.PreferredUsername, nil}} {
		if id.value.set && id.key != h.Identifier {
			r.kinds = append(r.kinds, claimKinds[id.key])
		}
		if id.value.value == nil {
			if id.key == h.Identifier {
				r.fail("/"+id.key, "Required", "%q is missing; it is the identifier", id.key)
			}
			continue
		}
		n := wanted{place: "/" + id.key, keepVerified: id.verified == nil}
		if id.verified != nil && *id.verified {
			n.VerifiedAt = i.s.now()
		}
		before := len(r.identities)
		i.addIdentity(r, claimKinds[id.key], *id.value.value, n)
		if id.key == h.Identifier && len(r.identities) > before {
			r.keys = append(r.keys, r.identities[before].Claim)
		}
	}
}

func (r *incoming) authgearPassword(typ string, p *authgearPassword, at string) {
	r.addHash(typ, p.Hash, at+"/password_hash", time.Time{})
	if p.ExpireAfter != "" {
		r.warn(at+"/expire_after", "NotKept", "when a password expires is not kept")
	}
	r.onUpdate(at)
}

// onUpdate notes what an update leaves as it is, as Authgear does: an import
// must not replace a credential that the user may have changed since.
func (r *incoming) onUpdate(at string) {
	r.updateNotes = append(r.updateNotes, tenant.Problem{Pointer: at, Reason: "NotUpdated", Message: "the credential of a user who exists stays as it is"})
}

func (r *incoming) authgearAttributes(u *authgearUser) {
	standard := map[string]any{}
	for key, value := range map[string]optional[string]{
		"name": u.Name, "given_name": u.GivenName, "family_name": u.FamilyName, "middle_name": u.MiddleName, "nickname": u.Nickname,
		"profile": u.Profile, "picture": u.Picture, "website": u.Website, "gender": u.Gender, "birthdate": u.Birthdate,
		"zoneinfo": u.Zoneinfo, "locale": u.Locale,
	} {
		if value.set {
			standard[key] = value.value
		}
	}
	if u.Address.set {
		standard["address"] = u.Address.value
	}
	if len(standard) > 0 {
		text, err := json.Marshal(standard)
		if err != nil {
			r.fail("", "WrongType", "%v", err)
			return
		}
		r.attributes.Standard = text
	}
	if len(u.CustomAttributes) > 0 {
		if len(u.CustomAttributes) > maxAttributes || u.CustomAttributes[0] != '{' {
			r.fail("/custom_attributes", "WrongType", "must be an object of at most %d bytes", maxAttributes)
			return
		}
		r.attributes.Custom = u.CustomAttributes
	}
}
