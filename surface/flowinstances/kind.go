package flowinstances

import (
	"fmt"
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// kind is a type of stage.
type kind struct {
	path   string // of its collection, under stages/
	title  string
	form   string // the element with which authentik's own pages edit it
	model  string
	fields func(c *catalog, s *stage) object // its keys beside those of every stage
}

// The types of stages that flows here have. No flow has one of the last.
var (
	identificationStage = &kind{"identification", "Identification Stage", "ak-stage-identification-form", "authentik_stages_identification.identificationstage", identificationFields}
	passwordStage       = &kind{"password", "Password Stage", "ak-stage-password-form", "authentik_stages_password.passwordstage", passwordFields}
	validateStage       = &kind{"authenticator/validate", "Authenticator Validation Stage", "ak-stage-authenticator-validate-form", "authentik_stages_authenticator_validate.authenticatorvalidatestage", validateFields}
	staticStage         = &kind{"authenticator/static", "Static Authenticator Setup Stage", "ak-stage-authenticator-static-form", "authentik_stages_authenticator_static.authenticatorstaticstage", staticFields}
	webauthnStage       = &kind{"authenticator/webauthn", "WebAuthn Authenticator Setup Stage", "ak-stage-authenticator-webauthn-form", "authentik_stages_authenticator_webauthn.authenticatorwebauthnstage", webauthnFields}
	promptStage         = &kind{"prompt/stages", "Prompt Stage", "ak-stage-prompt-form", "authentik_stages_prompt.promptstage", promptFields}
	emailStage          = &kind{"email", "Email Stage", "ak-stage-email-form", "authentik_stages_email.emailstage", emailFields}
	denyStage           = &kind{"deny", "Deny Stage", "ak-stage-deny-form", "authentik_stages_deny.denystage", denyFields}
	userWriteStage      = &kind{"user_write", "User Write Stage", "ak-stage-user-write-form", "authentik_stages_user_write.userwritestage", userWriteFields}
	userLoginStage      = &kind{"user_login", "User Login Stage", "ak-stage-user-login-form", "authentik_stages_user_login.userloginstage", userLoginFields}
	userLogoutStage     = &kind{"user_logout", "User Logout Stage", "ak-stage-user-logout-form", "authentik_stages_user_logout.userlogoutstage", noFields}
	consentStage        = &kind{"consent", "Consent Stage", "ak-stage-consent-form", "authentik_stages_consent.consentstage", noFields}

	kinds = []*kind{
		identificationStage, passwordStage, validateStage, staticStage, webauthnStage, promptStage, emailStage, denyStage,
		userWriteStage, userLoginStage, userLogoutStage, consentStage,
	}
)

// stepKinds says of which type the stage is that does what a step does, unless
// kindOf knows better.
var stepKinds = map[string]*kind{
	"identify":                     identificationStage,
	"authenticate":                 validateStage,
	"create_authenticator":         validateStage,
	"verify":                       emailStage,
	"select_destination":           emailStage,
	"verify_account_recovery_code": emailStage,
	"fill_user_profile":            promptStage,
	"user_profile":                 promptStage,
	"change_setting":               promptStage,
	"change_password":              promptStage,
	"reset_password":               promptStage,
	"view_recovery_code":           staticStage,
	"recovery_code":                staticStage,
	"prompt_create_passkey":        webauthnStage,
	"check_account_status":         denyStage, // it denies those who may not enter
	"terminate_other_sessions":     userLoginStage,
}

func kindOf(t tenant.FlowType, s *tenant.Step) *kind {
	passwords := len(s.OneOf) > 0 && isPassword(s.OneOf[0].Authentication)
	switch {
	case s.Type == "identify" && creates(t): // it asks for what will be the new user's
		return promptStage
	case s.Type == "authenticate" && passwords:
		return passwordStage
	case s.Type == "create_authenticator" && passwords:
		return promptStage
	}
	return stepKinds[s.Type]
}

// creates says whether a flow asks for what a user will have, not for what they
// have.
func creates(t tenant.FlowType) bool { return t == tenant.Signup || t == tenant.Promote }

func isPassword(authentication string) bool {
	return authentication == "primary_password" || authentication == "secondary_password"
}

// name says what a stage of this type does.
func (k *kind) name(s *tenant.Step) string {
	words := []string{strings.TrimSuffix(k.title, " Stage")}
	if methods := methodsOf(s); len(methods) > 0 {
		words = append(words, strings.Join(methods, ", "))
	} else if s.Type != "" {
		words = append(words, strings.ReplaceAll(s.Type, "_", " "))
	}
	return strings.Join(words, ": ")
}

func methodsOf(s *tenant.Step) []string {
	out := []string{}
	for i := range s.OneOf {
		out = append(out, s.OneOf[i].Method())
	}
	return out
}

// show is a stage with all keys of its type.
func (s *stage) show(c *catalog) object {
	o := s.brief(c)
	for key, value := range s.kind.fields(c, s) {
		o[key] = value
	}
	return o
}

// named is a stage with the keys that it is found by.
func (s *stage) named() object { return object{"pk": s.pk, "name": s.name} }

// brief is a stage with the keys that all types have.
func (s *stage) brief(c *catalog) object {
	flows := make([]object, 0, len(s.flows))
	for _, i := range s.flows {
		flows = append(flows, c.brief(i, c.presentation(i)))
	}
	return object{
		"pk": s.pk, "name": s.name, "component": s.kind.form, "verbose_name": s.kind.title, "verbose_name_plural": s.kind.title + "s",
		"meta_model_name": s.kind.model, "flow_set": flows,
	}
}

func noFields(*catalog, *stage) object { return object{} }

func identificationFields(c *catalog, s *stage) object {
	names := []string{}
	for _, m := range methodsOf(s.step) {
		if m == "email" || m == "username" { // this API has no word for others
			names = append(names, m)
		}
	}
	return object{
		"user_fields": names, "password_stage": nil, "captcha_stage": nil, "webauthn_stage": nil, "case_insensitive_matching": true, "show_matched_user": false,
		"enrollment_flow": c.usual(tenant.Signup, c.program.Config().Accounts.PublicSignup), "recovery_flow": c.usual(tenant.AccountRecovery, true),
		"passwordless_flow": nil, "sources": []string{}, "show_source_labels": false,
		"pretend_user_exists": !c.program.Config().Accounts.RevealUnknownUsers, "enable_remember_me": false,
	}
}

// usual is the key of the default flow of a type, when it is open; nil otherwise.
func (c *catalog) usual(t tenant.FlowType, open bool) any {
	if i := c.flow(tenant.FlowRef{Type: t, Name: tenant.DefaultFlow}); i != nil && open {
		return i.pk
	}
	return nil
}

func passwordFields(c *catalog, _ *stage) object {
	return object{
		"backends": []string{"authentik.core.auth.InbuiltBackend"}, "configure_flow": c.usual(tenant.AccountRecovery, true),
		"failed_attempts_before_cancel": c.program.Config().Lockout.MaxAttempts, "allow_show_password": true,
	}
}

// deviceClasses are the words for methods.
var deviceClasses = map[string]string{
	"primary_oob_otp_email": "email", "secondary_oob_otp_email": "email", "primary_oob_otp_sms": "sms", "secondary_oob_otp_sms": "sms",
	"secondary_totp": "totp", "recovery_code": "static", "primary_passkey": "webauthn",
}

func validateFields(_ *catalog, s *stage) object {
	classes := []string{}
	for _, m := range methodsOf(s.step) {
		if class := deviceClasses[m]; class != "" && !slices.Contains(classes, class) {
			classes = append(classes, class)
		}
	}
	missing := "deny"
	switch {
	case s.step.EnrollmentAllowed || s.step.Type == "create_authenticator":
		missing = "configure"
	case s.step.Optional:
		missing = "skip"
	}
	return object{
		"not_configured_action": missing, "device_classes": classes, "configuration_stages": []string{}, "last_auth_threshold": "seconds=0",
		"webauthn_user_verification": "preferred", "webauthn_hints": []string{}, "webauthn_allowed_device_types": []string{}, "webauthn_allowed_device_types_obj": []object{},
		"email_otp_throttling_factor": 1, "sms_otp_throttling_factor": 1, "totp_otp_throttling_factor": 1, "static_otp_throttling_factor": 1,
	}
}

func staticFields(c *catalog, _ *stage) object {
	return object{
		"configure_flow": nil, "friendly_name": "", "token_count": c.program.Config().Authenticators.RecoveryCodes.Count, "token_length": 10,
	}
}

func webauthnFields(c *catalog, _ *stage) object {
	return object{
		"configure_flow": nil, "friendly_name": "", "user_verification": c.program.Config().Passkeys.UserVerification, "authenticator_attachment": nil,
		"resident_key_requirement": "preferred", "hints": []string{},
		"device_type_restrictions": []string{}, "device_type_restrictions_obj": []object{}, "max_attempts": 0,
	}
}

func promptFields(c *catalog, s *stage) object {
	keys := []string{}
	for _, f := range fieldsOf(s) {
		keys = append(keys, c.promptKey(s, f))
	}
	return object{"fields": keys, "validation_policies": []string{}}
}

func emailFields(c *catalog, _ *stage) object {
	return object{
		"use_global_settings": true, "host": "", "port": 25, "username": "", "use_tls": false, "use_ssl": false, "timeout": 10,
		"token_expiry": seconds(c.program.Config().OTP.CodeLifetimeSeconds), "subject": "", "template": "email/account_confirmation.html",
		"activate_user_on_success": false, "recovery_max_attempts": c.program.Config().OTP.MaxAttempts, "recovery_cache_timeout": seconds(c.program.Config().OTP.ResendCooldownSeconds),
	}
}

func denyFields(*catalog, *stage) object { return object{"deny_message": ""} }

func userWriteFields(_ *catalog, s *stage) object {
	mode := "never_create"
	if s.step.Type == string(tenant.Signup) {
		mode = "always_create"
	}
	return object{
		"user_creation_mode": mode, "create_users_as_inactive": false, "create_users_group": nil, "user_type": "external", "user_path_template": "",
	}
}

func userLoginFields(c *catalog, s *stage) object {
	return object{
		"session_duration": seconds(c.program.Config().Sessions.LifetimeSeconds), "terminate_other_sessions": s.step.Type != "",
		"remember_me_offset": "seconds=0", "remember_device": "seconds=0", "network_binding": "no_binding", "geoip_binding": "no_binding",
	}
}

func seconds(n int) string { return fmt.Sprintf("seconds=%d", n) }
