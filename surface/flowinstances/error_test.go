package flowinstances

import (
	"encoding/json"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// How each reason is answered: to a program, and to a browser in the middle of a
// flow.
const (
	fields   = "fields" // 400 with what is wrong by field
	detailed = "detail"
)

var answers = map[tenant.Reason]struct {
	status int
	shape  string
	flow   outcome
}{
	"ValidationFailed":     {400, fields, asksAgain},
	"UnsupportedMediaType": {415, detailed, asksAgain},
	"MethodNotAllowed":     {405, detailed, asksAgain},
	"RequestTooLarge":      {413, detailed, passes},
	"RouteNotFound":        {404, detailed, passes},
	"HTTPSRequired":        {403, detailed, turnsAway},

	"TenantNotFound":  {404, detailed, passes},
	"TenantSuspended": {403, detailed, turnsAway},

	"AuthenticationFlowNotFound":        {404, detailed, hasEnded},
	"AuthenticationFlowFlowNotFound":    {404, detailed, passes},
	"AuthenticationFlowNotAllowed":      {403, detailed, turnsAway},
	"AuthenticationFlowNoPublicSignup":  {403, detailed, turnsAway},
	"AuthenticationFlowFinished":        {400, fields, hasEnded},
	"AuthenticationFlowConflict":        {409, detailed, hasEnded},
	"AuthenticationFlowDifferentUserID": {400, fields, asksAgain},
	"SessionNotFresh":                   {403, detailed, turnsAway},
	"InvalidCredentials":                {403, detailed, asksAgain},
	"OTPExpired":                        {403, detailed, asksAgain},
	"UserNotFound":                      {404, detailed, asksAgain},
	"DuplicatedIdentity":                {400, fields, asksAgain},
	"PasswordPolicyViolated":            {400, fields, asksAgain},
	"NoAuthenticator":                   {403, detailed, turnsAway},

	"DisabledUser":             {403, detailed, turnsAway},
	"DeactivatedUser":          {403, detailed, turnsAway},
	"ScheduledDeletionByAdmin": {403, detailed, turnsAway},
	"AnonymizedUser":           {403, detailed, turnsAway},

	"RateLimited":    {429, detailed, asksAgain},
	"AccountLockout": {429, detailed, asksAgain},

	"OAuthProviderNotFound":                       {404, detailed, passes},
	"OAuthProviderMissingCredentials":             {400, fields, asksAgain},
	"OAuthError":                                  {400, fields, asksAgain},
	"BotProtectionRequired":                       {403, detailed, asksAgain},
	"BotProtectionVerificationFailed":             {403, detailed, asksAgain},
	"BotProtectionVerificationServiceUnavailable": {503, detailed, fails},
	"HookDisallowed":                              {403, detailed, turnsAway},
	"HookUnavailable":                             {503, detailed, fails},

	"Unauthenticated":  {403, detailed, asksAgain},
	"Forbidden":        {403, detailed, turnsAway},
	"OriginNotAllowed": {403, detailed, turnsAway},
	"NotFound":         {404, detailed, passes},
	"AlreadyExists":    {400, fields, asksAgain},
	"VersionConflict":  {409, detailed, passes},
	"LastWayIn":        {400, fields, passes},
	"ConfigInvalid":    {400, fields, asksAgain},
	"QueryTooComplex":  {413, detailed, passes},

	"ServiceUnavailable": {503, detailed, fails},
	"InternalError":      {500, detailed, fails},
}

func TestEveryReasonHasAnAnswer(t *testing.T) {
	for _, e := range tenant.Catalogue() {
		want, ok := answers[e.Reason]
		if !ok {
			t.Errorf("%s: not in the table", e.Reason)
			continue
		}
		status, answer := refuse(e, "the-request", nil)
		raw, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Detail string
			Code   tenant.Reason
			Fields []string `json:"non_field_errors"`
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		told := want.shape == detailed && got.Detail == e.Message && got.Fields == nil ||
			want.shape == fields && got.Detail == "" && len(got.Fields) == 1 && got.Fields[0] == e.Message
		if status != want.status || got.Code != e.Reason || !told {
			t.Errorf("%s: %d %s, want %d with %s", e.Reason, status, raw, want.status, want.shape)
		}
		if how := inFlow(e); how != want.flow {
			t.Errorf("%s: in a flow %s, want %s", e.Reason, how, want.flow)
		}
	}
	if n := len(tenant.Catalogue()); n != len(answers) {
		t.Errorf("the table has %d reasons, the catalogue %d", len(answers), n)
	}
}

func TestFieldErrors(t *testing.T) {
	for _, c := range []struct {
		err  *tenant.Error
		want string
	}{
		{tenant.Invalidf("/title", "blank", "no"), `{"title":["no"]}`},
		{tenant.Invalidf("", "syntax", "no"), `{"non_field_errors":["no"]}`},
		{tenant.Problems([]tenant.Problem{{Pointer: "/slug", Message: "a"}, {Pointer: "/slug", Message: "b"}, {Pointer: "/flows/login_flows/0", Message: "c"}}),
			`{"non_field_errors":["/flows/login_flows/0: c"],"slug":["a","b"]}`},
	} {
		if got, _ := json.Marshal(fieldErrors(c.err)); string(got) != c.want {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}
