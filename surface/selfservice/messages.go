package selfservice

import (
	"fmt"
	"strings"
	"time"
)

// text is a message or a label: what it says, and the id by which pages
// translate it.
type text struct {
	ID      int            `json:"id"`
	Text    string         `json:"text"`
	Type    string         `json:"type"`
	Context map[string]any `json:"context,omitempty"`
}

// The ids that the code names. The API's reference lists all there are.
const (
	labelReauth        = 1010003
	labelSecondFactor  = 1010004
	labelTOTPCode      = 1010006
	labelLookupCode    = 1010007
	labelUseTOTP       = 1010009
	labelUseLookup     = 1010010
	sentLogin          = 1010014
	labelSendLogin     = 1010015
	labelPassword      = 1010022
	labelSignUp        = 1040001
	labelNext          = 1040003
	sentRegistration   = 1040005
	labelSendSignUp    = 1040006
	chooseCredential   = 1040009
	saved              = 1050001
	labelUnlinkTOTP    = 1050004
	labelTOTPImage     = 1050005
	showTOTPSecret     = 1050006
	labelRegenerate    = 1050008
	labelShownCodes    = 1050010
	labelConfirmCodes  = 1050011
	showLookupCodes    = 1050015
	labelDisable       = 1050016
	labelTOTPSecret    = 1050017
	recovered          = 1060001
	sentRecovery       = 1060003
	inputPassword      = 1070001
	labelTrait         = 1070002
	labelSave          = 1070003
	labelIdentifier    = 1070004
	labelEmail         = 1070007
	labelResend        = 1070008
	labelContinue      = 1070009
	codeRecovery       = 1070010
	codeVerification   = 1070011
	codeRegistration   = 1070012
	codeLogin          = 1070013
	labelEmailOrPhone  = 1070018
	verifiedEmail      = 1080002
	sentVerification   = 1080003
	sentVerificationTo = 1080004
	verifiedPhone      = 1080005

	invalid             = 4000001
	required            = 4000002
	badPassword         = 4000005
	wrongCredentials    = 4000006
	duplicate           = 4000007
	wrongTOTP           = 4000008
	wrongLookup         = 4000016
	shortPassword       = 4000032
	breachedPassword    = 4000034
	noSuchAccount       = 4000037
	captcha             = 4000038
	samePassword        = 4000039
	badEmail            = 4000040
	badPhone            = 4000041
	expiredLogin        = 4010001
	noMethodLogin       = 4010002
	noMethodSignUp      = 4010003
	noMethodSettings    = 4010004
	noMethodRecovery    = 4010005
	noMethodVerify      = 4010006
	doneLogin           = 4010007
	wrongCodeLogin      = 4010008
	disabledAccount     = 4010011
	expiredRegistration = 4040001
	doneRegistration    = 4040002
	wrongCodeSignUp     = 4040003
	expiredSettings     = 4050001
	doneRecovery        = 4060001
	expiredRecovery     = 4060005
	wrongCodeRecovery   = 4060006
	doneVerification    = 4070002
	expiredVerification = 4070005
	wrongCodeVerify     = 4070006
)

const (
	once     = "The request was already completed successfully and can not be retried."
	spelling = " If you have not received an email, check the spelling of the address and make sure to use the address you registered with."
)

