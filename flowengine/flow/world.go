package flow

import (
	"encoding/json"
	"time"

	"github.com/usher-id/usher/tenant"
)

// World is what a run may look at. It is made for one request, and none of its
// verbs changes anything here, but three: Allow, Right and TryCode count the
// asking. (Human and Bind ask others, where a response is spent by it, and a wrong
// password may be counted.) A guess is paid for before it is looked at, and stays
// paid for when the input is refused or the client goes back to an old state, so
// the count can be no part of State and no Effect.
type World interface {
	Now() time.Time
	// Session is who is signed in on the device that asks; nil when nobody is.
	Session() *tenant.Session
	// DeviceToken is the hash of the token that the device was remembered by;
	// "" when it wasn't.
	DeviceToken() string
	// SocketURL is where a client waits for news of the run.
	SocketURL() string

	// Issuer names the tenant to authenticator apps: its primary host.
	Issuer() string

	NewID() string       // UUIDv7
	Random(n int) []byte // from a cryptographic source

	// Allow pays for a try about a subject ("" for none): a user's id, or an
	// address that is written to. tenant.ErrRateLimited once a bucket is empty,
	// tenant.ErrAccountLockout while the user is locked out.
	Allow(limit Limit, subject string) error
	// Right gives back a try that Allow let in, because the credential was
	// right: only failures count.
	Right(limit Limit, subject string)
	// TryCode pays for a try at a code and says whether it was right; that of a
	// decoy never is.
	// tenant.ErrRateLimited once every try was used up, tenant.ErrOTPExpired
	// when it has expired, was used or was replaced.
	TryCode(id, code string, decoy bool) (bool, error)
	// Code reads what was sent, without the secret; nil when it is unknown.
	Code(id string) (*tenant.Code, error)

	// AccountByClaim finds whose a claim is, by its value or else by one of the
	// further forms, in their order, and says which one they have; nil when
	// nobody's.
	AccountByClaim(claim tenant.Claim, also ...string) (*tenant.Account, error)
	// Account reads a user by id; nil when there is none any more.
	Account(user string) (*tenant.Account, error)
	// OtherSessions says whether a user is signed in by another session than
	// the one that asks.
	OtherSessions(user string) (bool, error)
	// Identities lists a user's claims.
	Identities(user string) ([]tenant.Identity, error)

	// Hash hashes a new password as the tenant's configuration says;
	// tenant.ErrUnavailable when too many wait.
	Hash(password string) (string, error)
	// Matches compares a password with a hash in constant time; stale says
	// that the hash is not of the kind the tenant uses now. With the hash ""
	// it takes as long as a real comparison and answers false.
	Matches(hash, password string) (ok, stale bool, err error)
	// Seal hides the secret of the authenticator with this id; Unseal shows it.
	Seal(authenticator, plain string) (string, error)
	Unseal(authenticator, sealed string) (string, error)

	// Passkeys speaks WebAuthn.
	Passkeys() Passkeys
	// Plausible is 64 bytes that stand for something of somebody who may not
	// exist: the same for the same subject, and nothing a client could foretell.
	Plausible(subject string) []byte

	// Hook asks the tenant's hooks whether something may happen to a user (nil
	// for nobody), and answers with the attributes that they set, by pointer; a
	// null removes one. tenant.ErrHookDisallowed, tenant.ErrHookUnavailable.
	Hook(event tenant.HookEventType, user *tenant.HookUser, facts map[string]any) (map[string]json.RawMessage, error)

	// Human checks the response of the widget that bot protection shows.
	// tenant.ErrBotProtectionFailed, tenant.ErrBotProtectionUnavailable.
	Human(response string) error
	// Bind finds somebody in a directory of the tenant and proves them by their
	// password (RFC 4513 section 5.1.3); nil when nobody is found and when the
	// password is wrong, which takes as long. tenant.ErrUnavailable when the
	// directory can't be asked.
	Bind(server, username, password string) (*DirectoryUser, error)

	// ProviderReady says whether an OAuth provider has its credentials.
	ProviderReady(alias string) bool
}

