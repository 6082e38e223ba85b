package flow

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-id/usher/tenant"
)

// world is a World in memory, without chance.
type world struct {
	Users []struct {
		ID       string
		Disabled bool
		tenant.Access
		Anonymous      bool
		Attributes     tenant.UserAttributes
		Claims         []tenant.Claim
		Unverified     bool     // which nobody has proved
		Keys           []string // of the claims; the value where there is none
		Authenticators []tenant.Authenticator
	}
	Ready     []string                                                   // providers with credentials
	Directory map[string][]struct{ Username, Password, ID, Name string } // by server; null for one that is down
	Hooks     map[tenant.HookEventType]struct {
		Refuse string                     // the reason, to refuse with
		Set    map[string]json.RawMessage // attributes, by pointer
	}

	ids    int
	codes  map[string]*fakeCode
	Device string
	Signed string // who is signed in
	Proof  string // how they were proved, separated by spaces
	since  int64  // when
	Others bool   // and whether elsewhere too
	limit  int
	used   map[string]int
	now    int64 // seconds after the beginning
	last   *fakeCode
	proved []string // hashes that a password matched
	asked  []any    // of hooks: each event, its user and its facts
}

func (w *world) Now() time.Time { return time.Unix(1700000000+w.now, 0) }
func (w *world) NewID() string  { w.ids++; return fmt.Sprint("id", w.ids) }

func (w *world) Allow(limit Limit, user string) error {
	if w.used == nil {
		w.used = map[string]int{}
	}
	bucket := string(limit) + " " + user
	if w.used[bucket]++; w.used[bucket] > w.limit {
		return tenant.ErrRateLimited
	}
	return nil
}

func (w *world) Right(limit Limit, user string) { w.used[string(limit)+" "+user]-- }

func (w *world) AccountByClaim(c tenant.Claim, also ...string) (*tenant.Account, error) {
	for _, value := range append([]string{c.Value}, also...) {
		for _, u := range w.Users {
			for i, has := range u.Claims {
				if has.Kind == c.Kind && (has.Value == value || i < len(u.Keys) && u.Keys[i] == value) {
					a, err := w.Account(u.ID)
					a.Claim = has
					if !u.Unverified {
						a.ClaimVerified = w.Now()
					}
					return a, err
				}
			}
		}
	}
	return nil, nil
}

func (w *world) Account(user string) (*tenant.Account, error) {
	for _, u := range w.Users {
		if u.ID == user {
			a := &tenant.Account{User: tenant.User{ID: u.ID, State: tenant.UserActive, Anonymous: u.Anonymous}, Authenticators: u.Authenticators}
			a.Access, a.Attributes = u.Access, u.Attributes
			if u.Disabled {
				a.State = tenant.UserDisabled
			}
			return a, nil
		}
	}
	return nil, nil
}

func (w *world) Hook(event tenant.HookEventType, user *tenant.HookUser, facts map[string]any) (map[string]json.RawMessage, error) {
	facts["user"] = user
	w.asked = append(w.asked, map[string]any{"event": event, "facts": facts})
	if a := w.Hooks[event]; a.Refuse != "" {
		return nil, tenant.ErrHookDisallowed.With("reason", a.Refuse)
	}
	return w.Hooks[event].Set, nil
}

func (w *world) Human(response string) error {
	switch response {
	case "human":
		return nil
	case "down":
		return tenant.ErrBotProtectionUnavailable
	}
	return tenant.ErrBotProtectionFailed
}

func (w *world) Bind(server, username, password string) (*DirectoryUser, error) {
	if w.Directory[server] == nil {
		return nil, tenant.ErrUnavailable
	}
	for _, p := range w.Directory[server] {
		if strings.EqualFold(p.Username, strings.TrimSpace(username)) && p.Password == password {
			w.proved = append(w.proved, p.ID)
			name, _ := json.Marshal(p.Name)
			return &DirectoryUser{ID: []byte(p.ID), Profile: map[string]json.RawMessage{"/name": name}}, nil
		}
	}
	return nil, nil
}

// A hash is "h:" and the password, or "old:" and the password for a stale one.
func (w *world) Hash(s string) (string, error) { return "h:" + s, nil }

func (w *world) Matches(hash, s string) (ok, stale bool, err error) {
	old := strings.HasPrefix(hash, "old:")
	ok = hash == "h:"+s || hash == "old:"+s
	if ok {
		w.proved = append(w.proved, hash)
	}
	return ok, ok && old, nil
}

type fakeCode struct {
	tenant.Code
	secret string
}

