package flowengine

import "github.com/usher-id/usher/tenant"

// rejectionOf names a refusal in the label reason; what isn't here is other.
var rejectionOf = map[tenant.Reason]string{
	tenant.ErrValidation.Reason:                 "schema",
	tenant.ErrFlowNotFound.Reason:               "state_unknown", // expired, foreign and made up look alike, on purpose
	tenant.ErrFlowFinished.Reason:               "state_finished",
	tenant.ErrFlowConflict.Reason:               "conflict",
	tenant.ErrNoSuchFlow.Reason:                 "no_such_flow",
	tenant.ErrFlowNotAllowed.Reason:             "not_allowed",
	tenant.ErrNoPublicSignup.Reason:             "signup_closed",
	tenant.ErrDifferentUser.Reason:              "different_user",
	tenant.ErrSessionNotFresh.Reason:            "session_not_fresh",
	tenant.ErrInvalidCredentials.Reason:         "wrong_credential",
	tenant.ErrUserNotFound.Reason:               "unknown_identifier",
	tenant.ErrDuplicatedIdentity.Reason:         "identifier_taken",
	tenant.ErrPasswordPolicy.Reason:             "policy_denied",
	tenant.ErrNoAuthenticator.Reason:            "no_authenticator",
	tenant.ErrOTPExpired.Reason:                 "otp_expired",
	tenant.ErrDisabledUser.Reason:               "user_disabled",
	tenant.ErrDeactivatedUser.Reason:            "user_disabled",
	tenant.ErrScheduledDeletion.Reason:          "user_disabled",
	tenant.ErrAnonymizedUser.Reason:             "user_disabled",
	tenant.ErrRateLimited.Reason:                "rate_limited",
	tenant.ErrAccountLockout.Reason:             "locked",
	tenant.ErrBotProtectionRequired.Reason:      "bot_failed",
	tenant.ErrBotProtectionFailed.Reason:        "bot_failed",
	tenant.ErrProviderNotFound.Reason:           "provider",
	tenant.ErrOAuth.Reason:                      "provider",
	tenant.ErrProviderMissingCredentials.Reason: "provider",
	tenant.ErrHookDisallowed.Reason:             "hook_denied",
	tenant.ErrHookUnavailable.Reason:            "unavailable",
	tenant.ErrTenantSuspended.Reason:            "tenant_suspended",
	tenant.ErrUnavailable.Reason:                "unavailable",
	tenant.ErrBotProtectionUnavailable.Reason:   "unavailable",
	tenant.ErrInternal.Reason:                   "internal",
}
