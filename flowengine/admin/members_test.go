package admin_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/testenv"
)

func TestLastAdminKeepsAWayIn(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		one, two := b.user("admin", "one@example.com", "Correct-Horse-7"), b.user("admin", "two@example.com", "Correct-Horse-7")
		must(t, b.SetMemberRole(b.ctx, ann, "admin", one.ID, tenant.Operator))
		_, err := b.EditSection(b.ctx, ann, "admin", "identifications", json.RawMessage(`{"enabled":["username"]}`), admin.Edit{AutoPublish: true})
		refusal := refused(t, err, tenant.ErrLastWayIn)
		if refusal.Info["last_admin"] != true || refusal.Info["losing"] != 2 {
			t.Errorf("facts %v", refusal.Info)
		}

		// The last operator can't be disabled, deleted, removed or stripped.
		refused(t, errOf(b.DisableUser(b.ctx, ann, "admin", one.ID, "", time.Time{})), tenant.ErrLastWayIn)
		refused(t, b.DeleteUser(b.ctx, ann, "admin", one.ID), tenant.ErrLastWayIn)
		refused(t, b.RemoveMember(b.ctx, ann, "admin", one.ID), tenant.ErrLastWayIn)
		refused(t, errOf(b.RemoveIdentity(b.ctx, ann, "admin", one.ID, one.Identities[0].ID)), tenant.ErrLastWayIn)
		refused(t, errOf(b.RemoveAuthenticator(b.ctx, ann, "admin", one.ID, one.Authenticators[0].ID)), tenant.ErrLastWayIn)

		must(t, b.SetMemberRole(b.ctx, ann, "admin", two.ID, tenant.Operator))
		// Of two operators who turn on each other one stays.
		var wg sync.WaitGroup
		results := make([]error, 2)
		for i, u := range []*tenant.UserRecord{one, two} {
			wg.Go(func() { results[i] = b.RemoveMember(b.ctx, ann, "admin", u.ID) })
		}
		wg.Wait()
		grants, err := b.Store.GrantsIn(b.ctx, tenant.PlatformDomain)
		must(t, err)
		if len(grants) != 1 {
			t.Errorf("operators left: %v (%v)", grants, results)
		}
		left := grants[0].UserID
		must(t, b.SetMemberRole(b.ctx, ann, "acme", left, tenant.Viewer))
		must(t, b.SetMemberRole(b.ctx, ann, "acme", left, tenant.Owner))
		all, err := b.Store.GrantsOf(b.ctx, left)
		must(t, err)
		if len(all) != 2 {
			t.Errorf("grants %v", all)
		}
		refused(t, b.SetMemberRole(b.ctx, ann, "acme", left, tenant.Operator), tenant.ErrValidation)
		refused(t, b.SetMemberRole(b.ctx, ann, "admin", left, tenant.Owner), tenant.ErrValidation)
		refused(t, b.SetMemberRole(b.ctx, ann, "acme", left, "king"), tenant.ErrValidation)
		refused(t, b.SetMemberRole(b.ctx, ann, "acme", "nobody", tenant.Owner), tenant.ErrUserNotFound)
		must(t, b.RemoveMember(b.ctx, ann, "acme", left))
		refused(t, b.RemoveMember(b.ctx, ann, "acme", left), tenant.ErrNotFound)
		b.intact()
	})
}

func TestKeys(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	key, k, err := b.CreateAPIKey(b.ctx, ann, "acme", admin.NewAPIKey{Name: "ci", Role: tenant.Editor})
	must(t, err)
	if !strings.HasPrefix(key, "usher_acme_") || len(key) != len("usher_acme_")+32 || k.LastFour != key[len(key)-4:] || !k.ExpiresAt.Equal(b.now.Add(90*24*time.Hour)) {
		t.Errorf("%s %+v", key, k)
	}
	kept, err := b.Store.APIKeyByHash(b.ctx, b.tenant("acme").ID, secret.TokenHash(key))
	must(t, err)
	if d := cmp.Diff(k, kept); d != "" {
		t.Errorf("kept otherwise: %s", d)
	}
	if e := b.audit("acme"); e.Action != "api_key.create" || strings.Contains(string(e.Detail), key) || strings.Contains(string(e.Detail), k.Hash) {
		t.Errorf("audited %s", e.Detail)
	}
	k, err = b.RevokeAPIKey(b.ctx, ann, "acme", k.ID)
	must(t, err)
	if k.RevokedAt.IsZero() {
		t.Error("not revoked")
	}
	refused(t, errOf(b.RevokeAPIKey(b.ctx, ann, "admin", k.ID)), tenant.ErrNotFound)
	for _, n := range []admin.NewAPIKey{
		{Name: "", Role: tenant.Editor}, {Name: "x", Role: "king"}, {Name: "x", Role: tenant.Operator},
		{Name: "x", Role: tenant.Viewer, ExpiresAt: b.now}, {Name: "x", Role: tenant.Viewer, ExpiresAt: b.now.AddDate(2, 0, 0)},
	} {
		_, _, err := b.CreateAPIKey(b.ctx, ann, "acme", n)
		refused(t, err, tenant.ErrValidation)
	}
	for _, role := range []tenant.Role{tenant.Owner, tenant.Admin, tenant.Editor, tenant.Support, tenant.Viewer} {
		_, _, err := b.CreateAPIKey(b.ctx, ann, "admin", admin.NewAPIKey{Name: "x", Role: role})
		refused(t, err, tenant.ErrValidation)
	}
}