// texts are the words that the API's reference gives each id.
var texts = map[int]string{ //nolint:gosec // words about credentials, and none of them
	labelReauth:       "Please confirm this action by verifying that it is you.",
	labelSecondFactor: "Please complete the second authentication challenge.",
	labelTOTPCode:     "Authentication code",
	labelLookupCode:   "Backup recovery code",
	labelUseTOTP:      "Use Authenticator",
	labelUseLookup:    "Use backup recovery code",
	sentLogin:         "A code was sent to the address you provided. If you didn't receive it, please check the spelling of the address and try again.",
	labelSendLogin:    "Send sign in code",
	labelPassword:     "Sign in with password",

	labelSignUp:      "Sign up",
	labelNext:        "Continue",
	sentRegistration: "A code has been sent to the address(es) you provided. If you have not received a message, check the spelling of the address and retry the registration.",
	labelSendSignUp:  "Send sign up code",
	chooseCredential: "Please choose a credential to authenticate yourself with.",

	saved:             "Your changes have been saved!",
	labelUnlinkTOTP:   "Unlink TOTP Authenticator App",
	labelTOTPImage:    "Authenticator app QR code",
	showTOTPSecret:    "{secret}",
	labelRegenerate:   "Generate new backup recovery codes",
	labelShownCodes:   "These are your back up recovery codes. Please keep them in a safe place!",
	labelConfirmCodes: "Confirm backup recovery codes",
	labelDisable:      "Disable this method",
	labelTOTPSecret:   "This is your authenticator app secret. Use it if you can not scan the QR code.",

	recovered:    "You successfully recovered your account. Please change your password or set up an alternative login method (e.g. social sign in) within the next {minutes} minutes.",
	sentRecovery: "An email containing a recovery code has been sent to the email address you provided." + spelling,

	inputPassword:     "Password",
	labelTrait:        "{title}",
	labelSave:         "Save",
	labelIdentifier:   "ID",
	labelEmail:        "Email",
	labelResend:       "Resend code",
	labelContinue:     "Continue",
	codeRecovery:      "Recovery code",
	codeVerification:  "Verification code",
	codeRegistration:  "Registration code",
	codeLogin:         "Login code",
	labelEmailOrPhone: "Email or phone number",

	verifiedEmail:      "You successfully verified your email address.",
	sentVerification:   "An email containing a verification code has been sent to the email address you provided." + spelling,
	sentVerificationTo: "A text message containing a verification code has been sent to the phone number you provided. If you have not received a text message, check the spelling of the number and make sure to use the number you registered with.",
	verifiedPhone:      "You successfully verified your phone number.",

	invalid:          "{reason}",
	required:         "Property {property} is missing.",
	badPassword:      "The password can not be used because {reason}.",
	wrongCredentials: "The provided credentials are invalid, check for spelling mistakes in your password or username, email address, or phone number.",
	duplicate:        "An account with the same identifier (email, phone, username, ...) exists already.",
	wrongTOTP:        "The provided authentication code is invalid, please try again.",
	wrongLookup:      "The backup recovery code is not valid.",
	shortPassword:    "The password must be at least {min_length} characters long, but got {actual_length}.",
	breachedPassword: "The password has been found in data breaches and must no longer be used.",
	noSuchAccount:    "This account does not exist or has no login method configured.",
	captcha:          "Captcha verification failed, please try again.",
	samePassword:     "The new password must be different from the old password.",
	badEmail:         "Enter a valid email address",
	badPhone:         "Enter a valid phone number",

	expiredLogin:     "The login flow expired {ago} minutes ago, please try again.",
	noMethodLogin:    "Could not find a strategy to log you in with. Did you fill out the form correctly?",
	noMethodSignUp:   "Could not find a strategy to sign you up with. Did you fill out the form correctly?",
	noMethodSettings: "Could not find a strategy to update your settings. Did you fill out the form correctly?",
	noMethodRecovery: "Could not find a strategy to recover your account with. Did you fill out the form correctly?",
	noMethodVerify:   "Could not find a strategy to verify your account with. Did you fill out the form correctly?",
	doneLogin:        once,
	wrongCodeLogin:   "The login code is invalid or has already been used. Please try again.",
	disabledAccount:  "This account has been disabled. Please contact support for assistance.",

	expiredRegistration: "The registration flow expired {ago} minutes ago, please try again.",
	doneRegistration:    once,
	wrongCodeSignUp:     "The registration code is invalid or has already been used. Please try again.",
	expiredSettings:     "The settings flow expired {ago} minutes ago, please try again.",
	doneRecovery:        once,
	expiredRecovery:     "The recovery flow expired {ago} minutes ago, please try again.",
	wrongCodeRecovery:   "The recovery code is invalid or has already been used. Please try again.",
	doneVerification:    once,
	expiredVerification: "The verification flow expired {ago} minutes ago, please try again.",
	wrongCodeVerify:     "The verification code is invalid or has already been used. Please try again.",
}

// successes are the messages that say it is done; those above them that are
// errors begin with a 4.
var successes = map[int]bool{saved: true, recovered: true, verifiedEmail: true, verifiedPhone: true}

// say makes a text. Its context is what fills its words, by name and value.
func say(id int, context ...any) *text {
	t := &text{ID: id, Text: texts[id], Type: "info"}
	switch {
	case successes[id]:
		t.Type = "success"
	case id >= 4000000:
		t.Type = "error"
	}
	for i := 0; i+1 < len(context); i += 2 {
		if t.Context == nil {
			t.Context = map[string]any{}
		}
		name := context[i].(string) //nolint:forcetypeassert // ours
		t.Context[name] = context[i+1]
		t.Text = strings.ReplaceAll(t.Text, "{"+name+"}", fmt.Sprint(context[i+1]))
	}
	return t
}

// sayExpired says since when a flow is over.
func sayExpired(id int, at, now time.Time) *text {
	t := say(id, "expired_at", at, "expired_at_unix", at.Unix())
	t.Text = strings.ReplaceAll(t.Text, "{ago}", fmt.Sprintf("%.2f", max(0, now.Sub(at).Minutes())))
	return t
}

// sayRecovered says until when the password can be set.
func sayRecovered(until, now time.Time) *text {
	t := say(recovered, "privileged_session_expires_at", until, "privileged_session_expires_at_unix", until.Unix())
	t.Text = strings.ReplaceAll(t.Text, "{minutes}", fmt.Sprintf("%.2f", max(0, until.Sub(now).Minutes())))
	return t
}
