package flowapi

import (
	"encoding/json"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// answers is how each reason is answered (FLOW_API.md section 5).
var answers = map[tenant.Reason]struct {
	code int
	name string
}{
	"ValidationFailed":     {400, "Invalid"},
	"UnsupportedMediaType": {415, "UnsupportedMediaType"},
	"MethodNotAllowed":     {405, "MethodNotAllowed"},
	"RequestTooLarge":      {413, "RequestEntityTooLarge"},
	"RouteNotFound":        {404, "NotFound"},
	"HTTPSRequired":        {403, "Forbidden"},

	"TenantNotFound":  {404, "NotFound"},
	"TenantSuspended": {403, "Forbidden"},

	"AuthenticationFlowNotFound":        {404, "NotFound"},
	"AuthenticationFlowFlowNotFound":    {404, "NotFound"},
	"AuthenticationFlowNotAllowed":      {403, "Forbidden"},
	"AuthenticationFlowNoPublicSignup":  {403, "Forbidden"},
	"AuthenticationFlowFinished":        {400, "Invalid"},
	"AuthenticationFlowConflict":        {409, "Conflict"},
	"AuthenticationFlowDifferentUserID": {400, "Invalid"},
	"SessionNotFresh":                   {403, "Forbidden"},
	"InvalidCredentials":                {401, "Unauthorized"},
	"OTPExpired":                        {401, "Unauthorized"},
	"UserNotFound":                      {404, "NotFound"},
	"DuplicatedIdentity":                {409, "AlreadyExists"},
	"PasswordPolicyViolated":            {400, "Invalid"},
	"NoAuthenticator":                   {403, "Forbidden"},

	"DisabledUser":             {403, "Forbidden"},
	"DeactivatedUser":          {403, "Forbidden"},
	"ScheduledDeletionByAdmin": {403, "Forbidden"},
	"AnonymizedUser":           {403, "Forbidden"},

	"RateLimited":    {429, "TooManyRequest"},
	"AccountLockout": {429, "TooManyRequest"},

	"OAuthProviderNotFound":                       {404, "NotFound"},
	"OAuthProviderMissingCredentials":             {400, "Invalid"},
	"OAuthError":                                  {400, "Invalid"},
	"BotProtectionRequired":                       {403, "Forbidden"},
	"BotProtectionVerificationFailed":             {403, "Forbidden"},
	"BotProtectionVerificationServiceUnavailable": {503, "ServiceUnavailable"},
	"HookDisallowed":                              {403, "Forbidden"},
	"HookUnavailable":                             {503, "ServiceUnavailable"},

	"Unauthenticated":  {401, "Unauthorized"},
	"Forbidden":        {403, "Forbidden"},
	"OriginNotAllowed": {403, "Forbidden"},
	"NotFound":         {404, "NotFound"},
	"AlreadyExists":    {409, "AlreadyExists"},
	"VersionConflict":  {409, "Conflict"},
	"LastWayIn":        {409, "Conflict"},
	"ConfigInvalid":    {400, "Invalid"},
	"QueryTooComplex":  {413, "RequestEntityTooLarge"},

	"ServiceUnavailable": {503, "ServiceUnavailable"},
	"InternalError":      {500, "InternalError"},
}

func TestEveryReasonHasAnAnswer(t *testing.T) {
	for _, e := range tenant.Catalogue() {
		want, ok := answers[e.Reason]
		if !ok {
			t.Errorf("%s: not in the table", e.Reason)
			continue
		}
		code, body := refuse(e.With("fact", 1), "the-request", nil)
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Error struct {
				Name, Reason, Message string
				Code                  int
				Info                  map[string]any
				TrackingID            string `json:"tracking_id"`
			}
			Result any
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		g := got.Error
		if code != want.code || g.Code != want.code || g.Name != want.name || g.Reason != string(e.Reason) ||
			g.Message != e.Message || g.TrackingID != "the-request" || g.Info["fact"] != 1.0 || got.Result != nil {
			t.Errorf("%s: %d %s, want %d %s", e.Reason, code, raw, want.code, want.name)
		}
	}
	if n := len(tenant.Catalogue()); n != len(answers) {
		t.Errorf("the table has %d reasons, the catalogue %d", len(answers), n)
	}
}