func TestBootstrapKey(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	for _, key := range []string{"", "short", "changeme-changeme-changeme", "xxxxxxxxxxxxxxxxxxxxxxxxxxx", "abababababababababababab", "REPLACE_ME_WITH_A_SECRET", "with spaces is no good key", "your-api-key-goes-in-here"} {
		_, err := b.EnsureBootstrapKey(b.ctx, key)
		refused(t, err, tenant.ErrValidation)
	}
	key := "7b1c0e6a9f4d42d8b7d3c5f0a1e2b3c4"
	made, err := b.EnsureBootstrapKey(b.ctx, key)
	must(t, err)
	k, err := b.Store.APIKeyByHash(b.ctx, b.tenant("admin").ID, secret.TokenHash(key))
	must(t, err)
	if !made || k.Role != tenant.Operator {
		t.Errorf("made %v: %+v", made, k)
	}
	for _, again := range []string{key, "another-0e6a9f4d42d8b7d3c5f0a1e"} {
		made, err := b.EnsureBootstrapKey(b.ctx, again)
		if made || err != nil {
			t.Errorf("on a used database: %v %v", made, err)
		}
	}
	if _, made, err := b.EnsureAdminTenant(b.ctx, "console.example.com"); made || err != nil || b.tenant("admin").PrimaryHost() != "console.example.com" {
		t.Errorf("a new admin host: %v %v %v", made, err, b.tenant("admin").Hosts)
	}
}

func TestBootstrap(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		cli := admin.Actor{Kind: tenant.ActorCLI, ID: "root"}
		_, err := b.Bootstrap(b.ctx, cli, "nonsense")
		refused(t, err, tenant.ErrValidation)
		first, err := b.Bootstrap(b.ctx, cli, "ops@example.com")
		must(t, err)
		second, err := b.Bootstrap(b.ctx, cli, "OPS@example.com")
		must(t, err)
		if first.User.ID != second.User.ID || first.SetupToken == second.SetupToken {
			t.Errorf("%+v %+v", first, second)
		}
		secrets, err := b.Store.Secrets(b.ctx, b.tenant("admin").ID)
		must(t, err)
		if len(secrets) != 1 || strings.Contains(fmt.Sprint(secrets), second.SetupToken) {
			t.Errorf("secrets %v", secrets)
		}
		k, err := b.Store.APIKeyByHash(b.ctx, b.tenant("admin").ID, secret.TokenHash(second.Key))
		must(t, err)
		if k.Role != tenant.Operator {
			t.Errorf("key %+v", k)
		}

		nobody := admin.Actor{Kind: tenant.ActorNobody, IP: "192.0.2.9"}
		refused(t, errOf(b.CompleteSetup(b.ctx, nobody, first.SetupToken, "Correct-Horse-7")), tenant.ErrInvalidCredentials)
		refused(t, errOf(b.CompleteSetup(b.ctx, nobody, "usher_setup_x", "Correct-Horse-7")), tenant.ErrInvalidCredentials)
		refused(t, errOf(b.CompleteSetup(b.ctx, nobody, second.SetupToken, "weak")), tenant.ErrPasswordPolicy)

		// Of those who use a link at once one gets through.
		var wg sync.WaitGroup
		results := make([]error, 4)
		for i := range results {
			wg.Go(func() {
				results[i] = errOf(b.CompleteSetup(b.ctx, nobody, second.SetupToken, fmt.Sprintf("Correct-Horse-%d", i)))
			})
		}
		wg.Wait()
		winner := slices.Index(results, nil)
		for i, err := range results {
			if i != winner {
				refused(t, err, tenant.ErrInvalidCredentials)
			}
		}
		account, err := b.Store.Account(b.ctx, b.tenant("admin").ID, first.User.ID)
		must(t, err)
		if len(account.Authenticators) != 1 {
			t.Fatalf("authenticators %v", account.Authenticators)
		}
		ok, _, err := b.Hasher.Verify(b.ctx, b.published("admin").Authenticators.Password, account.Authenticators[0].Secret, fmt.Sprintf("Correct-Horse-%d", winner))
		if !ok || err != nil {
			t.Errorf("the password: %v %v", ok, err)
		}

		third, err := b.Bootstrap(b.ctx, cli, "ops@example.com")
		must(t, err)
		b.wait(24 * time.Hour)
		refused(t, errOf(b.CompleteSetup(b.ctx, nobody, third.SetupToken, "Correct-Horse-9")), tenant.ErrInvalidCredentials)
		b.intact()
	})
}
