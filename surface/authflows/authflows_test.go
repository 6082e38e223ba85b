package authflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/surface/authflows"
	"github.com/usher-id/usher/tenant"
)

// Each status is reached by what users, the janitor and support do.
func TestStatuses(t *testing.T) {
	onBoth(t, func(h *house) {
		key := h.key("acme", tenant.Support)
		created, _ := h.signUp("acme")
		h.stands("acme", created, key, "finished")

		id, token := h.begin("acme")
		h.stands("acme", id, key, "new")
		token = h.input("acme", token, ada).ok().str("result", "state_token")
		a := h.stands("acme", id, key, "pending")
		if len(a.at("summary", "factor_names").([]any)) != 0 {
			t.Errorf("nothing is proved yet: %s", a.raw)
		}
		h.input("acme", token, fails)
		h.stands("acme", id, key, "pending")
		h.Wait(time.Minute)
		h.input("acme", token, proves).ok()
		a = h.stands("acme", id, key, "finished")
		if fmt.Sprint(a.at("summary", "factor_names")) != "[pwd]" || a.str("summary", "plan_name") != "default" || a.str("summary", "title") != "Log in" {
			t.Errorf("%s", a.raw)
		}
		first, last := a.at("summary", "first_seen", "at").(float64), a.at("summary", "last_seen", "at").(float64)
		if last-first != 60 {
			t.Errorf("seen from %v to %v", first, last)
		}

		// The first use of a session, and every other one.
		session := h.flow("acme", "", obj{"type": "login", "session": "token", "batch_input": []obj{ada, proves}}).str("result", "action", "data", "session_token")
		used := h.get("acme", "?limit=1", key).ok().str("summaries", 0, "id")
		count := func(want ...string) {
			t.Helper()
			h.Counted()
			h.session("acme", session).ok()
			if got := h.Counted(); !slices.Equal(got, want) {
				t.Errorf("a check of the session cost %v, want %v", got, want)
			}
		}
		h.stands("acme", used, key, "finished")
		h.Wait(time.Second)
		count("session_check", "run_complete")
		h.stands("acme", used, key, "complete")
		count("session_check")
		h.Wait(2 * time.Minute)
		count("session_check", "session_touch")
		h.stands("acme", used, key, "complete")
		h.stands("acme", id, key, "finished") // its own session was never used

		cancelled, _ := h.begin("acme", ada)
		h.post("acme", "/"+cancelled+"/cancel", key).ok()
		h.stands("acme", cancelled, key, "cancelled")

		expired, _ := h.begin("acme")
		_, err := h.Store.Purge(context.Background(), h.Now().Add(24*time.Hour), 100)
		must(t, err)
		h.stands("acme", expired, key, "cancelled")
		h.stands("acme", used, key, "complete")
		h.stands("acme", created, key, "finished")
	})
}

// What can't be noted is no reason to turn a session away.
func TestSessionHoldsWhenItsRunCannotBeCompleted(t *testing.T) {
	onBoth(t, func(h *house) {
		id, session := h.signUp("acme")
		h.breaks("CREATE TABLE witness (x TEXT)", "ALTER TABLE flow_run RENAME COLUMN timeline TO elsewhere")
		h.session("acme", session).ok()
		h.breaks("ALTER TABLE flow_run RENAME COLUMN elsewhere TO timeline")
		key := h.key("acme", tenant.Viewer)
		h.stands("acme", id, key, "finished")
		h.session("acme", session).ok()
		h.stands("acme", id, key, "complete")
	})
}

// breaks changes the database behind everybody's back.
func (h *house) breaks(statements ...string) {
	h.T.Helper()
	for _, s := range statements {
		_, err := h.Store.DB().ExecContext(context.Background(), s)
		must(h.T, err)
	}
}

