package selfservice

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/usher-id/usher/flowengine"
	"github.com/usher-id/usher/tenant"
)

// golden is how each reason is answered: by an error, and where a form can help
// by the form with a message.
var golden = map[tenant.Reason]struct {
	status  int
	id      string
	form    int // the status with the form; 0 when there is none
	message int
}{
	"ValidationFailed":     {400, "", 400, 4000001},
	"UnsupportedMediaType": {415, "", 0, 0},
	"MethodNotAllowed":     {405, "", 0, 0},
	"RequestTooLarge":      {413, "", 0, 0},
	"RouteNotFound":        {404, "", 0, 0},
	"HTTPSRequired":        {403, "", 0, 0},

	"TenantNotFound":  {404, "", 0, 0},
	"TenantSuspended": {403, "", 0, 0},

	"AuthenticationFlowNotFound":        {404, "", 0, 0},
	"AuthenticationFlowFlowNotFound":    {400, "self_service_flow_disabled", 0, 0},
	"AuthenticationFlowNotAllowed":      {401, "session_inactive", 0, 0},
	"AuthenticationFlowNoPublicSignup":  {400, "self_service_flow_disabled", 0, 0},
	"AuthenticationFlowFinished":        {410, "self_service_flow_replaced", 0, 0},
	"AuthenticationFlowConflict":        {409, "", 0, 0},
	"AuthenticationFlowDifferentUserID": {403, "security_identity_mismatch", 0, 0},
	"SessionNotFresh":                   {403, "session_refresh_required", 0, 0},
	"InvalidCredentials":                {400, "", 400, 4000006},
	"OTPExpired":                        {400, "", 400, 4000006},
	"UserNotFound":                      {404, "", 400, 4000037},
	"DuplicatedIdentity":                {400, "", 400, 4000007},
	"PasswordPolicyViolated":            {400, "", 400, 4000005},
	"NoAuthenticator":                   {400, "", 400, 4000037},

	"DisabledUser":             {400, "", 400, 4010011},
	"DeactivatedUser":          {400, "", 400, 4010011},
	"ScheduledDeletionByAdmin": {400, "", 400, 4010011},
	"AnonymizedUser":           {400, "", 400, 4010011},

	"RateLimited":    {429, "", 400, 4000001},
	"AccountLockout": {429, "", 400, 4000001},

	"OAuthProviderNotFound":                       {404, "", 0, 0},
	"OAuthProviderMissingCredentials":             {400, "", 400, 4000001},
	"OAuthError":                                  {400, "", 400, 4000001},
	"BotProtectionRequired":                       {400, "", 400, 4000038},
	"BotProtectionVerificationFailed":             {400, "", 400, 4000038},
	"BotProtectionVerificationServiceUnavailable": {503, "", 0, 0},
	"HookDisallowed":                              {400, "", 400, 4000001},
	"HookUnavailable":                             {503, "", 0, 0},

	"Unauthenticated":  {401, "session_inactive", 0, 0},
	"Forbidden":        {403, "", 0, 0},
	"OriginNotAllowed": {403, "security_csrf_violation", 0, 0},
	"NotFound":         {404, "", 0, 0},
	"AlreadyExists":    {409, "", 0, 0},
	"VersionConflict":  {409, "", 0, 0},
	"LastWayIn":        {409, "", 0, 0},
	"ConfigInvalid":    {400, "", 0, 0},
	"QueryTooComplex":  {413, "", 0, 0},

	"ServiceUnavailable": {503, "", 0, 0},
	"InternalError":      {500, "", 0, 0},
}

func TestEveryReasonHasAnAnswer(t *testing.T) {
	for _, e := range tenant.Catalogue() {
		want, ok := golden[e.Reason]
		if !ok {
			t.Errorf("%s: not in the table", e.Reason)
			continue
		}
		status, body := refuse(e, "the-request", nil)
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		var got errorOut
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if g := got.Error; status != want.status || g.Code != status || g.ID != want.id || g.Status != http.StatusText(status) ||
			g.Reason != e.Message || g.Message == "" || g.Request != "the-request" {
			t.Errorf("%s: %d %s, want %d %s", e.Reason, status, raw, want.status, want.id)
		}
		f := &held{kind: login, at: &flowengine.Answer{}}
		told, form := f.tells(e)
		switch {
		case want.form == 0 && told != nil:
			t.Errorf("%s: a form can't help, and says %v", e.Reason, told)
		case want.form != 0 && (form != want.form || len(told) != 1 || told[0].Text.ID != want.message || told[0].Text.Text == ""):
			t.Errorf("%s: the form says %v with %d, want %d with %d", e.Reason, told, form, want.message, want.form)
		}
	}
	if n := len(tenant.Catalogue()); n != len(golden) {
		t.Errorf("the table has %d reasons, the catalogue %d", len(golden), n)
	}
}

func TestNegotiation(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                  false,
		"*/*":                               false, // a browser that is led to a page
		"application/json":                  true,
		"application/json, text/plain, */*": true, // what axios sends
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": false,
		"application/json;q=0.5, text/html;q=0.4":                         true,
		"application/json;q=0.4, text/html;q=0.5":                         false,
		"text/html, application/json":                                     false,
		"application/*, */*;q=0.1":                                        true,
		"application/json;q=0":                                            false,
		"nonsense, application/json":                                      true,
	} {
		if got := prefers(accept, "application/json", "text/html"); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

// FuzzNegotiation: whatever is accepted, no two media types are each preferred to
// the other.
func FuzzNegotiation(f *testing.F) {
	for _, accept := range []string{"", "*/*", "application/json;q=0.5, text/*", "text/html;q=x,application/*;q=2", ";,=\"", "application/json;q=NaN"} {
		f.Add(accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if prefers(accept, "application/json", "text/html") && prefers(accept, "text/html", "application/json") {
			t.Errorf("%q prefers both", accept)
		}
	})
}
