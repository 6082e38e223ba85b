package tenant_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

// The events that the schema of the configuration lists are the events that
// there are, and each is either asked about or told of.
func TestHookEvents(t *testing.T) {
	field, _ := reflect.TypeFor[tenant.HookEndpoint]().FieldByName("Events")
	var listed []string
	for part := range strings.SplitSeq(field.Tag.Get("jsonschema"), ",") {
		if event, ok := strings.CutPrefix(part, "enum="); ok {
			listed = append(listed, event)
		}
	}
	var known []string
	for _, e := range slices.Concat(tenant.BlockingHookEvents, tenant.ToldHookEvents) {
		known = append(known, string(e))
		if e.Blocking() != slices.Contains(tenant.BlockingHookEvents, e) || e.Blocking() == slices.Contains(tenant.ToldHookEvents, e) {
			t.Errorf("%s is both or neither", e)
		}
	}
	slices.Sort(listed)
	slices.Sort(known)
	if !slices.Equal(listed, known) {
		t.Errorf("the schema lists\n%v, there are\n%v", listed, known)
	}
}

func TestHookEndpoints(t *testing.T) {
	h := tenant.Hooks{Endpoints: []tenant.HookEndpoint{
		{Name: "a", Events: []tenant.HookEventType{tenant.HookUserCreated}, Enabled: true},
		{Name: "b", Events: []tenant.HookEventType{tenant.HookUserCreated}},
		{Name: "c", Events: []tenant.HookEventType{tenant.HookUserDeleted, tenant.HookUserCreated}, Enabled: true, TimeoutMS: 250},
	}}
	var names []string
	for _, e := range h.For(tenant.HookUserCreated) {
		names = append(names, e.Name+" "+e.Timeout().String())
	}
	if got := strings.Join(names, ", "); got != "a 5s, c 250ms" {
		t.Error(got)
	}
	if h.For(tenant.HookPreCreate) != nil || h.Endpoint("b") != &h.Endpoints[1] || h.Endpoint("d") != nil {
		t.Error("found what isn't there, or not what is")
	}
	if got := strings.Join(h.SecretNames(), " "); got != "hook.a.signing_key hook.b.signing_key hook.c.signing_key" {
		t.Error(got)
	}
}

// What hooks see of a user holds nothing that proves anything, whatever is added
// to users.
func TestHooksSeeNoSecrets(t *testing.T) {
	u := tenant.User{ID: "u1", State: tenant.UserActive, DisabledReason: "hidden words", CreatedAt: time.UnixMilli(1).UTC()}
	ids := []tenant.Identity{{ID: "i1", Claim: tenant.Claim{Kind: "email", Value: "a@example.com"}, Key: "key", Shown: "A@example.com", VerifiedAt: time.UnixMilli(2)}}
	got, err := json.Marshal(tenant.NewHookUser(&u, ids))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"u1","state":"active","anonymous":false,"standard_attributes":{},"custom_attributes":{},` +
		`"identities":[{"type":"email","value":"a@example.com","verified":true}],"created_at":"1970-01-01T00:00:00.001Z"}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