func TestCancel(t *testing.T) {
	onBoth(t, func(h *house) {
		key := h.key("acme", tenant.Support)
		h.signUp("acme")
		id, first := h.begin("acme")
		second := h.input("acme", first, ada).ok().str("result", "state_token")
		a := h.post("acme", "/"+id+"/cancel", key).ok()
		if a.str("summary", "status") != "cancelled" || a.str("summary", "id") != id {
			t.Errorf("%s", a.raw)
		}
		for _, token := range []string{first, second} { // every state of it is dead
			for _, r := range []*answer{h.input("acme", token, ada), h.flow("acme", "/states", obj{"state_token": token})} {
				if r.status != 404 || r.str("error", "reason") != "AuthenticationFlowNotFound" {
					t.Errorf("%d %s", r.status, r.raw)
				}
			}
		}
		h.post("acme", "/"+id+"/cancel", key).refuses(409, "invalid_action")

		// Audited, once, by whom.
		acme := h.tenant("acme")
		log, err := h.Store.AuditLog(context.Background(), acme.ID, tenant.AuditFilter{Action: "flow_run.cancel"}, tenant.Page{Limit: 10})
		must(t, err)
		if len(log) != 1 || log[0].RunID != id || log[0].ActorKind != tenant.ActorKey || log[0].IP != "127.0.0.1" || log[0].Category != tenant.AuditAdmin || log[0].Seq == 0 {
			t.Errorf("%+v", log)
		}
		if n := h.metric("usher_flows_finished_total", map[string]string{"flow_type": "login", "surface": "flowapi", "outcome": "cancelled"}); n != 1 {
			t.Errorf("%v runs were counted as cancelled", n)
		}

		// What has ended can't be given up, and stays as it is.
		finished, _ := h.begin("acme", ada, proves)
		h.post("acme", "/"+finished+"/cancel", key).refuses(409, "invalid_action")
		h.stands("acme", finished, key, "finished")
	})
}