// apply does what the effects ask for, as the engine would.
func (w *world) apply(effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Send:
			for _, c := range w.codes {
				if c.Purpose == e.Code.Purpose && c.Target == e.Code.Target {
					c.EndedAt = w.Now()
				}
			}
			if w.codes == nil {
				w.codes = map[string]*fakeCode{}
			}
			w.codes[e.Code.ID] = &fakeCode{e.Code, e.Secret}
			w.last = w.codes[e.Code.ID]
		case Use:
			w.codes[e.Code].EndedAt = w.Now()
		case Update:
			for i := range w.Users {
				for j := range w.Users[i].Authenticators {
					if a := &w.Users[i].Authenticators[j]; a.ID == e.Authenticator.ID && a.Secret == e.Was {
						a.Secret = e.Authenticator.Secret
					}
				}
			}
		case Create:
			for i := range w.Users {
				if w.Users[i].ID != e.User {
					continue
				}
				for _, n := range e.Identities {
					w.Users[i].Claims = append(w.Users[i].Claims, n.Claim)
				}
				w.Users[i].Anonymous = w.Users[i].Anonymous && !e.Promotes
				w.Users[i].Authenticators = slices.DeleteFunc(w.Users[i].Authenticators, func(a tenant.Authenticator) bool {
					p, err := a.Passkey()
					return err != nil || slices.Contains(e.Remove, a.Type) || p != nil && slices.Contains(e.RemovePasskeys, p.ID)
				})
				w.Users[i].Claims = slices.DeleteFunc(w.Users[i].Claims, func(claim tenant.Claim) bool {
					return claim.Kind == tenant.PasskeyKind && slices.Contains(e.RemovePasskeys, claim.Value)
				})
				for _, n := range e.Authenticators {
					if j := slices.IndexFunc(w.Users[i].Authenticators, func(a tenant.Authenticator) bool { return a.ID == n.ID && a.Secret == n.Was }); j >= 0 {
						w.Users[i].Authenticators[j].Secret = n.Secret
						continue
					}
					w.Users[i].Authenticators = append(w.Users[i].Authenticators, tenant.Authenticator{ID: n.ID, Type: n.Type, Secret: n.Secret})
				}
			}
		case Remember:
			for i := range w.Users {
				if w.Users[i].ID == e.User {
					w.Users[i].Authenticators = append(w.Users[i].Authenticators, tenant.Authenticator{Type: deviceTokenName, Secret: "device", CreatedAt: w.Now()})
				}
			}
		}
	}
}

func (w *world) Session() *tenant.Session {
	if w.Signed == "" {
		return nil
	}
	return &tenant.Session{ID: "session of " + w.Signed, UserID: w.Signed, AMR: strings.Fields(w.Proof), AuthenticatedAt: time.Unix(1700000000+w.since, 0)}
}
func (w *world) OtherSessions(string) (bool, error) { return w.Others, nil }
func (w *world) DeviceToken() string                { return w.Device }
func (w *world) SocketURL() string                  { return "wss://example.com/ws" }
func (w *world) Issuer() string                     { return "example.com" }

func (w *world) Random(n int) []byte {
	w.ids++
	return bytes.Repeat([]byte{byte(w.ids)}, n)
}

func (w *world) TryCode(id, code string, decoy bool) (bool, error) {
	c := w.codes[id]
	switch {
	case c == nil || !c.EndedAt.IsZero() || !w.Now().Before(c.ExpiresAt):
		return false, tenant.ErrOTPExpired
	case c.Exhausted():
		return false, tenant.ErrRateLimited
	}
	c.Attempts++
	return c.secret == code && !decoy, nil
}

func (w *world) Code(id string) (*tenant.Code, error) {
	if c := w.codes[id]; c != nil {
		return &c.Code, nil
	}
	return nil, nil
}

func (w *world) Identities(user string) ([]tenant.Identity, error) {
	var out []tenant.Identity
	for _, u := range w.Users {
		for _, c := range u.Claims {
			if u.ID == user {
				out = append(out, tenant.Identity{Claim: c, Shown: c.Value, VerifiedAt: w.Now()})
			}
		}
	}
	return out, nil
}

func (w *world) Seal(id, plain string) (string, error) { return "sealed:" + plain, nil }
func (w *world) Unseal(id, sealed string) (string, error) {
	return strings.TrimPrefix(sealed, "sealed:"), nil
}

func (w *world) ProviderReady(alias string) bool { return slices.Contains(w.Ready, alias) }

func (w *world) Passkeys() Passkeys { return fakePasskeys{w} }

func (w *world) Plausible(subject string) []byte {
	sum := sha512.Sum512([]byte(subject))
	return sum[:]
}

// fakePasskeys speaks WebAuthn in words: a session is the challenge, and an
// answer is {"id", "challenge", "count", "verified"}.
type fakePasskeys struct{ *world }

type fakeResponse struct {
	ID        string
	Challenge string
	Count     uint32
	Verified  bool
}

func (w fakePasskeys) begin(what string, ps []tenant.Passkey) (options, session json.RawMessage, err error) {
	w.ids++
	challenge := fmt.Sprint("challenge", w.ids)
	ids := []string{}
	for _, p := range ps {
		ids = append(ids, p.ID)
	}
	options, _ = json.Marshal(map[string]any{"challenge": challenge, what: ids})
	session, err = json.Marshal(challenge)
	return options, session, err
}

func (w fakePasskeys) BeginCreation(_ []byte, name string, others []tenant.Passkey) (options, session json.RawMessage, err error) {
	return w.begin("exclude", others)
}

func (w fakePasskeys) BeginAssertion(allow []tenant.Passkey) (options, session json.RawMessage, err error) {
	return w.begin("allow", allow)
}

func (fakePasskeys) read(session, response json.RawMessage) (r fakeResponse, ok bool) {
	var challenge string
	ok = json.Unmarshal(session, &challenge) == nil && json.Unmarshal(response, &r) == nil && r.Challenge == challenge
	return r, ok
}

func (w fakePasskeys) FinishCreation(session, response json.RawMessage) (p tenant.Passkey, verified bool, err error) {
	r, ok := w.read(session, response)
	if !ok {
		return p, false, tenant.Invalidf("/creation_response", "passkey", "this answers another ceremony")
	}
	return tenant.Passkey{ID: r.ID, PublicKey: []byte("key"), SignCount: r.Count}, r.Verified, nil
}

func (w fakePasskeys) FinishAssertion(session, response json.RawMessage, p tenant.Passkey) (fresh tenant.Passkey, verified bool, err error) {
	r, ok := w.read(session, response)
	if !ok || p.PublicKey == nil || r.Count <= p.SignCount {
		return p, false, tenant.ErrInvalidCredentials
	}
	p.SignCount = r.Count
	w.proved = append(w.proved, p.ID)
	return p, r.Verified, nil
}