// Passkeys is the relying party of the tenant (WebAuthn level 3 section 7).
// Options are what a client hands to navigator.credentials, {"publicKey": ...};
// a session is what has to be remembered to check the answer.
type Passkeys interface {
	// BeginCreation asks for a discoverable credential of the user with this
	// handle, with an authenticator that has none of the others.
	BeginCreation(handle []byte, name string, others []tenant.Passkey) (options, session json.RawMessage, err error)
	// FinishCreation checks the answer and says whether the authenticator has
	// verified the user; tenant.ErrValidation at /creation_response.
	FinishCreation(session, response json.RawMessage) (p tenant.Passkey, verified bool, err error)
	// BeginAssertion asks for one of the passkeys; of none, for whichever the
	// authenticator has for the tenant.
	BeginAssertion(allow []tenant.Passkey) (options, session json.RawMessage, err error)
	// FinishAssertion checks that the answer comes from the passkey, answers it
	// with its counter and backup state moved on, and says whether the
	// authenticator has verified the user. tenant.ErrValidation at
	// /assertion_response for what is no answer at all,
	// tenant.ErrInvalidCredentials for a wrong one. With the zero Passkey it
	// takes as long and refuses.
	FinishAssertion(session, response json.RawMessage, p tenant.Passkey) (fresh tenant.Passkey, verified bool, err error)
}

// DirectoryUser is somebody in a directory.
type DirectoryUser struct {
	ID      []byte                     // what the attribute holds that they are known by
	Profile map[string]json.RawMessage // standard attributes, by pointer
}

// Limit names a kind of try that is counted. Which buckets it fills, and how
// large they are, is the tenant's configuration.
type Limit string

// The limits.
const (
	LimitSignup        Limit = "signup"
	LimitAnonymous     Limit = "signup_anonymous"
	LimitIdentify      Limit = "identify"
	LimitPassword      Limit = "password"
	LimitTOTP          Limit = "totp"
	LimitPasskey       Limit = "passkey"
	LimitRecoveryCode  Limit = "recovery_code"
	LimitCreate        Limit = "create_authenticator" // not a guess, and paid for all the same: it may cost a hash
	LimitBotProtection Limit = "bot_protection"
	LimitOTP           Limit = "otp"        // a try at any one-time code
	LimitSendEmail     Limit = "send_email" // subject: the address
	LimitSendSMS       Limit = "send_sms"   // subject: the number; WhatsApp counts here too
)

// Limits are all of them.
var Limits = []Limit{
	LimitSignup, LimitAnonymous, LimitIdentify, LimitPassword, LimitTOTP, LimitPasskey, LimitRecoveryCode, LimitCreate, LimitBotProtection, LimitOTP, LimitSendEmail, LimitSendSMS,
}

// Effect is something the caller must do with the new State, in one
// transaction.
type Effect interface{ effect() }

// The effects a run can ask for.
type (
	// Create writes the draft.
	Create struct {
		User string
		Draft
		Proved   []tenant.Claim // identities and addresses among these are verified
		Promotes bool           // the user is anonymous no longer
	}
	// Update replaces the secret of an authenticator that holds Was. When it
	// holds something else by now, a Must is a refusal of the whole move
	// (tenant.ErrInvalidCredentials: the credential was spent elsewhere), and
	// the rest is skipped.
	Update struct {
		Authenticator tenant.Authenticator // with the new Secret
		Was           string
		Must          bool
	}
	// Send makes a code and hands it to delivery; the older codes of the run
	// for the same purpose and target die.
	Send struct {
		Code   tenant.Code // without the hash
		Secret string
		Decoy  bool // nobody is written to
	}
	// Use ends a code that was right; when it has ended by now the move is
	// refused (tenant.ErrOTPExpired).
	Use struct{ Code string }
	// EndOthers ends the user's other sessions.
	EndOthers struct{ User string }
	// Resume goes on with the session that the user selected; with a further
	// proof it is renewed.
	Resume struct {
		Session string
		AMR     []string
		Renewed bool
	}
	// Open opens a session for the user.
	Open struct {
		User string
		AMR  []string
	}
	// Remember makes a device token for the user.
	Remember struct{ User string }
	// Forget voids the user's device tokens and, if asked, ends the sessions.
	Forget struct {
		User     string
		Sessions bool
	}
)

func (Create) effect()    {}
func (Update) effect()    {}
func (Send) effect()      {}
func (Use) effect()       {}
func (EndOthers) effect() {}
func (Resume) effect()    {}
func (Open) effect()      {}
func (Remember) effect()  {}
func (Forget) effect()    {}