func TestTimeline(t *testing.T) {
	onBoth(t, func(h *house) {
		key := h.key("acme", tenant.Support)
		_, _ = h.signUp("acme")
		a := h.flow("acme", "", obj{"type": "login", "session": "token"}).ok()
		id := a.str("result", "id")
		other, _ := h.begin("acme", ada)
		h.Wait(time.Second)
		token := h.input("acme", a.str("result", "state_token"), ada).ok().str("result", "state_token")
		h.Wait(time.Second)
		h.input("acme", token, fails)
		h.Wait(time.Second)
		a = h.input("acme", token, proves).ok()
		h.session("acme", a.str("result", "action", "data", "session_token")).ok()

		timeline := func(id string, want ...string) {
			t.Helper()
			a := h.get("acme", "/"+id+"/timeline", key).ok()
			events, _ := a.at("timeline", "events").([]any)
			var got []string
			for i := range events {
				e := events[i].(map[string]any)
				if len(e) != 6 {
					t.Errorf("%v", e)
				}
				line := fmt.Sprint(e["outcome"])
				for _, k := range []string{"step", "method", "reason", "remote_ip"} {
					if e[k] != nil {
						line += fmt.Sprintf(" %s=%s", k, e[k])
					}
				}
				got = append(got, line)
			}
			if a.str("status") != "success" || a.str("timeline", "authflow_id") != id || !slices.Equal(got, want) {
				t.Errorf("%s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		timeline(id, "accepted step=identify method=email",
			"refused step=authenticate method=primary_password reason=InvalidCredentials remote_ip=127.0.0.1",
			"accepted step=authenticate method=primary_password", "finished", "complete")
		h.post("acme", "/"+other+"/cancel", key).ok()
		timeline(other, "accepted step=identify method=email", "cancelled")
		expired, _ := h.begin("acme")
		timeline(expired)
		_, err := h.Store.Purge(context.Background(), h.Now().Add(24*time.Hour), 100)
		must(t, err)
		timeline(expired, "expired")
	})
}

// Ids are stable, of the tenant's partition, and say again what they were made of.
func TestIDs(t *testing.T) {
	onBoth(t, func(h *house) {
		key, acme := h.key("acme", tenant.Viewer), h.tenant("acme")
		_, token := h.signUp("acme")
		signedIn := h.session("acme", token).ok()
		browser := []string{"Cookie", "usher_device=" + strings.Repeat("d", 32)}
		record := func(a *answer) *answer {
			t.Helper()
			a = h.get("acme", "/"+a.ok().str("result", "id"), key).ok()
			for k, v := range a.at("summary").(map[string]any) {
				if strings.HasSuffix(k, "id") && k != "remote_ip" {
					id, err := tenant.ParsePFID(v.(string))
					if err != nil || id.Partition != acme.Partition || !pfid.MatchString(v.(string)) {
						t.Errorf("%s is %s", k, v)
					}
				}
			}
			return a
		}
		login := func(headers ...string) *answer {
			return record(h.flow("acme", "", obj{"type": "login", "batch_input": []obj{ada, proves}}, headers...))
		}
		one, two, elsewhere := login(browser...), login(browser...), login()
		same := func(k string, want bool, a, b *answer) {
			t.Helper()
			if (a.str("summary", k) == b.str("summary", k)) != want {
				t.Errorf("%s of\n%s\n%s", k, a.raw, b.raw)
			}
		}
		for _, k := range []string{"account_id", "domain_id", "pool_id"} {
			same(k, true, one, two)
			same(k, true, one, elsewhere)
		}
		same("device_id", true, one, two)
		same("device_id", false, one, elsewhere)
		for _, k := range []string{"id", "session_id"} {
			same(k, false, one, two)
		}
		kinds := map[string]bool{}
		for k, v := range one.at("summary").(map[string]any) {
			if strings.HasSuffix(k, "_id") || k == "id" {
				kinds[v.(string)] = true
			}
		}
		if len(kinds) != 6 {
			t.Errorf("%d different ids: %s", len(kinds), one.raw)
		}

		// A session's id is its UUID written differently; so is a user's.
		list, err := h.Store.Sessions(context.Background(), acme.ID, tenant.SessionFilter{}, tenant.Page{Limit: 10})
		must(t, err)
		id, err := tenant.ParsePFID(elsewhere.str("summary", "session_id"))
		must(t, err)
		if uuid, err := id.UUID(); err != nil || !slices.ContainsFunc(list, func(s *tenant.Session) bool { return s.ID == uuid }) {
			t.Errorf("session %s, %v", uuid, err)
		}
		user, err := tenant.PFIDOf(signedIn.str("user", "id"), acme.Partition)
		must(t, err)
		if n := len(h.get("acme", "?user_id="+user.String(), key).ok().at("summaries").([]any)); n != 4 {
			t.Errorf("%d records of the user, want 4", n)
		}

		// An id of any other kind is no authflow's.
		for k, v := range one.at("summary").(map[string]any) {
			if strings.HasSuffix(k, "_id") {
				h.get("acme", "/"+v.(string), key).refuses(400, "unexpected_ref_type")
				h.get("acme", "/"+v.(string)+"/timeline", h.key("acme", tenant.Support)).refuses(400, "unexpected_ref_type")
			}
		}
		h.get("acme", "/"+user.String(), key).refuses(400, "unexpected_ref_type")
		for param, v := range map[string]string{
			"user_id": one.str("summary", "id"), "account_id": one.str("summary", "pool_id"),
		} {
			h.get("acme", "?"+param+"="+v, key).refuses(400, "unexpected_ref_type")
		}
		for _, k := range []string{"account_id", "session_id", "device_id"} {
			h.get("acme", "?user_id="+one.str("summary", k), key).refuses(400, "unexpected_ref_type")
		}
	})
}

func TestList(t *testing.T) {
	onBoth(t, func(h *house) {
		key := h.key("acme", tenant.Viewer)
		var all []string // the newest first
		keep := func(id string, _ string) {
			all = slices.Insert(all, 0, id)
			h.Wait(time.Millisecond)
		}
		keep(h.signUp("acme"))
		for range 4 {
			keep(h.begin("acme"))
		}
		keep(h.begin("acme", ada))
		keep(h.begin("acme", ada, proves))
		lists := func(query, next string, want ...string) {
			t.Helper()
			a := h.get("acme", "?"+query, key).ok()
			got := []string{}
			for i := range a.at("summaries").([]any) {
				got = append(got, a.str("summaries", i, "id"))
			}
			after, there := a.body["next"]
			if !slices.Equal(got, want) || !there || a.str("next") != next || next == "" && after != nil || len(a.body) != 3 {
				t.Errorf("%s: got %v\nwant %v and %s\n%s", query, got, want, next, a.raw)
			}
		}
		account := h.get("acme", "/"+all[0], key).str("summary", "account_id")
		lists("", "", all...)
		lists("status=&account_id=&after=", "", all...)
		lists("account_id="+account, "", all...)
		lists("limit=3", all[2], all[:3]...)
		lists("limit=3&after="+all[2], all[5], all[3:6]...)
		lists("limit=3&after="+all[5], "", all[6:]...)
		lists("after="+all[6], "")
		lists("status=new", "", all[2:6]...)
		lists("status=new&limit=4", "", all[2:6]...)
		lists("status=pending", "", all[1])
		lists("status=finished", "", all[0], all[6])
		lists("status=finished&type=signup", "", all[6])
		lists("status=complete", "")
		for query, code := range map[string]string{
			"status=done": "invalid_value", "type=x": "invalid_value", "limit=0": "invalid_value", "limit=101": "invalid_value", "limit=x": "invalid_value",
			"after=x": "invalid_value", "user_id=%20": "invalid_value", "account_id=" + strings.ToUpper(all[0]): "invalid_value",
			"state=new": "bad_request", "status=new&status=new": "bad_request", "status=%zz": "bad_request", "a;b": "bad_request",
		} {
			h.get("acme", "?"+query, key).refuses(400, code)
		}
	})
}

// Another tenant's ids name nothing here, whatever they are put into; its keys
// open nothing; and no door knows the ids of another.
func TestIsolation(t *testing.T) {
	onBoth(t, func(h *house) {
		mine, theirs := h.key("acme", tenant.Owner), h.key("other", tenant.Owner)
		h.signUp("acme")
		h.signUp("other")
		own, _ := h.begin("acme")
		id, token := h.begin("other", ada)
		record := h.get("other", "/"+id, theirs).ok()
		h.get("acme", "/"+id, mine).refuses(404, "not_found")
		h.get("acme", "/"+id+"/timeline", mine).refuses(404, "not_found")
		h.post("acme", "/"+id+"/cancel", mine).refuses(404, "not_found")
		for k, v := range record.at("summary").(map[string]any) {
			if strings.HasSuffix(k, "_id") {
				h.get("acme", "/"+v.(string), mine).refuses(404, "not_found")
				for _, param := range []string{"account_id", "user_id", "after"} {
					h.get("acme", "?"+param+"="+v.(string), mine).refuses(404, "not_found")
				}
			}
		}
		if a := h.get("acme", "", mine).ok(); strings.Contains(a.raw, id) {
			t.Errorf("another's record: %s", a.raw)
		}
		for _, path := range []string{"", "/" + own, "/" + own + "/timeline", "/" + id} {
			h.get("acme", path, theirs).refuses(401, "bad_authtoken")
		}
		h.post("acme", "/"+own+"/cancel", theirs).refuses(401, "bad_authtoken")
		h.stands("acme", own, mine, "new")
		h.stands("other", id, theirs, "pending")

		// An authflow's id opens no flow, a state token is no id, and neither a
		// state token nor a session is a key.
		if a := h.flow("other", "/states", obj{"state_token": id}); a.status != 404 {
			t.Errorf("%d %s", a.status, a.raw)
		}
		h.get("other", "/"+token, theirs).refuses(400, "invalid_value")
		h.get("other", "/"+id, token).refuses(401, "bad_authtoken")
		a := h.flow("other", "", obj{"type": "login", "session": "token", "batch_input": []obj{ada, proves}}).ok()
		h.get("other", "/"+id, a.str("result", "action", "data", "session_token")).refuses(401, "bad_authtoken")
	})
}

// Ten codes by what clients do, and one by a fault of ours; cmd/usher cuts the
// database off for the twelfth.
func TestCodes(t *testing.T) {
	onBoth(t, func(h *house) {
		viewer, editor := h.key("acme", tenant.Viewer), h.key("acme", tenant.Support)
		_, session := h.signUp("acme")
		id, _ := h.begin("acme")
		missing := tenant.PFID{At: h.Now().UnixMilli(), Partition: h.tenant("acme").Partition}.String()
		device := h.get("acme", "/"+id, viewer).str("summary", "device_id")

		h.get("acme", "?nothing=1", viewer).refuses(400, "bad_request")
		h.get("acme", "/"+url.PathEscape("x y"), viewer).refuses(400, "invalid_value")
		h.get("acme", "/", viewer).refuses(400, "required_value")
		h.get("acme", "/"+device, viewer).refuses(400, "unexpected_ref_type")
		if a := h.get("acme", "/"+id, "").refuses(401, "not_authenticated"); a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%v", a.header)
		}
		h.get("acme", "/"+id, session).refuses(401, "bad_authtoken")
		h.get("acme", "/"+id+"/timeline", viewer).refuses(403, "not_permitted")
		h.post("acme", "/"+id+"/cancel", viewer).refuses(403, "not_permitted")
		h.stands("acme", id, viewer, "new")
		h.get("acme", "/"+missing, viewer).refuses(404, "not_found")
		h.get("nobody", "/"+id, viewer).refuses(404, "not_found")
		h.get("acme", "/"+id+"/nothing", viewer).refuses(404, "not_found")
		h.post("acme", "/"+id+"/cancel", editor).ok()
		h.post("acme", "/"+id+"/cancel", editor).refuses(409, "invalid_action")
		for _, r := range [][2]string{{"DELETE", "/" + id}, {"PATCH", "/" + id}, {"POST", ""}, {"GET", "/" + id + "/cancel"}} {
			if a := h.send(r[0], "acme", authflows.Path+r[1], viewer, "{}").refuses(501, "not_implemented"); a.header.Get("Allow") == "" {
				t.Errorf("%v: no method is named", r)
			}
		}
		if n := h.metric("usher_http_requests_total", map[string]string{"surface": "authflows", "code": "501"}); n != 4 {
			t.Errorf("%v refusals were counted with the surface's name", n)
		}

		h.breaks("ALTER TABLE flow_run RENAME TO elsewhere")
		for _, path := range []string{"", "/" + id, "/" + id + "/timeline"} {
			a := h.get("acme", path, editor).refuses(500, "unexpected")
			if strings.Contains(a.raw, "flow_run") || a.header.Get("Retry-After") != "" {
				t.Errorf("%v %s", a.header, a.raw)
			}
		}
		h.breaks("ALTER TABLE elsewhere RENAME TO flow_run")
		h.stands("acme", id, viewer, "cancelled")
	})
}

// A record says where the client goes afterwards, which is where the tenant
// lets it go.
func TestReturnURL(t *testing.T) {
	onBoth(t, func(h *house) {
		key := h.key("acme", tenant.Viewer)
		_, err := h.admin.EditSection(context.Background(), admin.System, "acme", "web",
			json.RawMessage(`{"return_urls": ["https://app.example.com/welcome"]}`), admin.Edit{AutoPublish: true})
		must(t, err)
		begin := func(to string) *answer {
			return h.flow("acme", "", obj{"type": "login", "return_url": to})
		}
		const welcome = "https://app.example.com/welcome/ada?first=1"
		deadline := time.Now().Add(20 * time.Second)
		a := begin(welcome)
		for ; a.status == 400 && time.Now().Before(deadline); a = begin(welcome) { // the change is on its way
			time.Sleep(5 * time.Millisecond)
		}
		if a = h.get("acme", "/"+a.ok().str("result", "id"), key).ok(); a.str("summary", "return_url") != welcome {
			t.Errorf("%s", a.raw)
		}
		for _, to := range []string{"https://app.example.com/", "https://app.example.com.evil.example/welcome", "http://app.example.com/welcome", "/welcome", "javascript:1"} {
			if a := begin(to); a.status != 400 || a.at("error", "info", "causes", 0, "location") != "/return_url" {
				t.Errorf("%s: %d %s", to, a.status, a.raw)
			}
		}
	})
}
