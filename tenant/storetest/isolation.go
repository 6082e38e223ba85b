package storetest

import (
	"reflect"
	"time"

	"github.com/usher-id/usher/tenant"
)

// possessions is one of everything that a tenant can have.
type possessions struct {
	t       *tenant.Tenant
	u       *tenant.UserRecord
	open    *tenant.Commit // a run that goes on
	session *tenant.Session
	key     *tenant.APIKey
	event   *tenant.AuditEvent
	secret  string
	link    tenant.Code
	message tenant.Message
	hook    tenant.HookDelivery
	shown   *tenant.ShownError
}

func (h *house) possessions() *possessions {
	t := h.tenant()
	p := &possessions{t: t, u: h.user(t.ID, email(word())), secret: tenant.OAuthSecretName("x"), event: h.refusal(t.ID)}
	p.session, p.shown = h.signedIn(p.u), h.shownError(t.ID)
	p.open = h.newRun(t.ID)
	p.open.Run.UserID, p.open.State.UserID = p.u.ID, p.u.ID
	p.open.Run.Head = p.open.State.TokenHash
	p.link = h.newLink(p.open)
	p.message = h.newMessage(&p.link)
	p.hook = h.newHookDelivery(t.ID)
	p.open.Hooks = []tenant.HookDelivery{p.hook}
	h.sent(p.open, []tenant.Code{p.link}, p.message)
	p.key = &tenant.APIKey{TenantID: t.ID, ID: id(), Hash: word(), Role: tenant.Owner, CreatedAt: h.at}
	h.must(h.change(t.ID, func(tx tenant.Tx) error {
		h.must(tx.CreateVersion(&tenant.Version{TenantID: t.ID, Number: 1, Document: []byte(`{}`)}))
		h.must(tx.PutDraft(&tenant.Draft{TenantID: t.ID, Document: []byte(`{}`)}))
		h.must(tx.PutSecret(t.ID, tenant.Secret{Name: p.secret}, []byte("sealed")))
		return tx.CreateAPIKey(p.key)
	}))
	h.must(h.s.RecordSignIn(h.ctx(), p.event))
	_, err := h.s.SealAudit(h.ctx(), 100)
	h.must(err)
	return p
}

// snapshot is everything of a tenant, as the store tells it.
func (h *house) snapshot(p *possessions) []any {
	h.Helper()
	id, page := p.t.ID, tenant.Page{Limit: 100}
	var out []any
	keep := func(v any, err error) {
		h.Helper()
		h.must(err)
		out = append(out, v)
	}
	keep(h.s.TenantByID(h.ctx(), id))
	keep(h.s.Versions(h.ctx(), id, page))
	keep(h.s.Draft(h.ctx(), id))
	keep(h.s.Secrets(h.ctx(), id))
	keep(h.s.OpenSecret(h.ctx(), id, p.secret))
	keep(h.s.Users(h.ctx(), id, tenant.UserFilter{}, page))
	keep(h.s.Runs(h.ctx(), id, tenant.RunFilter{}, page))
	keep(h.s.LoadState(h.ctx(), id, p.open.State.TokenHash, h.at))
	keep(h.s.Code(h.ctx(), id, p.link.ID))
	keep(h.s.Messages(h.ctx(), id, tenant.MessageFilter{}, page))
	keep(h.s.HookDeliveries(h.ctx(), id, tenant.HookDeliveryFilter{}, page))
	keep(h.s.Sessions(h.ctx(), id, tenant.SessionFilter{}, page))
	keep(h.s.APIKeys(h.ctx(), id, page))
	keep(h.s.AuditLog(h.ctx(), id, tenant.AuditFilter{}, page))
	keep(h.s.ShownError(h.ctx(), id, p.shown.ID, h.at))
	return out
}

// testIsolation calls every method that takes a tenant with the id of one tenant
// and the names of another's possessions. None may find or change anything.
func testIsolation(h *house) {
	mine, theirs := h.possessions(), h.possessions()
	before := h.snapshot(theirs)
	t := mine.t.ID

	reads := theirs.reads(h, t)
	covered(h.T, reflect.TypeFor[tenant.Store](), keys(reads), "TenantByHost", "TenantBySlug", "TenantByID", "Tenants", "CountTenants",
		"ChangedSince", "NewestChange", "CountActive", "GrantsOf", "GrantsIn", "SealAudit", "Purge", "Change", "Watch", "TellRun", "WatchRuns", "ClaimMessages", "CountMessages", "ClaimHookDeliveries", "CountHookDeliveries", "UsersDue",
		"Ping", "Close", // which are about no tenant or all
		"Versions", "Secrets", "Users", "CountUsersWithout", "IdentitiesOf", "Runs", "Messages", "HookDeliveries", "Sessions", "APIKeys", "AuditChain", "AuditHead", "RecordSignIn", "KeepError") // below
	for name, read := range reads {
		want, err := read()
		if want != nil {
			if h.refused(err, want); err == nil {
				h.Error(name, "crossed the border")
			}
		} else if err != nil {
			h.Error(name, err)
		}
	}
	h.same(h.snapshot(theirs), before)

	writes := theirs.writes(h, t)
	covered(h.T, reflect.TypeFor[tenant.Tx](), keys(writes), "Audit", "Tenant", "CreateTenant", "UpdateTenant", "DeleteTenant", "PutGrant", "DeleteGrant",
		"CreateVersion", "PutDraft", "PutSecret", "CreateAPIKey", "TellHooks") // which name no possession
	for name, write := range writes {
		err := h.change(t, write.do)
		if write.want != nil {
			if h.refused(err, write.want); err == nil {
				h.Error(name, "crossed the border")
			}
		} else if err != nil {
			h.Error(name, err)
		}
	}
	h.same(h.snapshot(theirs), before)

	h.step("lists", func(h *house) {
		other := h.tenant()
		page := tenant.Page{Limit: 100}
		none := func(list any, err error) {
			h.Helper()
			h.must(err)
			if n := reflect.ValueOf(list).Len(); n != 0 {
				h.Errorf("%d rows of another tenant", n)
			}
		}
		none(h.s.Versions(h.ctx(), other.ID, page))
		none(h.s.Secrets(h.ctx(), other.ID))
		none(h.s.Users(h.ctx(), other.ID, tenant.UserFilter{}, page))
		none(h.s.Users(h.ctx(), other.ID, tenant.UserFilter{Search: theirs.u.ID}, page))
		none(h.s.Users(h.ctx(), other.ID, tenant.UserFilter{Search: theirs.u.Identities[0].Value}, page))
		none(h.s.Users(h.ctx(), other.ID, tenant.UserFilter{Search: theirs.u.Identities[0].Shown}, page))
		none(h.s.Users(h.ctx(), other.ID, tenant.UserFilter{IDs: []string{theirs.u.ID}}, page))
		none(h.s.IdentitiesOf(h.ctx(), other.ID, theirs.u.ID))
		none(h.s.Messages(h.ctx(), other.ID, tenant.MessageFilter{}, page))
		none(h.s.Messages(h.ctx(), other.ID, tenant.MessageFilter{To: theirs.message.To}, page))
		none(h.s.HookDeliveries(h.ctx(), other.ID, tenant.HookDeliveryFilter{}, page))
		none(h.s.HookDeliveries(h.ctx(), other.ID, tenant.HookDeliveryFilter{EventID: theirs.hook.EventID}, page))
		none(h.s.Runs(h.ctx(), other.ID, tenant.RunFilter{}, page))
		none(h.s.Runs(h.ctx(), other.ID, tenant.RunFilter{UserID: theirs.u.ID}, page))
		none(h.s.Sessions(h.ctx(), other.ID, tenant.SessionFilter{}, page))
		none(h.s.Sessions(h.ctx(), other.ID, tenant.SessionFilter{UserID: theirs.u.ID}, page))
		none(h.s.APIKeys(h.ctx(), other.ID, page))
		none(h.s.AuditChain(h.ctx(), other.ID, 2, 100)) // 1 is its own making
		n, err := h.s.CountUsersWithout(h.ctx(), other.ID, nil, nil)
		h.must(err)
		h.same(n, 0)
		seq, _, err := h.s.AuditHead(h.ctx(), other.ID)
		h.must(err)
		h.same(seq, int64(1))
	})
}

// reads are the methods of the store that name something of one tenant, called
// with the id of another; each with the refusal it must answer, if any.
func (p *possessions) reads(h *house, t string) map[string]func() (*tenant.Error, error) {
	ctx := h.ctx()
	late := h.at.Add(time.Minute)
	return map[string]func() (*tenant.Error, error){
		"Version": func() (*tenant.Error, error) { _, err := h.s.Version(ctx, "", 1); return tenant.ErrNotFound, err },
		"Draft":   func() (*tenant.Error, error) { _, err := h.s.Draft(ctx, ""); return tenant.ErrNotFound, err },
		"OpenSecret": func() (*tenant.Error, error) {
			_, err := h.s.OpenSecret(ctx, "", p.secret)
			return tenant.ErrNotFound, err
		},
		"AccountByClaim": func() (*tenant.Error, error) {
			_, err := h.s.AccountByClaim(ctx, t, p.u.Identities[0].Claim)
			return tenant.ErrUserNotFound, err
		},
		"Account": func() (*tenant.Error, error) {
			_, err := h.s.Account(ctx, t, p.u.ID)
			return tenant.ErrUserNotFound, err
		},
		"User": func() (*tenant.Error, error) { _, err := h.s.User(ctx, t, p.u.ID); return tenant.ErrUserNotFound, err },
		"LoadState": func() (*tenant.Error, error) {
			_, err := h.s.LoadState(ctx, t, p.open.State.TokenHash, h.at)
			return tenant.ErrFlowNotFound, err
		},
		"LoadHead": func() (*tenant.Error, error) {
			_, err := h.s.LoadHead(ctx, t, p.open.Run.ID)
			return tenant.ErrFlowNotFound, err
		},
		"NoteRun": func() (*tenant.Error, error) {
			return tenant.ErrFlowConflict, h.s.NoteRun(ctx, t, p.open.Run.ID, p.open.Run.SurfaceData, "theirs")
		},
		"ShownError": func() (*tenant.Error, error) {
			_, err := h.s.ShownError(ctx, t, p.shown.ID, h.at)
			return tenant.ErrNotFound, err
		},
		"Run": func() (*tenant.Error, error) {
			_, err := h.s.Run(ctx, t, p.open.Run.ID)
			return tenant.ErrNotFound, err
		},
		"Commit": func() (*tenant.Error, error) {
			n := h.next(p.open, tenant.RunFinished)
			n.Run.TenantID, n.State.TenantID = t, t
			theirs := p.u.Authenticators[0]
			n.Updates = []tenant.SecretUpdate{{Authenticator: tenant.Authenticator{ID: theirs.ID, Secret: "$mine", UpdatedAt: h.at}, Was: theirs.Secret}}
			return tenant.ErrFlowNotFound, h.s.Commit(ctx, n)
		},
		"Code": func() (*tenant.Error, error) {
			_, err := h.s.Code(ctx, t, p.link.ID)
			return tenant.ErrNotFound, err
		},
		"TryCode": func() (*tenant.Error, error) {
			_, err := h.s.TryCode(ctx, t, p.link.ID, h.at)
			return tenant.ErrNotFound, err
		},
		"CodeByLink": func() (*tenant.Error, error) {
			_, err := h.s.CodeByLink(ctx, t, p.link.LinkHash, h.at)
			return tenant.ErrNotFound, err
		},
		"ApproveCode": func() (*tenant.Error, error) {
			return tenant.ErrOTPExpired, h.s.ApproveCode(ctx, t, p.link.ID, h.at)
		},
		"SettleMessage": func() (*tenant.Error, error) {
			m := p.message
			m.TenantID, m.Status, m.Payload = t, tenant.MessageFailed, nil
			return nil, h.s.SettleMessage(ctx, &m)
		},
		"MessageOfCode": func() (*tenant.Error, error) {
			_, err := h.s.MessageOfCode(ctx, t, p.link.ID)
			return tenant.ErrNotFound, err
		},
		"HookDelivery": func() (*tenant.Error, error) {
			_, err := h.s.HookDelivery(ctx, t, p.hook.ID)
			return tenant.ErrNotFound, err
		},
		"SettleHookDelivery": func() (*tenant.Error, error) {
			d := p.hook
			d.TenantID, d.Status = t, tenant.HookDelivered
			return nil, h.s.SettleHookDelivery(ctx, &d)
		},
		"SessionByToken": func() (*tenant.Error, error) {
			_, _, err := h.s.SessionByToken(ctx, t, p.session.TokenHash)
			return tenant.ErrNotFound, err
		},
		"Session": func() (*tenant.Error, error) {
			_, err := h.s.Session(ctx, t, p.session.ID)
			return tenant.ErrNotFound, err
		},
		"CompleteRun": func() (*tenant.Error, error) {
			return nil, h.s.CompleteRun(ctx, t, p.session.RunID, late)
		},
		"TouchSession": func() (*tenant.Error, error) { return nil, h.s.TouchSession(ctx, t, p.session.ID, late, late) },
		"APIKeyByHash": func() (*tenant.Error, error) {
			_, err := h.s.APIKeyByHash(ctx, t, p.key.Hash)
			return tenant.ErrNotFound, err
		},
		"TouchAPIKey": func() (*tenant.Error, error) { return nil, h.s.TouchAPIKey(ctx, t, p.key.ID, late) },
		"AuditLog": func() (*tenant.Error, error) {
			log, err := h.s.AuditLog(ctx, t, tenant.AuditFilter{}, tenant.Page{After: p.event.ID, Limit: 1})
			h.same(len(log), 0)
			return nil, err
		},
	}
}

type crossing struct {
	want *tenant.Error
	do   func(tx tenant.Tx) error
}

// writes are the same for the methods of a change.
func (p *possessions) writes(h *house, t string) map[string]crossing {
	user := p.u.User
	user.TenantID, user.State = t, tenant.UserDisabled
	identity := tenant.Identity{TenantID: t, ID: id(), UserID: p.u.ID, Claim: email(word())}
	password := p.u.Authenticators[0]
	password.TenantID, password.Secret = t, "$mine"
	record := h.newUser(t)
	record.Authenticators[0].UserID = p.u.ID
	return map[string]crossing{
		"Draft":        {tenant.ErrNotFound, func(tx tenant.Tx) error { _, err := tx.Draft(""); return err }},
		"DeleteDraft":  {nil, func(tx tenant.Tx) error { return tx.DeleteDraft(t) }},
		"Version":      {tenant.ErrNotFound, func(tx tenant.Tx) error { _, err := tx.Version("", 1); return err }},
		"DeleteSecret": {nil, func(tx tenant.Tx) error { return tx.DeleteSecret(t, p.secret) }}, // both have one of this name
		"User":         {tenant.ErrUserNotFound, func(tx tenant.Tx) error { _, err := tx.User(t, p.u.ID); return err }},
		"CreateUser":   {tenant.ErrUserNotFound, func(tx tenant.Tx) error { return tx.CreateUser(record) }},
		"CreateUsers":  {tenant.ErrUserNotFound, func(tx tenant.Tx) error { return tx.CreateUsers([]*tenant.UserRecord{record}) }},
		"Owners": {nil, func(tx tenant.Tx) error {
			owners, err := tx.Owners(t, []tenant.Claim{p.u.Identities[0].Claim})
			h.same(owners, map[tenant.Claim]string{})
			return err
		}},
		"UpdateUser":  {tenant.ErrUserNotFound, func(tx tenant.Tx) error { return tx.UpdateUser(&user) }},
		"DeleteUser":  {tenant.ErrUserNotFound, func(tx tenant.Tx) error { return tx.DeleteUser(t, p.u.ID) }},
		"UserByClaim": {tenant.ErrUserNotFound, func(tx tenant.Tx) error { _, err := tx.UserByClaim(t, p.u.Identities[0].Claim); return err }},
		"AddIdentity": {tenant.ErrUserNotFound, func(tx tenant.Tx) error { return tx.AddIdentity(&identity) }},
		"RemoveIdentity": {tenant.ErrNotFound, func(tx tenant.Tx) error {
			return tx.RemoveIdentity(t, p.u.Identities[0].ID)
		}},
		"PutAuthenticator":    {tenant.ErrUserNotFound, func(tx tenant.Tx) error { return tx.PutAuthenticator(&password) }},
		"RemoveAuthenticator": {tenant.ErrNotFound, func(tx tenant.Tx) error { return tx.RemoveAuthenticator(t, password.ID) }},
		"RevokeSessions": {nil, func(tx tenant.Tx) error {
			for _, which := range []tenant.SessionSelector{{ID: p.session.ID}, {UserID: p.u.ID}} {
				if n, err := tx.RevokeSessions(t, which, h.at); err != nil || n != 0 {
					h.Error("revoked", n, err)
				}
			}
			return nil
		}},
		"CancelRun":    {tenant.ErrNotFound, func(tx tenant.Tx) error { _, err := tx.CancelRun(t, p.open.Run.ID, h.at); return err }},
		"RevokeAPIKey": {tenant.ErrNotFound, func(tx tenant.Tx) error { _, err := tx.RevokeAPIKey(t, p.key.ID, h.at); return err }},
	}
}

// covered fails for a method that no case calls.
func covered(t interface {
	Helper()
	Errorf(string, ...any)
}, of reflect.Type, called []string, exempt ...string) {
	t.Helper()
	known := map[string]bool{}
	for _, name := range append(called, exempt...) {
		if known[name] {
			t.Errorf("%s is covered twice", name)
		}
		known[name] = true
	}
	for i := range of.NumMethod() {
		name := of.Method(i).Name
		if !known[name] {
			t.Errorf("the isolation of %s.%s is not tested", of.Name(), name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("%s has no method %s", of.Name(), name)
	}
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}
